"""The ledger holds every batch once, compact or not; a follower sees each once, and again when it is repeated."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from asterism import ledger
from asterism.lake import Lake
from asterism.ledger import LedgerTail, compact_batches, finished_batches


def test_batches_are_seen_once_in_the_order_they_finished(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    tail = LedgerTail(lake.ledger_root)
    assert list(tail.new_windows()) == []
    for number, name in enumerate(("b", "a", "c")):
        lake.write_ledger("alerts", name, {"windows": [f"{name}-1", f"{name}-2"]})
        os.utime(tmp_path / f"ledger/alerts/{name}.json", (1000 + number,) * 2)
    assert list(tail.new_windows()) == ["b-1", "b-2", "a-1", "a-2", "c-1", "c-2"]
    assert list(tail.new_windows()) == []
    lake.write_ledger("files", "d", {"windows": ["d-1"]})
    assert list(tail.new_windows()) == ["d-1"]


def test_a_repeated_batch_is_seen_again_each_time(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    tail = LedgerTail(lake.ledger_root)
    for _ in range(6):  # a file system may give a freed inode to the next file but one
        lake.write_ledger("alerts", "a", {"windows": ["a-1"]})
        assert list(tail.new_windows()) == ["a-1"]


def test_a_batch_that_was_not_taken_whole_is_seen_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    tail = LedgerTail(lake.ledger_root)
    lake.write_ledger("alerts", "a", {"windows": ["a-1", "a-2"]})
    windows = tail.new_windows()
    assert next(windows) == "a-1"
    windows.close()
    assert list(tail.new_windows()) == ["a-1", "a-2"]


def test_what_was_seen_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, opened = Lake(tmp_path), []
    tail = LedgerTail(lake.ledger_root)
    for number in range(50):
        lake.write_ledger("alerts", f"{number}", {"windows": [f"{number}"]})
    assert len(list(tail.new_windows())) == 50
    lake.write_ledger("alerts", "new", {"windows": ["new"]})
    read = json.loads

    def watched(text: str) -> Any:
        opened.append(text)
        return read(text)

    monkeypatch.setattr("asterism.ledger.json.loads", watched)
    assert list(tail.new_windows()) == ["new"]
    assert len(opened) == 1


def test_what_was_skipped_is_seen_only_when_it_is_repeated(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    tail = LedgerTail(lake.ledger_root)
    lake.write_ledger("alerts", "a", {"windows": ["a-1"]})
    lake.write_ledger("alerts", "b", {"windows": ["b-1"]})
    tail.skip()
    assert list(tail.new_windows()) == []
    lake.write_ledger("alerts", "c", {"windows": ["c-1"]})
    assert list(tail.new_windows()) == ["c-1"]
    lake.write_ledger("alerts", "a", {"windows": ["a-1"]})
    assert list(tail.new_windows()) == ["a-1"]


class KilledError(BaseException):
    """What a process dies of here."""


def filled(root: Path, batches: int = 4) -> Lake:
    lake = Lake(root)
    for number in range(batches):
        lake.write_ledger("alerts", f"{number:03}", {"windows": [f"{number:03}-1"], "packets": number})
    return lake


def held(lake: Lake) -> list[tuple[str, int, int, int]]:
    """Return what the ledger holds of each batch."""
    found = finished_batches(lake.ledger_root)
    return sorted((Path(b.path).name, b.inode, b.finished_ns, b.entry["packets"]) for b in found)


def compact_all(lake: Lake) -> list[str]:
    """Compact the alerts' folder; return the names of the files in it."""
    compact_batches(lake.ledger_root / "alerts")
    return sorted(path.name for path in (lake.ledger_root / "alerts").iterdir())


def test_compacting_keeps_every_entry_in_one_file_more(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    before = held(lake)
    (first,) = compact_all(lake)
    assert held(lake) == before
    assert compact_all(lake) == [first]
    lake.write_ledger("alerts", "8", {"windows": [], "packets": 8})
    lake.write_ledger("alerts", "9", {"windows": [], "packets": 9})
    after = held(lake)
    assert [packets for *_, packets in after] == [0, 1, 2, 3, 8, 9]
    assert len(compact_all(lake)) == 2
    assert first in compact_all(lake)
    assert held(lake) == after


def test_of_a_batch_that_ran_again_the_newest_entry_counts(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    compact_all(lake)
    lake.write_ledger("alerts", "002", {"windows": ["002-1"], "packets": 77})
    assert [packets for *_, packets in held(lake)] == [0, 1, 77, 3]
    lake.write_ledger("alerts", "009", {"windows": [], "packets": 9})
    old, new = compact_all(lake)
    assert [packets for *_, packets in held(lake)] == [0, 1, 77, 3, 9]
    assert old != new


@pytest.mark.parametrize("step", range(5))
def test_a_compaction_killed_anywhere_leaves_the_ledger_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    lake, left, unlink = filled(tmp_path), [step], Path.unlink
    before = held(lake)

    def dying_unlink(path: Path, missing_ok: bool = False) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dying_unlink)
        try:
            compact_all(lake)
        except KilledError:
            assert step < 4
    assert held(lake) == before
    compact_all(lake)
    assert held(lake) == before


def test_a_batch_that_is_repeated_during_a_compaction_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = filled(tmp_path)
    replace = ledger.replace_file

    def slowly(path: Path, content: bytes) -> None:
        if path.name.startswith("compact"):
            lake.write_ledger("alerts", "001", {"windows": ["001-1"], "packets": 77})
        replace(path, content)

    monkeypatch.setattr(ledger, "replace_file", slowly)
    assert "001.json" in compact_all(lake)
    assert [packets for *_, packets in held(lake)] == [0, 77, 2, 3]


def test_a_follower_sees_what_was_compacted_before_it_looked_and_nothing_twice(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    tail = LedgerTail(lake.ledger_root)
    assert len(list(tail.new_windows())) == 4
    lake.write_ledger("alerts", "001", {"windows": ["001-1"], "packets": 1})
    lake.write_ledger("alerts", "004", {"windows": ["004-1"], "packets": 4})
    compact_all(lake)
    assert list(tail.new_windows()) == ["001-1", "004-1"]
    assert list(tail.new_windows()) == []
    tail = LedgerTail(lake.ledger_root)
    tail.skip()
    assert list(tail.new_windows()) == []


def test_a_compact_file_that_was_not_taken_whole_is_taken_again(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    compact_all(lake)
    tail = LedgerTail(lake.ledger_root)
    windows = tail.new_windows()
    next(windows)
    windows.close()
    assert len(list(tail.new_windows())) == 4


def test_readers_and_followers_beside_compactions_miss_no_batch(tmp_path: Path) -> None:
    lake, over = filled(tmp_path, 100), threading.Event()

    def write_and_compact() -> None:
        for number in range(100, 300):
            lake.write_ledger("alerts", f"{number:03}", {"windows": [f"{number:03}-1"], "packets": number})
            if number % 20 == 0:
                compact_all(lake)
        over.set()

    tail, seen, reads = LedgerTail(lake.ledger_root), list[str](), 0
    writer = threading.Thread(target=write_and_compact)
    writer.start()
    while not over.is_set():
        names = [Path(batch.path).stem for batch in finished_batches(lake.ledger_root)]
        assert len(names) == len(set(names))
        assert names.count("000") == names.count("099") == 1
        assert len(names) >= 100
        seen += tail.new_windows()
        reads += 1
    writer.join()
    seen += tail.new_windows()
    assert reads > 1
    assert sorted(seen) == [f"{number:03}-1" for number in range(300)]
