"""Galaxies as hosts: which of them the event is likely in, and how easily a transient falls near one by chance.

Weights of galaxies inside a map follow Mangrove (Ducoin et al. 2020, MNRAS 492, 4768): with the three-dimensional
probability density at the galaxy's place and distance P_pos and its stellar mass as a share of all masses G_mass,
``P_pos (1 + a G_mass)``, ``a = sum P_pos / sum (P_pos G_mass)``, so that both count alike. A catalogue is not complete:
of the luminosity at a distance D it holds f(D), and the rest, 1 - f(D) of the probability, is in none of its galaxies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asterism.sky.distance import Distances
from asterism.sky.localization import Localization

Floats = NDArray[np.float64]

PULL = 3.0
"""Galaxies further than this many sigma from the map's distance at their place are not compatible (Mangrove)."""
LEVEL = 0.9
"""Nor are galaxies outside this credible level (Mangrove)."""
COMPLETE_MPC, NINETY_MPC = 47.0, 130.0
"""GLADE+ holds all of the B luminosity up to the first distance and 90 % up to about the second (Dalya et al. 2022,
MNRAS 514, 1403)."""


def position_weight(localization: Localization, ra: ArrayLike, dec: ArrayLike, distance_mpc: ArrayLike) -> Floats:
    """Return P_pos: the probability per volume at galaxies [deg^-2 Mpc^-3]; 0 where they are not compatible.

    ``dP/dV = p(Omega) DISTNORM N(D; DISTMU, DISTSIGMA)`` (Singer et al. 2016, ApJL 829, L15); where the map knows no
    distance, the density on the sky alone.

    Parameters
    ----------
    localization : Localization
        The event's.
    ra, dec : array_like
        Positions, ICRS [deg].
    distance_mpc : array_like
        Distances of the galaxies [Mpc].
    """
    place = localization.density(ra, dec)
    inside = localization.credible_level(ra, dec) < LEVEL
    along = localization.distance(ra, dec)
    if along is None:
        return np.where(inside, place, 0.0)
    near, value = _along(along, np.asarray(distance_mpc, dtype=np.float64))
    return np.where(inside & near, place * value, 0.0)


def _along(along: Distances, distance: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return which distances are compatible, and the density in volume along the line of sight [Mpc^-3]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, std = along.moments()
        near = np.abs(distance - mean) < PULL * std
        value = along.pdf(distance) / distance**2
    return np.where(np.isfinite(mean), near, False), np.where(np.isfinite(value), value, 0.0)


def host_weights(position: ArrayLike, mass: ArrayLike) -> Floats:
    """Return the weights P_pos (1 + a G_mass), normalised to 1; a galaxy of unknown mass counts by position alone.

    Parameters
    ----------
    position : array_like
        `position_weight` of all galaxies.
    mass : array_like
        Stellar masses, or luminosities, in any unit; NaN where unknown.
    """
    place, heavy = np.asarray(position, dtype=np.float64), np.nan_to_num(np.asarray(mass, dtype=np.float64), nan=0.0)
    if not place.sum() > 0.0:
        return np.zeros(place.shape)
    heavy = heavy / max(float(heavy.max()), np.finfo(np.float64).tiny)
    both = place * heavy
    grade = place * (1.0 + (place.sum() / both.sum() if both.sum() > 0.0 else 0.0) * heavy)
    return np.asarray(grade / grade.sum(), dtype=np.float64)


def completeness(distance_mpc: ArrayLike) -> Floats:
    """Return f(D), the share of the luminosity at distances [Mpc] that the catalogue holds: GLADE+.

    1 up to `COMPLETE_MPC`, linear to 0.9 at `NINETY_MPC`, then falling as (D / `NINETY_MPC`)^-2: a flux limit cuts
    where the luminosity function is flat (judgement).
    """
    distance = np.asarray(distance_mpc, dtype=np.float64)
    near = 1.0 - 0.1 * np.clip((distance - COMPLETE_MPC) / (NINETY_MPC - COMPLETE_MPC), 0.0, 1.0)
    return np.where(distance <= NINETY_MPC, near, 0.9 * (NINETY_MPC / np.maximum(distance, NINETY_MPC)) ** 2)


def chance_alignment(separation_arcsec: ArrayLike, half_light_arcsec: ArrayLike, mag: ArrayLike) -> Floats:
    """Return the probability that a galaxy as bright lies as near by chance (Bloom, Kulkarni & Djorgovski 2002).

    ``P = 1 - exp(-pi R^2 sigma)`` with ``R^2 = R0^2 + 4 R_h^2`` and the counts ``sigma(<= m) = 10^(0.334 (m - 22.963)
    + 4.320) / (3600^2 0.334 ln 10)`` [arcsec^-2] (AJ 123, 1111, from Hogg et al. 1997).

    Parameters
    ----------
    separation_arcsec : array_like
        R0 [arcsec].
    half_light_arcsec : array_like
        Half-light radius R_h [arcsec]; 0 where unknown.
    mag : array_like
        Magnitude of the galaxy, r or R; NaN gives NaN.
    """
    faint = np.asarray(mag, dtype=np.float64)
    sigma = 10.0 ** (0.334 * (faint - 22.963) + 4.320) / (3600.0**2 * 0.334 * np.log(10.0))
    reach = np.asarray(separation_arcsec, dtype=np.float64) ** 2 + 4.0 * np.asarray(half_light_arcsec) ** 2
    return np.asarray(-np.expm1(-np.pi * reach * sigma), dtype=np.float64)
