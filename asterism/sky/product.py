"""The normalised product of two localizations: where a source is that both events have in common.

The product is a map: on the pixels of a map where these resolve the other density, else on pixels that resolve the
narrower one; of two maps on the smaller pixel of the two, where the sphere is cut exactly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from asterism.errors import SkyError
from asterism.sky.distance import Distances
from asterism.sky.healpix import MAX_ORDER, SKY_DEG2, order_ipix_to_uniq, pixel_centers, uniq_to_order_ipix
from asterism.sky.localization import Localization
from asterism.sky.skymap import SkyMapLocalization

_RESOLVED = 400.0
"""A density is resolved by pixels this many times smaller than its 50 % region: 0.1 sigma wide."""
_KEPT = 0.99999
"""Probability kept of a density that is put on pixels."""
_MOST_ROWS = 2**20


def product(one: Localization, two: Localization) -> SkyMapLocalization:
    """Return the density proportional to the product of both; distances are those of the first that has some.

    Raises
    ------
    SkyError
        If both exclude each other: then there is no such density.
    """
    if isinstance(one, SkyMapLocalization) and isinstance(two, SkyMapLocalization):
        return _of_maps(one, two)
    if isinstance(two, SkyMapLocalization):
        one, two = two, one
    if isinstance(one, SkyMapLocalization):
        return _times(one, two) if _resolves(one, two) else _of_maps(one, pixelised(two))
    narrow, wide = (one, two) if one.area(0.5) <= two.area(0.5) else (two, one)
    return _times(pixelised(narrow), wide)


def pixelised(localization: Localization) -> SkyMapLocalization:
    """Return a localization as a map whose pixels resolve it; what lies outside 99.999 % is left out."""
    if isinstance(localization, SkyMapLocalization):
        return localization
    pixel = localization.area(0.5) / _RESOLVED
    order = min(MAX_ORDER, max(0, math.ceil(math.log2(SKY_DEG2 / 12.0 / pixel) / 2.0)))
    step = 2 * (MAX_ORDER - order)
    ranges = localization.ranges(_KEPT, order, 4096)
    count = int(np.sum((ranges.hi - ranges.lo) >> step))
    if count > _MOST_ROWS:
        raise SkyError(f"{count} pixels would be needed to resolve the localization")
    spans = zip((ranges.lo >> step).tolist(), (ranges.hi >> step).tolist(), strict=True)
    ipix = np.concatenate([np.arange(lo, hi) for lo, hi in spans])
    density = localization.density(*pixel_centers(order, ipix))
    return _normalised(order_ipix_to_uniq(order, ipix), density, None)


def _resolves(sky_map: SkyMapLocalization, smooth: Localization) -> bool:
    """Whether the map's pixels are small for the smooth density where the two overlap."""
    nodes = smooth.nodes()
    shared = nodes.weight * sky_map.density(nodes.ra, nodes.dec)
    if not shared.sum() > 0.0:
        return True
    grain = float(np.sum(shared * sky_map.pixel_area(nodes.ra, nodes.dec)) / shared.sum())
    return _RESOLVED * grain <= smooth.area(0.5)


def _times(sky_map: SkyMapLocalization, smooth: Localization) -> SkyMapLocalization:
    ra, dec = pixel_centers(*uniq_to_order_ipix(sky_map.uniq))
    return _normalised(sky_map.uniq, sky_map.density_deg2 * smooth.density(ra, dec), sky_map.distances)


def _of_maps(one: SkyMapLocalization, two: SkyMapLocalization) -> SkyMapLocalization:
    """Take of both the rows that lie within a row of the other; of equal rows the first map's."""
    rows = np.concatenate([one.uniq[_within(one, two)], two.uniq[_within(two, one, strictly=True)]])
    ra, dec = pixel_centers(*uniq_to_order_ipix(rows))
    density = one.density(ra, dec) * two.density(ra, dec)
    known = one.distance(ra, dec)
    return _normalised(rows, density, known if known is not None else two.distance(ra, dec))


def _within(fine: SkyMapLocalization, coarse: SkyMapLocalization, *, strictly: bool = False) -> NDArray[np.bool_]:
    row = np.maximum(np.searchsorted(coarse.lo, fine.lo, side="right") - 1, 0)
    inside = (fine.lo >= coarse.lo[row]) & (fine.hi <= coarse.hi[row])
    if strictly:
        inside &= (fine.hi - fine.lo) < (coarse.hi[row] - coarse.lo[row])
    return np.asarray(inside, dtype=np.bool_)


def _normalised(
    uniq: NDArray[np.int64], density: NDArray[np.float64], distances: Distances | None
) -> SkyMapLocalization:
    order, _ = uniq_to_order_ipix(uniq)
    total = float(np.sum(density * (SKY_DEG2 / 12.0) * 0.25 ** order.astype(np.float64)))
    if not total > 0.0:
        raise SkyError("the two localizations exclude each other")
    return SkyMapLocalization(uniq, density / total, distances)
