"""Simulated packets against real ones: field by field what is always there, and the sizes of the parts.

Ranges are those of notes on performance, section 2 (10-90 % and extremes of 558 ZTF packets; LSST's packet of 139,056
bytes, its records and the growth with history), written here as numbers.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from asterism.ingest.schemas import load_schema_folder
from asterism.simulate.declare import fields, record
from asterism.simulate.night import AlertMessage
from asterism.simulate.packets import LSST_SCHEMA
from asterism.simulate.schema_lsst import DIA_FORCED_SOURCE, DIA_OBJECT, DIA_SOURCE

Row = dict[str, Any]
CUTOUTS_ZTF = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
CUTOUTS_LSST = {"cutoutDifference": 34_560, "cutoutScience": 34_560, "cutoutTemplate": 69_120}
OF_A_BAND = ("u_", "g_", "r_", "i_", "z_", "y_")


@pytest.fixture(scope="module")
def packets(small_night_alerts: list[AlertMessage]) -> dict[str, list[bytes]]:
    """Every fifth packet of a night."""
    found: dict[str, list[bytes]] = {"ztf": [], "lsst": []}
    for alert in small_night_alerts[::5]:
        found[alert.message.topic].append(alert.message.payload)
    assert min(map(len, found.values())) > 50
    return found


@pytest.fixture(scope="module")
def ztf(packets: dict[str, list[bytes]]) -> list[Row]:
    return [container(packet) for packet in packets["ztf"]]


@pytest.fixture(scope="module")
def lsst(packets: dict[str, list[bytes]]) -> list[Row]:
    schema = fastavro.parse_schema(LSST_SCHEMA)
    return [schemaless(packet, schema) for packet in packets["lsst"]]


def container(packet: bytes) -> Row:
    (row,) = fastavro.reader(io.BytesIO(packet))
    assert isinstance(row, dict)
    return row


def schemaless(packet: bytes, schema: Any) -> Row:
    row = fastavro.schemaless_reader(io.BytesIO(packet[5:]), schema)
    assert isinstance(row, dict)
    return row


def always(rows: Iterable[Row]) -> set[str]:
    """Return the fields that hold a value, neither null nor NaN, in every row."""
    held = [
        {name for name, v in row.items() if v is not None and not (isinstance(v, float) and math.isnan(v))}
        for row in rows
    ]
    assert held
    return set.intersection(*held)


def history(rows: Iterable[Row], *, detections: bool) -> list[Row]:
    entries = [entry for row in rows for entry in row["prv_candidates"] or ()]
    return [entry for entry in entries if (entry["magpsf"] is not None) is detections]


@pytest.mark.realdata
def test_what_every_real_ztf_packet_holds_every_simulated_one_holds(ztf: list[Row], test_data: Path) -> None:
    wire = test_data / "ztf/single/2695378462115010012.avro"  # the only one with forced photometry
    files = [*sorted((test_data / "ztf/v4_02_20231018").glob("*.avro")), wire]
    real = [container(path.read_bytes()) for path in files]
    assert len(real) == 61
    for part in (
        lambda rows: rows,
        lambda rows: [row["candidate"] for row in rows],
        lambda rows: history(rows, detections=True),
        lambda rows: history(rows, detections=False),
        lambda rows: [entry for row in rows for entry in row.get("fp_hists") or ()],
    ):
        theirs, ours = part(real), part(ztf)
        assert always(theirs) <= always(ours)
        assert set(container(wire.read_bytes())["candidate"]) == set(ztf[0]["candidate"])


@pytest.mark.realdata
def test_what_every_real_lsst_packet_holds_every_simulated_one_holds(lsst: list[Row], test_data: Path) -> None:
    """Older schemas lack some fields and have others; the statistics of a band are there where the band was seen."""
    (message,) = [path for path in (test_data / "lsst/confluent").iterdir() if path.suffix != ".json"]
    schema = fastavro.parse_schema(load_schema_folder(test_data / "lsst/schema/9/0"))
    real = [container(path.read_bytes()) for path in sorted((test_data / "lsst/fink_v9_0_20250906").glob("*.avro"))]
    real.append(schemaless(message.read_bytes(), schema))
    assert len(real) == 41
    sources = [row["diaSource"] for row in lsst]
    assert always(row["diaSource"] for row in real) <= always(sources)
    objects = [(row["diaObject"], row["diaSource"]["band"]) for row in lsst if row["diaObject"]]
    theirs = [(row["diaObject"], row["diaSource"]["band"]) for row in real if row["diaObject"]]
    assert _always_of_object(theirs) <= _always_of_object(objects)
    bodies, known = ([row["ssSource"] for row in rows if row["ssSource"]] for rows in (lsst, real))
    assert always(known) & set(bodies[0]) <= always(bodies)
    assert all((row["diaObject"] is None) is (row["ssSource"] is not None) for row in lsst)


def _always_of_object(rows: list[tuple[Row, str]]) -> set[str]:
    """Return fields always held; those of a band count for the band of the new detection, under a common name."""
    plain = always({k: v for k, v in row.items() if not k.startswith(OF_A_BAND)} for row, _ in rows)
    own = always({k[2:]: v for k, v in row.items() if k.startswith(f"{band}_")} for row, band in rows)
    return plain | {f"band_{name}" for name in own}


def test_the_parts_of_a_ztf_packet_have_the_sizes_measured(packets: dict[str, list[bytes]], ztf: list[Row]) -> None:
    headers, images, rest, lengths = [], [], [], []
    for packet, row in zip(packets["ztf"], ztf, strict=True):
        headers.append(packet.index(packet[-16:]) + 16)  # the sync marker ends header and block
        images.append(sum(len(row[name]["stampData"]) for name in CUTOUTS_ZTF))
        rest.append(len(packet) - headers[-1] - images[-1])
        lengths.append(len(row["prv_candidates"] or ()))
    assert len(set(headers)) == 1
    assert 7_969 <= headers[0] <= 25_621
    assert 38_000 < np.median(images) < 42_000
    assert 4_800 < np.median(rest) < 12_200
    assert max(rest) < 31_800
    assert 16 <= np.median(lengths) <= 43
    assert max(lengths) <= 91
    assert 52_600 < np.median([len(packet) for packet in packets["ztf"]]) < 75_000


def test_the_parts_of_an_lsst_packet_have_the_sizes_measured(packets: dict[str, list[bytes]], lsst: list[Row]) -> None:
    """Schema 11.0 has some fields more than 9.0, on whose packet the sizes were measured."""
    for packet, row in zip(packets["lsst"], lsst, strict=True):
        assert {name: len(row[name]) for name in CUTOUTS_LSST} == CUTOUTS_LSST
        assert 138_900 < len(packet) < 274_000  # one source without history; 300 sources and 300 forced ones
    sources = [row["diaSource"] for row in lsst] + [line for row in lsst for line in row["prvDiaSources"] or ()]
    forced = [line for row in lsst for line in row["prvDiaForcedSources"] or ()]
    objects = [row["diaObject"] for row in lsst if row["diaObject"]]
    assert len(sources) > len(lsst)
    assert np.median(encoded(sources, DIA_SOURCE)) == pytest.approx(380, rel=0.1)
    assert np.median(encoded(forced, DIA_FORCED_SOURCE)) == pytest.approx(70, rel=0.3)
    assert np.median(encoded(objects, DIA_OBJECT)) == pytest.approx(404, rel=0.2)


def encoded(rows: list[Row], declaration: str) -> list[int]:
    """Return the size of each record [bytes]."""
    schema = fastavro.parse_schema(record("part", "lsst", fields(declaration)))
    sizes = []
    for row in rows:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, row)
        sizes.append(stream.tell())
    return sizes
