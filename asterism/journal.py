"""The notice journal: append-only files that are the only copy of every notice received.

Invariants. `Journal.append` returns only when the record is on the disk, so that a sender may be told "received". A
record is whole or absent: what a killed writer left unfinished at the very end is cut off by the next writer and
never shown to a reader. Anything else that is not as it was written is damage; it is reported with its position and
never skipped, because a notice that vanishes quietly is the worst this file could do.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from asterism.errors import JournalError
from asterism.formats import ensure_format, sync_folder
from asterism.segments import (
    Entry,
    Position,
    as_journal_errors,
    encode,
    entries,
    segment_numbers,
    segment_path,
    segments,
    where,
    whole_ends,
)

__all__ = ["Entry", "Journal", "JournalReport", "Position"]

SEGMENT_BYTES = 16 << 20
"""A segment that has reached this size is followed by a new one."""

_LOCK = "writer.lock"


@dataclass(frozen=True, slots=True)
class JournalReport:
    """What `Journal.verify` found.

    Attributes
    ----------
    segments, records : int
        Files, and whole records in them.
    payload_bytes : int
        Sum over the payloads.
    torn_bytes : int
        Bytes of an unfinished record at the very end: not damage, it was never acknowledged.
    damage : tuple of str
        What is wrong and where; the rest of a damaged segment is not counted.
    """

    segments: int
    records: int
    payload_bytes: int
    torn_bytes: int
    damage: tuple[str, ...]


class Journal:
    """The journal in one folder, for one writer and any number of readers.

    Reading takes no lock. The first `append` makes this object the writer until `close`.

    Parameters
    ----------
    root : Path
        Folder of the segments; made if missing.
    segment_bytes : int
        Size from which on a new segment is begun.

    Raises
    ------
    FormatError
        If the folder holds something else or another format version.
    JournalError
        If the folder cannot be made or read.
    """

    def __init__(self, root: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.root = root
        self._segment_bytes = segment_bytes
        self._writer: _Writer | None = None
        self._mutex = threading.Lock()
        with as_journal_errors(f"journal {root} cannot be opened"):
            ensure_format(root, "journal")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, payload: bytes, headers: Mapping[str, str]) -> Position:
        """Append a record and return its position once it is safely on the disk.

        Parameters
        ----------
        payload : bytes
            The notice, at most 16 MiB.
        headers : mapping of str to str
            What to note with it, at most 64 KiB as JSON.

        Raises
        ------
        JournalError
            If another writer has the journal, the record is too large, the disk does not take it (then nothing of
            it is left), or the end of the journal is damaged.
        """
        record = encode(payload, headers)
        with self._mutex, as_journal_errors(f"{self.root} cannot be written"):
            writer = self._claimed()
            try:
                return writer.append(record)
            except OSError:
                self._give_up()
                raise

    def claim(self) -> None:
        """Become the writer now, not at the first `append`: what is read after this is all there is.

        Raises
        ------
        JournalError
            If another writer has the journal, its folder cannot be written, or its end is damaged.
        """
        with self._mutex, as_journal_errors(f"{self.root} cannot be written"):
            self._claimed()

    def close(self) -> None:
        """Stop being the writer; reading stays possible."""
        with self._mutex:
            self._give_up()

    def _claimed(self) -> _Writer:
        if self._writer is None:
            self._writer = _Writer(self.root, self._segment_bytes)
        return self._writer

    def _give_up(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def read(self, start: Position | None = None) -> Iterator[Entry]:
        """Yield the whole records from a position to the present end.

        Parameters
        ----------
        start : Position, optional
            The position or `next_position` of an entry; the beginning if not given.

        Raises
        ------
        JournalError
            At damage, naming its position; or if `start` lies behind the end.
        """
        for position, final in self._spans(start or Position(0, 0)):
            yield from entries(self.root, position, final=final)

    def ends(self, start: Position) -> Iterator[Position]:
        """Yield the `next_position` of each whole record from a position to the present end, without its content.

        Raises
        ------
        JournalError
            If a frame is damaged; or if `start` lies behind the end.
        """
        for position, _ in self._spans(start):
            yield from whole_ends(self.root, position)

    def _spans(self, position: Position) -> Iterator[tuple[Position, bool]]:
        """Yield where to read on in each segment, and whether another one followed it before."""
        while True:
            numbers = segments(self.root)
            if not numbers and position == Position(0, 0):
                return
            if position.segment not in numbers:
                raise JournalError(f"{where(self.root, position)} is not in the journal")
            final = position.segment != numbers[-1]
            yield position, final
            if not final:
                return
            position = Position(position.segment + 1, 0)

    def end(self) -> Position:
        """Return the position behind the last whole record: where the next one is to be read.

        Raises
        ------
        JournalError
            If the last segment is damaged.
        """
        numbers = segments(self.root)
        start = Position(numbers[-1] if numbers else 0, 0)
        return max(self.ends(start), default=start)

    def verify(self) -> JournalReport:
        """Read everything and report what is there and what is damaged.

        Raises
        ------
        JournalError
            If the folder cannot be read.
        """
        records = payload_bytes = torn_bytes = 0
        damage: list[str] = []
        numbers = segment_numbers(self.root)
        missing = sorted(set(range(max(numbers, default=-1))) - set(numbers))
        damage += [f"{segment_path(self.root, number)} is missing" for number in missing]
        for number in numbers:
            position, final = Position(number, 0), number != numbers[-1]
            try:
                for entry in entries(self.root, position, final=final):
                    records, payload_bytes = records + 1, payload_bytes + len(entry.payload)
                    position = entry.next_position
            except JournalError as error:
                damage.append(error.message)
            else:
                torn_bytes = _size(self.root, number) - position.offset
        return JournalReport(len(numbers), records, payload_bytes, torn_bytes, tuple(damage))


class _Writer:
    """Holds the lock and the open end of the last segment."""

    def __init__(self, root: Path, segment_bytes: int) -> None:
        self._root = root
        self._segment_bytes = segment_bytes
        self._lock = _lock(root)
        self._descriptor = -1
        try:
            numbers = segments(root)
            self._segment = numbers[-1] if numbers else 0
            if not numbers:
                self._begin_segment(0)
            else:
                self._descriptor = os.open(segment_path(root, self._segment), os.O_RDWR)
                self._repair()
        except BaseException:
            self.close()
            raise

    def append(self, record: bytes) -> Position:
        if self._offset >= self._segment_bytes:
            os.close(self._descriptor)
            self._begin_segment(self._segment + 1)
        position = Position(self._segment, self._offset)
        try:
            written = 0
            while written < len(record):
                written += os.pwrite(self._descriptor, record[written:], self._offset + written)
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._offset)
                os.fsync(self._descriptor)
            raise
        self._offset += len(record)
        return position

    def close(self) -> None:
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def _begin_segment(self, number: int) -> None:
        self._descriptor = -1
        self._descriptor = os.open(segment_path(self._root, number), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        sync_folder(self._root)
        self._segment, self._offset = number, 0

    def _repair(self) -> None:
        """Find the end, cut off what a killed writer left unfinished there, and make the rest durable."""
        self._offset = 0
        for entry in entries(self._root, Position(self._segment, 0), final=False):
            self._offset = entry.next_position.offset
        os.ftruncate(self._descriptor, self._offset)
        os.fsync(self._descriptor)


def _size(root: Path, segment: int) -> int:
    with as_journal_errors(f"{root} cannot be read"):
        return segment_path(root, segment).stat().st_size


def _lock(root: Path) -> int:
    descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalError(
            f"{root} is locked: another process writes to it", hint="one receiver at a time; stop the other one"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
