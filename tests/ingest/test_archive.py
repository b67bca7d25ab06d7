"""The raw archive gives back what was delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from asterism.ingest.archive import ArchiveWriter, read_packets
from asterism.ingest.errors import ArchiveError
from asterism.ingest.packets import Position


def write(root: Path, start: int, packets: list[bytes], end: int | None = None) -> None:
    end = start + len(packets) if end is None else end
    with ArchiveWriter(root, "ztf", 0, start, end) as archive:
        archive.append([Position("ztf", 0, start + i, 1) for i in range(len(packets))], packets)


def test_packets_come_back_byte_for_byte(tmp_path: Path) -> None:
    packets = [b"", b"\x00" * 100_000, bytes(range(256))]
    write(tmp_path, 7, packets)
    assert list(read_packets(tmp_path, "ztf", 0)) == list(enumerate(packets, 7))
    assert list(read_packets(tmp_path, "ztf", 0, 8, 9)) == [(8, packets[1])]
    assert list(read_packets(tmp_path, "ztf", 1)) == []


def test_overlapping_windows_give_each_offset_once(tmp_path: Path) -> None:
    packets = [bytes([i]) for i in range(10)]
    write(tmp_path, 0, packets[:4])
    write(tmp_path, 0, packets[:2])
    write(tmp_path, 2, packets[2:7])
    write(tmp_path, 6, packets[6:])
    assert list(read_packets(tmp_path, "ztf", 0)) == list(enumerate(packets))


def test_offsets_kafka_skipped_are_simply_not_there(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path, "ztf", 0, 0, 5) as archive:
        archive.append([Position("ztf", 0, 0), Position("ztf", 0, 4)], [b"a", b"b"])
    assert list(read_packets(tmp_path, "ztf", 0)) == [(0, b"a"), (4, b"b")]


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with ArchiveWriter(tmp_path, "ztf", 0, 0, 2) as archive:
            archive.append([Position("ztf", 0, 0)], [b"a"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list((tmp_path / "ztf").iterdir()) == []


def test_a_topic_cannot_lead_outside_the_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="topic"):
        ArchiveWriter(tmp_path, "../elsewhere", 0, 0, 1)
