"""The surface rate of unrelated objects, measured where no event is: off-source in the same nights, with the same cuts.

Not flat on the sky: rates of each survey, of its cells of equal depth and of each cell (`asterism.graph.association
.rates`), from the objects of the lake first seen in the event's window but outside its region. Not flat in time: of
what began long ago only the slow is still seen, so a kernel density of the first detections says how the rate varies
around its mean. A constant of the rule set serves where too few are found, and is marked. Only what was seen before the
event's window ends counts: a verdict does not depend on when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from asterism.graph.association.observed import AREA_ORDER, Observed
from asterism.graph.association.rates import Counted, Rates, measure_rates
from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import RuleSet
from asterism.graph.association.sample import ObjectSample, surveys
from asterism.sky.healpix import contains, pixel_area_deg2

Floats = NDArray[np.float64]

KERNEL_DAYS, KERNEL_SHARE = 1.0, 0.25
"""Width of the kernels in time: at least [d], and relative to the delay (judgement: nights; rates of old things)."""
UNSEEN_SHARE = 0.05
"""Share of a flat rate in the measured one."""
BEFORE_DAYS = 60.0
"""Objects first seen up to so long before the event's window tell how the rate varies over the sky, in its region too
[d]."""
GRID = 20
"""Points at which the shape is computed, in the narrowest kernel."""
_PIECE = 2**20


@dataclass(frozen=True, eq=False)
class Background:
    """What is expected by chance.

    Attributes
    ----------
    rate : float
        New unrelated objects of all surveys, mean over the sky and the time looked at [deg^-2 d^-1].
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
    rates : Rates, optional
        How the rate varies from survey to survey and over the sky; None if the fallback is used.
    observed : Observed, optional
        What the surveys have looked at; None if that is not known.
    valid : tuple of float, optional
        Time in which the objects were first seen, MJD TAI; None if the fallback is used.
    """

    rate: float
    measured: bool
    objects: int
    area: float
    days: float
    off_source: ObjectSample | None
    delay: Floats
    span: tuple[float, float] = (0.0, 0.0)
    rates: Rates | None = None
    observed: Observed | None = None
    valid: tuple[float, float] | None = None

    def rate_at(self, hpx29: NDArray[np.int64], survey: NDArray[np.str_]) -> Floats:
        """Return the mean over time of the rate of a survey's unrelated objects at places [deg^-2 d^-1].

        Parameters
        ----------
        hpx29 : ndarray of int64
            Order-29 cells.
        survey : ndarray of str
            Survey of each; one the measurement does not know has the rate of all.
        """
        if self.rates is None:
            return np.full(hpx29.shape, self.rate)
        return self.rates.at(hpx29, survey, self.rate)

    def unevenness(self, delay_days: ArrayLike) -> Floats:
        """Return b at first detections [d after t0] relative to its mean; 1 where it was not measured.

        Each off-source object is a normal kernel of width max(`KERNEL_DAYS`, `KERNEL_SHARE` |delay|), cut and
        renormalised at the ends of the time seen; a little of a flat rate is mixed in for what the sample missed. It is
        computed once at `GRID` points a kernel, and interpolated: to 3e-4, whatever the number of delays.
        """
        at = np.asarray(delay_days, dtype=np.float64)
        if self.off_source is None:
            return np.ones(at.shape)
        return np.asarray(np.interp(at, *self._shape), dtype=np.float64)

    @cached_property
    def _shape(self) -> tuple[Floats, Floats]:
        """Delays [d after t0] over the span, and b there relative to its mean."""
        start, end = self.span
        width = np.maximum(KERNEL_DAYS, KERNEL_SHARE * np.abs(self.delay))
        inside = ndtr((end - self.delay) / width) - ndtr((start - self.delay) / width)
        height = 1.0 / (np.sqrt(2.0 * np.pi) * width * inside)
        grid = np.linspace(start, end, max(2, int(np.ceil((end - start) / KERNEL_DAYS * GRID))))
        pieces = np.array_split(grid, max(1, grid.size * self.delay.size // _PIECE))
        means = [np.mean(np.exp(-0.5 * ((p[:, None] - self.delay) / width) ** 2) * height, axis=1) for p in pieces]
        shape = (1.0 - UNSEEN_SHARE) * self.days * np.concatenate(means) + UNSEEN_SHARE
        return grid, np.asarray(shape, dtype=np.float64)


def _counted(objects: ObjectSample, start: float, inside: NDArray[np.bool_], here: NDArray[np.bool_]) -> Counted:
    """Return what the rates are measured from: off source in the window, and everywhere in the time before it."""
    before = (objects.first < start) & (objects.first >= start - BEFORE_DAYS)
    kept = before | (inside & ~here)
    return Counted(objects.hpx29[kept], surveys(objects.select(kept)), before[kept], here[kept])


def measure_background(objects: ObjectSample, observed: Observed, region: EventRegion, rules: RuleSet) -> Background:
    """Measure the rate for one event.

    Parameters
    ----------
    objects : ObjectSample
        All objects that pass the cuts; known sources that may be the event's are left out, as they are judged apart.
    observed : Observed
        What the surveys looked at.
    region : EventRegion
        The event's region and window; both are left out.
    rules : RuleSet
        Fallback and minimum.
    """
    objects = objects.select(~np.isin(objects.known, [one.name for one in rules.kinds[region.kind].catalogued]))
    seen = observed.until(region.end)
    shift = 2 * (29 - AREA_ORDER)
    cells = np.unique(seen.cell)
    off = cells[~contains(region.lo, region.hi, (cells << shift) + (1 << (shift - 1)))]
    here = contains(region.lo, region.hi, objects.hpx29)
    area = float(off.size * pixel_area_deg2(AREA_ORDER))
    start = max(region.start, region.t0 - rules.background.off_source_days)
    end = min(region.end, float(objects.last.max(initial=region.t0)))
    inside = (objects.first >= start) & (objects.first <= end)
    chosen = objects.select(inside & ~here)
    days = end - start
    if len(chosen) < rules.background.min_objects or area <= 0 or days <= 0:
        few = Background(rules.background.fallback, False, len(chosen), area, max(days, 0.0), None, np.empty(0))
        return replace(few, observed=observed)
    return Background(
        rate=len(chosen) / (area * days),
        measured=True,
        objects=len(chosen),
        area=area,
        days=days,
        off_source=chosen,
        delay=chosen.first - region.t0,
        span=(start - region.t0, end - region.t0),
        rates=measure_rates(_counted(objects, start, inside, here), seen, off, days),
        observed=observed,
        valid=(start, end),
    )
