"""Every field of every real packet, against plain fastavro and the published lists."""

from __future__ import annotations

import csv
import struct
from collections.abc import Iterator
from pathlib import Path

import fastavro
import fastavro.schema
import pyarrow as pa
import pytest

from asterism.ingest.decode import Decoder
from asterism.records import SCIENCE
from tests.ingest.packets import code, container, decode
from tests.ingest.reading import assert_same, expected, known, plain


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
