"""Localizations that depend on the distance to one centre only: weighted von Mises-Fisher parts.

Because every part falls outwards, so does their sum, and each credible region is a cone around the centre.
`CircleLocalization` is the case of one part, `MixtureLocalization` that of several.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from typing_extensions import override

from asterism.sky import vmf
from asterism.sky.cone import cone_ranges, haversine, offset
from asterism.sky.healpix import MAX_ORDER, SKY_DEG2, Ranges, check_positions
from asterism.sky.localization import DEG2_PER_SR, Localization, Nodes, check_level

_RINGS, _SPOKES = 64, 48
_SMALLEST, _RELATIVE = np.finfo(np.float64).tiny, 4 * np.finfo(np.float64).eps


class RadialLocalization(Localization):
    """A sum of von Mises-Fisher distributions around one centre."""

    ra: float
    dec: float

    @abstractmethod
    def parts(self) -> tuple[tuple[float, float], ...]:
        """Return (weight, kappa) of each part; the weights sum to 1."""

    @override
    def density(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the probability density [deg-2] at positions [deg]."""
        u = self._versine(ra, dec)
        return np.asarray(sum(w * vmf.density_sr(k, u) for w, k in self.parts()) / DEG2_PER_SR)

    @override
    def credible_level(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of the cone that reaches positions [deg]."""
        u = self._versine(ra, dec)
        return np.asarray(sum(w * vmf.cdf(k, u) for w, k in self.parts()))

    @override
    def searched_area(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the area [deg2] of the cone that reaches positions [deg]."""
        return self._versine(ra, dec) / 2.0 * SKY_DEG2

    @override
    def area(self, level: float) -> float:
        """Return the area [deg2] of the cone that holds probability `level`."""
        return self._quantile(level) / 2.0 * SKY_DEG2

    def radius(self, level: float) -> float:
        """Return the radius [deg] that holds probability `level`, in (0, 1]."""
        return vmf.radius_of(self._quantile(level))

    @override
    def ranges(self, level: float, max_order: int = MAX_ORDER, max_ranges: int = 256) -> Ranges:
        """Return order-29 ranges that contain the cone of probability `level`."""
        return cone_ranges(self.ra, self.dec, self.radius(level), max_ranges, max_order)

    @override
    def mode(self) -> tuple[float, float]:
        """Return the centre [deg]."""
        return self.ra, self.dec

    @override
    def nodes(self) -> Nodes:
        """Return rings of equal azimuth steps, placed by Gauss-Legendre in probability, for each part."""
        x, ring_weight = np.polynomial.legendre.leggauss(_RINGS)
        angle = np.arange(_SPOKES) * (360.0 / _SPOKES)
        u = np.concatenate([vmf.quantile(k, (x + 1.0) / 2.0) for _, k in self.parts()])
        weight = np.concatenate([w * ring_weight / (2.0 * _SPOKES) for w, _ in self.parts()])
        distance = np.degrees(2.0 * np.arcsin(np.sqrt(u / 2.0)))
        ra, dec = offset(self.ra, self.dec, *(grid.ravel() for grid in np.meshgrid(distance, angle)))
        return Nodes(ra, dec, np.tile(weight, _SPOKES))

    def _versine(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        return 2.0 * haversine(self.ra, self.dec, *check_positions(ra, dec))

    def _quantile(self, level: float) -> float:
        """Return the versine that holds `level`."""
        check_level(level)
        return _quantile_of(self.parts(), level)


@lru_cache(maxsize=256)
def _quantile_of(parts: tuple[tuple[float, float], ...], level: float) -> float:
    """Return the versine that holds `level`: between those of the parts."""
    bounds = [float(vmf.quantile(k, level)) for _, k in parts]
    low, high = min(bounds), max(bounds)

    def missing(versine: float) -> float:
        return level - sum(w * vmf.held(k, versine) for w, k in parts)

    if low == high or missing(low) <= 0.0:
        return low
    if missing(high) >= 0.0:
        return high
    return float(brentq(missing, low, high, xtol=_SMALLEST, rtol=_RELATIVE, maxiter=1000))
