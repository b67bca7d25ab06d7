"""`asterism.voevent.backup`: copies of the journal."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from asterism.errors import JournalError
from asterism.journal import Journal
from asterism.segments import segment_path
from asterism.voevent.backup import Backup, export_journal, opened, verify_journal
from asterism.voevent.journal_command import journal as journal_command

PAYLOADS = [bytes([n]) * (n * 37) for n in range(1, 40)]
TARGETS = pytest.mark.parametrize("name", ["copy", "copy.tar"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A journal of several segments."""
    folder = tmp_path / "journal"
    with Journal(folder, segment_bytes=8000) as journal:
        for number, payload in enumerate(PAYLOADS):
            journal.append(payload, {"number": str(number)})
    assert len(list(folder.glob("*.journal"))) > 2
    return folder


def content(path: Path) -> list[tuple[object, dict[str, str], bytes]]:
    with opened(path) as journal:
        return [(entry.position, entry.headers, entry.payload) for entry in journal.read()]


@TARGETS
def test_a_copy_holds_every_record_at_its_place(root: Path, tmp_path: Path, name: str) -> None:
    done = export_journal(root, tmp_path / "backups" / name)
    assert (done.records, done.payload_bytes) == (len(PAYLOADS), sum(map(len, PAYLOADS)))
    assert content(tmp_path / "backups" / name) == content(root)
    assert verify_journal(tmp_path / "backups" / name) == verify_journal(root)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [name]


def test_a_folder_is_a_journal_that_can_be_written_on_and_its_sums_hold(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    export_journal(root, copy)
    assert subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=copy, capture_output=True, check=False).returncode == 0
    with Journal(copy) as journal:
        journal.append(b"next", {})
    assert [payload for *_, payload in content(copy)] == [*PAYLOADS, b"next"]


def test_two_copies_of_one_state_are_the_same_bytes(root: Path, tmp_path: Path) -> None:
    export_journal(root, tmp_path / "a.tar")
    export_journal(root, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@TARGETS
def test_an_empty_journal_has_a_copy(tmp_path: Path, name: str) -> None:
    assert export_journal(tmp_path / "none", tmp_path / name) == Backup(str(tmp_path / name), 0, 0, 0)
    assert content(tmp_path / name) == []


@TARGETS
def test_a_copy_ends_with_the_last_whole_record_while_a_receiver_writes(root: Path, tmp_path: Path, name: str) -> None:
    last = max(root.glob("*.journal"))
    with Journal(root) as journal:
        journal.append(b"before", {})
        with last.open("ab") as torn:
            torn.write(b"ASTJ\0\0")
        export_journal(root, tmp_path / name)
    assert [payload for *_, payload in content(tmp_path / name)] == [*PAYLOADS, b"before"]


def damage_record(root: Path) -> None:
    path = segment_path(root, 1)
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def remove_segment(root: Path) -> None:
    segment_path(root, 1).unlink()


@TARGETS
@pytest.mark.parametrize("harm", [damage_record, remove_segment])
def test_a_damaged_journal_is_not_copied_as_if_it_were_whole(
    root: Path, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    harm(root)
    with pytest.raises(JournalError, match=r"00000001\.journal"):
        export_journal(root, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


@TARGETS
def test_nothing_that_exists_is_overwritten(root: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(JournalError, match="exists"):
        export_journal(root, tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"precious"


def test_damage_of_a_copy_is_found(root: Path, tmp_path: Path) -> None:
    export_journal(root, tmp_path / "copy")
    damage_record(tmp_path / "copy")
    assert len(verify_journal(tmp_path / "copy").damage) == 1
    export_journal(root, tmp_path / "copy.tar")
    packed = bytearray((tmp_path / "copy.tar").read_bytes())
    packed[packed.index(PAYLOADS[20])] ^= 1
    (tmp_path / "copy.tar").write_bytes(packed)
    assert len(verify_journal(tmp_path / "copy.tar").damage) == 1


@pytest.mark.parametrize("name", ["absent", "empty", "junk.tar", "evil.tar"])
def test_what_is_no_copy_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk.tar").write_bytes(b"junk" * 500)
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"))
    with pytest.raises(JournalError):
        verify_journal(tmp_path / name)
    assert not any((tmp_path / "empty").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "junk.tar", "evil.tar"}


def test_the_commands_tell_counts_as_json_and_fail_on_damage(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTERISM_HOME", str(tmp_path))
    target = str(tmp_path / "copy.tar")
    exported = CliRunner().invoke(journal_command, ["export", target, "--json"])
    counts = {"records": len(PAYLOADS), "payload_bytes": sum(map(len, PAYLOADS))}
    counts["segments"] = len(list(root.glob("*.journal")))
    assert (exported.exit_code, json.loads(exported.stdout)) == (0, counts | {"path": target})
    verified = CliRunner().invoke(journal_command, ["verify", target, "--json"])
    assert (verified.exit_code, json.loads(verified.stdout)) == (0, counts | {"torn_bytes": 0, "damage": []})
    own = CliRunner().invoke(journal_command, ["verify", "--json"])
    assert json.loads(own.stdout) == json.loads(verified.stdout)
    damage_record(root)
    assert CliRunner().invoke(journal_command, ["verify"]).exit_code == 1
