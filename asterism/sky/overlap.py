"""The overlap integral of two localizations: ``I = 4 pi * integral of p1 p2 dOmega``, the spatial Bayes
factor.

Closed form where the densities allow it, exact for two maps. Otherwise the mean of one density over nodes
that follow the other: the narrower one's, or the pixels of a map where these resolve the other. Quadrature
holds to about 1e-3 while the two agree; of two that exclude each other it may miss the far tails.
"""

from __future__ import annotations

import numpy as np

from asterism.sky import vmf
from asterism.sky.cone import haversine
from asterism.sky.healpix import SKY_DEG2
from asterism.sky.localization import Localization
from asterism.sky.radial import RadialLocalization
from asterism.sky.skymap import SkyMapLocalization


def overlap_integral(one: Localization, two: Localization) -> float:
    """Return the overlap integral, dimensionless and symmetric."""
    if isinstance(one, RadialLocalization) and isinstance(two, RadialLocalization):
        return _radial(one, two)
    if isinstance(one, SkyMapLocalization) and isinstance(two, SkyMapLocalization):
        return _maps(one, two)
    if isinstance(one, SkyMapLocalization):
        return _with_map(two, one)
    if isinstance(two, SkyMapLocalization):
        return _with_map(one, two)
    return _mean_density(one, two) if one.area(0.5) <= two.area(0.5) else _mean_density(two, one)


def _mean_density(source: Localization, other: Localization) -> float:
    nodes = source.nodes()
    return float(SKY_DEG2 * np.sum(nodes.weight * other.density(nodes.ra, nodes.dec)))


def _with_map(smooth: Localization, sky_map: SkyMapLocalization) -> float:
    """Sum over the map's pixels unless, where the two overlap, these are coarse for the smooth density.

    A pixel 1/20 as wide as the 50 % region is 0.1 sigma, which the density at its centre represents to 4e-4.
    """
    nodes = smooth.nodes()
    shared = nodes.weight * sky_map.density(nodes.ra, nodes.dec)
    grain = np.sum(shared * sky_map.pixel_area(nodes.ra, nodes.dec)) / max(float(shared.sum()), 1e-300)
    if 400.0 * grain > smooth.area(0.5):
        return float(SKY_DEG2 * shared.sum())
    return _mean_density(sky_map, smooth)


def _radial(one: RadialLocalization, two: RadialLocalization) -> float:
    hav = float(haversine(one.ra, one.dec, two.ra, two.dec))
    return sum(w1 * w2 * vmf.overlap(k1, k2, hav) for w1, k1 in one.parts() for w2, k2 in two.parts())


def _maps(one: SkyMapLocalization, two: SkyMapLocalization) -> float:
    """Cut the sphere at every pixel boundary of both: in each piece, both densities are constant."""
    edges = np.unique(np.concatenate([one.lo, one.hi, two.lo, two.hi]))
    cells = edges[:-1]
    area = np.diff(edges) / 4.0**29 / 12.0 * SKY_DEG2
    return float(SKY_DEG2 * np.sum(one.density_at(cells) * two.density_at(cells) * area))
