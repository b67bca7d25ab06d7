"""The surface rate of unrelated objects, measured where no event is: off-source in the same nights, with the same cuts.

Flat on the sky: one mean rate for an event, from the objects of the lake first seen in the event's window but outside
its region, and the area of the HEALPix cells in which the surveys delivered anything. Not flat in time: of what began
long ago only the slow is still seen, so a kernel density of the first detections says how the rate varies around its
mean. (A source that two surveys see is two objects here: the rate is an upper bound, the same for all candidates.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import RuleSet
from asterism.graph.association.sample import ALERTS, ObjectSample, objects_of
from asterism.lake import Lake
from asterism.sky.healpix import contains, pixel_area_deg2

CATALOGUE_MATCHES = "catalogue_matches"
"""The lake's side table of catalogue matches (`asterism.records.CATALOGUE_MATCH`)."""

MATCHED = pa.schema([("objectKey", pa.string()), ("class", pa.string())])
"""Its columns that matter here."""

Floats = NDArray[np.float64]

KERNEL_DAYS, KERNEL_SHARE = 1.0, 0.25
"""Width of the kernels in time: at least [d], and relative to the delay (judgement: nights; rates of old things)."""
UNSEEN_SHARE = 0.05
"""Share of a flat rate in the measured one."""
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
    off_source : ObjectSample
        Those objects; from them the chance counts are drawn. None if the fallback is used.
    delay : ndarray
        Their first detections [d after t0].
    span : tuple of float
        Time they were looked for in [d after t0].
    """

    rate: float
    measured: bool
    objects: int
    area: float
    days: float
    off_source: ObjectSample | None
    delay: Floats
    span: tuple[float, float] = (0.0, 0.0)

    def unevenness(self, delay_days: ArrayLike) -> Floats:
        """Return b at first detections [d after t0] relative to its mean; 1 where it was not measured.

        Each off-source object is a normal kernel of width max(`KERNEL_DAYS`, `KERNEL_SHARE` |delay|), cut and
        renormalised at the ends of the time seen; a little of a flat rate is mixed in for what the sample missed.
        """
        at = np.asarray(delay_days, dtype=np.float64)
        if self.off_source is None:
            return np.ones(at.shape)
        start, end = self.span
        width = np.maximum(KERNEL_DAYS, KERNEL_SHARE * np.abs(self.delay))
        inside = ndtr((end - self.delay) / width) - ndtr((start - self.delay) / width)
        pull = (at[..., None] - self.delay) / width
        density = np.mean(np.exp(-0.5 * pull**2) / (np.sqrt(2.0 * np.pi) * width * inside), axis=-1)
        return np.asarray((1.0 - UNSEEN_SHARE) * self.days * density + UNSEEN_SHARE, dtype=np.float64)


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
        return Background(rules.background.fallback, False, len(chosen), area, max(days, 0.0), None, np.empty(0))
    delay, span = chosen.first - region.t0, (start - region.t0, end - region.t0)
    return Background(len(chosen) / (area * days), True, len(chosen), area, days, chosen, delay, span)


def observed_cells(lake: Lake) -> NDArray[np.int64]:
    """Return the cells of order `AREA_ORDER` in which any alert of the lake lies."""
    cells = lake.detections(["hpx29"])["hpx29"].to_numpy() >> (2 * (29 - AREA_ORDER))
    return np.unique(cells).astype(np.int64)
