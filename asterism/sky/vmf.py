"""The von Mises-Fisher distribution: what "a circle with containment" means on a sphere.

Density ``kappa / (2 pi (1 - exp(-2 kappa))) exp(-kappa u)`` [sr-1] with ``u = 1 - cos s`` and s the distance
to the centre (Fisher 1953). In u it is a truncated exponential, so containment, quantiles and the product of
two of them have closed forms. Everything is written in u = 2 sin2(s / 2), never in cos s, and stays exact
from circles of 1e-9 deg to the isotropic sky (kappa = 0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asterism.errors import SkyError
from asterism.sky.localization import check_containment


def versine(radius_deg: float) -> float:
    """Return ``u = 1 - cos`` of an angle [deg]."""
    return 2.0 * math.sin(math.radians(radius_deg) / 2.0) ** 2


def radius_of(u: float) -> float:
    """Return the angle [deg] whose `versine` is u."""
    return math.degrees(2.0 * math.asin(math.sqrt(min(u / 2.0, 1.0))))


def kappa_of(radius_deg: float, containment: float) -> float:
    """Return the concentration for which a circle holds a probability.

    Parameters
    ----------
    radius_deg : float
        Radius [deg], above 0, at most 180.
    containment : float
        Probability inside, in (0, 1).

    Raises
    ------
    SkyError
        If the circle is impossible or even an isotropic sky has more probability inside.
    """
    check_containment(containment)
    if not 0.0 < radius_deg <= 180.0:
        raise SkyError(f"radius {radius_deg} is outside (0, 180] deg")
    u = versine(radius_deg)
    if containment < u / 2.0:
        raise SkyError(
            f"a circle of {radius_deg} deg covers {u / 2.0:.6f} of the sphere, more than {containment}",
            hint="such a claim carries no position; keep the notice without a localization",
        )
    low, high = 0.0, -math.log1p(-containment) / u
    if math.exp(-2.0 * high) == 0.0:
        return high
    for _ in range(200):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        low, high = (middle, high) if held(middle, u) < containment else (low, middle)
    return (low + high) / 2.0


def density_sr(kappa: float, u: ArrayLike) -> NDArray[np.float64]:
    """Return the density [sr-1] at versines u."""
    peak = 0.5 if kappa == 0.0 else kappa / -math.expm1(-2.0 * kappa)
    return np.asarray(peak / (2.0 * math.pi) * np.exp(-kappa * np.asarray(u)), dtype=np.float64)


def held(kappa: float, u: float) -> float:
    """Return `cdf` of one versine: for searches, in which an array of one costs ten times as much."""
    return u / 2.0 if kappa == 0.0 else math.expm1(-kappa * u) / math.expm1(-2.0 * kappa)


def cdf(kappa: float, u: ArrayLike) -> NDArray[np.float64]:
    """Return the probability inside versines u."""
    if kappa == 0.0:
        return np.asarray(u, dtype=np.float64) / 2.0
    return np.asarray(np.expm1(-kappa * np.asarray(u)) / math.expm1(-2.0 * kappa), dtype=np.float64)


def quantile(kappa: float, level: ArrayLike) -> NDArray[np.float64]:
    """Return the versines inside which probabilities `level` lie; the inverse of `cdf`."""
    p = np.asarray(level, dtype=np.float64)
    if kappa == 0.0:
        return 2.0 * p
    with np.errstate(divide="ignore"):  # level 1 of a narrow distribution: clipped to the antipode
        return np.asarray(np.minimum(-np.log1p(p * math.expm1(-2.0 * kappa)) / kappa, 2.0), dtype=np.float64)


def overlap(kappa1: float, kappa2: float, hav: float) -> float:
    """Return ``4 pi integral p1 p2 dOmega`` of two distributions whose centres have haversine `hav`.

    ``k1 k2 sinh K / (K sinh k1 sinh k2)`` with ``K**2 = k1**2 + k2**2 + 2 k1 k2 cos theta`` (the product of
    two is a third one), in logarithms and with ``K - k1 - k2`` free of cancellation.
    """
    total = kappa1 + kappa2
    joint = math.sqrt(max(total**2 - 4.0 * kappa1 * kappa2 * hav, 0.0))
    exponent = -4.0 * kappa1 * kappa2 * hav / (joint + total) if total else 0.0
    return math.exp(exponent + _log_scaled_sinhc(joint) - _log_scaled_sinhc(kappa1) - _log_scaled_sinhc(kappa2))


def _log_scaled_sinhc(x: float) -> float:
    """Return log(exp(-x) sinh(x) / x)."""
    return math.log(-math.expm1(-2.0 * x) / (2.0 * x)) if x else 0.0
