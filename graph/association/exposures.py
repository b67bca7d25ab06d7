"""Where and when the surveys looked, as the alerts of the lake tell; hence when an object was last not seen.

An exposure that delivered an alert in the same HEALPix cell of order `CELL_ORDER` (0.21 deg2, less than a detector
covers) is taken to have covered the whole cell. So an exposure of that cell before an object's first detection is a
non-detection, and its limiting magnitude bounds the object's. Gaps between detectors are not known here: a limit is a
fact about the exposure, not about the object's pixel. Exposures without any alert near are not known either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from asterism.graph.association.observed import Observed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CELL_ORDER = 7
"""HEALPix order of the cells, 0.21 deg2."""

COLUMNS = ("hpx29", "survey", "mjdTai", "limitMag")
"""Columns of the lake's detections that tell of exposures."""

_SHIFT = np.int64(2 * (29 - CELL_ORDER))
_TICKS_PER_DAY = 1e6
_CELL_BITS = np.int64(40)
"""A key is cell << 40 | time in ticks of 86 ms: 18 bits of cell, times until MJD 1e6."""


@dataclass(frozen=True, eq=False)
class LastMisses:
    """The last non-detection of some objects before each was first seen; NaN where none is known.

    Attributes
    ----------
    mjd_tai : ndarray
        Time of the exposure, MJD TAI.
    limit_mag : ndarray
        Its 5 sigma limiting magnitude, AB; NaN where the survey does not say.
    """

    mjd_tai: Floats
    limit_mag: Floats


@dataclass(frozen=True, eq=False)
class Exposures:
    """Which cells were exposed when; sorted by cell and time.

    Attributes
    ----------
    key : ndarray of int64
        Cell and time in one number.
    survey : ndarray of str
        Which survey.
    mjd_tai, limit_mag : ndarray
        Time, MJD TAI, and limiting magnitude, AB.
    """

    key: Ints
    survey: NDArray[np.str_]
    mjd_tai: Floats
    limit_mag: Floats

    @classmethod
    def of(cls, alerts: pa.Table) -> Exposures:
        """Return the exposures that alerts (`COLUMNS`) tell of."""
        mjd = alerts["mjdTai"].to_numpy(zero_copy_only=False)
        limit = np.asarray(alerts["limitMag"].to_numpy(zero_copy_only=False), dtype=np.float64)
        names = alerts["survey"].combine_chunks().dictionary_encode()
        survey = np.asarray(names.dictionary.to_pylist(), dtype=np.str_)[names.indices.to_numpy()]
        return cls(_key(alerts["hpx29"].to_numpy(zero_copy_only=False), mjd), survey, mjd, limit)._distinct()

    @classmethod
    def none(cls) -> Exposures:
        """Return no exposures."""
        return cls(np.empty(0, np.int64), np.empty(0, np.str_), np.empty(0), np.empty(0))

    def __add__(self, other: Exposures) -> Exposures:
        """Return the exposures of both; those of `other` are sorted in, which for a few costs little."""
        at = np.searchsorted(self.key, other.key)
        known = at < self.key.size
        known[known] = self.key[at[known]] == other.key[known]
        deeper = np.zeros_like(known)
        deeper[known] = _depth(other.limit_mag[known]) > _depth(self.limit_mag[at[known]])
        columns = []
        for name in ("key", "survey", "mjd_tai", "limit_mag"):
            mine, theirs = getattr(self, name), getattr(other, name)
            column = mine.astype(np.promote_types(mine.dtype, theirs.dtype))
            column[at[deeper]] = theirs[deeper]
            columns.append(np.insert(column, at[~known], theirs[~known]))
        return Exposures(*columns)

    @property
    def observed(self) -> Observed:
        """What was looked at, by cell, survey and day."""
        return Observed.from_alerts(self.key >> _CELL_BITS << _SHIFT, self.survey, self.mjd_tai, self.limit_mag)

    def last_misses(self, hpx29: Ints, first_mjd_tai: Floats) -> LastMisses:
        """Return the last exposure of each object's cell before its first detection.

        Parameters
        ----------
        hpx29 : ndarray of int64
            Sky index of the objects.
        first_mjd_tai : ndarray
            Their first detections, MJD TAI.
        """
        at = np.searchsorted(self.key, _key(hpx29, first_mjd_tai), side="left") - 1
        if not self.key.size:
            return LastMisses(np.full(at.size, np.nan), np.full(at.size, np.nan))
        found = (at >= 0) & (self.key[at] >> _CELL_BITS == hpx29 >> _SHIFT)
        return LastMisses(*(np.where(found, column[at], np.nan) for column in (self.mjd_tai, self.limit_mag)))

    def _distinct(self) -> Exposures:
        """Sort, and keep of equal exposures the one with the deepest limit (all alerts of one state the same)."""
        order = np.lexsort((-_depth(self.limit_mag), self.key))
        key = self.key[order]
        kept = order[np.concatenate([[True], key[1:] != key[:-1]])] if key.size else order
        return Exposures(self.key[kept], self.survey[kept], self.mjd_tai[kept], self.limit_mag[kept])


def _depth(limit_mag: Floats) -> Floats:
    """Return a limiting magnitude, one that is not known as shallower than all."""
    return np.nan_to_num(limit_mag, nan=-np.inf)


def _key(hpx29: Ints, mjd_tai: Floats) -> Ints:
    ticks = np.round(np.asarray(mjd_tai) * _TICKS_PER_DAY).astype(np.int64)
    return np.asarray((np.asarray(hpx29) >> _SHIFT << _CELL_BITS) + ticks, dtype=np.int64)
