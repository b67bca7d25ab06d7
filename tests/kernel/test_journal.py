"""The journal gives back what was acknowledged, and says so when it cannot."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.errors import FormatError, JournalError
from asterism.journal import Journal, Position
from asterism.segments import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES

RECORDS = st.lists(
    st.tuples(st.binary(max_size=300), st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3)),
    max_size=12,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def fill(root: Path, payloads: list[bytes], *, segment_bytes: int = 1 << 20) -> list[Position]:
    with Journal(root, segment_bytes=segment_bytes) as journal:
        return [journal.append(payload, {"n": str(n)}) for n, payload in enumerate(payloads)]


def payloads(root: Path, start: Position | None = None) -> list[bytes]:
    return [entry.payload for entry in Journal(root).read(start)]


@given(records=RECORDS, segment_bytes=st.integers(1, 700))
@settings(max_examples=60, deadline=None)
def test_what_is_appended_is_read_from_every_position(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[bytes, dict[str, str]]],
    segment_bytes: int,
) -> None:
    root = tmp_path_factory.mktemp("journal")
    with Journal(root, segment_bytes=segment_bytes) as journal:
        positions = [journal.append(payload, headers) for payload, headers in records]
        entries = list(journal.read())
        assert [(entry.payload, entry.headers) for entry in entries] == records
        assert [entry.position for entry in entries] == positions == sorted(positions)
        for n, entry in enumerate(entries):
            assert list(journal.read(entry.position)) == entries[n:]
            assert list(journal.read(entry.next_position)) == entries[n + 1 :]
        end = entries[-1].next_position if entries else Position(0, 0)
        assert journal.end() == end
        assert journal.verify().records == len(records)
        assert journal.verify().damage == ()


def test_a_journal_goes_on_where_an_earlier_writer_stopped(root: Path) -> None:
    fill(root, [b"a", b"bb"], segment_bytes=60)
    fill(root, [b"ccc"], segment_bytes=60)
    assert payloads(root) == [b"a", b"bb", b"ccc"]


def test_a_new_journal_is_empty(root: Path) -> None:
    journal = Journal(root)
    assert list(journal.read()) == []
    assert journal.end() == Position(0, 0)
    assert journal.verify().segments == 0


def test_a_torn_end_is_invisible_to_readers_and_cut_off_by_the_next_writer(root: Path) -> None:
    *_, last = fill(root, [b"first", b"second", bytes(range(60))])
    path = root / "00000000.journal"
    whole = path.read_bytes()
    for length in range(last.offset, len(whole)):
        path.write_bytes(whole[:length])
        assert payloads(root) == [b"first", b"second"]
        assert Journal(root).end() == last
        assert Journal(root).verify().torn_bytes == length - last.offset
        assert Journal(root).verify().damage == ()
        with Journal(root) as journal:
            assert journal.append(b"third", {}) == last
        assert payloads(root) == [b"first", b"second", b"third"]


def test_any_changed_byte_is_named_with_the_record_it_stands_in(root: Path) -> None:
    positions = fill(root, [b"first", b"", b"third"])
    path = root / "00000000.journal"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        hit = max(position for position in positions if position.offset <= at)
        before: list[Position] = []
        with pytest.raises(JournalError, match=rf"00000000\.journal at byte {hit.offset}:"):
            before.extend(entry.position for entry in Journal(root).read())
        with Journal(root) as journal, pytest.raises(JournalError, match=f"byte {hit.offset}:"):
            journal.append(b"fourth", {})
        assert path.stat().st_size == len(whole)
        report = Journal(root).verify()
        assert report.records == positions.index(hit)
        assert len(report.damage) == 1


def test_records_before_damage_are_still_read(root: Path) -> None:
    positions = fill(root, [b"first", b"second", b"third"])
    path = root / "00000000.journal"
    whole = bytearray(path.read_bytes())
    whole[positions[2].offset - 1] ^= 1
    path.write_bytes(whole)
    entries = Journal(root).read()
    assert next(entries).payload == b"first"
    with pytest.raises(JournalError, match=f"byte {positions[1].offset}"):
        next(entries)
    assert payloads(root, positions[2]) == [b"third"]


def test_a_segment_that_ends_early_is_damage_if_another_follows(root: Path) -> None:
    fill(root, [b"x" * 50] * 3, segment_bytes=60)
    path = root / "00000001.journal"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(JournalError, match="middle of a record"):
        payloads(root)
    assert "00000001.journal" in Journal(root).verify().damage[0]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_missing_segment_is_never_passed_over(root: Path, lost: int) -> None:
    fill(root, [b"x" * 50] * 3, segment_bytes=60)
    (root / f"{lost:08}.journal").unlink()
    name = f"{lost:08}.journal is missing"
    with pytest.raises(JournalError, match=name):
        payloads(root)
    with pytest.raises(JournalError, match=name):
        fill(root, [b"more"])
    assert name in Journal(root).verify().damage[0]


def test_a_reader_that_is_further_than_the_journal_hears_of_the_loss(root: Path) -> None:
    fill(root, [b"first", b"second"], segment_bytes=1 << 20)
    end = Journal(root).end()
    for beyond in (Position(0, end.offset + 1), Position(1, 0), Position(7, 3)):
        with pytest.raises(JournalError):
            payloads(root, beyond)
    with pytest.raises(JournalError):
        payloads(root.parent / "other", Position(0, 20))


def test_a_position_within_a_record_is_refused(root: Path) -> None:
    fill(root, [b"first", b"second"])
    with pytest.raises(JournalError, match="no record begins here"):
        payloads(root, Position(0, 3))


def test_one_writer_at_a_time(root: Path) -> None:
    with Journal(root) as first, Journal(root) as second:
        first.append(b"mine", {})
        with pytest.raises(JournalError, match="locked"):
            second.append(b"theirs", {})
        assert [entry.payload for entry in second.read()] == [b"mine"]
        first.close()
        second.append(b"theirs", {})
    assert payloads(root) == [b"mine", b"theirs"]


def test_too_large_a_record_is_refused_and_leaves_nothing(root: Path) -> None:
    with Journal(root) as journal:
        with pytest.raises(JournalError, match="exceeds"):
            journal.append(bytes(MAX_PAYLOAD_BYTES + 1), {})
        with pytest.raises(JournalError, match="exceeds"):
            journal.append(b"", {"h": "x" * MAX_HEADER_BYTES})
        journal.append(bytes(MAX_PAYLOAD_BYTES), {})
        assert [len(entry.payload) for entry in journal.read()] == [MAX_PAYLOAD_BYTES]


@contextmanager
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 4096 bytes. Keep it short: the report of the tests is such a file too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_an_error_and_leaves_the_journal_usable(root: Path) -> None:
    with Journal(root, segment_bytes=1 << 20) as journal:
        journal.append(b"a" * 3000, {})
        with small_files(), pytest.raises(JournalError) as caught:
            journal.append(b"b" * 3000, {})
        assert "free space" in caught.value.advice
        assert journal.verify().torn_bytes == 0
        with small_files():
            journal.append(b"c" * 500, {})
        assert [entry.payload[:1] for entry in journal.read()] == [b"a", b"c"]


def test_append_returns_only_after_the_file_and_a_new_segment_s_folder_are_synced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[Path, int]] = []
    real = os.fsync

    def spy(descriptor: int) -> None:
        real(descriptor)
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), os.fstat(descriptor).st_size))

    with Journal(root, segment_bytes=60) as journal:
        monkeypatch.setattr(os, "fsync", spy)
        for number in range(3):
            before = len(synced)
            journal.append(b"x" * 50, {})
            segment = root / f"{number:08}.journal"
            assert [path for path, _ in synced[before:]] == [root, segment]
            assert synced[-1][1] == segment.stat().st_size > 0


def test_a_record_that_cannot_be_synced_is_not_acknowledged_and_not_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), descriptor)

    with Journal(root) as journal:
        journal.append(b"first", {})
        with monkeypatch.context() as broken_disk:
            broken_disk.setattr(os, "fsync", refuse)
            with pytest.raises(JournalError, match="Input/output error"):
                journal.append(b"second", {})
        journal.append(b"third", {})
        assert [entry.payload for entry in journal.read()] == [b"first", b"third"]


def test_a_folder_that_cannot_be_written_is_a_coded_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(JournalError):
        Journal(tmp_path / "file" / "journal")


def test_a_folder_of_something_else_is_refused(root: Path) -> None:
    root.mkdir()
    (root / "FORMAT.json").write_text('{"kind": "lake", "version": 1}', encoding="utf-8")
    with pytest.raises(FormatError):
        Journal(root)


def test_a_claimed_journal_has_its_writer_before_anything_is_appended(root: Path) -> None:
    with Journal(root) as first, Journal(root) as second:
        first.claim()
        with pytest.raises(JournalError, match="locked"):
            second.claim()
        first.append(b"1", {})
        first.close()
        second.claim()
        second.append(b"2", {})
    assert payloads(root) == [b"1", b"2"]


def test_a_reader_beside_a_writer_sees_whole_records_in_order(root: Path) -> None:
    n, seen, problems = 300, [], []
    done = threading.Event()

    def follow() -> None:
        position = None
        try:
            journal = Journal(root)
            while len(seen) < n and not (done.is_set() and position == journal.end()):
                for entry in journal.read(position):
                    seen.append(int(entry.payload.partition(b" ")[0]))
                    position = entry.next_position
        except JournalError as error:
            problems.append(error)

    reader = threading.Thread(target=follow)
    reader.start()
    with Journal(root, segment_bytes=20_000) as journal:
        for number in range(n):
            journal.append(b"%d " % number + bytes(number * 7), {})
    done.set()
    reader.join(30)
    assert problems == []
    assert seen == list(range(n))


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from asterism.journal import Journal
    with Journal(Path(sys.argv[1]), segment_bytes=200_000) as journal:
        for number in range(10**9):
            journal.append(b"%d " % number + bytes(number * 37 % 50_000), {"n": str(number)})
            print(number, flush=True)
    """
)


@pytest.mark.parametrize("after", [1, 40, 160])
def test_killing_the_writer_loses_nothing_it_acknowledged(root: Path, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(after)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith(b"\n")]
    assert acknowledged == list(range(len(acknowledged)))
    found = [int(payload.partition(b" ")[0]) for payload in payloads(root)]
    assert found == list(range(len(found)))
    assert len(found) >= len(acknowledged)
    with Journal(root) as journal:
        journal.append(b"afterwards", {})
        assert journal.verify().damage == ()
        assert journal.verify().torn_bytes == 0
    assert payloads(root)[-1] == b"afterwards"


def test_ends_are_the_next_positions_of_what_is_read_and_stop_at_a_torn_record(tmp_path: Path) -> None:
    with Journal(tmp_path, segment_bytes=300) as journal:
        for number in range(9):
            journal.append(bytes(50 * number), {"n": str(number)})
    entries = list(journal.read())
    last = max(tmp_path.glob("*.journal"))
    assert last.name > "00000001.journal"
    for start in (Position(0, 0), entries[3].next_position, entries[-1].next_position):
        expected = [entry.next_position for entry in entries if entry.position >= start]
        assert list(journal.ends(start)) == expected
    with last.open("ab") as stream:
        stream.write(last.read_bytes()[:30])
    assert list(journal.ends(Position(0, 0)))[-1] == journal.end() == entries[-1].next_position


def test_ends_from_behind_the_end_are_an_error(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        end = journal.append(b"x", {})
        with pytest.raises(JournalError, match="lost records"):
            list(journal.ends(Position(end.segment, 10_000)))
