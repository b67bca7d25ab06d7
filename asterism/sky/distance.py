"""Distance layers of maps: ``p(r) = norm r**2 N(r; mu, sigma)`` along each direction (Singer et al. 2016).

`mu` and `sigma` are parameters, not mean and standard deviation: `mu` can be negative where the data only say
"far, but not beyond the prior". Show the moments, never `mu`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

_NODES = 128
_NEGLIGIBLE = 60.0
"""The integrands are cut where they have fallen by e**-60."""
_CLOSED_FORM = (-1.0, 100.0)
"""mu / sigma where the closed forms keep ten digits; they are fifty times as fast."""


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
        """Return mean and standard deviation [Mpc]; NaN where unknown."""
        shape = np.shape(self.mu)
        mu, sigma = np.ravel(self.mu), np.ravel(self.sigma)
        known = np.isfinite(mu) & np.isfinite(sigma) & (sigma > 0.0)
        mean, std = np.full(mu.shape, np.nan), np.full(mu.shape, np.nan)
        z = mu[known] / sigma[known]
        closed = (z >= _CLOSED_FORM[0]) & (z <= _CLOSED_FORM[1])
        centre, spread = np.empty_like(z), np.empty_like(z)
        centre[closed], spread[closed] = _by_closed_form(z[closed])
        centre[~closed], spread[~closed] = _by_quadrature(z[~closed])
        mean[known], std[known] = centre * sigma[known], spread * sigma[known]
        return mean.reshape(shape), std.reshape(shape)


def _by_closed_form(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of ``t**2 exp(-(t - z)**2 / 2)``, t > 0, from the truncated normal's moments.

    With Phi and phi of z, the integrals of t**n phi(t - z) for n = 2, 3, 4 are ``(z**2 + 1) Phi + z phi``,
    ``(z**3 + 3 z) Phi + (z**2 + 2) phi`` and ``(z**4 + 6 z**2 + 3) Phi + (z**3 + 5 z) phi`` (by parts).
    """
    below, density = ndtr(z), np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi)
    mass = (z**2 + 1.0) * below + z * density
    first = ((z**2 + 3.0) * z * below + (z**2 + 2.0) * density) / mass
    second = ((z**4 + 6.0 * z**2 + 3.0) * below + (z**2 + 5.0) * z * density) / mass
    return first, np.sqrt(second - first**2)


def _by_quadrature(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the same by Gauss-Legendre where the integrand is not negligible: below zero the closed forms cancel."""
    z = z[:, np.newaxis]
    span = np.sqrt(2.0 * _NEGLIGIBLE)
    start = np.maximum(z - span, 0.0)
    stop = np.where(z < 0.0, span**2 / (np.sqrt(z**2 + span**2) + np.abs(z)), z + span)
    x, weight = _nodes()
    t = start + (stop - start) * (x + 1.0) / 2.0
    exponent = np.where(z < 0.0, -t * (t / 2.0 - z), -((t - z) ** 2) / 2.0)
    mass = weight * t**2 * np.exp(exponent)
    mass /= mass.sum(axis=1, keepdims=True)
    centre = (mass * t).sum(axis=1)
    return centre, np.sqrt((mass * (t - centre[:, np.newaxis]) ** 2).sum(axis=1))


@cache
def _nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places and weights of Gauss and Legendre; computing them takes as long as using them on a whole map."""
    x, weight = np.polynomial.legendre.leggauss(_NODES)
    x.flags.writeable = weight.flags.writeable = False
    return x, weight
