"""What association takes from the lake: objects to compare with, cells observed, exposures, hosts; kept up to date.

The lake is read once, then only the windows of batches that finished. Memory and time stay bounded: of the objects to
compare with only those in a random choice of HEALPix cells are kept, every second cell, every fourth, ... so that at
most `MOST_ALERTS` alerts are; cells observed are counted among the same. Which cells are kept depends on what the lake
holds, not on the order in which it came.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from asterism.graph.association.exposures import COLUMNS, Exposures
from asterism.graph.association.hosts import CATALOGUE_MATCHES, Hosts
from asterism.graph.association.observed import AREA_ORDER, Observed
from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import RuleSet
from asterism.graph.association.sample import ALERTS, ObjectSample, objects_of, with_classes, with_hosts
from asterism.lake import Lake
from asterism.sky.healpix import contains
from asterism.times import night_of

MOST_ALERTS = 10_000
"""Most alerts of objects to compare with: some 5,000 objects tell a rate to 1.5 %."""
HOT_DAYS = 25.0
"""Alerts older than this [d before the newest] may have left the graph, which keeps some 30 nights."""

_READ = list(dict.fromkeys(["alertKey", "survey", *ALERTS.names, *COLUMNS, "public"]))
_MATCHED = pa.schema(
    [
        *((name, pa.string()) for name in ("alertKey", "objectKey", "class")),
        *((name, pa.float64()) for name in ("distanceMpc", "separationArcsec")),
    ]
)
_CELL_SHIFT = 2 * (29 - AREA_ORDER)
_MIX = np.uint64(0x9E3779B97F4A7C15)

Ints = NDArray[np.int64]


class LakeSky:
    """The lake as association needs it.

    Parameters
    ----------
    lake : Lake
        The lake.
    rules : RuleSet
        Cuts of the objects to compare with.
    most_alerts : int
        Most alerts kept of them.
    """

    def __init__(self, lake: Lake, rules: RuleSet, most_alerts: int = MOST_ALERTS) -> None:
        self._lake = lake
        self._rules = rules
        self._most = most_alerts
        self._halvings = 0
        self._read = False
        self._rows = _schema().empty_table()
        self._matches = _MATCHED.empty_table()
        self._observed: Observed | None = None
        self._objects: ObjectSample | None = None
        self.version = 0
        """Grows whenever what the lake says changed."""
        self.exposures = Exposures.none()
        """Where and when the surveys looked."""
        self._hosts = Hosts()
        self.newest = -np.inf
        """Time of the newest alert, MJD TAI."""

    def update(self, windows: Iterable[str]) -> None:
        """Take in the windows of batches that finished; at first the whole lake, whatever the windows."""
        new = list(windows)
        if not self._read:
            for rows in self._lake.by_night(_READ):
                self._add(rows)
            self._add_matches(self._lake.side_rows(CATALOGUE_MATCHES, _MATCHED, ds.field("class").is_valid()))
            self._read = True
        elif new:
            # All windows at once: sorting in takes as long for many as for one, and longer the more the lake holds.
            self._add(pa.concat_tables(self._lake.detections_of(window, _READ) for window in new))
            tables = (self._lake.side_table(CATALOGUE_MATCHES, window, _MATCHED.names) for window in new)
            matches = [table.filter(ds.field("class").is_valid()) for table in tables if table is not None]
            if matches:
                self._add_matches(pa.concat_tables(matches))
        else:
            return
        self._objects = self._observed = None
        self.version += 1

    @property
    def alerts(self) -> int:
        """About how many public alerts the lake holds."""
        return int(self._rows.num_rows) << self._halvings

    @property
    def hosts(self) -> dict[str, float]:
        """Distances of hosts [Mpc], by object."""
        return self._hosts.mpc

    @property
    def objects(self) -> ObjectSample:
        """Public objects in the kept cells that pass the cuts and match no excluded catalogue class."""
        if self._objects is None:
            matches = self._matches
            classes = pa.array(self._rules.cuts.catalogue_classes, pa.string())
            excluded = matches.filter(pc.is_in(matches["class"], classes))["objectKey"].combine_chunks()
            rows = self._rows.filter(pc.invert(pc.is_in(self._rows["objectKey"], excluded)))
            found = objects_of(rows.select(ALERTS.names).cast(ALERTS), self._rules.cuts)
            named = {one.name for kind in self._rules.kinds.values() for one in kind.catalogued}
            known = matches.filter(pc.is_in(matches["class"], pa.array(sorted(named), pa.string())))
            class_of = dict(zip(known["objectKey"].to_pylist(), known["class"].to_pylist(), strict=True))
            self._objects = with_classes(with_hosts(found.select(found.passes), self.hosts), class_of)
        return self._objects

    @property
    def observed(self) -> Observed:
        """What the surveys looked at."""
        if self._observed is None:
            self._observed = self.exposures.observed
        return self._observed

    @property
    def near_objects(self) -> Observed:
        """What the surveys looked at in the kept cells: the area that `objects` are from."""
        return self.observed.select(_kept(self.observed.cell, self._halvings))

    def old_alerts(self, region: EventRegion, *, show_nonpublic: bool) -> pa.Table:
        """Return alerts (schema `ALERTS`) in a region until its window's end that may have left the graph."""
        until = min(self.newest - HOT_DAYS, region.end)
        if not region.start < until or not region.lo.size:
            return ALERTS.empty_table()
        first, last = (int(night) for night in night_of(np.array([region.start - 1.5, until + 1.5]), 0.0))
        box = (ds.field("hpx29") >= int(region.lo[0])) & (ds.field("hpx29") < int(region.hi[-1]))
        seen = (ds.field("night") >= first) & (ds.field("night") <= last) & (ds.field("mjdTai") <= until)
        rows = self._lake.detections(_READ, box & seen)
        inside = contains(region.lo, region.hi, rows["hpx29"].to_numpy())
        visible = pc.is_valid(rows["objectKey"]) if show_nonpublic else pc.and_(_named(rows), rows["public"])
        return (
            _once(rows.filter(pa.array(inside)).filter(visible.filter(pa.array(inside))))
            .select(ALERTS.names)
            .cast(ALERTS)
        )

    def _add(self, rows: pa.Table) -> None:
        if rows.num_rows == 0:
            return
        self.newest = max(self.newest, float(pc.max(rows["mjdTai"]).as_py()))
        self.exposures = self.exposures + Exposures.of(rows)
        cells = rows["hpx29"].to_numpy() >> _CELL_SHIFT
        wanted = pc.and_(pa.array(_kept(cells, self._halvings)), pc.and_(_named(rows), rows["public"]))
        self._rows = _once(pa.concat_tables([self._rows, rows.filter(wanted).cast(_schema())]))
        while self._rows.num_rows > self._most:
            self._halvings += 1
            cells = self._rows["hpx29"].to_numpy() >> _CELL_SHIFT
            self._rows = self._rows.filter(pa.array(_kept(cells, self._halvings)))

    def _add_matches(self, matches: pa.Table) -> None:
        self._hosts.add(matches)
        known = pa.concat_tables([self._matches, matches.cast(_MATCHED)])
        self._matches = known.filter(pc.is_in(known["alertKey"], self._rows["alertKey"].combine_chunks()))


def _schema() -> pa.Schema:
    kinds = {"alertKey": pa.string(), "survey": pa.string(), "limitMag": pa.float64(), "public": pa.bool_()}
    return pa.schema([(name, kinds[name] if name in kinds else ALERTS.field(name).type) for name in _READ])


def _named(rows: pa.Table) -> pa.Array:
    return pc.is_valid(rows["objectKey"])


def _once(rows: pa.Table) -> pa.Table:
    """Return each alert once: windows may overlap, and alerts are delivered twice."""
    codes = rows["alertKey"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first = np.unique(codes, return_index=True)[1]
    return rows if first.size == rows.num_rows else rows.take(pa.array(np.sort(first)))


def _kept(cells: Ints, halvings: int) -> NDArray[np.bool_]:
    """Tell which cells are among one in 2^halvings, chosen by a hash that neighbours do not share."""
    mixed = cells.astype(np.uint64) * _MIX
    return np.asarray((mixed >> np.uint64(32)) & np.uint64((1 << halvings) - 1) == 0, dtype=np.bool_)
