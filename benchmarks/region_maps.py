"""Maps and objects for the benchmarks of regions: arcs of a chosen area with as many tiles as BAYESTAR's, visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterism.simulate.skymaps import Arc
from asterism.sky.healpix import hpx29, order_ipix_to_uniq, pixel_area_deg2, pixel_centers
from asterism.sky.skymap import SkyMapLocalization

TILES = 21_504
"""Tiles of a map: 12 x 4^4 pixels, a part of which is divided seven times as BAYESTAR does."""
_BASE_ORDER, _DIVISIONS = 4, 8


@dataclass(frozen=True, eq=False)
class Sky:
    """Objects spread evenly over the whole sky, sorted by nothing.

    Attributes
    ----------
    ra, dec : ndarray
        Positions, ICRS [deg].
    hpx29 : ndarray of int64
        Their order-29 cells.
    """

    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    hpx29: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.ra.size)


def even_sky(number: int, seed: int) -> Sky:
    """Return objects anywhere on the sky."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0.0, 360.0, number), np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, number)))
    return Sky(ra, dec, hpx29(ra, dec))


def arc_map(area90: float, number: int) -> SkyMapLocalization:
    """Return a map whose 90 % region has about `area90` [deg2], of `TILES` tiles, as BAYESTAR refines: eight times the
    quarter of the pixels with most probability is divided in four.

    Parameters
    ----------
    area90 : float
        Area [deg2]: a Gaussian's is 4.6 x 2 pi sigma sigma / 2.
    number : int
        Which of many: another place on the sky.
    """
    rng = np.random.default_rng(number)
    width = np.sqrt(area90 / (np.pi * 4.605) / 8.0)
    radius = float(rng.uniform(50.0, 80.0))
    pole_dec = float(np.degrees(np.arcsin(rng.uniform(-0.9, 0.9))))
    arc = Arc(
        float(rng.uniform(0, 360)), pole_dec, radius, float(rng.uniform(0, 360)), float(width), float(8.0 * width)
    )
    pixels = np.arange(12 * 4**_BASE_ORDER, dtype=np.int64)
    order = np.full(pixels.size, _BASE_ORDER)
    for _ in range(_DIVISIONS):
        share = arc.density(*pixel_centers(order, pixels)) * pixel_area_deg2(order)
        divide = np.zeros(pixels.size, dtype=np.bool_)
        divide[np.argsort(-share, kind="stable")[: 12 * 4**_BASE_ORDER // 4]] = True
        children = (4 * pixels[divide][:, None] + np.arange(4)).ravel()
        child_order = np.repeat(order[divide] + 1, 4)
        pixels, order = np.concatenate([pixels[~divide], children]), np.concatenate([order[~divide], child_order])
    density = arc.density(*pixel_centers(order, pixels)) + 1e-12
    total = float(np.sum(density * pixel_area_deg2(order)))
    return SkyMapLocalization(order_ipix_to_uniq(order, pixels), density / total)
