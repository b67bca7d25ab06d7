"""The surface rate of unrelated objects, measured where no event is: off-source in the same nights, with the same cuts.

v1 is flat: one number for an event. Objects are those of the lake first seen in the event's nights but outside its
region; the area is that of the HEALPix cells in which the surveys delivered anything in those nights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import RuleSet
from asterism.graph.association.sample import ALERTS, ObjectSample, objects_of
from asterism.lake import Lake
from asterism.sky.healpix import contains, pixel_area_deg2

CATALOGUE_MATCHES = "catalogue_matches"
"""The lake's side table of catalogue matches (`asterism.records.CATALOGUE_MATCH`)."""

MATCHED = pa.schema([("objectKey", pa.string()), ("class", pa.string())])
"""Its columns that matter here."""

AREA_ORDER = 6
"""Cells of 0.84 deg2 decide what was observed; finer than a camera's field, coarser than the spacing of alerts."""


@dataclass(frozen=True, eq=False)
class Background:
    """What is expected by chance.

    Attributes
    ----------
    rate : float
        New unrelated objects [deg^-2 d^-1].
    measured : bool
        False for the rule set's fallback.
    objects : int
        Objects it was measured from.
    area, days : float
        Area [deg2] and time [d] they were found in.
    fade, fade_err : ndarray
        Fade rates [mag/d] of those objects, NaN where unknown; from these the chance counts are drawn.
    """

    rate: float
    measured: bool
    objects: int
    area: float
    days: float
    fade: NDArray[np.float64]
    fade_err: NDArray[np.float64]


def lake_objects(lake: Lake, rules: RuleSet) -> ObjectSample:
    """Return all public objects of the lake's alerts that pass the cuts and match no excluded catalogue class."""
    columns = [name for name in ALERTS.names if name != "objectKey"]
    rows = lake.detections(["objectKey", *columns, "public"])
    rows = rows.filter(pc.and_(pc.is_valid(rows["objectKey"]), rows["public"])).select(ALERTS.names).cast(ALERTS)
    matches = lake.side_rows(CATALOGUE_MATCHES, MATCHED)
    excluded = matches.filter(pc.is_in(matches["class"], pa.array(rules.cuts.catalogue_classes)))["objectKey"]
    rows = rows.filter(pc.invert(pc.is_in(rows["objectKey"], excluded.combine_chunks())))
    sample = objects_of(rows, rules.cuts)
    return sample.select(sample.passes)


def measure_background(
    objects: ObjectSample, observed: NDArray[np.int64], region: EventRegion, rules: RuleSet
) -> Background:
    """Measure the rate for one event.

    Parameters
    ----------
    objects : ObjectSample
        All objects that pass the cuts (`lake_objects`).
    observed : ndarray of int64
        Cells of order `AREA_ORDER` in which anything was delivered.
    region : EventRegion
        The event's region and window; both are left out.
    rules : RuleSet
        Fallback and minimum.
    """
    shift = 2 * (29 - AREA_ORDER)
    centre = (observed << shift) + (1 << (shift - 1))
    area = float(np.sum(~contains(region.lo, region.hi, centre)) * pixel_area_deg2(AREA_ORDER))
    first_seen = objects.first[np.isfinite(objects.first)]
    start = max(region.start, region.t0 - rules.background.off_source_days)
    end = min(region.end, float(objects.last.max(initial=region.t0)))
    inside = (objects.first >= start) & (objects.first <= end)
    chosen = objects.select(inside & ~contains(region.lo, region.hi, objects.hpx29))
    days = end - start
    if len(chosen) < rules.background.min_objects or area <= 0 or days <= 0 or first_seen.size == 0:
        nothing = np.empty(0)
        return Background(rules.background.fallback, False, len(chosen), area, max(days, 0.0), nothing, nothing)
    return Background(len(chosen) / (area * days), True, len(chosen), area, days, chosen.fade, chosen.fade_err)


def observed_cells(lake: Lake) -> NDArray[np.int64]:
    """Return the cells of order `AREA_ORDER` in which any alert of the lake lies."""
    cells = lake.detections(["hpx29"])["hpx29"].to_numpy() >> (2 * (29 - AREA_ORDER))
    return np.unique(cells).astype(np.int64)
