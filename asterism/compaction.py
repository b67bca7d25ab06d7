"""Fewer files in the lake: the windows of a survey's night become one file, side tables and ledger a few.

A batch a second leaves tens of thousands of small files a night. A compact file of detections holds every delivery
once, ordered by window, and says in its metadata which rows each window gave, so that `asterism.lake.Lake` still finds
them; one of a side table likewise, every window once. It appears by rename before what it replaces goes, and what goes
is what was read: killed anywhere, nothing is lost, readers meet a delivery twice at most and count it once, and the
next compaction ends in the same files. Files that batches write meanwhile stay for the next one. The ledger knows by
itself how (`asterism.ledger`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from asterism.errors import LakeError
from asterism.lake import Lake, compact_name, each_position_once, is_compact, parts_of, write_table
from asterism.ledger import compact_batches
from asterism.progress import Advance

LARGE_BYTES = 64 << 20
"""A compact file of a side table this large [bytes] is left alone: what comes later gets another one."""

_Done = Callable[[], None]
"""Says that one more file was read."""


class _Identity(NamedTuple):
    """What tells a file from one written under its name since."""

    inode: int
    written_ns: int
    size: int


@dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Attributes
    ----------
    nights : int
        Nights of a survey that were looked at.
    files_before, files_after : int
        Files of detections, side tables and ledger.
    bytes_before, bytes_after : int
        Their sizes [bytes].
    """

    nights: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int

    def as_dict(self) -> dict[str, int]:
        """Return it as ``--json`` prints it."""
        return asdict(self)


def compact(lake: Lake, advance: Advance | None = None) -> Compacted:
    """Put the detections of every survey and night into one file each, side tables and ledger into few; also beside a
    running application.

    Parameters
    ----------
    lake : Lake
        The lake.
    advance : Advance, optional
        Called for every Parquet file that was read, with the number of all there are.

    Raises
    ------
    LakeError
        If another compaction is running, or a file cannot be read or written; compacting again goes on.
    """
    with _alone(lake):
        return _compact(lake, advance)


@contextmanager
def _alone(lake: Lake) -> Iterator[None]:
    """Hold the lake's lock of compactions; the death of its holder frees it."""
    with (lake.root / "compaction.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LakeError("another compaction of this lake is running", hint="let it finish") from error
        yield


def _compact(lake: Lake, advance: Advance | None) -> Compacted:
    nights = sorted((lake.root / "detections").glob("survey=*/night=*"))
    tables = lake.side_folders()
    ledgers = sorted(lake.ledger_root.glob("*/"))
    folders = [*nights, *tables, *ledgers]
    before = [_sizes(folder) for folder in folders]
    total = sum(map(len, before[: len(nights) + len(tables)]))
    done: _Done = (lambda: None) if advance is None else (lambda: advance(1, total=total))
    for folder in nights:
        _compact_detections(folder, done)
    for folder in tables:
        _compact_side_table(folder, done)
    for folder in ledgers:
        compact_batches(folder)
    after = [_sizes(folder) for folder in folders]
    return Compacted(
        len(nights), sum(map(len, before)), sum(map(len, after)), sum(map(sum, before)), sum(map(sum, after))
    )


def _compact_detections(folder: Path, done: _Done) -> None:
    """Put the files of a night into one."""
    files = _files(folder)
    if len(files) < 2:
        return
    windows = _by_window(files, done)
    names = list(windows)
    rows = pa.concat_tables(
        part.append_column("window", pa.array([at] * part.num_rows, pa.int32()))
        for at, name in enumerate(names)
        for part in windows[name]
    )
    rows = each_position_once(rows)
    counts = dict.fromkeys(names, 0)
    for entry in rows.group_by("window").aggregate([([], "count_all")]).to_pylist():
        counts[names[entry["window"]]] = entry["count_all"]
    _replace(folder, files, rows.drop_columns(["window"]), counts)


def _compact_side_table(folder: Path, done: _Done) -> None:
    """Put the files of a side table into one, but for those that are large already."""
    files = [(path, identity) for path, identity in _files(folder) if identity.size < LARGE_BYTES]
    if len(files) < 2:
        return
    windows = {name: newest for name, (newest, *_) in _by_window(files, done).items()}
    rows = pa.concat_tables(windows.values(), promote_options="default")
    _replace(folder, files, rows, {name: part.num_rows for name, part in windows.items()})


def _by_window(files: Sequence[tuple[Path, _Identity]], done: _Done) -> dict[str, list[pa.Table]]:
    """Return what the files hold of each window, ordered by name.

    A window's own file, written again since, comes before what a compact file kept of it.
    """
    windows: dict[str, list[pa.Table]] = {}
    for path, _ in files:
        for window, rows in _windows(path):
            windows.setdefault(window, []).append(rows)
        done()
    return dict(sorted(windows.items()))


def _replace(folder: Path, read: Sequence[tuple[Path, _Identity]], rows: pa.Table, counts: dict[str, int]) -> None:
    """Write a compact file, then remove what it was made of, unless it was written again meanwhile."""
    target = folder / compact_name(counts)
    write_table(target, rows, parts=counts)
    for path, identity in read:
        if path != target and _identity(path) == identity:
            path.unlink(missing_ok=True)


def _windows(path: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield the windows a file holds, with their rows."""
    try:
        rows = pq.read_table(path, partitioning=None)
        for window, place in parts_of(path).items():
            yield window, rows.slice(*place)
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{path} cannot be read: {error}") from error


def _files(folder: Path) -> list[tuple[Path, _Identity]]:
    """Return the files of a folder, those of single windows first, then compact ones, the newest first."""
    there = ((path, _identity(path)) for path in folder.glob("*.parquet") if not path.name.startswith("."))
    found = [(path, identity) for path, identity in there if identity is not None]
    return sorted(found, key=lambda file: (is_compact(file[0]), -file[1].written_ns, file[0]))


def _sizes(folder: Path) -> list[int]:
    found = (_identity(path) for path in folder.iterdir() if not path.name.startswith("."))
    return [identity.size for identity in found if identity is not None]


def _identity(path: Path) -> _Identity | None:
    """Return the identity of a file; None if it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return _Identity(found.st_ino, found.st_mtime_ns, found.st_size)
