"""The files of the journal: records in numbered segments, and how each byte of them is checked.

A record is a frame (magic, length of the headers, length of the payload, CRC-32 of these, CRC-32 of the content), the
headers as JSON, and the payload. The frame has a checksum of its own because a damaged length would otherwise look
like an unfinished record and take what stands behind it along.
"""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asterism.errors import JournalError

MAX_PAYLOAD_BYTES = 16 << 20
MAX_HEADER_BYTES = 64 << 10

_MAGIC = b"ASTJ"
_LENGTHS = struct.Struct(">4sII")
_CHECKSUMS = struct.Struct(">II")
_FRAME = struct.Struct(">4sIIII")
_SEGMENT_NAME = re.compile(r"(\d{8})\.journal")
_RESTORE = "restore the file from a copy; asterism voevent journal names everything that is damaged"


class Position(NamedTuple):
    """A place in the journal: positions sort as the records were appended."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One record.

    Attributes
    ----------
    position : Position
        Where it stands.
    next_position : Position
        Where to go on reading after it.
    headers : dict of str to str
        What the receiver noted with it.
    payload : bytes
        The notice as received.
    """

    position: Position
    next_position: Position
    headers: dict[str, str]
    payload: bytes


class _TornError(Exception):
    """The bytes end before the record does."""


class _Frame(NamedTuple):
    """The checked frame of a record."""

    position: Position
    header_bytes: int
    payload_bytes: int
    checksum: int

    @property
    def content_offset(self) -> int:
        return self.position.offset + _FRAME.size

    @property
    def next_position(self) -> Position:
        offset = self.content_offset + self.header_bytes + self.payload_bytes
        return Position(self.position.segment, offset)


def encode(payload: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a record as it stands on the disk.

    Raises
    ------
    JournalError
        If payload or headers are too large.
    """
    noted = json.dumps(dict(headers), sort_keys=True).encode("ascii")
    if len(payload) > MAX_PAYLOAD_BYTES or len(noted) > MAX_HEADER_BYTES:
        raise JournalError(
            f"a record of {len(payload)} + {len(noted)} bytes exceeds {MAX_PAYLOAD_BYTES} + {MAX_HEADER_BYTES}",
            hint="nothing was written; notices of this size are refused",
        )
    lengths = _LENGTHS.pack(_MAGIC, len(noted), len(payload))
    content = noted + payload
    return lengths + _CHECKSUMS.pack(zlib.crc32(lengths), zlib.crc32(content)) + content


def entries(root: Path, position: Position, *, final: bool) -> Iterator[Entry]:
    """Yield the records of one segment from a position on.

    Parameters
    ----------
    root : Path
        Folder of the journal.
    position : Position
        Where a record begins, or the end of the segment.
    final : bool
        The segment was followed by another before this call: it may not end within a record.

    Raises
    ------
    JournalError
        At damage.
    """
    with _opened(root, position) as descriptor:
        if position.offset > os.fstat(descriptor).st_size:
            raise JournalError(f"{where(root, position)} lies behind the end: the journal has lost records")
        try:
            while (entry := _settled_entry(descriptor, root, position)) is not None:
                yield entry
                position = entry.next_position
        except _TornError:
            if final:
                raise _damage(root, position, "the segment ends in the middle of a record") from None


def whole_ends(root: Path, position: Position) -> Iterator[Position]:
    """Yield the position behind each whole record of one segment from a position on; the contents are not read.

    Raises
    ------
    JournalError
        If a frame is damaged, or the position lies behind the end.
    """
    with _opened(root, position) as descriptor, suppress(_TornError):
        size = os.fstat(descriptor).st_size
        if position.offset > size:
            raise JournalError(f"{where(root, position)} lies behind the end: the journal has lost records")
        while (frame := _read_frame(descriptor, root, position)) is not None:
            if frame.next_position.offset > size:
                return
            position = frame.next_position
            yield position


def _settled_entry(descriptor: int, root: Path, position: Position) -> Entry | None:
    """Read an entry, twice if it looks damaged: a new writer may just have put it in place of a torn end."""
    try:
        return _read_entry(descriptor, root, position)
    except JournalError:
        return _read_entry(descriptor, root, position)


def _read_entry(descriptor: int, root: Path, position: Position) -> Entry | None:
    """Return the record at a position, None at the end of the file; `_TornError` if the file ends within it."""
    frame = _read_frame(descriptor, root, position)
    if frame is None:
        return None
    n_bytes = frame.header_bytes + frame.payload_bytes
    content = os.pread(descriptor, n_bytes, frame.content_offset)
    if len(content) < n_bytes:
        raise _TornError
    if zlib.crc32(content) != frame.checksum:
        raise _damage(root, position, "the content does not fit its checksum")
    try:
        headers = json.loads(content[: frame.header_bytes])
    except ValueError as error:
        raise _damage(root, position, "the headers are not JSON") from error
    return Entry(position, frame.next_position, headers, content[frame.header_bytes :])


def _read_frame(descriptor: int, root: Path, position: Position) -> _Frame | None:
    found = os.pread(descriptor, _FRAME.size, position.offset)
    if not found:
        return None
    if not found.startswith(_MAGIC[: len(found)]):
        raise _damage(root, position, "no record begins here")
    if len(found) < _FRAME.size:
        raise _TornError
    _, header_bytes, payload_bytes, frame_checksum, checksum = _FRAME.unpack(found)
    if zlib.crc32(found[: _LENGTHS.size]) != frame_checksum:
        raise _damage(root, position, "the frame does not fit its checksum")
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise _damage(root, position, "the frame announces more than a record may hold")
    return _Frame(position, header_bytes, payload_bytes, checksum)


def segment_numbers(root: Path) -> list[int]:
    """Return the numbers of the segments that exist, in order."""
    with as_journal_errors(f"{root} cannot be read"):
        names = [_SEGMENT_NAME.fullmatch(path.name) for path in root.iterdir()]
    return sorted(int(name[1]) for name in names if name)


def segments(root: Path) -> list[int]:
    """Return the numbers of all segments, 0 to n - 1.

    Raises
    ------
    JournalError
        If one is missing.
    """
    numbers = segment_numbers(root)
    if numbers != list(range(len(numbers))):
        missing = min(set(range(len(numbers))) - set(numbers))
        raise JournalError(f"{segment_path(root, missing)} is missing", hint=_RESTORE)
    return numbers


def segment_path(root: Path, segment: int) -> Path:
    """Return the file of a segment."""
    return root / f"{segment:08}.journal"


def where(root: Path, position: Position) -> str:
    """Return a position as messages name it."""
    return f"{segment_path(root, position.segment)} at byte {position.offset}"


def _damage(root: Path, position: Position, what: str) -> JournalError:
    return JournalError(f"{where(root, position)}: {what}", hint=_RESTORE)


@contextmanager
def _opened(root: Path, position: Position) -> Iterator[int]:
    with as_journal_errors(f"{where(root, position)} cannot be read"):
        descriptor = os.open(segment_path(root, position.segment), os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def as_journal_errors(what: str) -> Iterator[None]:
    """Turn what the operating system refuses into a `JournalError`; `what` says what was not possible."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        hint = "free space on this disk; senders repeat what was not acknowledged" if full else None
        raise JournalError(f"{what}: {error.strerror or error}", hint=hint) from error
