"""Schema versions nobody has seen: what was added, moved, renamed or made nullable changes no detection."""

from __future__ import annotations

import copy
import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.ingest.decode import Decoder
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.records import SCIENCE
from asterism.simulate.packets import (
    LSST_SCHEMA,
    LSST_SCHEMA_ID,
    ForcedFlux,
    History,
    SimulatedDetection,
    lsst_packet,
    write_schemas,
    ztf_packet,
)

Record = dict[str, Any]

SEEN = SimulatedDetection("17", 4, 53.2, -27.8, 61002.27, "i", -940.0, 150.0)
PAST = History(forced=(ForcedFlux(60990.0, "g", -5.0, 100.0),))
PACKET = lsst_packet(SEEN, PAST)
NEW_ID = LSST_SCHEMA_ID + 100
COLUMNS = [field.name for field in SCIENCE if field.name != "schemaVersion"]
EXTRA_TYPES = ("double", ["null", "string"], {"type": "array", "items": "int"}, ["null", "boolean"], "bytes")
EXTRA_VALUES: tuple[Any, ...] = (0.5, None, [1, 2], True, b"xyz")


def record_of(payload: bytes) -> Record:
    found = fastavro.schemaless_reader(io.BytesIO(payload[5:]), fastavro.parse_schema(LSST_SCHEMA), None)
    assert isinstance(found, dict)
    return found


def framed(schema: Record, record: Record, schema_id: int = NEW_ID) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(copy.deepcopy(schema)), record)
    return b"\0" + struct.pack(">I", schema_id) + stream.getvalue()


def container(schema: Record, record: Record) -> bytes:
    stream = io.BytesIO()
    fastavro.writer(stream, fastavro.parse_schema(copy.deepcopy(schema)), [record])
    return stream.getvalue()


def source_fields(schema: Record) -> list[Record]:
    """Return the fields of ``diaSource``."""
    kind = next(field for field in schema["fields"] if field["name"] == "diaSource")["type"]
    found = next(k for k in kind if isinstance(k, dict)) if isinstance(kind, list) else kind
    fields: list[Record] = found["fields"]
    return fields


@st.composite
def changed(draw: st.DrawFn) -> tuple[Record, Record]:
    """Draw a later schema and the same alert written with it."""
    schema: Record = copy.deepcopy(LSST_SCHEMA)
    record = record_of(PACKET)
    fields = source_fields(schema)
    for at in range(draw(st.integers(0, 3))):
        kind = draw(st.integers(0, len(EXTRA_TYPES) - 1))
        fields.append({"name": f"later{at}", "type": EXTRA_TYPES[kind]})
        record["diaSource"][f"later{at}"] = EXTRA_VALUES[kind]
    for name in draw(st.lists(st.sampled_from(["ra", "psfFlux", "band", "reliability", "diaObjectId"]), unique=True)):
        field = next(field for field in fields if field["name"] == name)
        field.update(name=f"{name}New", aliases=[name])
        record["diaSource"][f"{name}New"] = record["diaSource"].pop(name)
    for field in fields:
        field.pop("default", None)
        if not isinstance(field["type"], list) and draw(st.booleans()):
            field["type"] = draw(st.sampled_from([["null", field["type"]], [field["type"], "null"]]))
    if draw(st.booleans()):  # the record itself may be null, nested in a union
        top = next(field for field in schema["fields"] if field["name"] == "diaSource")
        if not isinstance(top["type"], list):
            top["type"] = ["null", top["type"]]
    fields[:] = draw(st.permutations(fields))
    extra = {"name": "laterTop", "type": EXTRA_TYPES[draw(st.integers(0, len(EXTRA_TYPES) - 1))]}
    record["laterTop"] = EXTRA_VALUES[EXTRA_TYPES.index(extra["type"])]
    schema["fields"].insert(draw(st.sampled_from([0, 1, len(schema["fields"])])), extra)
    return schema, record


def detections(decoder: Decoder, *payloads: bytes) -> pa.Table:
    decoded = decoder.decode(payloads, [Position("test", 0, n) for n in range(len(payloads))])
    assert decoded.dead_letters.num_rows == 0, decoded.dead_letters["message"].to_pylist()
    return decoded.detections.select(COLUMNS)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = write_schemas(tmp_path_factory.mktemp("schemas")).parent
    row: Record = detections(Decoder(SchemaSource(folder=folder)), PACKET).to_pylist()[0]
    return row


@settings(max_examples=40)
@given(case=changed())
def test_a_later_lsst_schema_gives_the_same_detection_in_a_container_and_by_its_id(
    before: Record, tmp_path_factory: pytest.TempPathFactory, case: tuple[Record, Record]
) -> None:
    schema, record = case
    folder = tmp_path_factory.mktemp("later")
    (folder / f"{NEW_ID}.avsc").write_text(json.dumps(schema))
    decoder = Decoder(SchemaSource(folder=folder))
    assert detections(decoder, framed(schema, record), container(schema, record)).to_pylist() == [before, before]


@settings(max_examples=20)
@given(case=changed(), turns=st.lists(st.booleans(), min_size=2, max_size=12))
def test_versions_may_change_in_mid_stream_and_back(
    before: Record, tmp_path_factory: pytest.TempPathFactory, case: tuple[Record, Record], turns: list[bool]
) -> None:
    schema, record = case
    folder = write_schemas(tmp_path_factory.mktemp("both")).parent
    (folder / f"{NEW_ID}.avsc").write_text(json.dumps(schema))
    later = framed(schema, record)
    rows = detections(Decoder(SchemaSource(folder=folder)), *(later if turn else PACKET for turn in turns)).to_pylist()
    assert rows == [before] * len(turns)


def test_surveys_and_versions_share_a_batch(tmp_path: Path, before: Record) -> None:
    folder = write_schemas(tmp_path).parent
    ztf = ztf_packet(SimulatedDetection("ZTF25aaaaaab", 5, 150.1, 2.2, 61000.3, "r", 2.5e4, 1.2e3))
    rows = detections(Decoder(SchemaSource(folder=folder)), ztf, PACKET, ztf).to_pylist()
    assert [row["survey"] for row in rows] == ["ztf", "lsst", "ztf"]
    assert rows[1] == before


def test_a_moving_object_is_kept_apart_from_stationary_ones(tmp_path: Path) -> None:
    folder = write_schemas(tmp_path).parent
    moving = SimulatedDetection(None, 77, 10.0, 10.0, 61000.0, "g", 500.0, 10.0, ss_object_id="20890932382")
    row, still = detections(Decoder(SchemaSource(folder=folder)), lsst_packet(moving), PACKET).to_pylist()
    assert (row["objectKey"], row["ssObjectId"]) == (None, "20890932382")
    assert (still["objectKey"], still["ssObjectId"]) == ("lsst:17", None)


@pytest.mark.parametrize(("flux", "positive"), [(-940.0, False), (940.0, True)])
def test_a_negative_flux_keeps_its_sign_and_its_magnitude_is_that_of_its_size(
    tmp_path: Path, flux: float, positive: bool
) -> None:
    folder = write_schemas(tmp_path).parent
    seen = SimulatedDetection("17", 4, 53.2, -27.8, 61002.27, "i", flux, 150.0)
    row = detections(Decoder(SchemaSource(folder=folder)), lsst_packet(seen)).to_pylist()[0]
    assert (row["flux"], row["isPositive"]) == (pytest.approx(flux), positive)
    assert row["mag"] == pytest.approx(31.4 - 2.5 * math.log10(940.0), abs=1e-6)
    assert row["limitMag"] is None  # LSST states none; a limit is never made up of a flux
