"""The lake: Parquet tables that outlive the graph.

``detections/survey=<s>/night=<n>/<window>.parquet``, ``dead_letters/<window>.parquet``, side tables
``<table>/<window>.parquet`` (region and catalogue matches) and ``ledger/<query>/<batch>.json``. Compaction puts files
together (`asterism.compaction`): ``compact~<hash>.parquet`` says which rows each window gave.

Invariants:

- A file's name is a function of what was delivered (`window_name`), and files appear by rename: writing a batch
  again, after a kill or on purpose, replaces files by equal ones.
- Windows may still overlap (a lost checkpoint, the same file in two folders). Every row carries its delivery position
  (topic, partition, offset); readers count a position once.
- A *duplicate* is the same alert key at another position. It is kept here and counted, and is one node in the graph.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from asterism.errors import LakeError
from asterism.formats import ensure_format
from asterism.ledger import finished_batches, write_batch
from asterism.records import DEAD_LETTER, DETECTION

POSITION_COLUMNS = ["topic", "partition", "offset"]
_PARTITIONING = ds.partitioning(pa.schema([("survey", pa.string()), ("night", pa.int32())]), flavor="hive")
_SAFE_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_COMPACT = "compact~"
_PARTS = b"asterism.windows"
_TRIES = 5
_Read = TypeVar("_Read")


class Lake:
    """Reads and writes the tables below one folder.

    Parameters
    ----------
    root : Path
        Folder of the lake; made and stamped with the format version if new.

    Raises
    ------
    FormatError
        If another format version wrote it.
    """

    def __init__(self, root: Path) -> None:
        ensure_format(root, "lake")
        self.root = root
        self._known_parts: dict[Path, dict[str, tuple[int, int]]] = {}

    def write_detections(self, rows: pa.Table, window: str | None = None) -> list[Path]:
        """Write detections (schema `DETECTION`), one file per survey and night; return the files.

        The files are named by `window`, by `window_name` if it is not given.
        """
        files = []
        window = window_name(rows) if window is None else _checked(window)
        keys = rows.select(["survey", "night"]).group_by(["survey", "night"]).aggregate([]).to_pylist()
        for key in sorted(keys, key=lambda k: (k["survey"], k["night"])):
            chosen = rows.filter((pc.field("survey") == key["survey"]) & (pc.field("night") == key["night"]))
            folder = self.root / "detections" / f"survey={key['survey']}" / f"night={key['night']}"
            files.append(write_table(folder / f"{window}.parquet", chosen.drop_columns(["survey", "night"])))
        return files

    def write_dead_letters(self, rows: pa.Table) -> Path:
        """Write refused packets (schema `DEAD_LETTER`) with their bytes; return the file."""
        return write_table(self.root / "dead_letters" / f"{window_name(rows)}.parquet", rows)

    def write_ledger(self, query: str, batch: str, entry: dict[str, Any]) -> None:
        """Record one finished batch; the same batch again replaces its entry."""
        if not _SAFE_NAME.fullmatch(query) or not _SAFE_NAME.fullmatch(batch):
            raise LakeError(f"ledger name {query!r}/{batch!r} is not plain text")
        write_batch(self.ledger_root / query, batch, entry)

    @property
    def ledger_root(self) -> Path:
        """Folder of the ledger (`asterism.ledger`)."""
        return self.root / "ledger"

    def ledger(self) -> Iterator[dict[str, Any]]:
        """Yield what each finished batch wrote of itself."""
        return (batch.entry for batch in finished_batches(self.ledger_root))

    def write_side_table(self, table: str, window: str, rows: pa.Table) -> None:
        """Write what was derived from one delivery window, such as its region matches; replaces an earlier file."""
        write_table(self.root / table / f"{_checked(window)}.parquet", rows)

    def side_table(self, table: str, window: str, columns: Sequence[str]) -> pa.Table | None:
        """Return what was derived from a window; None if nothing was."""
        folder, name = self.root / table, _checked(window)

        def found() -> pa.Table | None:
            place = self._place(folder, name)
            if place is None:
                return None
            return pq.read_table(place[0], columns=list(columns), partitioning=None).slice(*place[1:])

        return _again_if_compacted(found)

    def side_tables(self) -> list[str]:
        """Return the names of the tables that are neither detections nor dead letters, sorted."""
        return [folder.name for folder in self.side_folders() if folder.parent == self.root]

    def side_folders(self) -> list[Path]:
        """Return the folders of side tables, those within another table's folder included, sorted."""
        paths = (path for pattern in ("*/*.parquet", "*/*/*.parquet") for path in self.root.glob(pattern))
        found = {path.parent for path in paths if not path.name.startswith(".")}
        return sorted(found - {self.root / "dead_letters"})

    def side_entries(self, table: str, prefix: str, schema: pa.Schema) -> list[pa.Table]:
        """Return what each window gave whose name begins with `prefix`, ordered by name."""
        folder = self.root / table
        found = _again_if_compacted(lambda: self._side_entries(folder, prefix, schema))
        return [found[name] for name in sorted(found)]

    def _side_entries(self, folder: Path, prefix: str, schema: pa.Schema) -> dict[str, pa.Table]:
        own = [path for path in folder.glob(f"{prefix}*.parquet") if not is_compact(path)]
        found = {path.stem: _read_side(path, schema) for path in own}
        for path in _compact_files(folder):
            parts = self._parts(path)
            if any(name.startswith(prefix) for name in parts):
                rows = _read_side(path, schema)
                for name, place in parts.items():
                    if name.startswith(prefix):
                        found.setdefault(name, rows.slice(*place))
        return found

    def side_rows(self, table: str, schema: pa.Schema | None = None, where: ds.Expression | None = None) -> pa.Table:
        """Return a side table of all windows; with the schema of its files if none is given.

        A row may come twice, as those do that two windows gave.
        """
        folder = self.root / table
        if schema is not None and not folder.is_dir():
            return schema.empty_table()
        return _again_if_compacted(lambda: ds.dataset(folder, schema=schema, format="parquet").to_table(filter=where))

    def detections(self, columns: Sequence[str] | None = None, where: ds.Expression | None = None) -> pa.Table:
        """Return detections, each delivery position once.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns of `DETECTION` to return; all if not given.
        where : pyarrow.dataset.Expression, optional
            Row filter, pushed down to survey and night.
        """
        return self._read("detections", DETECTION, columns, where)

    def newest_night(self) -> int | None:
        """Return the newest night (YYYYMMDD) of any survey that has detections."""
        return max((night for _, night in self.nights()), default=None)

    def nights(self) -> list[tuple[str, int]]:
        """Return the surveys and nights (YYYYMMDD) that have detections, sorted."""
        folders = (self.root / "detections").glob("survey=*/night=*")
        return sorted((f.parent.name.partition("=")[2], int(f.name.partition("=")[2])) for f in folders)

    def by_night(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the detections of one survey and night after the other; all columns if none are given."""
        for survey, night in self.nights():
            yield self.detections(columns, (ds.field("survey") == survey) & (ds.field("night") == night))

    def detection_windows(self, prefix: str = "") -> list[str]:
        """Return the names of the windows that gave detections, sorted; those that begin with `prefix`."""
        found = (self.root / "detections").glob("survey=*/night=*/[!.]*.parquet")
        windows = {window for path in found for window in (self._parts(path) if is_compact(path) else (path.stem,))}
        return sorted(window for window in windows if window.startswith(prefix))

    def detections_of(self, window: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the detections of one window; some columns of `DETECTION`, all if not given.

        After compaction, a delivery that several windows hold is that of the first of them by name.
        """
        wanted = list(DETECTION.names if columns is None else columns)
        name = _checked(window)
        return _again_if_compacted(lambda: self._detections_of(name, wanted))

    def _detections_of(self, window: str, wanted: list[str]) -> pa.Table:
        found = [DETECTION.empty_table().select(wanted)]
        for folder in sorted((self.root / "detections").glob("survey=*/night=*")):
            place = self._place(folder, window)
            if place is not None:
                found.append(self._rows([place[0]], DETECTION, wanted, None).slice(*place[1:]))
        return pa.concat_tables(found)

    def _place(self, folder: Path, window: str) -> tuple[Path, int, int | None] | None:
        """Return the file of a folder that holds a window, its first row there and how many; None if none does."""
        own = folder / f"{window}.parquet"
        if own.is_file():
            return own, 0, None
        for path in _compact_files(folder):
            parts = self._parts(path)
            if window in parts:
                return path, *parts[window]
        return None

    def _parts(self, path: Path) -> dict[str, tuple[int, int]]:
        """Return which rows of a compact file each window gave; it is named by that, so that it never changes."""
        if path not in self._known_parts:
            self._known_parts[path] = parts_of(path)
        return self._known_parts[path]

    def dead_letters(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return packets that are still refused, each delivery position once.

        A position that has a detection too was read after all: replayed, or ingested again after a mend.
        """
        wanted = list(DEAD_LETTER.names if columns is None else columns)
        rows = self._read("dead_letters", DEAD_LETTER, list(dict.fromkeys([*wanted, *POSITION_COLUMNS])), None)
        same_offset = ds.field("offset").isin(pc.unique(rows["offset"]))
        read_since = set(_positions(self.detections(POSITION_COLUMNS, same_offset))) if rows.num_rows else set()
        if read_since:
            rows = rows.filter(pa.array([position not in read_since for position in _positions(rows)]))
        return rows.select(wanted)

    def _read(
        self, table: str, schema: pa.Schema, columns: Sequence[str] | None, where: ds.Expression | None
    ) -> pa.Table:
        wanted = list(schema.names if columns is None else columns)
        folder = self.root / table
        if not folder.is_dir():
            return schema.empty_table().select(wanted)
        needed = list(dict.fromkeys([*wanted, *POSITION_COLUMNS]))
        rows = _again_if_compacted(lambda: self._rows(folder, schema, needed, where))
        return each_position_once(rows).select(wanted)

    def _rows(
        self, source: Path | list[Path], schema: pa.Schema, columns: list[str], where: ds.Expression | None
    ) -> pa.Table:
        """Read a folder, or files of detections."""
        detections = schema is DETECTION
        partitioning = _PARTITIONING if detections else None
        base = str(self.root / "detections") if detections else None
        paths = list(map(str, source)) if isinstance(source, list) else str(source)
        try:
            files = ds.dataset(
                paths, schema=schema, format="parquet", partitioning=partitioning, partition_base_dir=base
            )
            return files.to_table(columns=columns, filter=where)
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise LakeError(f"{source} cannot be read: {error}") from error


def _again_if_compacted(read: Callable[[], _Read]) -> _Read:
    """Read again if a file went away meanwhile: compaction has put its rows into another by then."""
    for _ in range(_TRIES):
        try:
            return read()
        except FileNotFoundError as error:
            missing = error
    raise LakeError(f"the lake changes faster than it can be read: {missing}") from missing


def _compact_files(folder: Path) -> list[Path]:
    """Return the compact files of a folder, the newest first."""
    return sorted(folder.glob(f"{_COMPACT}*.parquet"), key=lambda path: (-path.stat().st_mtime_ns, path))


def _read_side(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path, schema=schema, partitioning=None)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{path} cannot be read: {error}") from error


def parts_of(path: Path) -> dict[str, tuple[int, int]]:
    """Return the windows whose rows a file holds, in the order of its rows: the first row of each and how many."""
    footer = pq.read_metadata(path)
    listed = (footer.metadata or {}).get(_PARTS)
    counts: dict[str, int] = {path.stem: footer.num_rows} if listed is None else dict(json.loads(listed))
    starts = accumulate(counts.values(), initial=0)
    return {window: (start, count) for (window, count), start in zip(counts.items(), starts, strict=False)}


def is_compact(path: Path) -> bool:
    """Tell whether a file was made by compaction."""
    return path.name.startswith(_COMPACT)


def compact_name(parts: Mapping[str, int]) -> str:
    """Return the file name of detections of these windows; no window has such a name."""
    return f"{_COMPACT}{hashlib.sha256(json.dumps(sorted(parts.items())).encode()).hexdigest()[:24]}.parquet"


def window_name(rows: pa.Table) -> str:
    """Return the file name of a set of deliveries: ``topic-partition-start-end``, end exclusive.

    Deliveries from several topics or partitions, as a batch of small files is, get ``mixed-<hash of their
    positions>``.
    """
    places = rows.select(["topic", "partition"]).group_by(["topic", "partition"]).aggregate([])
    if places.num_rows == 1:
        place, bounds = places.to_pylist()[0], pc.min_max(rows["offset"]).as_py()
        return range_name(place["topic"], place["partition"], bounds["min"], bounds["max"] + 1)
    positions = sorted(_positions(rows))
    return f"mixed-{hashlib.sha256(json.dumps(positions).encode()).hexdigest()[:24]}"


def range_name(topic: str, partition: int, start: int, end: int) -> str:
    """Return the window name of one offset range, `end` exclusive."""
    return _checked(f"{topic}-{partition}-{start}-{end}")


def _checked(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name) or name.startswith("."):
        raise LakeError(f"{name!r:.200} is not a safe file name")
    return name


def _positions(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows[column].to_pylist() for column in POSITION_COLUMNS), strict=True)


def each_position_once(rows: pa.Table) -> pa.Table:
    """Return the first row of each delivery position, in the order given."""
    distinct = rows.group_by(POSITION_COLUMNS).aggregate([([], "count_all")]).num_rows
    if distinct == rows.num_rows:
        return rows
    index = pa.array(range(rows.num_rows), pa.int64())
    first = (
        rows.select(POSITION_COLUMNS).append_column("row", index).group_by(POSITION_COLUMNS).aggregate([("row", "min")])
    )
    return rows.take(first["row_min"].combine_chunks().sort())


def write_table(path: Path, rows: pa.Table, parts: Mapping[str, int] | None = None) -> Path:
    """Write a Parquet file that appears whole; of several windows if `parts` says which (`parts_of`).

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    if parts is not None:
        rows = rows.replace_schema_metadata({**(rows.schema.metadata or {}), _PARTS: json.dumps(list(parts.items()))})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            pq.write_table(rows, stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise LakeError(f"{path} cannot be written: {error}", hint="check free space and permissions") from error
    return path
