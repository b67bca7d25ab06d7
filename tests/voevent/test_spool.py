"""A folder as a door: nothing is taken twice, nothing vanishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from asterism.errors import JournalError
from asterism.journal import Journal
from asterism.voevent.document import Document, compose
from asterism.voevent.intake import FILE, Intake
from asterism.voevent.liveness import Feed
from asterism.voevent.spool import take_files


def notice(name: str) -> bytes:
    return compose(Document(ivorn=f"ivo://asterism.test/spool#{name}", role="test"))


def test_files_are_journalled_in_the_order_of_their_names_and_moved_aside(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with Journal(tmp_path / "journal") as journal:
        intake, feed = Intake(journal), Feed(FILE, heartbeat=False)
        assert take_files(spool, intake, feed) == 0
        for name in ("2", "1"):
            (spool / f"{name}.xml").write_bytes(notice(name))
        (spool / ".3.xml").write_bytes(b"half written")
        (spool / "readme.txt").write_text("not a notice")
        assert take_files(spool, intake, feed) == 2
        assert take_files(spool, intake, feed) == 0
        assert [entry.payload for entry in journal.read()] == [notice("1"), notice("2")]
    assert sorted(path.name for path in (spool / "taken").iterdir()) == ["1.xml", "2.xml"]
    assert sorted(path.name for path in spool.iterdir()) == [".3.xml", "readme.txt", "taken"]


def test_a_file_nobody_can_read_is_moved_aside_and_the_next_one_taken(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "1.xml").write_bytes(b"<not-voevent/>")
    (spool / "2.xml").write_bytes(notice("2"))
    with Journal(tmp_path / "journal") as journal:
        intake, feed = Intake(journal), Feed(FILE, heartbeat=False)
        take_files(spool, intake, feed)
        assert notice("2") in [entry.payload for entry in journal.read()]
    assert sorted(path.name for path in (spool / "taken").iterdir()) == ["1.xml", "2.xml"]


def test_what_the_journal_does_not_take_stays_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "1.xml").write_bytes(notice("1"))
    with Journal(tmp_path / "journal") as journal:
        intake, feed = Intake(journal), Feed(FILE, heartbeat=False)

        def full(*_: object) -> None:
            raise JournalError("no space left")

        with monkeypatch.context() as patch:
            patch.setattr(journal, "append", full)
            assert take_files(spool, intake, feed) == 0
        assert (spool / "1.xml").is_file()
        assert feed.look().problem == "journal.unusable: no space left"
        assert take_files(spool, intake, feed) == 1
        assert (feed.look().problem, feed.look().journalled) == (None, 1)
