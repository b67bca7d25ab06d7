"""The region set: where on the sky, and when, alerts matter to an event; versioned and immutable.

The set of a version is one file in the lake, ``regions/<version>.parquet``; versions only grow. A micro-batch uses one
version throughout and says which (`asterism.batches`). Alerts are tested in memory: one binary search among the borders
of all regions, whatever their number. What is seen after an event's window matters no more, so that old events cost
nothing; what was seen before it does, however late it comes: it tells that the object is none of the event's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from asterism.errors import LakeError
from asterism.lake import Lake

Ints = NDArray[np.int64]

REGION_MATCHES = "region_matches"
"""The lake's side table of alerts that lie in an event's region, seen before its window ended (`MATCHES`)."""

MATCHES = pa.schema(
    [
        ("eventKey", pa.string()),
        ("localizationKey", pa.string()),
        ("regionVersion", pa.int64()),
        ("alertKey", pa.string()),
        ("objectKey", pa.string()),
        ("mjdTai", pa.float64()),
    ]
)
"""One row per alert and region."""

_SCHEMA = pa.schema(
    [
        ("eventKey", pa.string()),
        ("localizationKey", pa.string()),
        ("kind", pa.string()),
        ("t0MjdTai", pa.float64()),
        ("fromMjdTai", pa.float64()),
        ("toMjdTai", pa.float64()),
        ("lo", pa.list_(pa.int64())),
        ("hi", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True, eq=False)
class EventRegion:
    """Sky ranges and time window of one event's current localization.

    Attributes
    ----------
    event_key, localization_key : str
        What it belongs to.
    kind : str
        Kind of the event: gw, grb, neutrino.
    t0 : float
        Time of the event, MJD TAI.
    start, end : float
        Window of first detection, MJD TAI.
    lo, hi : ndarray of int64
        Disjoint ascending order-29 ranges, half-open.
    """

    event_key: str
    localization_key: str
    kind: str
    t0: float
    start: float
    end: float
    lo: Ints
    hi: Ints

    @property
    def identity(self) -> tuple[str, str, float, float, float]:
        """What tells two regions apart: a localization never changes."""
        return self.event_key, self.localization_key, self.t0, self.start, self.end


@dataclass(frozen=True, eq=False)
class RegionSet:
    """The regions of one version.

    Attributes
    ----------
    version : int
        Grows with every change; 0 is the empty set before the first event.
    regions : tuple of EventRegion
        Sorted by event key.
    """

    version: int
    regions: tuple[EventRegion, ...]

    @cached_property
    def _cells(self) -> tuple[Ints, Ints, Ints]:
        """Borders of the elementary intervals, and in CSR form the regions that cover each."""
        borders = np.unique(np.concatenate([np.concatenate([r.lo, r.hi]) for r in self.regions]))
        cells = [np.concatenate([np.arange(a, b) for a, b in _spans(borders, r)]) for r in self.regions]
        cell = np.concatenate(cells)
        region = np.repeat(np.arange(len(self.regions)), [c.size for c in cells])
        order = np.argsort(cell, kind="stable")
        return borders, np.searchsorted(cell[order], np.arange(borders.size + 1)), region[order]

    def matches(self, hpx29: Ints, mjd_tai: NDArray[np.float64]) -> tuple[Ints, Ints]:
        """Return which alerts lie in which regions and were seen before their windows ended.

        Parameters
        ----------
        hpx29 : ndarray of int64
            Sky index of each alert.
        mjd_tai : ndarray
            Time of each alert, MJD TAI.

        Returns
        -------
        alert, region : ndarray of int64
            Index pairs, sorted by alert.
        """
        if not self.regions or hpx29.size == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        borders, first, region = self._cells
        cell = np.searchsorted(borders, hpx29, side="right") - 1
        count = np.where(cell < 0, 0, first[cell + 1] - first[cell])
        alert = np.repeat(np.arange(hpx29.size), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        found = region[np.repeat(first[cell], count) + within]
        seen = mjd_tai[alert] <= np.array([r.end for r in self.regions])[found]
        return alert[seen], found[seen]


def inside(sorted_cells: Ints, lo: Ints, hi: Ints) -> Ints:
    """Return the places of cells that lie in ranges; the cells are sorted, and two searches a range find them all.

    Parameters
    ----------
    sorted_cells : ndarray of int64
        Order-29 cells, ascending.
    lo, hi : ndarray of int64
        Disjoint ascending ranges, half-open.
    """
    start, end = np.searchsorted(sorted_cells, lo), np.searchsorted(sorted_cells, hi)
    count = end - start
    return np.asarray(np.arange(count.sum()) + np.repeat(start - np.cumsum(count) + count, count), dtype=np.int64)


def match_table(regions: RegionSet, alerts: pa.Table) -> pa.Table:
    """Return which of some detections (schema `asterism.records.DETECTION`) lie in which regions (schema `MATCHES`)."""
    alert, region = regions.matches(alerts["hpx29"].to_numpy(), alerts["mjdTai"].to_numpy())
    chosen = alerts.select(["alertKey", "objectKey", "mjdTai"]).take(pa.array(alert))
    columns = [
        pa.array([regions.regions[i].event_key for i in region], pa.string()),
        pa.array([regions.regions[i].localization_key for i in region], pa.string()),
        pa.array(np.full(region.size, regions.version), pa.int64()),
        *(column.combine_chunks() for column in chosen.columns),
    ]
    return pa.table(columns, schema=MATCHES)


def _spans(borders: Ints, region: EventRegion) -> list[tuple[int, int]]:
    return list(zip(np.searchsorted(borders, region.lo), np.searchsorted(borders, region.hi), strict=True))


def latest_version(lake: Lake) -> int:
    """Return the newest version of the region set; 0 before the first."""
    return max((int(path.stem) for path in (lake.root / "regions").glob("[0-9]*.parquet")), default=0)


def load_regions(lake: Lake, version: int) -> RegionSet:
    """Return the region set of a version.

    Raises
    ------
    LakeError
        If the file is missing or damaged.
    """
    return RegionSet(0, ()) if version == 0 else _read(lake.root / "regions" / f"{version:09d}.parquet", version)


@lru_cache(maxsize=2)
def _read(path: Path, version: int) -> RegionSet:
    """Read a version's file, which never changes; workers test batch after batch against the newest."""
    try:
        rows = pq.read_table(path, schema=_SCHEMA).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"{path} cannot be read: {error}") from error
    regions = [
        EventRegion(
            row["eventKey"],
            row["localizationKey"],
            row["kind"],
            row["t0MjdTai"],
            row["fromMjdTai"],
            row["toMjdTai"],
            np.array(row["lo"], dtype=np.int64),
            np.array(row["hi"], dtype=np.int64),
        )
        for row in rows
    ]
    return RegionSet(version, tuple(regions))


def publish_regions(lake: Lake, regions: Sequence[EventRegion]) -> RegionSet:
    """Make `regions` the newest version, unless they are what the newest says already.

    Two writers cannot take the same version: the file is linked into place, which fails if the name exists.
    """
    ordered = tuple(sorted((r for r in regions if r.lo.size), key=lambda r: r.identity))
    folder = lake.root / "regions"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        newest = load_regions(lake, latest_version(lake))
        if [r.identity for r in newest.regions] == [r.identity for r in ordered]:
            return newest
        version = newest.version + 1
        try:
            _write_new(folder / f"{version:09d}.parquet", _table(ordered))
        except FileExistsError:
            continue
        return RegionSet(version, ordered)


def _table(regions: tuple[EventRegion, ...]) -> pa.Table:
    rows = [
        (r.event_key, r.localization_key, r.kind, r.t0, r.start, r.end, r.lo.tolist(), r.hi.tolist()) for r in regions
    ]
    return pa.Table.from_pylist([dict(zip(_SCHEMA.names, row, strict=True)) for row in rows], schema=_SCHEMA)


def _write_new(path: Path, table: pa.Table) -> None:
    """Write a file that must not exist yet: whole under another name first, then linked, which fails if it exists."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}.tmp")
    try:
        with temporary.open("wb") as stream:
            pq.write_table(table, stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
