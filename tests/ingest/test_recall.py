"""A packet comes back whole from the archive, images included."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from asterism.errors import IdError
from asterism.ingest.archive import ArchiveWriter
from asterism.ingest.decode import Decoder
from asterism.ingest.errors import ArchiveError, PacketNotFoundError
from asterism.ingest.packets import Position
from asterism.ingest.recall import as_document, recall, stamps, write_raw, write_stamps
from asterism.ingest.schemas import SchemaSource
from asterism.lake import Lake
from asterism.simulate.packets import SimulatedDetection, lsst_packet, write_schemas, ztf_packet


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Lake, Path, dict[str, bytes], Decoder]:
    """A lake and an archive with one packet of each survey."""
    write_schemas(tmp_path / "schemas")
    decoder = Decoder(SchemaSource(folder=tmp_path / "schemas"))
    source = ("ZTF25aaaaaab", 3_246_300_000_115_000_001, 150.1, 2.2, 61000.3, "r", 2.5e4, 1.2e3)
    packets = {"ztf:3246300000115000001": ztf_packet(SimulatedDetection(*source))}
    source = ("7000000000000001", 7_912_941_781_254_298, 150.1, 2.2, 61000.3, "r", 2.5e4, 1.2e3)
    packets["lsst:7912941781254298"] = lsst_packet(SimulatedDetection(*source))
    positions = [Position("alerts", 0, 5 + n, 1) for n in range(2)]
    with ArchiveWriter(tmp_path / "archive", "alerts", 0, 5, 7) as archive:
        archive.append(positions, list(packets.values()))
    lake = Lake(tmp_path / "lake")
    lake.write_detections(decoder.decode(list(packets.values()), positions).detections)
    return lake, tmp_path / "archive", packets, decoder


def test_a_packet_comes_back_byte_for_byte(kept: tuple[Lake, Path, dict[str, bytes], Decoder], tmp_path: Path) -> None:
    lake, archive, packets, _ = kept
    for key, payload in packets.items():
        found = recall(lake, archive, key)
        assert found.payload == payload
        write_raw(tmp_path / "packet.avro", found.payload)
        assert (tmp_path / "packet.avro").read_bytes() == payload


def test_three_images_are_written_as_they_are(
    kept: tuple[Lake, Path, dict[str, bytes], Decoder], tmp_path: Path
) -> None:
    lake, archive, packets, decoder = kept
    for key in packets:
        record = decoder.decode_full(recall(lake, archive, key).payload)
        files = write_stamps(record, tmp_path / "stamps", key.replace(":", "_"))
        assert len(files) == 3
        assert [path.read_bytes() for path in files] == [content for _, content in stamps(record)]
        expected = b"\x1f\x8b" if key.startswith("ztf") else b"SIMPLE  ="
        assert all(path.read_bytes().startswith(expected) for path in files)
        assert all(path.name.endswith(".fits.gz" if key.startswith("ztf") else ".fits") for path in files)


def test_every_field_is_json_with_identifiers_as_text(kept: tuple[Lake, Path, dict[str, bytes], Decoder]) -> None:
    lake, archive, packets, decoder = kept
    for key in packets:
        document = json.loads(
            json.dumps(as_document(decoder.decode_full(recall(lake, archive, key).payload)), allow_nan=False)
        )
        name = document["candid"] if key.startswith("ztf") else document["diaSource"]["diaSourceId"]
        assert str(name) == key.partition(":")[2]


def test_what_json_has_not_is_replaced() -> None:
    value = {"a": [math.nan, -math.inf, 1.5], "b": b"1234", "c": 2**53 + 1, "d": -(2**60), "e": True}
    assert as_document(value) == {
        "a": [None, None, 1.5],
        "b": {"bytes": 4},
        "c": str(2**53 + 1),
        "d": str(-(2**60)),
        "e": True,
    }


def test_what_is_not_there_is_said(kept: tuple[Lake, Path, dict[str, bytes], Decoder], tmp_path: Path) -> None:
    lake, archive, _, _ = kept
    with pytest.raises(PacketNotFoundError, match="ztf:1 "):
        recall(lake, archive, "ztf:1")
    with pytest.raises(IdError):
        recall(lake, archive, "../etc")
    with pytest.raises(ArchiveError, match="alerts/0/5"):
        recall(lake, tmp_path / "elsewhere", "ztf:3246300000115000001")
    with pytest.raises(ArchiveError, match="cannot be written"):
        write_raw(tmp_path / "no" / "folder" / "x.avro", b"")
    with pytest.raises(ArchiveError, match="cannot be written"):
        write_stamps({"a": b"x"}, Path(archive / "alerts" / "alerts-0-5-7.arrow" / "x"), "s")


def test_lake_without_rows_finds_nothing(tmp_path: Path) -> None:
    assert Lake(tmp_path / "lake").dead_letters(["code"]).num_rows == 0
    with pytest.raises(PacketNotFoundError):
        recall(Lake(tmp_path / "lake"), tmp_path, "ztf:1")
