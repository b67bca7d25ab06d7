"""What the surveys have looked at: cells, nights and depth, told by the alerts they delivered.

A cell in which nothing was delivered counts as not observed: at 0.84 deg2 a survey that looks delivers something. That
gives the area the background is measured on, and the coverage of an event: the share of its map's probability that was
observed times the share of the time prior that had passed by then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.prior import time_share
from asterism.graph.association.rules import Kind
from asterism.lake import Lake
from asterism.sky.healpix import hpx29
from asterism.sky.localization import Localization

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AREA_ORDER = 6
"""Cells of 0.84 deg2 decide what was observed; finer than a camera's field, coarser than the spacing of alerts."""
_SHIFT = 2 * (29 - AREA_ORDER)


@dataclass(frozen=True, eq=False)
class Observed:
    """One entry per cell, survey and day in which something was delivered, all arrays of one length.

    Attributes
    ----------
    cell : ndarray of int64
        Nested cell of order `AREA_ORDER`.
    survey : ndarray of str
        Which survey.
    mjd : ndarray
        Time of the newest alert of that day, MJD TAI.
    depth : ndarray
        Median limiting magnitude; NaN where no alert tells.
    """

    cell: Ints
    survey: NDArray[np.str_]
    mjd: Floats
    depth: Floats

    @classmethod
    def of(cls, lake: Lake) -> Observed:
        """Read the lake's alerts."""
        rows = lake.detections(["hpx29", "survey", "mjdTai", "limitMag"])
        limit = np.asarray(rows["limitMag"].to_numpy(zero_copy_only=False), dtype=np.float64)
        survey = np.asarray(rows["survey"].to_pylist(), dtype=np.str_)
        return cls.from_alerts(rows["hpx29"].to_numpy(), survey, rows["mjdTai"].to_numpy(), limit)

    @classmethod
    def from_alerts(cls, hpx: Ints, survey: NDArray[np.str_], mjd: Floats, limit_mag: Floats) -> Observed:
        """Summarise alerts: order-29 cell, survey, time [MJD TAI] and limiting magnitude of each."""
        names, code = np.unique(survey, return_inverse=True)
        cell, day = np.asarray(hpx, dtype=np.int64) >> _SHIFT, np.floor(mjd).astype(np.int64)
        order = np.lexsort((limit_mag, day, code, cell))
        cell, day, code, mjd, limit_mag = cell[order], day[order], code[order], np.asarray(mjd)[order], limit_mag[order]
        new = np.ones(cell.size, dtype=np.bool_)
        new[1:] = (cell[1:] != cell[:-1]) | (code[1:] != code[:-1]) | (day[1:] != day[:-1])
        start = np.flatnonzero(new)
        count = np.diff(np.append(start, cell.size))
        if not start.size:
            return cls(np.empty(0, np.int64), np.empty(0, np.str_), np.empty(0), np.empty(0))
        known = np.add.reduceat(np.isfinite(limit_mag).astype(np.int64), start)  # NaN sort last
        middle = limit_mag[start + np.maximum(known - 1, 0) // 2]
        return cls(
            cell[start], names[code[start]], np.maximum.reduceat(mjd, start), np.where(count > 0, middle, np.nan)
        )

    @classmethod
    def none(cls) -> Observed:
        """Return nothing observed."""
        return cls(np.empty(0, np.int64), np.empty(0, np.str_), np.empty(0), np.empty(0))

    def select(self, chosen: NDArray[np.bool_]) -> Observed:
        """Return the entries where `chosen` is true."""
        return Observed(self.cell[chosen], self.survey[chosen], self.mjd[chosen], self.depth[chosen])

    def until(self, mjd_tai: float) -> Observed:
        """Return what was observed until a time, MJD TAI."""
        return self.select(self.mjd <= mjd_tai)

    def coverage(self, localization: Localization, t0: float, kind: Kind) -> float:
        """Return the probability that the counterpart, if detectable at all, would have been first seen by now.

        The sum over the map of its probability times the share of the time prior that had passed at the newest visit.

        Parameters
        ----------
        localization : Localization
            The event's.
        t0 : float
            Its time, MJD TAI.
        kind : Kind
            Time prior and window; visits after the window do not count.
        """
        seen = self.until(t0 + kind.window[1])
        cells, which = np.unique(seen.cell, return_inverse=True)
        if not cells.size:
            return 0.0
        newest = np.full(cells.size, -np.inf)
        np.maximum.at(newest, which, seen.mjd)
        nodes = localization.nodes()
        at = hpx29(nodes.ra, nodes.dec) >> _SHIFT
        row = np.minimum(np.searchsorted(cells, at), cells.size - 1)
        share = np.where(cells[row] == at, time_share(newest[row] - t0, kind.time), 0.0)
        return float(np.clip(np.sum(nodes.weight * share), 0.0, 1.0))
