"""Copies of the journal, the only copy of every notice: made while notices arrive, believed only when read back.

A copy is the journal's own files up to its last whole record, in a folder or a tar file, with their SHA-256 beside
them (``sha256sum -c SHA256SUMS`` checks it without Asterism). Positions are those of the original, so a copy put in
its place can be replayed, and a stream goes on where it was. Two copies of one state are the same bytes.

Invariants: every record is read and checked before it is copied and again in the copy; a copy appears under its name
when it is whole and on disk, or not at all; nothing that exists is overwritten.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asterism.errors import JournalError
from asterism.formats import ensure_format, sync_folder
from asterism.journal import Journal, JournalReport, Position
from asterism.segments import as_journal_errors, segment_path

STAMP = "FORMAT.json"
"""File that says that a folder is a journal."""
SUMS = "SHA256SUMS"
"""File of a copy with the SHA-256 of the others."""
TAR = ".tar"

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Backup:
    """A copy of a journal that was read back."""

    path: str
    segments: int
    records: int
    payload_bytes: int


def export_journal(root: Path, target: Path) -> Backup:
    """Copy a journal up to its last whole record, and read the copy.

    Parameters
    ----------
    root : Path
        Folder of the journal; a receiver may be writing to it.
    target : Path
        A folder or, if its name ends in ``.tar``, a file; it must not exist yet.

    Raises
    ------
    JournalError
        If the journal is damaged, the target exists or cannot be written, or the copy is not what was read.
    """
    if target.exists():
        raise JournalError(f"{target} exists", hint="name a new folder or file; nothing is overwritten")
    journal = Journal(root)
    end = journal.end()
    records, payload_bytes = _counted(journal, end)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with as_journal_errors(f"{target} cannot be written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            folder = draft if target.suffix != TAR else draft.with_suffix(".files")
            _copy(root, end, folder)
            if target.suffix == TAR:
                _pack(folder, draft)
                shutil.rmtree(folder)
        with opened(draft, tar=target.suffix == TAR) as copy:
            report = copy.verify()
        if report.damage or (report.records, report.payload_bytes) != (records, payload_bytes):
            raise JournalError(f"{target} does not read back as what was copied", hint="is the disk sound? try another")
        with as_journal_errors(f"{target} cannot be written"):
            draft.rename(target)
            sync_folder(target.parent)
    finally:
        shutil.rmtree(draft.with_suffix(".files"), ignore_errors=True)
        shutil.rmtree(draft, ignore_errors=True)
        draft.unlink(missing_ok=True)
    return Backup(str(target), report.segments, records, payload_bytes)


def verify_journal(path: Path) -> JournalReport:
    """Read every record of a journal or of a copy of one, and report what is there and what is damaged.

    Raises
    ------
    JournalError
        If there is nothing to read.
    """
    with opened(path) as journal:
        return journal.verify()


@contextmanager
def opened(path: Path, *, tar: bool | None = None) -> Iterator[Journal]:
    """Open a journal, or a copy of one, for reading; a tar file is unpacked into a temporary folder.

    Parameters
    ----------
    path : Path
        Folder or tar file.
    tar : bool, optional
        Which it is; by default as its name says.

    Raises
    ------
    JournalError
        If it does not exist or is neither.
    """
    if not path.exists():
        raise JournalError(f"{path} does not exist")
    if not (path.name.endswith(TAR) if tar is None else tar):
        yield _journal(path)
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        with as_journal_errors(f"{path} cannot be unpacked"):
            try:
                with tarfile.open(path, "r:") as archive:
                    _unpack(archive, Path(folder))
            except tarfile.TarError as error:
                raise JournalError(f"{path} is no tar file, or damaged: {error}") from error
        yield _journal(Path(folder))


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the members of a copy into a folder; refuse all but plain files (Debian's Python 3.11 has no filters)."""
    for member in archive:
        content = archive.extractfile(member) if member.isreg() and member.name == Path(member.name).name else None
        if content is None:
            raise tarfile.ExtractError(f"{member.name!r:.80} is no plain file of a copy")
        with content, (folder / member.name).open("xb") as target:
            shutil.copyfileobj(content, target)


def _journal(folder: Path) -> Journal:
    if not (folder / STAMP).is_file():
        raise JournalError(f"{folder} holds no journal: {STAMP} is missing")
    return Journal(folder)


def _counted(journal: Journal, end: Position) -> tuple[int, int]:
    """Read and check everything up to a position; return how many records there are and their bytes."""
    records = payload_bytes = 0
    for entry in journal.read():
        if entry.position >= end:
            break
        records, payload_bytes = records + 1, payload_bytes + len(entry.payload)
    return records, payload_bytes


def _copy(root: Path, end: Position, folder: Path) -> None:
    """Write a journal's files up to a position into a new folder, with their sums, durably."""
    ensure_format(folder, "journal")
    sums = {}
    for stamp in sorted(folder.iterdir()):
        sums[stamp.name] = hashlib.sha256(stamp.read_bytes()).hexdigest()
    for segment in range(end.segment + 1 if end != Position(0, 0) else 0):
        source = segment_path(root, segment)
        size = end.offset if segment == end.segment else source.stat().st_size
        sums[source.name] = _copied(source, folder / source.name, size)
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    with (folder / SUMS).open("x", encoding="ascii") as stream:
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())
    sync_folder(folder)


def _copied(source: Path, target: Path, size: int) -> str:
    """Copy the first bytes of a file; return their SHA-256."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while size > 0:
            block = reader.read(min(size, _BLOCK))
            if not block:
                raise JournalError(f"{source} became shorter while it was copied")
            digest.update(block)
            writer.write(block)
            size -= len(block)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _pack(folder: Path, target: Path) -> None:
    """Write a folder's files as a tar file whose bytes depend on nothing but theirs, durably."""
    with target.open("xb") as stream:
        with tarfile.open(fileobj=stream, mode="w:", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(folder.iterdir()):
                member = tarfile.TarInfo(path.name)
                member.size, member.mode = path.stat().st_size, 0o600
                with path.open("rb") as content:
                    archive.addfile(member, content)
        stream.flush()
        os.fsync(stream.fileno())
