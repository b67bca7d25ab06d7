"""Whoever follows the ledger sees every batch once, again when it is repeated, and does not touch what it has seen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from asterism.lake import Lake
from asterism.ledger import LedgerTail


def test_batches_are_seen_once_in_the_order_they_finished(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    tail = LedgerTail(lake)
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
    tail = LedgerTail(lake)
    for _ in range(6):  # a file system may give a freed inode to the next file but one
        lake.write_ledger("alerts", "a", {"windows": ["a-1"]})
        assert list(tail.new_windows()) == ["a-1"]


def test_a_batch_that_was_not_taken_whole_is_seen_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    tail = LedgerTail(lake)
    lake.write_ledger("alerts", "a", {"windows": ["a-1", "a-2"]})
    windows = tail.new_windows()
    assert next(windows) == "a-1"
    windows.close()
    assert list(tail.new_windows()) == ["a-1", "a-2"]


def test_what_was_seen_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, opened = Lake(tmp_path), []
    tail = LedgerTail(lake)
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
    tail = LedgerTail(lake)
    lake.write_ledger("alerts", "a", {"windows": ["a-1"]})
    lake.write_ledger("alerts", "b", {"windows": ["b-1"]})
    tail.skip()
    assert list(tail.new_windows()) == []
    lake.write_ledger("alerts", "c", {"windows": ["c-1"]})
    assert list(tail.new_windows()) == ["c-1"]
    lake.write_ledger("alerts", "a", {"windows": ["a-1"]})
    assert list(tail.new_windows()) == ["a-1"]
