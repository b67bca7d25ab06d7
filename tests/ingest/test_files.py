"""Files, folders and archives as messages."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import fastavro
import pytest

from asterism.ingest import files
from asterism.ingest.container import read_header, wrap
from asterism.ingest.decode import Decoded, Decoder
from asterism.ingest.errors import FileUnreadableError, PathMissingError
from asterism.ingest.files import iter_packets
from asterism.ingest.packets import MAX_PACKET_BYTES, Position
from asterism.simulate.packets import SimulatedDetection, lsst_packet, ztf_packet


def packet(number: int) -> bytes:
    return ztf_packet(
        SimulatedDetection(f"ZTF25aaaaa{number:02d}", 100 + number, 150.1, 2.2, 61000.3, "r", 2.5e4, 1.2e3)
    )


def read(*paths: Path) -> list[tuple[Position, bytes]]:
    return list(iter_packets(paths))


def decode(*paths: Path) -> Decoded:
    found = read(*paths)
    return Decoder().decode([payload for _, payload in found], [position for position, _ in found])


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        folder = tarfile.TarInfo("night")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def many(count: int, codec: str = "null") -> bytes:
    schema = json.loads(read_header(packet(0)).schema)
    records = [next(fastavro.reader(io.BytesIO(packet(number)))) for number in range(count)]
    out = io.BytesIO()
    fastavro.writer(out, schema, records, codec=codec, sync_interval=150_000)
    return out.getvalue()


def test_file_of_one_packet_is_that_packet(tmp_path: Path) -> None:
    path = tmp_path / "1.avro"
    path.write_bytes(packet(1))
    digest = hashlib.sha256(b"1.avro" + packet(1)).hexdigest()[:16]
    assert read(path) == [(Position(f"file-{digest}", 0, 0, None), packet(1))]


def test_folder_is_read_in_the_order_of_names_and_recursively(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.avro").write_bytes(packet(1))
    (tmp_path / "b/c.avro").write_bytes(packet(2))
    tar(tmp_path / "d.tar.gz", {"x.avro": packet(3)})
    (tmp_path / "notes.txt").write_text("not a packet")
    assert [payload for _, payload in read(tmp_path)] == [packet(1), packet(2), packet(3)]


def test_same_content_under_another_name_is_another_delivery(tmp_path: Path) -> None:
    for name in ("a.avro", "b.avro"):
        (tmp_path / name).write_bytes(packet(1))
    topics = {position.topic for position, _ in read(tmp_path)}
    assert len(topics) == 2
    assert {position.topic for position, _ in read(tmp_path)} == topics


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_container_of_many_becomes_containers_of_one(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "many.avro"
    path.write_bytes(many(7, codec))
    found = read(path)
    assert [position.offset for position, _ in found] == list(range(7))
    decoded = decode(path)
    assert decoded.detections["sourceId"].to_pylist() == [str(100 + number) for number in range(7)]
    for number, (_, payload) in enumerate(found):
        assert list(fastavro.reader(io.BytesIO(payload))) == list(fastavro.reader(io.BytesIO(packet(number))))


def test_damage_in_a_container_of_many_loses_nothing_silently(tmp_path: Path) -> None:
    whole = many(7)
    sync = read_header(whole).sync
    second = whole.index(sync, whole.index(sync) + 16) + 16
    path = tmp_path / "damaged.avro"
    path.write_bytes(whole[: second + 200] + b"\xff" * 1000 + whole[second + 1200 :])
    decoded = decode(path)
    assert 0 < decoded.detections.num_rows < 7
    assert decoded.dead_letters.num_rows > 0
    path.write_bytes(whole[:-50_000])
    cut = decode(path)
    assert 0 < cut.detections.num_rows < 7
    assert cut.dead_letters["code"].to_pylist() == ["ingest.truncated"]


def test_container_of_many_of_an_unknown_survey_is_one_dead_letter(tmp_path: Path) -> None:
    out = io.BytesIO()
    fields = [{"name": "a", "type": "int"}]
    fastavro.writer(out, {"type": "record", "name": "x", "fields": fields}, [{"a": 1}, {"a": 2}])
    path = tmp_path / "x.avro"
    path.write_bytes(out.getvalue())
    assert decode(path).dead_letters["code"].to_pylist() == ["ingest.survey_unknown"]


def test_framed_message_in_a_file_is_that_message(tmp_path: Path) -> None:
    message = lsst_packet(SimulatedDetection("17", 4, 53.2, -27.8, 61002.27, "i", -940.0, 150.0))
    (tmp_path / "m.avro").write_bytes(message)
    assert [payload for _, payload in read(tmp_path)] == [message]


def test_archive_gives_its_members_whatever_their_names(tmp_path: Path) -> None:
    names = ["1.avro", "../../escape.avro", "/etc/passwd", "x" * 300 + ".avro", "readme.txt"]
    path = tar(
        tmp_path / "night.tar.gz",
        {name: packet(n) for n, name in enumerate(names[:4])} | {names[4]: b"hello"},
    )
    before = sorted(tmp_path.rglob("*"))
    found = read(path)
    assert [payload for _, payload in found] == [packet(n) for n in range(4)] + [b"hello"]
    assert [position.offset for position, _ in found] == [0, 1, 2, 3, 4]
    assert sorted(tmp_path.rglob("*")) == before
    assert decode(path).dead_letters["code"].to_pylist() == ["ingest.wrong_magic"]


def test_what_is_too_large_is_passed_on_cut_and_refused(tmp_path: Path) -> None:
    big = wrap(read_header(packet(1)), bytes(2 * MAX_PACKET_BYTES))
    (tmp_path / "a.avro").write_bytes(big)
    tar(tmp_path / "b.tar.gz", {"x.avro": big, "y.avro": packet(2)})
    assert [len(payload) for _, payload in read(tmp_path)] == [MAX_PACKET_BYTES + 1] * 2 + [len(packet(2))]
    assert decode(tmp_path).dead_letters["code"].to_pylist() == ["ingest.too_large"] * 2


def test_archive_that_unpacks_to_too_much_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 2**21)
    path = tar(tmp_path / "bomb.tar.gz", {"1.avro": packet(1), "zeros": bytes(2**24)})
    found = iter_packets([path])
    assert next(found)[1] == packet(1)
    with pytest.raises(FileUnreadableError, match="unpacks to more than"):
        next(found)


def test_extended_header_of_any_size_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 2**21)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**40
    path = tmp_path / "pax.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    with pytest.raises(FileUnreadableError, match="unpacks to more than"):
        read(path)


def test_damaged_archives_are_coded_errors(tmp_path: Path) -> None:
    whole = tar(tmp_path / "whole.tar.gz", {"1.avro": packet(1), "2.avro": packet(2)}).read_bytes()
    plain = gzip.decompress(whole)
    cases = [
        whole[:-3000],
        b"no gzip",
        gzip.compress(plain[:70_000]),
        gzip.compress(b"x" * 512),
        whole[:5000] + bytes(5000),
    ]
    for number, data in enumerate(cases):
        path = tmp_path / f"{number}.tar.gz"
        path.write_bytes(data)
        with pytest.raises(FileUnreadableError) as refusal:
            read(path)
        assert refusal.value.code == "ingest.file_unreadable"


def test_missing_path_is_told_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.avro").write_bytes(packet(1))
    with pytest.raises(PathMissingError, match="nowhere"):
        next(iter_packets([tmp_path, tmp_path / "nowhere"]))


def test_empty_file_is_a_dead_letter_and_an_empty_folder_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    (tmp_path / "a.avro").write_bytes(b"")
    assert decode(tmp_path).dead_letters["code"].to_pylist() == ["ingest.empty"]


@pytest.mark.realdata
def test_real_archive_gives_the_packets_it_was_packed_from(test_data: Path) -> None:
    (path,) = (test_data / "ztf/archive").glob("*.tar.gz")
    loose = sorted((test_data / "ztf/v3_2_20181129").glob("*.avro"), key=lambda item: int(item.stem))[:30]
    assert [payload for _, payload in read(path)] == [item.read_bytes() for item in loose]


@pytest.mark.realdata
def test_real_folders_give_every_file_once(test_data: Path) -> None:
    found = read(test_data / "ztf/doctored", test_data / "lsst/confluent")
    assert len(found) == 11
    assert len({position.topic for position, _ in found}) == 11
    assert len(set(decode(test_data / "ztf/doctored").detections["alertKey"].to_pylist())) == 8
