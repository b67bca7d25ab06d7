"""Distance layers of maps: ``p(r) = norm r**2 N(r; mu, sigma)`` along each direction (Singer et al. 2016).

`mu` and `sigma` are parameters, not mean and standard deviation: `mu` can be negative where the data only say
"far, but not beyond the prior". Show the moments, never `mu`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_NODES = 128
_NEGLIGIBLE = 60.0
"""The integrands are cut where they have fallen by e**-60."""


@dataclass(frozen=True, eq=False)
class Distances:
    """Conditional distance in some directions; arrays of one shape, NaN where the map knows no distance."""

    mu: NDArray[np.float64]
    """Location [Mpc]; may be negative."""
    sigma: NDArray[np.float64]
    """Scale [Mpc]."""
    norm: NDArray[np.float64]
    """Normalisation [Mpc-2]."""

    def pdf(self, r: ArrayLike) -> NDArray[np.float64]:
        """Return the probability density [Mpc-1] at distances r [Mpc]; NaN where unknown."""
        radius = np.asarray(r, dtype=np.float64)
        normal = np.exp(-0.5 * ((radius - self.mu) / self.sigma) ** 2) / (np.sqrt(2.0 * np.pi) * self.sigma)
        return np.asarray(self.norm * radius**2 * normal, dtype=np.float64)

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation [Mpc]; NaN where unknown.

        Gauss-Legendre in ``t = r / sigma`` where ``t**2 exp(-(t - mu/sigma)**2 / 2)`` is not negligible: the
        closed forms lose every digit when mu is far below zero.
        """
        shape = np.shape(self.mu)
        mu, sigma = np.ravel(self.mu), np.ravel(self.sigma)
        known = np.isfinite(mu) & np.isfinite(sigma) & (sigma > 0.0)
        mean, std = np.full(mu.shape, np.nan), np.full(mu.shape, np.nan)
        z = (mu[known] / sigma[known])[:, np.newaxis]
        span = np.sqrt(2.0 * _NEGLIGIBLE)
        start = np.maximum(z - span, 0.0)
        stop = np.where(z < 0.0, span**2 / (np.sqrt(z**2 + span**2) + np.abs(z)), z + span)
        x, weight = np.polynomial.legendre.leggauss(_NODES)
        t = start + (stop - start) * (x + 1.0) / 2.0
        exponent = np.where(z < 0.0, -t * (t / 2.0 - z), -((t - z) ** 2) / 2.0)
        mass = weight * t**2 * np.exp(exponent)
        mass /= mass.sum(axis=1, keepdims=True)
        centre = (mass * t).sum(axis=1)
        spread = np.sqrt((mass * (t - centre[:, np.newaxis]) ** 2).sum(axis=1))
        mean[known], std[known] = centre * sigma[known], spread * sigma[known]
        return mean.reshape(shape), std.reshape(shape)
