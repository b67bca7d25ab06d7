"""How the rate of unrelated objects varies over surveys and the sky: measured rates, drawn towards coarser ones.

Each survey is a stream of its own: a counterpart that two surveys see is an object in each, judged against the
unrelated objects of that survey. Within a survey the rate depends on how deep its images are and on where one looks.
So there are three levels: the survey, its cells of equal depth (half a magnitude of limiting magnitude), and the cell
(54 deg2). Few objects fix a rate badly; each level is therefore the mean of a Gamma posterior whose prior is the level
above::

    b_child = (n_child + k) / (E_child + k / b_parent)

with n objects in an exposure E [deg2 d] and k objects' worth of trust in the parent (Gamma-Poisson shrinkage, e.g.
Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6). Off source is elsewhere in the event's window, and
anywhere in the time before it: that tells of the cells inside the event's region. The time before counts as as many
days of the window as it gave objects elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.observed import AREA_ORDER, Observed
from asterism.sky.healpix import pixel_area_deg2

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RATE_ORDER = 3
"""Cells in which the rate may differ: 53.7 deg2."""
DEPTH_STEP = 0.5
"""Cells of one survey are as deep as each other if their limiting magnitudes round to the same multiple of this."""
TRUST = 20.0
"""Objects' worth of trust in the level above (judgement: a rate of its own is known to a fifth from 20 objects)."""


@dataclass(frozen=True, eq=False)
class Counted:
    """Unrelated objects, all arrays of one length.

    Attributes
    ----------
    hpx29 : ndarray of int64
        Order-29 cells.
    survey : ndarray of str
        Surveys.
    before : ndarray of bool
        First seen before the event's window; else in it, and off source.
    here : ndarray of bool
        In the event's region.
    """

    hpx29: Ints
    survey: NDArray[np.str_]
    before: NDArray[np.bool_]
    here: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rates:
    """Mean rates over the time looked at, by survey, depth and cell.

    Attributes
    ----------
    survey : dict
        Rate of each survey [deg^-2 d^-1].
    depth : dict
        Rate of each survey and depth bin (-1: depth unknown).
    cell : dict
        Rate of each survey and cell of order `RATE_ORDER`.
    bins : dict
        Depth bin of each survey and cell, also of cells without exposure off source.
    """

    survey: dict[str, float]
    depth: dict[tuple[str, int], float]
    cell: dict[tuple[str, int], float]
    bins: dict[tuple[str, int], int]

    def at(self, hpx29: Ints, survey: NDArray[np.str_], unknown: float) -> Floats:
        """Return the rate at places [deg^-2 d^-1]; `unknown` for surveys without a measurement."""
        place = np.asarray(hpx29, dtype=np.int64) >> (2 * (29 - RATE_ORDER))
        pairs = list(zip(survey.tolist(), place.tolist(), strict=True))
        found = {pair: self._one(*pair, unknown) for pair in set(pairs)}
        return np.array([found[pair] for pair in pairs], dtype=np.float64)

    def _one(self, survey: str, cell: int, unknown: float) -> float:
        if survey not in self.survey:
            return unknown
        coarse = self.depth.get((survey, self.bins.get((survey, cell), -1)), self.survey[survey])
        return self.cell.get((survey, cell), coarse)


def measure_rates(objects: Counted, observed: Observed, off_cells: Ints, days: float) -> Rates:
    """Measure the rates of unrelated objects.

    Parameters
    ----------
    objects : Counted
        The objects.
    observed : Observed
        What the surveys looked at; gives exposures and depths.
    off_cells : ndarray of int64
        Cells of order `AREA_ORDER` outside the event's region.
    days : float
        Time looked at [d].
    """
    found = Rates({}, {}, {}, {})
    for name in np.unique(objects.survey).tolist():
        seen = observed.survey == name
        _add_survey(found, name, objects, (observed.cell[seen], observed.depth[seen]), off_cells, days)
    return found


def _add_survey(
    found: Rates, name: str, objects: Counted, looked: tuple[Ints, Floats], off_cells: Ints, days: float
) -> None:
    """Add the rates of one survey, from the coarsest level to the finest."""
    up, unit = 2 * (AREA_ORDER - RATE_ORDER), float(pixel_area_deg2(AREA_ORDER)) * days
    cell, depth = looked
    bins = {int(c): _bin(depth[(cell >> up) == c]) for c in np.unique(cell >> up)}
    found.bins.update({(name, c): number for c, number in bins.items()})
    own = objects.survey == name
    place, before = objects.hpx29[own] >> (2 * (29 - RATE_ORDER)), objects.before[own]
    everywhere = np.unique(cell)
    off = np.isin(everywhere, off_cells)
    n_off, n_before = int((~before).sum()), int((before & ~objects.here[own]).sum())
    if not off.any() or not n_off:
        return
    exposure = unit * (off + n_before / n_off)  # of each observed cell, in days of the window
    top = found.survey[name] = n_off / (off.sum() * unit)
    coarse = everywhere >> up
    for number in sorted(set(bins.values())):
        members = np.array([c for c, one in bins.items() if one == number])
        n, exposed = np.isin(place, members).sum(), exposure[np.isin(coarse, members)].sum()
        parent = found.depth[name, number] = _drawn(float(n), float(exposed), top)
        for c in members.tolist():
            n, exposed = (place == c).sum(), exposure[coarse == c].sum()
            found.cell[name, c] = _drawn(float(n), float(exposed), parent)


def _drawn(n: float, exposure: float, parent: float) -> float:
    return (n + TRUST) / (exposure + TRUST / parent)


def _bin(depth: Floats) -> int:
    known = depth[np.isfinite(depth)]
    return int(np.round(np.median(known) / DEPTH_STEP)) if known.size else -1
