"""A folder of another kind or version is refused, and files are replaced whole or not at all."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from asterism.errors import FormatError
from asterism.formats import VERSIONS, check_stamp, ensure_format, replace_file


@pytest.mark.parametrize("kind", sorted(VERSIONS))
def test_a_new_folder_is_stamped_and_accepted_again(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "deep" / kind
    ensure_format(folder, kind)
    ensure_format(folder, kind)
    assert json.loads((folder / "FORMAT.json").read_text(encoding="utf-8")) == {
        "kind": kind,
        "version": VERSIONS[kind],
    }


@pytest.mark.parametrize(
    "stamp",
    [
        '{"kind": "lake", "version": 999}',
        '{"kind": "journal", "version": 1}',
        '{"version": 1}',
        "[]",
        "null",
        "",
        "{",
        "\xff",
    ],
)
def test_another_kind_another_version_and_nonsense_are_refused(tmp_path: Path, stamp: str) -> None:
    path = tmp_path / "FORMAT.json"
    path.write_bytes(stamp.encode("latin-1"))
    with pytest.raises(FormatError) as caught:
        ensure_format(tmp_path, "lake")
    assert caught.value.code == "format.mismatch"
    assert str(tmp_path) in caught.value.message
    assert path.read_bytes() == stamp.encode("latin-1")


def test_the_message_names_both_versions() -> None:
    with pytest.raises(FormatError, match=r"999.*reads.*" + str(VERSIONS["lake"])):
        check_stamp({"kind": "lake", "version": 999}, "lake", "somewhere")


def test_many_threads_may_open_one_new_folder(tmp_path: Path) -> None:
    folder, problems = tmp_path / "shared", []

    def open_it() -> None:
        try:
            ensure_format(folder, "journal")
        except (FormatError, OSError) as error:
            problems.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert [path.name for path in folder.iterdir()] == ["FORMAT.json"]


def test_replacing_a_file_leaves_the_old_one_if_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device", descriptor)

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
