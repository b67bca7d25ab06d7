"""The raw archive: every packet as delivered, in files ``topic-partition-start-end.arrow`` (end exclusive).

Raw archive, lake and journal are the truth; the graph can be rebuilt from them. A file is an Arrow IPC file with
the columns of `RAW`, so that one packet is found by its offset without reading the rest. It appears under its name
by rename, whole and synced to disk; a batch that is read again replaces it by an equal file. Windows may overlap: a
reader takes each offset once.

Payloads are compressed with zstd at a fast level: cutouts hardly shrink, but the schema that every ZTF packet
carries does, and the disk is what a fast stream waits for (`benchmarks/b7.py` measures both). While packets are
decoded, what was written of them is already being synced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc

from asterism.ingest.errors import ArchiveError
from asterism.ingest.packets import Position

RAW = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("publishedMs", pa.int64()),
        pa.field("payload", pa.large_binary(), nullable=False),
    ]
)
"""One row per packet: Kafka offset, Kafka timestamp [ms since 1970 UTC], bytes."""

COMPRESSION = pa.Codec("zstd", compression_level=-5)
"""Of every column; readers learn it from the file, so older files without it are read the same way."""

_SYNC_BYTES = 16 << 20
"""Written bytes after which a sync is begun."""


class ArchiveWriter:
    """Writes the packets of one offset range; the file appears when the block ends without error.

    Parameters
    ----------
    root : Path
        Folder of the archive.
    topic, partition : str, int
        Where the packets come from.
    start, end : int
        The offset range, end exclusive.

    Raises
    ------
    ArchiveError
        If the file cannot be written.
    """

    def __init__(self, root: Path, topic: str, partition: int, start: int, end: int) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}", topic):
            raise ArchiveError(f"{topic!r:.80} is not a topic name")
        self._path = root / topic / f"{topic}-{partition}-{start}-{end}.arrow"
        self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> ArchiveWriter:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._temporary.open("wb")
        except OSError as error:
            raise ArchiveError(f"{self._path} cannot be written: {error}") from error
        self._writer = pa.ipc.new_file(self._stream, RAW, options=pa.ipc.IpcWriteOptions(compression=COMPRESSION))
        self._syncer = ThreadPoolExecutor(1)
        self._syncing: Future[None] | None = None
        self._synced = 0
        return self

    def append(self, positions: Sequence[Position], payloads: Sequence[bytes]) -> None:
        """Add packets in offset order."""
        columns = [[p.offset for p in positions], [p.published_ms for p in positions], list(payloads)]
        try:
            self._writer.write(pa.record_batch(columns, schema=RAW))
            self._begin_sync()
        except OSError as error:
            raise ArchiveError(f"{self._path} cannot be written: {error}") from error

    def _begin_sync(self) -> None:
        """Have what was written put on disk meanwhile, one sync at a time; raise the error of the one before."""
        written = self._stream.tell()
        if written - self._synced < _SYNC_BYTES or (self._syncing is not None and not self._syncing.done()):
            return
        if self._syncing is not None:
            self._syncing.result()
        self._stream.flush()
        self._synced, self._syncing = written, self._syncer.submit(os.fdatasync, self._stream.fileno())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self._stream, self._syncer:
                self._writer.close()
                self._stream.flush()
                if kind is None:
                    if self._syncing is not None:
                        self._syncing.result()
                    os.fsync(self._stream.fileno())
            if kind is None:
                self._temporary.replace(self._path)
        except OSError as failure:
            raise ArchiveError(f"{self._path} cannot be written: {failure}") from failure
        finally:
            self._temporary.unlink(missing_ok=True)


def read_packets(
    root: Path, topic: str, partition: int, start: int = 0, end: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield ``(offset, payload)`` of the archived packets of a range, each offset once, in offset order.

    Parameters
    ----------
    root : Path
        Folder of the archive.
    topic, partition : str, int
        Where the packets came from.
    start, end : int, optional
        The offset range, end exclusive; to the last one if `end` is None.
    """
    reached = start
    for low, high, path in _files(root, topic, partition):
        if high <= reached or (end is not None and low >= end):
            continue
        with pa.memory_map(str(path)) as source:
            rows = pa.ipc.open_file(source).read_all()
            chosen = rows.filter(pc.greater_equal(rows["offset"], reached))
            for offset, payload in zip(chosen["offset"].to_pylist(), chosen["payload"], strict=True):
                if end is not None and offset >= end:
                    return
                yield offset, payload.as_py()
        reached = high


def _files(root: Path, topic: str, partition: int) -> list[tuple[int, int, Path]]:
    """Return ``(start, end, path)`` of a partition's files by start, the longest of equal starts first."""
    prefix = f"{topic}-{partition}-"
    found = []
    for path in (root / topic).glob(f"{prefix}*.arrow"):
        start, _, end = path.stem.removeprefix(prefix).partition("-")
        if start.isdigit() and end.isdigit():
            found.append((int(start), int(end), path))
    return sorted(found, key=lambda item: (item[0], -item[1]))
