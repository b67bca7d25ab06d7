"""Positions and regions as integers: HEALPix order 29, nested, ICRS.

Every stored position is one int64 (``hpx29``) and every stored region a sorted list of half-open intervals
``[lo, hi)`` of them, so that "is it inside" is a binary search and "what is inside" a few range seeks. One
library, astropy-healpix, makes all stored keys: libraries differ by rounding for about one position in a
million, which matters only at the edge of a cell. Cells of order 29 are 0.4 milliarcsec wide; their largest
index, 12 * 4**29 - 1, is below 2**63.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from astropy import units
from astropy_healpix import lonlat_to_healpix
from astropy_healpix._core import (  # `healpix_to_lonlat` is ten times slower for few pixels
    healpix_nested_to_lonlat,
    healpix_nested_to_xyz,
)
from numpy.typing import ArrayLike, NDArray
from typing_extensions import override

from asterism.errors import SkyError

MAX_ORDER = 29
N_CELLS = 12 * 4**MAX_ORDER
"""Cells of order 29 on the sphere; every ``hpx29`` is in ``[0, N_CELLS)``."""
SKY_DEG2 = 129600.0 / math.pi
"""Area of the sphere [deg2]."""


def normalise_ra(ra: ArrayLike) -> NDArray[np.float64]:
    """Return right ascensions [deg] in [0, 360), shape preserved."""
    wrapped = np.mod(np.asarray(ra, dtype=np.float64), 360.0)
    return np.where(wrapped == 360.0, 0.0, wrapped)  # a tiny negative angle rounds up to 360


def check_positions(ra: ArrayLike, dec: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return finite positions with right ascension in [0, 360) [deg]; shapes are kept.

    Raises
    ------
    SkyError
        If a coordinate is not a finite number or a declination is outside [-90, 90].
    """
    try:
        ra_deg, dec_deg = np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64)
        finite = bool(np.isfinite(ra_deg).all()) and bool(np.isfinite(dec_deg).all())
    except (TypeError, ValueError) as error:
        raise SkyError(f"position is not numeric: {error}") from error
    if not finite:
        raise SkyError("position is not finite")
    if bool((np.abs(dec_deg) > 90.0).any()):
        raise SkyError(f"declination {dec_deg.flat[np.abs(dec_deg).argmax()]} is outside [-90, 90] deg")
    return normalise_ra(ra_deg), dec_deg


def hpx29(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.int64]:
    """Return the nested order-29 cell of ICRS positions [deg].

    Raises
    ------
    SkyError
        If a coordinate is not finite or a declination is outside [-90, 90].
    """
    ra_deg, dec_deg = check_positions(ra, dec)
    cell = lonlat_to_healpix(ra_deg * units.deg, dec_deg * units.deg, 2**MAX_ORDER, order="nested")
    return np.asarray(cell, dtype=np.int64)


def centers(cell: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination [deg, ICRS] of the centres of order-29 cells."""
    return pixel_centers(MAX_ORDER, cell)


def pixel_centers(order: ArrayLike, ipix: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination [deg, ICRS] of the centres of nested pixels; arguments
    broadcast.

    Raises
    ------
    SkyError
        If an order is outside 0 .. 29 or a pixel does not exist at its order.
    """
    return centers_of_pixels(*_check_pixels(order, ipix))


def centers_of_pixels(
    order: int | NDArray[np.int64], ipix: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `pixel_centers` of pixels that are known to exist."""
    lon, lat = healpix_nested_to_lonlat(ipix, np.left_shift(1, order).astype(np.intc), 0.5, 0.5)
    return normalise_ra(np.degrees(lon)), np.asarray(np.degrees(lat), dtype=np.float64)


def vectors_of_pixels(order: int, ipix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return unit vectors of the centres of pixels that are known to exist, shape (3, n)."""
    return np.stack(healpix_nested_to_xyz(ipix, np.intc(1 << order), 0.5, 0.5))


def uniq_to_order_ipix(uniq: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return order and nested index of multi-order pixels, ``uniq = ipix + 4**(order + 1)``.

    Raises
    ------
    SkyError
        If a number is no pixel of order 0 .. 29.
    """
    value = np.asarray(uniq, dtype=np.int64)
    if bool(((value < 4) | (value >= 16 * 4**MAX_ORDER)).any()):
        raise SkyError("UNIQ is outside 4 .. 4**31 - 1")
    thresholds = np.array([4 ** (k + 1) for k in range(MAX_ORDER + 1)], dtype=np.int64)
    order = np.searchsorted(thresholds, value, side="right").astype(np.int64) - 1
    return _check_pixels(order, value - thresholds[order])


def order_ipix_to_uniq(order: ArrayLike, ipix: ArrayLike) -> NDArray[np.int64]:
    """Return ``ipix + 4**(order + 1)``; the inverse of `uniq_to_order_ipix`."""
    order_i, ipix_i = _check_pixels(order, ipix)
    return ipix_i + np.left_shift(np.int64(4), 2 * order_i)


def ipix_to_range29(order: ArrayLike, ipix: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the half-open interval ``[lo, hi)`` of order-29 cells inside nested pixels; arguments
    broadcast."""
    order_i, ipix_i = _check_pixels(order, ipix)
    shift = 2 * (MAX_ORDER - order_i)
    return np.left_shift(ipix_i, shift), np.left_shift(ipix_i + 1, shift)


def pixel_area_deg2(order: ArrayLike) -> NDArray[np.float64]:
    """Return the area [deg2] of a pixel of each order; all pixels of an order are equal."""
    return SKY_DEG2 / (12.0 * 4.0 ** np.asarray(order, dtype=np.float64))


def _check_pixels(order: ArrayLike, ipix: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order_i, ipix_i = np.asarray(order, dtype=np.int64), np.asarray(ipix, dtype=np.int64)
    if bool(((order_i < 0) | (order_i > MAX_ORDER)).any()):
        raise SkyError("HEALPix order is outside 0 .. 29")
    if bool(((ipix_i < 0) | (ipix_i >= np.left_shift(np.int64(12), 2 * order_i))).any()):
        raise SkyError("pixel does not exist at its HEALPix order")
    return order_i, ipix_i


def merge_ranges(lo: ArrayLike, hi: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the union of half-open intervals as sorted, disjoint, non-touching ones; empty intervals
    vanish."""
    starts, ends = (
        np.atleast_1d(np.asarray(lo, dtype=np.int64)),
        np.atleast_1d(np.asarray(hi, dtype=np.int64)),
    )
    starts, ends = starts[starts < ends], ends[starts < ends]
    if not starts.size:
        return starts, ends
    by_start = np.argsort(starts, kind="stable")
    starts, reach = starts[by_start], np.maximum.accumulate(ends[by_start])
    first = np.concatenate([[True], starts[1:] > reach[:-1]])
    last = np.concatenate([first[1:], [True]])
    return starts[first], reach[last]


def contains(ranges_lo: ArrayLike, ranges_hi: ArrayLike, cell: ArrayLike) -> NDArray[np.bool_]:
    """Return which cells lie in one of the sorted disjoint intervals ``[lo, hi)``, shape of `cell`."""
    lo, hi = np.asarray(ranges_lo, dtype=np.int64), np.asarray(ranges_hi, dtype=np.int64)
    cells = np.asarray(cell, dtype=np.int64)
    if not lo.size:
        return np.zeros(cells.shape, dtype=np.bool_)
    row = np.searchsorted(lo, cells, side="right") - 1
    return np.asarray((row >= 0) & (cells < hi[row]), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Ranges:
    """A region: sorted, disjoint, non-touching half-open intervals of order-29 cells.

    Any intervals are accepted and merged; the arrays are read-only.

    Raises
    ------
    SkyError
        If the arrays differ in length or reach outside ``[0, N_CELLS]``.
    """

    lo: NDArray[np.int64]
    """First cell of each interval."""
    hi: NDArray[np.int64]
    """Cell after the last of each interval."""

    def __post_init__(self) -> None:
        if np.shape(self.lo) != np.shape(self.hi):
            raise SkyError("ranges need as many ends as starts")
        lo, hi = merge_ranges(self.lo, self.hi)
        if lo.size and (lo[0] < 0 or hi[-1] > N_CELLS):
            raise SkyError("ranges reach outside the sphere")
        lo.setflags(write=False)
        hi.setflags(write=False)
        object.__setattr__(self, "lo", lo)
        object.__setattr__(self, "hi", hi)

    def __len__(self) -> int:
        return int(self.lo.size)

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranges):
            return NotImplemented
        return np.array_equal(self.lo, other.lo) and np.array_equal(self.hi, other.hi)

    @override
    def __hash__(self) -> int:
        return hash((self.lo.tobytes(), self.hi.tobytes()))

    @property
    def area_deg2(self) -> float:
        """Area [deg2]."""
        return float((self.hi - self.lo).sum() / N_CELLS * SKY_DEG2)

    def contains(self, cell: ArrayLike) -> NDArray[np.bool_]:
        """Return which order-29 cells are in the region."""
        return contains(self.lo, self.hi, cell)

    def union(self, other: Ranges) -> Ranges:
        """Return what is in either region."""
        return Ranges(np.concatenate([self.lo, other.lo]), np.concatenate([self.hi, other.hi]))

    def intersection(self, other: Ranges) -> Ranges:
        """Return what is in both regions."""
        lo, hi = _elementary(self, other)
        both = self.contains(lo) & other.contains(lo)
        return Ranges(lo[both], hi[both])

    def difference(self, other: Ranges) -> Ranges:
        """Return what is in this region and not in the other."""
        lo, hi = _elementary(self, other)
        only = self.contains(lo) & ~other.contains(lo)
        return Ranges(lo[only], hi[only])

    def coarsened(self, max_ranges: int) -> Ranges:
        """Return a superset of at most `max_ranges` intervals, made by closing the smallest gaps."""
        excess = len(self) - max_ranges
        if excess <= 0:
            return self
        gaps = self.lo[1:] - self.hi[:-1]
        keep = np.ones(gaps.size, dtype=np.bool_)
        keep[np.argsort(gaps, kind="stable")[:excess]] = False
        return Ranges(self.lo[np.concatenate([[True], keep])], self.hi[np.concatenate([keep, [True]])])


def _elementary(one: Ranges, two: Ranges) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut the sphere at every boundary of both regions: inside each piece, neither changes."""
    edges = np.unique(np.concatenate([one.lo, one.hi, two.lo, two.hi]))
    return edges[:-1], edges[1:]
