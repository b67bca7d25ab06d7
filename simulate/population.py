"""Objects on a footprint both surveys see, and when each is detected: the plan a stream of packets
follows.

Two invariants make the identity of sources exact truth. Sites keep a distance of a fifth of a grid cell (14
arcsec for a million), so nothing coincides by chance. And every measured position of an object lies within
0.3 arcsec of every measured position of its counterpart in the other survey.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_NIGHT_MJD = 61000
"""MJD of the midnight before the first night, 2025-11-21."""

NIGHTS = 30
ALERTS_PER_OBJECT = 4
SHARED_FRACTION = 0.3
"""Of the LSST objects, those that are ZTF objects too."""

SOLAR_SYSTEM_FRACTION = 0.05
"""Of the LSST alerts, those of known Solar System objects."""

_RA = (130.0, 170.0)
_DEC = (-15.0, 5.0)
_ARCSEC = 1.0 / 3600.0
_OFFSET_ARCSEC = 0.10
_SCATTER_ARCSEC = {"ztf": 0.12, "lsst": 0.05}
_NIGHT_FRACTION = {"ztf": (0.12, 0.52), "lsst": (0.01, 0.39)}
BANDS = {"ztf": "gri", "lsst": "ugrizy"}
"""Bands of each survey."""

FLUX_ERROR = {"ztf": 700.0, "lsst": 150.0}
"""Typical 1 sigma of a point source [nJy]."""


_COLUMNS = ("site", "ra", "dec", "mjd_tai", "band", "flux", "flux_err")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """Alerts of one survey in order of time, one array element each."""

    survey: str
    site: NDArray[np.int64]
    """Place on the sky: the same number where both surveys see one source; -1 for a moving body."""
    ra: Array
    """Measured right ascension, ICRS [deg]."""
    dec: Array
    mjd_tai: Array
    band: NDArray[np.int64]
    """Index into the survey's bands."""
    flux: Array
    """Signed difference flux [nJy]."""
    flux_err: Array

    def __len__(self) -> int:
        return len(self.mjd_tai)

    def take(self, order: NDArray[np.int64]) -> Plan:
        """Return the alerts in another order."""
        return Plan(self.survey, **{name: getattr(self, name)[order] for name in _COLUMNS})


def draw_plans(rng: np.random.Generator, n_ztf: int, n_lsst: int) -> tuple[Plan, Plan]:
    """Draw where, when and how bright both surveys detect what.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every draw.
    n_ztf, n_lsst : int
        Alerts of each survey; the LSST ones include those of Solar System objects.
    """
    n_bodies = round(SOLAR_SYSTEM_FRACTION * n_lsst)
    ztf_objects = math.ceil(n_ztf / ALERTS_PER_OBJECT)
    lsst_objects = math.ceil((n_lsst - n_bodies) / ALERTS_PER_OBJECT)
    shared = min(ztf_objects, round(SHARED_FRACTION * lsst_objects))
    sites = ztf_objects + lsst_objects - shared
    ra, dec = _sites(rng, sites + n_bodies)
    brightness = 10.0 ** rng.uniform(4.1, 6.0, sites)
    varies = rng.random(sites) < 0.15
    plans = []
    for survey, first, objects, n in (
        ("ztf", 0, ztf_objects, n_ztf),
        ("lsst", ztf_objects - shared, lsst_objects, n_lsst - n_bodies),
    ):
        site = first + _share_out(rng, objects, n)
        fading = varies[site] & (rng.random(n) < 0.5)
        flux = np.where(fading, -1.0, 1.0) * brightness[site] * rng.uniform(0.5, 1.5, n)
        plans.append(_observe(rng, survey, site, ra[site], dec[site], flux))
    bodies = np.full(n_bodies, -1)
    moving = _observe(rng, "lsst", bodies, ra[sites:], dec[sites:], 10.0 ** rng.uniform(3.5, 5.0, n_bodies))
    return plans[0], _merge(plans[1], moving)


def _sites(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Return n positions, one in each of n cells of a grid, off the middle by at most 0.4 cells."""
    side = max(1, math.ceil(math.sqrt(n)))
    cell = rng.permutation(side * side)[:n]
    column = cell % side + 0.5 + rng.uniform(-0.4, 0.4, n)
    row = cell // side + 0.5 + rng.uniform(-0.4, 0.4, n)
    return _RA[0] + column / side * (_RA[1] - _RA[0]), _DEC[0] + row / side * (_DEC[1] - _DEC[0])


def _share_out(rng: np.random.Generator, objects: int, n: int) -> NDArray[np.int64]:
    """Return n object numbers in which each object occurs at least once."""
    return np.concatenate([np.arange(objects), rng.integers(0, max(1, objects), n - objects)])


def _observe(
    rng: np.random.Generator, survey: str, site: NDArray[np.int64], ra: Array, dec: Array, flux: Array
) -> Plan:
    n = len(site)
    mjd = FIRST_NIGHT_MJD + rng.integers(0, NIGHTS, n) + rng.uniform(*_NIGHT_FRACTION[survey], n)
    systematic = _OFFSET_ARCSEC if survey == "lsst" else 0.0
    angle = site * 2.4
    scatter, turn = _SCATTER_ARCSEC[survey] * np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    east = systematic * np.cos(angle) + scatter * np.cos(turn)
    north = systematic * np.sin(angle) + scatter * np.sin(turn)
    plan_ra = ra + east * _ARCSEC / np.cos(np.radians(dec))
    band = rng.integers(0, len(BANDS[survey]), n)
    error = FLUX_ERROR[survey] * rng.uniform(0.8, 1.5, n)
    unsorted = Plan(survey, site, plan_ra, dec + north * _ARCSEC, mjd, band, flux, error)
    return unsorted.take(np.argsort(mjd, kind="stable"))


def _merge(first: Plan, second: Plan) -> Plan:
    """Return the alerts of both plans of one survey in order of time."""

    def both(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(first, name), getattr(second, name)])

    joined = Plan(first.survey, **{name: both(name) for name in _COLUMNS})
    return joined.take(np.argsort(joined.mjd_tai, kind="stable"))
