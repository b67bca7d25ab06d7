"""Decoding against an independent reading of the same packets: fastavro, astropy, scalar arithmetic."""

from __future__ import annotations

import csv
import io
import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import fastavro.schema
import pyarrow as pa
import pytest
from astropy import units
from astropy.time import Time
from astropy_healpix import lonlat_to_healpix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asterism.ingest.container import read_header, wrap, write_varint
from asterism.ingest.decode import Decoded, Decoder
from asterism.ingest.errors import PacketError, UndecodableError
from asterism.ingest.packets import MAX_PACKET_BYTES, Position
from asterism.ingest.schemas import SchemaSource
from asterism.records import DEAD_LETTER, DETECTION, SCIENCE
from asterism.simulate.packets import (
    LSST_SCHEMA_ID,
    ForcedFlux,
    History,
    SimulatedDetection,
    UpperLimit,
    lsst_packet,
    write_schemas,
    ztf_packet,
)

Record = dict[str, Any]

ZTF_ONE = SimulatedDetection("ZTF25aaaaaab", 3_246_300_000_115_000_001, 150.1, 2.2, 61000.3, "r", 2.5e4, 1.2e3)
LSST_ONE = SimulatedDetection("170032882292621441", 170032882292621313, 53.2, -27.8, 61002.27, "i", -940.0, 150.0)
PAST = History(
    detections=tuple(
        SimulatedDetection("ZTF25aaaaaab", 3_246_300_000_115_000_001 - n, 150.1, 2.2, 61000.3 - n, "g", 2e4, 1e3)
        for n in range(1, 12)
    ),
    limits=tuple(UpperLimit(60990.0 - n, "r", 20.5) for n in range(10)),
    forced=tuple(ForcedFlux(60990.0 - n, "g", -5.0 * n, 100.0) for n in range(10)),
)
LSST_PAST = History(
    detections=tuple(
        SimulatedDetection("170032882292621441", 170032882292621313 - n, 53.2, -27.8, 61002.27 - n, "i", 900.0, 90.0)
        for n in range(1, 9)
    ),
    forced=tuple(ForcedFlux(60990.0 - n, "g", -5.0 * n, 100.0) for n in range(10)),
)


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    folder = tmp_path_factory.mktemp("schemas")
    write_schemas(folder)
    return Decoder(SchemaSource(folder=folder))


def positions(count: int) -> list[Position]:
    return [Position("topic", 3, 100 + index, 1_700_000_000_000 + index) for index in range(count)]


def decode(decoder: Decoder, *payloads: bytes) -> Decoded:
    decoded = decoder.decode(payloads, positions(len(payloads)))
    assert decoded.detections.schema.equals(DETECTION)
    assert decoded.dead_letters.schema.equals(DEAD_LETTER)
    offsets = decoded.detections["offset"].to_pylist() + decoded.dead_letters["offset"].to_pylist()
    assert sorted(offsets) == [100 + index for index in range(len(payloads))]
    decoded.detections.validate(full=True)
    return decoded


def one(decoder: Decoder, payload: bytes) -> Record:
    decoded = decode(decoder, payload)
    assert decoded.dead_letters.num_rows == 0, decoded.dead_letters["message"].to_pylist()
    return dict(decoded.detections.to_pylist()[0])


def code(decoder: Decoder, payload: bytes) -> str:
    decoded = decode(decoder, payload)
    assert decoded.detections.num_rows == 0
    letter = decoded.dead_letters.to_pylist()[0]
    assert letter["payload"] == payload
    assert letter["publishedMs"] == 1_700_000_000_000
    return str(letter["code"])


# The same facts, computed apart from the code under test -------------------------------------------------


def plain(payload: bytes, framed_schema: Any = None) -> tuple[Record, Record]:
    """The record and its writer schema, by plain fastavro."""
    if payload[:1] == b"\0":
        return fastavro.schemaless_reader(io.BytesIO(payload[5:]), framed_schema, None), framed_schema
    reader = fastavro.reader(io.BytesIO(payload))
    record = next(reader)
    return record, reader.writer_schema


def finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def known(value: Any) -> float | None:
    """What ZTF knows: not -999. LSST has no such value, its fluxes may well be -999 nJy."""
    return None if value == -999.0 else finite(value)


def expected(record: Record, schema: Record) -> Record:
    row = expected_lsst(record, schema) if "diaSource" in record else expected_ztf(record)
    ra, dec = row["ra"] * units.deg, row["dec"] * units.deg
    row["hpx29"] = int(lonlat_to_healpix(ra, dec, 2**29, order="nested"))
    row["alertKey"] = f"{row['survey']}:{row['sourceId']}"
    row["objectKey"] = None if row["objectId"] is None else f"{row['survey']}:{row['objectId']}"
    return row


def flux_of(mag: float) -> float:
    return float(3631e9 * 10 ** (-0.4 * mag))


def expected_ztf(record: Record) -> Record:
    candidate = record["candidate"]
    positive = {"t": True, "1": True, "f": False, "0": False}.get(str(candidate["isdiffpos"]))
    mag, error, aperture = (known(candidate.get(name)) for name in ("magpsf", "sigmapsf", "magap"))
    sign = None if positive is None else (1 if positive else -1)
    name = candidate.get("ssnamenr")
    first = known(candidate.get("jdstarthist"))
    time = Time(candidate["jd"], format="jd", scale="utc")
    programme = candidate.get("programid")
    return {
        "survey": "ztf",
        "sourceId": str(record["candid"]),
        "objectId": record["objectId"],
        "ssObjectId": None if name in (None, "null", "") else name,
        "ssDistance": known(candidate.get("ssdistnr")),
        "mjdTai": float(time.tai.mjd),
        "night": int(time.strftime("%Y%m%d")),
        "ra": candidate["ra"],
        "dec": candidate["dec"],
        "band": " gri"[candidate["fid"]],
        "isPositive": positive,
        "flux": None if mag is None or sign is None else sign * flux_of(mag),
        "fluxErr": None if mag is None or error is None else flux_of(mag) * error * math.log(10) / 2.5,
        "mag": mag,
        "magErr": error,
        "snr": known(candidate.get("scorr")),
        "apFlux": None if aperture is None or sign is None else sign * flux_of(aperture),
        "limitMag": known(candidate.get("diffmaglim")),
        "reliability": known(candidate.get("drb")),
        "rb": known(candidate.get("rb")),
        "nBad": candidate.get("nbad"),
        "nDetections": candidate.get("ndethist"),
        "firstMjdTai": None if first is None else float(Time(first, format="jd", scale="utc").tai.mjd),
        "programId": programme,
        "public": programme == 1,
        "schemaVersion": record.get("schemavsn"),
        **expected_flags(candidate, positive),
    }


def expected_flags(candidate: Record, positive: bool | None) -> Record:
    """Both published rule sets, spelled out; a cut that fails decides, a missing value leaves the answer open."""
    rb, bad, mag, aperture = (known(candidate.get(name)) for name in ("rb", "nbad", "magpsf", "magap"))
    clean = None if bad is None or bad < 0 else bad == 0
    differs = mag is None or aperture is None or positive is None
    paper = [rb and rb > 0.55, clean, None if differs else abs(aperture - mag) < 0.1]
    fink = [rb and rb >= 0.55, clean, candidate["fid"] != 3]
    verdicts = [False if False in cuts else None if None in cuts else True for cuts in (paper, fink)]
    return {"passesPaper2020": verdicts[0], "passesFink2026": verdicts[1]}


def expected_lsst(record: Record, schema: Record) -> Record:
    source = record["diaSource"]
    flux, error = finite(source["psfFlux"]), finite(source["psfFluxErr"])
    negative = source.get("isNegative")
    if negative is None and flux:
        negative = flux < 0
    time = Time(source["midpointMjdTai"], format="mjd", scale="tai")
    version = record.get("lsst_schema_version") or schema["name"].rpartition(".")[0] or schema.get("namespace")
    return {
        "survey": "lsst",
        "sourceId": str(source["diaSourceId"]),
        "objectId": str(source["diaObjectId"]) if source["diaObjectId"] else None,
        "ssObjectId": str(source["ssObjectId"]) if source["ssObjectId"] else None,
        "ssDistance": None,
        "mjdTai": source["midpointMjdTai"],
        "night": int((time.utc - 12 * units.hour).strftime("%Y%m%d")),
        "ra": source["ra"],
        "dec": source["dec"],
        "band": source["band"],
        "isPositive": None if negative is None else not negative,
        "flux": flux,
        "fluxErr": error,
        "mag": None if not flux else -2.5 * math.log10(abs(flux) / 3631e9),
        "magErr": None if not flux or error is None else 2.5 / math.log(10) * error / abs(flux),
        "snr": finite(source["snr"]),
        "apFlux": finite(source["apFlux"]),
        "limitMag": None,
        "reliability": finite(source["reliability"]),
        "rb": None,
        "nBad": None,
        "nDetections": None,
        "firstMjdTai": None,
        "programId": None,
        "public": True,
        "schemaVersion": version.removeprefix("lsst.v").replace("_", ".") if version else None,
        "passesPaper2020": None,
        "passesFink2026": None,
    }


def assert_same(row: Record, wanted: Record) -> None:
    assert set(wanted) == {field.name for field in SCIENCE}
    for name, value in wanted.items():
        if isinstance(value, float):
            # 3631 Jy is the rounded zero point of the AB scale: 31.40006 for 1 nJy
            rounding = 7e-5 if name in {"flux", "fluxErr", "apFlux", "mag"} else 1e-12
            assert row[name] == pytest.approx(value, rel=rounding), name
        else:
            assert row[name] == value, name
            assert type(row[name]) is type(value), name


# Generated packets -----------------------------------------------------------------------------------------


def detections(survey: str) -> st.SearchStrategy[SimulatedDetection]:
    lsst = survey == "lsst"
    return st.builds(
        SimulatedDetection,
        object_id=st.integers(1, 2**63 - 1).map(str) if lsst else st.just("ZTF25aaaaaab"),
        source_id=st.integers(1, 2**63 - 1),
        ra=st.floats(0.0, 360.0, exclude_max=True),
        dec=st.floats(-90.0, 90.0),
        mjd_tai=st.floats(58000.0, 61700.0),
        band=st.sampled_from("ugrizy" if lsst else "gri"),
        flux=st.one_of(st.floats(10.0, 1e7), st.floats(-1e7, -10.0)),
        flux_err=st.floats(1.0, 1e4),
        program_id=st.sampled_from([1, 2, 3]),
        reliability=st.floats(0.0, 1.0),
        ss_object_id=st.none() | (st.integers(1, 2**63 - 1).map(str) if lsst else st.just("168446")),
        ss_distance=st.none() | st.floats(0.0, 30.0),
    )


@settings(max_examples=30, deadline=None)
@given(first=detections("ztf"), second=detections("lsst"))
def test_every_field_of_generated_packets_equals_an_independent_reading(
    decoder: Decoder, first: SimulatedDetection, second: SimulatedDetection
) -> None:
    payloads = [ztf_packet(first, PAST), lsst_packet(second, LSST_PAST)]
    schema = decoder._plan_of(LSST_SCHEMA_ID).writer.raw
    rows = decode(decoder, *payloads).detections.to_pylist()
    for row, payload in zip(rows, payloads, strict=True):
        assert_same(row, expected(*plain(payload, schema)))


def test_what_the_simulator_put_in_comes_out(decoder: Decoder) -> None:
    ztf, lsst = one(decoder, ztf_packet(ZTF_ONE, PAST)), one(decoder, lsst_packet(LSST_ONE, LSST_PAST))
    assert (ztf["alertKey"], ztf["objectKey"]) == ("ztf:3246300000115000001", "ztf:ZTF25aaaaaab")
    assert ztf["mjdTai"] == pytest.approx(61000.3, abs=1e-9)
    assert ztf["flux"] == pytest.approx(2.5e4, rel=1e-5)
    assert ztf["fluxErr"] == pytest.approx(1.2e3, rel=1e-5)
    assert (lsst["flux"], lsst["fluxErr"], lsst["isPositive"]) == (-940.0, 150.0, False)
    assert lsst["night"] == 20251122
    assert (lsst["topic"], lsst["partition"], lsst["offset"]) == ("topic", 3, 100)


def test_order_of_a_mixed_batch_is_kept(decoder: Decoder) -> None:
    payloads = [ztf_packet(ZTF_ONE), lsst_packet(LSST_ONE), b"", ztf_packet(ZTF_ONE), lsst_packet(LSST_ONE)]
    decoded = decode(decoder, *payloads)
    assert decoded.detections["survey"].to_pylist() == ["ztf", "lsst", "ztf", "lsst"]
    assert decoded.detections["offset"].to_pylist() == [100, 101, 103, 104]
    assert decoded.dead_letters["code"].to_pylist() == ["ingest.empty"]


def test_nothing_gives_nothing(decoder: Decoder) -> None:
    assert decode(decoder).detections.num_rows == 0


def test_batch_and_positions_must_have_one_length(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="1 packets with 0 positions"):
        decoder.decode([b""], [])


def test_time_of_publication_that_kafka_does_not_know_is_null(decoder: Decoder) -> None:
    table = decoder.decode([ztf_packet(ZTF_ONE)] * 2, [Position("t", 0, 0, -1), Position("t", 0, 1, None)]).detections
    assert table["publishedMs"].to_pylist() == [None, None]


@pytest.mark.parametrize("identifier", [1, 2**53 + 1, 2**63 - 1])
def test_64_bit_ids_survive(decoder: Decoder, identifier: int) -> None:
    lsst = SimulatedDetection(
        str(identifier), identifier, 10.0, 10.0, 61000.0, "g", 500.0, 10.0, ss_object_id=str(identifier)
    )
    row = one(decoder, lsst_packet(lsst))
    assert {row["sourceId"], row["objectId"], row["ssObjectId"]} == {str(identifier)}
    assert row["alertKey"] == row["objectKey"] == f"lsst:{identifier}"


# Rewritten packets: the same content under another schema --------------------------------------------------


def container(schema: Record, record: Record, codec: str = "null", count: int = 1) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, schema, [record] * count, codec=codec)
    return out.getvalue()


ZTF_RECORD, ZTF_SCHEMA = plain(ztf_packet(ZTF_ONE, PAST))


def ztf_schema() -> Record:
    text = read_header(ztf_packet(ZTF_ONE)).schema
    schema = json.loads(text)
    assert isinstance(schema, dict)
    return schema


def candidate_fields(schema: Record) -> list[Record]:
    fields = next(field for field in schema["fields"] if field["name"] == "candidate")["type"]["fields"]
    assert isinstance(fields, list)
    return fields


def changed(**candidate: Any) -> bytes:
    """A generated ZTF packet with some of its fields replaced."""
    return container(ztf_schema(), {**ZTF_RECORD, "candidate": {**ZTF_RECORD["candidate"], **candidate}})


def retyped(name: str, kind: Any, value: Any) -> bytes:
    schema = ztf_schema()
    field = next(field for field in candidate_fields(schema) if field["name"] == name)
    field.clear()
    field.update(name=name, type=kind)
    return container(schema, {**ZTF_RECORD, "candidate": {**ZTF_RECORD["candidate"], name: value}})


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_both_codecs_are_read(decoder: Decoder, codec: str) -> None:
    assert one(decoder, container(ztf_schema(), ZTF_RECORD, codec)) == one(decoder, ztf_packet(ZTF_ONE, PAST))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_reordered_added_nullable_and_renamed_fields_change_nothing(decoder: Decoder, data: st.DataObject) -> None:
    schema = ztf_schema()
    record = {
        **ZTF_RECORD,
        "newTop": {"a": [1, 2]},
        "candidate": {**ZTF_RECORD["candidate"], "newField": "x"},
    }
    nested = candidate_fields(schema)
    nested.append({"name": "newField", "type": "string"})
    for field in nested:
        field.pop("default", None)
        if data.draw(st.booleans()) and not isinstance(field["type"], list):
            field["type"] = [field["type"], "null"]
    renamed = data.draw(st.sampled_from(["ra", "magpsf", "programid", "jd"]))
    next(field for field in nested if field["name"] == renamed).update(name="other", aliases=[renamed])
    record["candidate"]["other"] = record["candidate"][renamed]
    nested[:] = data.draw(st.permutations(nested))
    top = {
        "type": "record",
        "name": "added",
        "fields": [{"name": "a", "type": {"type": "array", "items": "int"}}],
    }
    schema["fields"].append({"name": "newTop", "type": ["null", top]})
    schema["fields"] = inline_in_order(data.draw(st.permutations(schema["fields"])))
    assert one(decoder, container(schema, record)) == one(decoder, ztf_packet(ZTF_ONE, PAST))


def inline_in_order(fields: list[Record]) -> list[Record]:
    """Give each field its own copy of the named types, so that any order is a valid schema."""
    definitions: dict[str, Record] = {}

    def collect(node: Any) -> None:
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            collect(child)
        if isinstance(node, dict) and node.get("type") == "record":
            definitions[node["name"]] = node

    def rename(node: Any, prefix: str) -> Any:
        if isinstance(node, str) and node.rpartition(".")[2] in definitions:
            return rename(definitions[node.rpartition(".")[2]], prefix)
        if isinstance(node, list):
            return [rename(item, prefix) for item in node]
        if isinstance(node, dict):
            copy = {
                key: rename(value, prefix) if key in {"type", "items", "fields"} else value
                for key, value in node.items()
            }
            if node.get("type") == "record":
                copy["name"] = f"{prefix}_{node['name']}"
            return copy
        return node

    collect(fields)
    return [{**field, "type": rename(field["type"], f"own_{field['name']}")} for field in fields]


def test_history_before_the_detection_is_read_over(decoder: Decoder) -> None:
    schema = ztf_schema()
    fields = {field["name"]: field for field in schema["fields"]}
    first = ["prv_candidates", "fp_hists", "cutoutScience"]
    schema["fields"] = inline_in_order([fields[name] for name in first] + [fields[n] for n in fields if n not in first])
    assert one(decoder, container(schema, ZTF_RECORD)) == one(decoder, ztf_packet(ZTF_ONE, PAST))


def test_detection_that_is_null_has_no_id(decoder: Decoder) -> None:
    schema = ztf_schema()
    field = next(field for field in schema["fields"] if field["name"] == "candidate")
    field["type"] = ["null", field["type"]]
    assert code(decoder, container(schema, {**ZTF_RECORD, "candidate": None})) == "ingest.bad_time"


# What is unknown, and what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [-999.0, None, float("nan"), float("inf")])
def test_sentinels_and_non_numbers_become_null(decoder: Decoder, nothing: float | None) -> None:
    row = one(
        decoder,
        changed(drb=nothing, rb=nothing, diffmaglim=nothing, magap=nothing, scorr=nothing, ssdistnr=nothing),
    )
    assert [row[name] for name in ("reliability", "rb", "limitMag", "apFlux", "snr", "ssDistance")] == [None] * 6
    assert row["flux"] is not None


@pytest.mark.parametrize("name", ["null", None, "", "  "])
def test_names_that_say_nothing_become_null(decoder: Decoder, name: str | None) -> None:
    assert one(decoder, changed(ssnamenr=name))["ssObjectId"] is None


def test_counts_that_cannot_be_become_null(decoder: Decoder) -> None:
    row = one(decoder, changed(ndethist=-5, nbad=-999, programid=-1))
    assert (row["nDetections"], row["nBad"], row["programId"], row["public"]) == (None, None, None, False)


@pytest.mark.parametrize(("value", "positive"), [("t", True), ("1", True), ("f", False), ("0", False), ("?", None)])
def test_sign_in_every_spelling(decoder: Decoder, value: str, positive: bool | None) -> None:
    row = one(decoder, changed(isdiffpos=value))
    assert row["isPositive"] is positive
    assert (row["flux"] is None) == (positive is None)
    assert positive is None or (row["flux"] > 0) == positive
    assert row["mag"] is not None


@pytest.mark.parametrize(("kind", "value"), [("boolean", True), ("int", 1), (["null", "int"], 1), ("string", "true")])
def test_sign_in_every_type(decoder: Decoder, kind: Any, value: Any) -> None:
    assert one(decoder, retyped("isdiffpos", kind, value))["isPositive"] is True


def test_unknown_programme_is_not_public(decoder: Decoder) -> None:
    schema = ztf_schema()
    nested = candidate_fields(schema)
    nested[:] = [field for field in nested if field["name"] != "programid"]
    row = one(decoder, container(schema, ZTF_RECORD))
    assert (row["programId"], row["public"]) == (None, False)
    assert one(decoder, changed(programid=1))["public"] is True


def test_lsst_sign_follows_the_flux_where_the_survey_does_not_say(decoder: Decoder) -> None:
    schema = decoder._plan_of(LSST_SCHEMA_ID).writer.raw
    record, _ = plain(lsst_packet(LSST_ONE), schema)
    for negative, flux, wanted in [
        (None, 5.0, True),
        (None, -5.0, False),
        (True, 5.0, False),
        (None, None, None),
    ]:
        source = {**record["diaSource"], "isNegative": negative, "psfFlux": flux}
        row = one(decoder, container(schema, {**record, "diaSource": source}))
        assert row["isPositive"] is wanted
        assert (row["mag"] is None) == (flux is None)


def test_alert_of_a_solar_system_object_only_has_no_object(decoder: Decoder) -> None:
    body = SimulatedDetection(None, 77, 10.0, 10.0, 61000.0, "g", 500.0, 10.0, ss_object_id="20890932382")
    row = one(decoder, lsst_packet(body))
    assert (row["objectKey"], row["objectId"], row["ssObjectId"]) == (None, None, "20890932382")


def without(name: str) -> bytes:
    schema = ztf_schema()
    schema["fields"] = [field for field in schema["fields"] if field["name"] != name]
    return container(schema, ZTF_RECORD)


def with_id(**top: Any) -> bytes:
    return container(ztf_schema(), {**ZTF_RECORD, **top})


REFUSED = {
    "empty": (b"", "ingest.empty"),
    "no block": (ztf_packet(ZTF_ONE)[: read_header(ztf_packet(ZTF_ONE)).end], "ingest.empty"),
    "start of magic": (b"Ob", "ingest.truncated"),
    "frame without record": (b"\0\0\0", "ingest.truncated"),
    "cut in header": (ztf_packet(ZTF_ONE)[:500], "ingest.truncated"),
    "cut in cutouts": (ztf_packet(ZTF_ONE)[:-1000], "ingest.truncated"),
    "json": (b'{"objectId": 1}', "ingest.wrong_magic"),
    "too large": (ztf_packet(ZTF_ONE) + bytes(MAX_PACKET_BYTES), "ingest.too_large"),
    "unknown id": (b"\0\xff\xff\xff\xff" + bytes(100), "ingest.schema_unknown"),
    "two records": (container(ztf_schema(), ZTF_RECORD, count=2), "ingest.multiple_records"),
    "two blocks": (
        ztf_packet(ZTF_ONE) + b"\2\0" + read_header(ztf_packet(ZTF_ONE)).sync,
        "ingest.multiple_records",
    ),
    "other codec": (ztf_packet(ZTF_ONE).replace(b"\x08null", b"\x08zzzz", 1), "ingest.codec_unknown"),
    "no schema": (b"Obj\1\0" + bytes(16), "ingest.schema_invalid"),
    "no object": (without("objectId"), "ingest.no_object"),
    "empty object": (with_id(objectId=""), "ingest.no_object"),
    "bad object": (with_id(objectId="a'; DROP"), "ingest.bad_id"),
    "negative id": (with_id(candid=-7), "ingest.bad_id"),
    "zero id": (with_id(candid=0), "ingest.bad_id"),
    "time not finite": (changed(jd=float("nan")), "ingest.bad_time"),
    "time in antiquity": (changed(jd=2458.0), "ingest.bad_time"),
    "time in MJD": (changed(jd=61000.0), "ingest.bad_time"),
    "ra not finite": (changed(ra=float("inf")), "ingest.bad_position"),
    "ra 360": (changed(ra=360.0), "ingest.bad_position"),
    "dec below the pole": (changed(dec=-90.001), "ingest.bad_position"),
    "ra of another type": (retyped("ra", "string", "12"), "ingest.schema_invalid"),
    "other survey": (
        container({"type": "record", "name": "x", "fields": [{"name": "candid", "type": "long"}]}, {"candid": 1}),
        "ingest.survey_unknown",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_packets_are_dead_letters_with_their_code(decoder: Decoder, case: str) -> None:
    payload, wanted = REFUSED[case]
    assert code(decoder, payload) == wanted


def test_one_bad_packet_of_each_kind_stops_no_batch(decoder: Decoder) -> None:
    good = ztf_packet(ZTF_ONE)
    payloads = [part for payload, _ in REFUSED.values() for part in (good, payload)]
    decoded = decode(decoder, *payloads)
    assert decoded.detections.num_rows == len(REFUSED)
    assert decoded.dead_letters["code"].to_pylist() == [wanted for _, wanted in REFUSED.values()]


def test_record_that_is_longer_than_its_block_is_refused(decoder: Decoder) -> None:
    whole = ztf_packet(ZTF_ONE)
    header = read_header(whole)
    assert code(decoder, wrap(header, whole[header.end + 3 : header.end + 100])) == "ingest.undecodable"


def test_deflate_bomb_is_refused_before_it_unpacks(decoder: Decoder) -> None:
    bomb = container(ztf_schema(), {**ZTF_RECORD, "publisher": "x" * (MAX_PACKET_BYTES + 1)}, "deflate")
    assert len(bomb) < MAX_PACKET_BYTES // 10
    assert code(decoder, bomb) == "ingest.too_large"


def as_container(schema: Record, body: bytes) -> bytes:
    text = json.dumps(schema).encode()
    head = b"Obj\1\2" + write_varint(11) + b"avro.schema" + write_varint(len(text)) + text + b"\0" + bytes(16)
    return head + b"\2" + write_varint(len(body)) + body + bytes(16)


def hostile(extra: Any) -> Record:
    schema = ztf_schema()
    schema["fields"].insert(0, {"name": "extra", "type": extra})
    return schema


ITSELF = {"type": "record", "name": "Self", "fields": [{"name": "a", "type": ["null", "Self"]}]}
NESTED: Any = "int"
for _ in range(400):
    NESTED = {"type": "array", "items": NESTED}


@pytest.mark.parametrize(
    ("extra", "body"),
    [
        pytest.param(ITSELF, b"\2" * 3_000_000, id="a record that contains itself would overflow the C stack"),
        pytest.param(NESTED, b"\2" * 500, id="deep nesting"),
        pytest.param({"type": "array", "items": "null"}, write_varint(2**60), id="2**60 items of no bytes"),
        pytest.param({"type": "record", "name": "E", "fields": []}, b"", id="a record of no bytes"),
        pytest.param({"type": "fixed", "name": "F", "size": 0}, b"", id="a fixed of no bytes"),
        pytest.param("NoSuchType", b"", id="a type nobody defines"),
        pytest.param({"type": []}, b"", id="a union of nothing"),
        pytest.param(7, b"", id="a number for a type"),
    ],
)
def test_hostile_schemas_are_refused(decoder: Decoder, extra: Any, body: bytes) -> None:
    assert code(decoder, as_container(hostile(extra), body)) == "ingest.schema_invalid"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(data=st.data())
def test_any_damage_gives_exactly_one_outcome(decoder: Decoder, data: st.DataObject) -> None:
    payload = bytearray(data.draw(st.sampled_from([ztf_packet(ZTF_ONE), lsst_packet(LSST_ONE)])))
    interesting = st.integers(0, 40) | st.integers(0, len(payload) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(interesting)
        payload[at % len(payload)] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | interesting)
    decode(decoder, bytes(payload[:cut]), ztf_packet(ZTF_ONE))


def test_packets_cut_anywhere_are_told_from_whole_ones(decoder: Decoder) -> None:
    ztf, lsst = ztf_packet(ZTF_ONE, PAST), lsst_packet(LSST_ONE, LSST_PAST)
    cuts = sorted({*range(0, 60), *range(60, len(ztf), 997), len(ztf) - 1})
    decoded = decode(decoder, *(ztf[:cut] for cut in cuts))
    assert decoded.detections.num_rows == 0
    assert set(decoded.dead_letters["code"].to_pylist()) == {"ingest.empty", "ingest.truncated"}
    # a framed message has no length: behind the wanted fields only the full decode finds the cut
    for cut in (1, 5, 6, 100, 200):
        assert code(decoder, lsst[:cut]) == "ingest.truncated"
    assert one(decoder, lsst[:-1])["survey"] == "lsst"
    with pytest.raises(PacketError, match="ends within its record"):
        decoder.decode_full(lsst[:-1])


def test_what_is_said_of_a_cut_packet_does_not_depend_on_what_was_decoded_before(decoder: Decoder) -> None:
    ztf = ztf_packet(ZTF_ONE)
    header = read_header(ztf)
    one(decoder, ztf)
    for cut in range(header.sync_start - 2, header.end + 3):
        assert code(decoder, ztf[:cut]) == code(Decoder(), ztf[:cut])
        one(decoder, ztf)
    assert code(decoder, ztf[: header.end - 1]) == "ingest.truncated"
    assert code(decoder, ztf[: header.end]) == "ingest.empty"


def test_bytes_behind_the_record_are_found_by_the_full_decode(decoder: Decoder) -> None:
    with pytest.raises(UndecodableError, match="the record ends at byte"):
        decoder.decode_full(lsst_packet(LSST_ONE) + b"x")


def test_full_decode_gives_history_and_cutouts(decoder: Decoder) -> None:
    ztf, lsst = ztf_packet(ZTF_ONE, PAST), lsst_packet(LSST_ONE, LSST_PAST)
    assert decoder.decode_full(ztf) == ZTF_RECORD
    assert len(ZTF_RECORD["prv_candidates"]) == 21
    schema = decoder._plan_of(LSST_SCHEMA_ID).writer.raw
    assert repr(decoder.decode_full(lsst)) == repr(plain(lsst, schema)[0])
    assert len(decoder.decode_full(lsst)["prvDiaSources"]) == 8


@pytest.mark.parametrize("case", [name for name, (_, wanted) in REFUSED.items() if wanted not in {
    "ingest.no_object", "ingest.bad_id", "ingest.bad_time", "ingest.bad_position"}])  # fmt: skip
def test_full_decode_refuses_with_the_same_codes(decoder: Decoder, case: str) -> None:
    payload, wanted = REFUSED[case]
    with pytest.raises(PacketError) as refusal:
        decoder.decode_full(payload)
    assert refusal.value.code == wanted


# Real packets ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def real_decoder(test_data: Path) -> Decoder:
    return Decoder(SchemaSource(folder=test_data / "lsst/schema"))


def real_packets(test_data: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted((test_data / "ztf").rglob("*.avro")) + sorted((test_data / "lsst").glob("*/*.avro")):
        yield path, path.read_bytes()


@pytest.mark.realdata
def test_every_field_of_every_real_packet_equals_plain_fastavro(test_data: Path, real_decoder: Decoder) -> None:
    framed = fastavro.schema.load_schema(str(test_data / "lsst/schema/9/0/lsst.v9_0.alert.avsc"))
    packets = dict(real_packets(test_data))
    decoded = decode(real_decoder, *packets.values())
    refused = [list(packets)[offset - 100].name for offset in decoded.dead_letters["offset"].to_pylist()]
    assert refused == ["87704463155000.avro"]
    assert decoded.dead_letters["code"].to_pylist() == ["ingest.no_object"]
    paths = list(packets)
    for row in decoded.detections.to_pylist():
        path = paths[row["offset"] - 100]
        assert_same(row, expected(*plain(packets[path], framed)))
    print(f"{decoded.detections.num_rows} packets, {len(SCIENCE)} fields: {[field.name for field in SCIENCE]}")
    assert decoded.detections.num_rows == len(packets) - 1 == 276


@pytest.mark.realdata
@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_real_packets_equal_the_published_list(test_data: Path, real_decoder: Decoder, survey: str) -> None:
    with (test_data / survey / "expected_packets.csv").open() as lines:
        wanted = [line for line in csv.DictReader(lines) if not line["file"].endswith("87704463155000.avro")]
    rows = decode(real_decoder, *((test_data / line["file"]).read_bytes() for line in wanted)).detections.to_pylist()
    assert len(rows) == len(wanted) > 0
    for row, line in zip(rows, wanted, strict=True):
        assert (row["ra"], row["dec"]) == (float(line["ra"]), float(line["dec"]))
        if survey == "ztf":
            assert row["sourceId"] == line["candid"]
            assert row["objectId"] == line["objectId"]
            assert (row["schemaVersion"] or "") == line["schemavsn"]
            assert row["mjdTai"] == pytest.approx(float(line["jd"]) - 2400000.5 + 37 / 86400, abs=1e-9)
            assert row["band"] == {"1": "g", "2": "r", "3": "i"}[line["fid"]]
            assert (row["programId"], row["nBad"]) == (int(line["programid"]), int(line["nbad"]))
            assert row["isPositive"] is (line["isdiffpos"] in "t1")
            assert row["mag"] == float(line["magpsf"])
            assert row["rb"] == float(line["rb"])
            assert row["reliability"] == (float(line["drb"]) if line["drb"] else None)
            assert row["ssDistance"] == known(float(line["ssdistnr"]))
        else:
            assert row["sourceId"] == line["diaSourceId"]
            assert (row["objectId"] or "0") == (line["diaObjectId"] or "0")
            assert (row["ssObjectId"] is not None) == (line["has_ssSource"] == "1")
            assert row["mjdTai"] == float(line["midpointMjdTai"])
            assert row["band"] == line["band"]
            assert row["snr"] == float(line["snr"])
            assert row["flux"] == float(line["psfFlux"])
            assert row["fluxErr"] == float(line["psfFluxErr"])


@pytest.mark.realdata
def test_the_schema_id_decides_between_versions_that_both_decode(test_data: Path, real_decoder: Decoder) -> None:
    (path,) = (test_data / "lsst/confluent").glob("*.avro")
    packet = path.read_bytes()
    as_ten = struct.pack(">bI", 0, 1000) + packet[5:]
    rows = decode(real_decoder, packet, as_ten).detections.to_pylist()
    assert [row["schemaVersion"] for row in rows] == ["9.0", "10.0"]
    assert [row["sourceId"] for row in rows] == ["7912941781254298"] * 2
    assert "MPCORB" in real_decoder.decode_full(packet)
    assert "mpc_orbits" in real_decoder.decode_full(as_ten)


@pytest.mark.realdata
def test_versions_known_only_by_their_own_schema_decode(test_data: Path, real_decoder: Decoder) -> None:
    paths = sorted((test_data / "lsst/alert_packet_samples").rglob("*.avro"))
    payloads = []
    for path in paths:
        record, schema = plain(path.read_bytes())
        source = {**record["diaSource"], "diaObjectId": 2**53 + 1, "midpointMjdTai": 61000.25}
        payloads.append(container(schema, {**record, "diaSource": source}))
    rows = decode(real_decoder, *payloads).detections.to_pylist()
    for row, payload in zip(rows, payloads, strict=True):
        assert_same(row, expected(*plain(payload)))
    assert [row["schemaVersion"] for row in rows] == ["10.0", "11.0", "7.1", "7.4", "8.0", "9.0"]
    assert {row["objectId"] for row in rows} == {"9007199254740993"}


@pytest.mark.realdata
def test_packets_of_other_surveys_are_not_taken_for_ours(test_data: Path, real_decoder: Decoder) -> None:
    for path in (test_data / "other_surveys").glob("*.avro"):
        assert code(real_decoder, path.read_bytes()) == "ingest.survey_unknown"


@pytest.mark.realdata
def test_full_decode_of_every_real_packet_equals_plain_fastavro(test_data: Path, real_decoder: Decoder) -> None:
    framed = fastavro.schema.load_schema(str(test_data / "lsst/schema/9/0/lsst.v9_0.alert.avsc"))
    for _, packet in real_packets(test_data):
        assert repr(real_decoder.decode_full(packet)) == repr(plain(packet, framed)[0])


@pytest.mark.realdata
def test_real_packets_cut_or_damaged_have_exactly_one_outcome(test_data: Path, real_decoder: Decoder) -> None:
    chosen = list(real_packets(test_data))[::70]
    for _, packet in chosen:
        step = max(1, len(packet) // 40)
        pieces = [packet[:cut] for cut in range(0, len(packet), step)]
        damaged = [packet[:at] + b"\xff\xfe\xfd" + packet[at + 3 :] for at in range(0, len(packet) - 3, step)]
        decode(real_decoder, *pieces, *damaged)
        assert isinstance(decode(real_decoder, packet).detections, pa.Table)
