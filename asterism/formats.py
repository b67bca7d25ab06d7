"""Format versions: graph, lake, journal, archive and checkpoint each carry one; a mismatch is refused."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from asterism.errors import FormatError

VERSIONS = {"graph": 1, "lake": 1, "journal": 1, "archive": 1, "checkpoint": 1}
"""Bumped when older code could misread what newer code wrote."""

_FILE = "FORMAT.json"


def ensure_format(folder: Path, kind: str) -> None:
    """Stamp a new folder with the current version of `kind`, or refuse one stamped otherwise.

    Raises
    ------
    FormatError
        If the folder carries another kind or version.
    """
    path = folder / _FILE
    try:
        check_stamp(json.loads(path.read_text(encoding="utf-8")), kind, str(folder))
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps({"kind": kind, "version": VERSIONS[kind]}).encode())
    except ValueError as error:
        raise FormatError(f"{path} is not a format stamp: {error}") from error


def check_stamp(stamp: object, kind: str, where: str) -> None:
    """Raise `FormatError` unless `stamp` is the current stamp of `kind`."""
    expected = {"kind": kind, "version": VERSIONS[kind]}
    if stamp != expected:
        raise FormatError(f"{where} holds {stamp}, this Asterism reads {expected}")


def replace_file(path: Path, content: bytes) -> None:
    """Write a whole file durably: temporary name, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names of the files in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
