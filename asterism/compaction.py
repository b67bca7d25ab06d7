"""Fewer files in the lake: the windows of a survey's night become one file.

A batch a second leaves tens of thousands of small files a night. The compact file holds every delivery once, ordered by
window, and says in its metadata which rows each window gave, so that `asterism.lake.Lake.detections_of` still finds
them. It appears by rename before what it replaces goes, and what goes is what was read: killed anywhere, nothing is
lost, readers meet a delivery twice at most and count it once, and the next compaction ends in the same file. Files that
batches write meanwhile stay for the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from asterism.errors import LakeError
from asterism.lake import Lake, compact_name, each_position_once, parts_of, write_table


@dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Attributes
    ----------
    nights : int
        Nights of a survey that were looked at.
    files_before, files_after : int
        Files of detections.
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


def compact(lake: Lake) -> Compacted:
    """Put the detections of every survey and night into one file each; also beside a running application.

    Raises
    ------
    LakeError
        If a file cannot be read or written; compacting again goes on.
    """
    nights = sorted((lake.root / "detections").glob("survey=*/night=*"))
    before = [_sizes(folder) for folder in nights]
    for folder in nights:
        _compact(folder)
    after = [_sizes(folder) for folder in nights]
    return Compacted(
        len(nights), sum(map(len, before)), sum(map(len, after)), sum(map(sum, before)), sum(map(sum, after))
    )


def _compact(folder: Path) -> None:
    """Put the files of one folder into one."""
    files = _files(folder)
    if len(files) < 2:
        return
    read = [(path, _identity(path)) for path in files]
    windows: dict[str, list[pa.Table]] = {}
    for path in files:  # a window's own file, written again since, comes before what an earlier compaction kept of it
        for window, rows in _windows(path):
            windows.setdefault(window, []).append(rows)
    names = sorted(windows)
    rows = pa.concat_tables(
        part.append_column("window", pa.array([at] * part.num_rows, pa.int32()))
        for at, name in enumerate(names)
        for part in windows[name]
    )
    rows = each_position_once(rows)
    counts = dict.fromkeys(names, 0)
    for entry in rows.group_by("window").aggregate([([], "count_all")]).to_pylist():
        counts[names[entry["window"]]] = entry["count_all"]
    target = folder / compact_name(counts)
    write_table(target, rows.drop_columns(["window"]), parts=counts)
    for path, identity in read:
        if path != target and _identity(path) == identity:
            path.unlink(missing_ok=True)


def _windows(path: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield the windows a file holds, with their rows."""
    try:
        rows = pq.read_table(path, partitioning=None)
        start = 0
        for window, count in parts_of(path).items():
            yield window, rows.slice(start, count)
            start += count
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{path} cannot be read: {error}") from error


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder, those of single windows first."""
    found = [path for path in folder.glob("*.parquet") if not path.name.startswith(".")]
    return sorted(found, key=lambda path: (path.stem not in parts_of(path), path.name))


def _sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.glob("*.parquet") if not path.name.startswith(".")]


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from one written under its name since."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
