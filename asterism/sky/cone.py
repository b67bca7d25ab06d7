"""Angular separation, and cones as order-29 ranges.

The ranges of a cone are a **superset**: every position whose separation is within the radius lies in one of
them, at the poles, across RA 0/360 and at any radius. Exactness comes afterwards, from `separation_deg` on
the few rows a range seek returns. Never the other way round: a missed neighbour cannot be found again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from astropy_healpix import neighbours
from numpy.typing import ArrayLike, NDArray

from asterism.errors import SkyError
from asterism.sky.healpix import (
    MAX_ORDER,
    N_CELLS,
    Ranges,
    check_positions,
    hpx29,
    normalise_ra,
    vectors_of_pixels,
)

_SLACK_DEG = 1e-11
"""Added to every bound: rounding of positions and of the indexing library is a hundred times smaller."""
_FIRST_ORDER, _FIRST_FITS = 3, 64
"""Refinement begins there if that many ranges are allowed: 768 centres once computed spare four rounds a region."""

_SIDE_DEG = math.degrees(math.sqrt(math.pi / 3.0))
"""Side of a square as large as a pixel of order 0; half as long at each finer order."""

Pixels = tuple[int, NDArray[np.int64]]
"""Pixels of one order."""

Floats = NDArray[np.float64]
Classify = Callable[[Floats, float], tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""(unit vectors of pixel centres, shape (3, n); pixel radius [deg]) -> (may touch the region, lies wholly inside)."""


def haversine(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> NDArray[np.float64]:
    """Return ``(1 - cos s) / 2`` of the separation s of positions [deg], without cancellation at small s."""
    phi1, phi2 = np.radians(dec1), np.radians(dec2)
    half_dec = np.radians(np.subtract(dec2, dec1)) / 2.0
    half_ra = np.radians(np.subtract(ra2, ra1)) / 2.0
    value = np.sin(half_dec) ** 2 + np.cos(phi1) * np.cos(phi2) * np.sin(half_ra) ** 2
    return np.asarray(np.clip(value, 0.0, 1.0), dtype=np.float64)


def separation_deg(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> NDArray[np.float64]:
    """Return the great-circle separation [deg] of positions [deg]; arguments broadcast.

    Vincenty's formula for a sphere, its difference of products rewritten with half angles, so that the
    relative error stays near 1e-15 from 1e-12 deg to the antipode.
    """
    phi1, phi2 = np.radians(dec1), np.radians(dec2)
    d_ra = np.radians(np.subtract(ra2, ra1))
    d_dec = np.radians(np.subtract(dec2, dec1))
    east = np.cos(phi2) * np.sin(d_ra)
    north = np.sin(d_dec) + 2.0 * np.sin(phi1) * np.cos(phi2) * np.sin(d_ra / 2.0) ** 2
    along = np.sin(phi1) * np.sin(phi2) + np.cos(phi1) * np.cos(phi2) * np.cos(d_ra)
    return np.asarray(np.degrees(np.arctan2(np.hypot(east, north), along)), dtype=np.float64)


def position_angle_deg(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> NDArray[np.float64]:
    """Return the direction [deg] of the second position from the first, from north through east."""
    phi1, phi2 = np.radians(dec1), np.radians(dec2)
    d_ra = np.radians(np.subtract(ra2, ra1))
    east = np.cos(phi2) * np.sin(d_ra)
    north = np.sin(np.radians(np.subtract(dec2, dec1)))
    north = north + 2.0 * np.sin(phi1) * np.cos(phi2) * np.sin(d_ra / 2.0) ** 2
    return np.asarray(np.degrees(np.arctan2(east, north)), dtype=np.float64)


def offset(
    ra: float, dec: float, distance_deg: ArrayLike, position_angle_deg: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions [deg] a distance away from one, at angles from north through east [deg]."""
    s, angle = np.radians(distance_deg), np.radians(position_angle_deg)
    phi = math.radians(dec)
    sin_half2 = np.sin(s / 2.0) ** 2
    inward, east = np.sin(s) * np.cos(angle), np.sin(s) * np.sin(angle)
    along = math.cos(phi) * (1.0 - 2.0 * sin_half2) - math.sin(phi) * inward
    up = math.sin(phi) * (1.0 - 2.0 * sin_half2) + math.cos(phi) * inward
    ra_out = ra + np.degrees(np.arctan2(east, along))
    return normalise_ra(ra_out), np.asarray(np.degrees(np.arctan2(up, np.hypot(along, east))), dtype=np.float64)


@cache
def pixel_radius_deg(order: int) -> float:
    """Return the largest distance [deg] from the centre of a pixel of this order to any of its points.

    It is reached by the pixels that touch z = 2/3 at the middle of a polar base face; its corner there is
    ``1 - (1 - 2**-order)**2 / 3`` high (Gorski et al. 2005, equations 4-9, give both places).
    """
    step = 2.0**-order
    dec_centre = math.degrees(math.asin(2.0 / 3.0))
    dec_corner = math.degrees(math.asin(1.0 - (1.0 - step) ** 2 / 3.0))
    return float(separation_deg(45.0 * step, dec_centre, 0.0, dec_corner)) * (1.0 + 1e-9)


def cone_ranges(ra: float, dec: float, radius_deg: float, max_ranges: int = 64, max_order: int = MAX_ORDER) -> Ranges:
    """Return at most `max_ranges` ranges that contain every position within `radius_deg` of the centre.

    Parameters
    ----------
    ra, dec : float
        Centre [deg, ICRS].
    radius_deg : float
        Radius [deg], 0 to 180.
    max_ranges : int
        Most ranges returned; more ranges fit the circle more tightly.
    max_order : int
        Finest HEALPix order used.

    Raises
    ------
    SkyError
        If the centre is no position or the radius is outside 0 .. 180.
    """
    if not 0.0 <= radius_deg <= 180.0:
        raise SkyError(f"cone radius {radius_deg} is outside 0 .. 180 deg")
    centre = unit_vectors(ra, dec).T

    def classify(pixels: Floats, pixel_radius: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        away = ((pixels - centre) ** 2).sum(axis=0)
        return away <= _chord2(radius_deg + pixel_radius, 1.0), away <= _chord2(radius_deg - pixel_radius, -1.0)

    return cover(classify, max_ranges, max_order, _around(ra, dec, radius_deg, max_order))


def unit_vectors(ra: ArrayLike, dec: ArrayLike) -> Floats:
    """Return ICRS positions [deg], shape (n,), as unit vectors, shape (n, 3).

    Raises
    ------
    SkyError
        If a coordinate is not finite or a declination is outside [-90, 90].
    """
    ra_deg, dec_deg = check_positions(ra, dec)
    lon, lat = np.radians(ra_deg), np.radians(dec_deg)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _chord2(distance_deg: float, rounding: float) -> float:
    """Return the squared chord of a distance [deg], some ten roundings of a chord's more, or less if that is -1."""
    if not 0.0 <= distance_deg < 180.0:
        return -1.0 if distance_deg < 0.0 else 5.0
    chord = 2.0 * math.sin(math.radians(distance_deg) / 2.0)
    return chord * (chord + rounding * 2e-15)


def _around(ra: float, dec: float, radius_deg: float, max_order: int) -> Pixels | None:
    """Return a pixel and its neighbours that hold a small cone whole; None for a large one.

    Their order is the finest at which the radius is at most a fifth of a pixel's side: a neighbour's width is nowhere
    less than that.
    """
    order = min(max_order, int(math.log2(_SIDE_DEG / 5.0 / radius_deg)) if radius_deg > 1e-9 else MAX_ORDER)
    if order <= _FIRST_ORDER:
        return None
    middle = hpx29(ra, dec) >> 2 * (MAX_ORDER - order)
    found = np.unique(np.append(neighbours(middle, 2**order, order="nested"), middle))
    return order, found[found >= 0].astype(np.int64)


def cover(classify: Classify, max_ranges: int, max_order: int = MAX_ORDER, start: Pixels | None = None) -> Ranges:
    """Return at most `max_ranges` ranges around a region that is known only through `classify`.

    The edge is refined order by order: each halves the width of what is uncertain. The finest cover that
    fits is returned; only if not even the first one fits are gaps closed instead. Refinement begins with pixels of an
    order known to hold the region, if given.
    """
    if start is not None and start[1].size <= max_ranges:
        first, pixels = start
        vectors = vectors_of_pixels(first, pixels)
    else:
        first = _FIRST_ORDER if max_ranges >= _FIRST_FITS and max_order >= _FIRST_ORDER else 0
        pixels, vectors = _all_pixels(first)
    inside_lo, inside_hi = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    best = np.zeros(1, dtype=np.int64), np.full(1, N_CELLS, dtype=np.int64)
    for order in range(first, max_order + 1):
        if order > first:
            vectors = vectors_of_pixels(order, pixels)
        touches, within = classify(vectors, pixel_radius_deg(order) + _SLACK_DEG)
        shift = 2 * (MAX_ORDER - order)
        lo, hi = pixels << shift, (pixels + 1) << shift
        candidate = np.concatenate([inside_lo, lo[touches]]), np.concatenate([inside_hi, hi[touches]])
        if candidate[0].size > max_ranges:  # fewer ranges only if some of them join
            joined = Ranges(*candidate)
            if len(joined) > max_ranges:
                return Ranges(*best) if order > first else joined.coarsened(max_ranges)
            candidate = joined.lo, joined.hi
        best = candidate
        inside_lo = np.concatenate([inside_lo, lo[within]])
        inside_hi = np.concatenate([inside_hi, hi[within]])
        edge = pixels[touches & ~within]
        if not edge.size:
            break
        pixels = (4 * edge[:, np.newaxis] + np.arange(4, dtype=np.int64)).ravel()
    return Ranges(*best)


@cache
def _all_pixels(order: int) -> tuple[NDArray[np.int64], Floats]:
    """Return all pixels of an order and the unit vectors of their centres."""
    pixels = np.arange(12 * 4**order, dtype=np.int64)
    vectors = vectors_of_pixels(order, pixels)
    for column in (pixels, vectors):
        column.setflags(write=False)
    return pixels, vectors
