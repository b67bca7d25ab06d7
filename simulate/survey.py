"""Surveys: where, when and how deep each looks. Footprint, cadence, weather, moon; no astronomy beyond that.

The sky is tiled in rows of equal declination. A tile is observed when it is highest within the night's window; two
nights in a row are never both lost to weather, so a fast transient has a chance. Times are MJD TAI: start of the
exposure for ZTF, midpoint for LSST. Moonlight costs depth by phase and distance (a simplification of Krisciunas &
Schaefer 1991, PASP 103, 1033).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterism.simulate.lightcurves import BANDS
from asterism.simulate.measurement import AB_ZERO_POINT
from asterism.sky.cone import separation_deg

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NEW_MOON_MJD = 51549.76
_MONTH = 29.530588
_SIDEREAL_DEG = 360.98564737
_OBLIQUITY = 23.4393
_GALACTIC_POLE = (192.8595, 27.1283)
_ECLIPTIC_POLE = (270.0, 90.0 - _OBLIQUITY)
_COLUMNS_A_ROW = 1000
_CLEAR = 0.75
"""Probability of a clear night after a clear one; after a lost one it is 1."""


@dataclass(frozen=True)
class Observatory:
    """One survey's habits."""

    name: str
    longitude_deg: float
    """East longitude of the site [deg]."""
    tile_deg: float
    dec_range: tuple[float, float]
    """Footprint [deg]."""
    half_night_days: float
    depth: dict[str, float]
    """5 sigma limit in a dark night, AB [mag]."""
    archive_days: int
    """How far back visits are kept [d]: as long as the survey's packets can tell of them."""
    archive_every: int
    """Nights between visits before the run."""
    archive_bands: tuple[str, ...]
    """Bands of successive visits before the run, two a night."""
    run_every: int
    """Nights between visits during the run."""
    run_bands: tuple[str, ...]
    """Bands of successive visits during the run."""
    run_visits: int
    """Visits of a tile a night during the run."""
    latency_days: tuple[float, float]
    """Exposure to alert [d], shortest and longest."""
    history_days: float
    """What a packet tells of the past [d]."""


ZTF = Observatory(
    name="ztf",
    longitude_deg=-116.86,
    tile_deg=7.2,
    dec_range=(-30.0, 90.0),
    half_night_days=0.19,
    depth={"g": 20.8, "r": 20.6, "i": 20.0},
    archive_days=200,
    archive_every=3,
    archive_bands=("g", "r"),
    run_every=1,
    run_bands=("g", "r", "g", "r"),
    run_visits=4,
    latency_days=(5.0 / 1440, 15.0 / 1440),
    history_days=30.0,
)

LSST = Observatory(
    name="lsst",
    longitude_deg=-70.75,
    tile_deg=3.1,
    dec_range=(-62.0, 12.0),
    half_night_days=0.195,
    depth={"u": 21.6, "g": 22.7, "r": 22.6, "i": 22.3, "z": 21.9, "y": 21.2},
    archive_days=365,
    archive_every=6,
    archive_bands=("r", "i", "g", "z", "i", "y", "r", "z", "u", "g"),
    run_every=2,
    run_bands=("i", "r", "i", "z", "i", "g"),
    run_visits=2,
    latency_days=(1.0 / 1440, 2.0 / 1440),
    history_days=365.0,
)
"""Depths are those of a young survey with shallow templates, not of the ten-year one."""

OBSERVATORIES = (ZTF, LSST)


@dataclass(frozen=True, eq=False)
class Visits:
    """Visits of one tile in order of time, one array element each."""

    mjd_tai: Floats
    band: Ints
    """Index into ``ugrizy``."""
    flux_err: Floats
    """1 sigma of a point source [nJy]."""
    available: Floats
    """When the alerts of the visit are distributed, MJD TAI."""

    def __len__(self) -> int:
        return len(self.mjd_tai)


class Schedule:
    """The visits of one survey in one simulated run.

    Parameters
    ----------
    observatory : Observatory
        The survey.
    seed : int
        Seed of the night.
    first_night, last_night : int
        First and last night of the run, MJD of the midnight UTC that begins its date.
    """

    def __init__(self, observatory: Observatory, seed: int, first_night: int, last_night: int) -> None:
        self.observatory = observatory
        self.first_night, self.last_night = first_night, last_night
        self._seed = seed
        self._visits: dict[int, Visits] = {}
        clear = self._rng(0).random(observatory.archive_days + last_night - first_night + 1) < _CLEAR
        for night in range(1, len(clear)):
            clear[night] |= not clear[night - 1]
        self._clear = clear

    def tile(self, ra: Floats, dec: Floats) -> Ints:
        """Return the tile of positions [deg]; -1 outside the footprint."""
        spec = self.observatory
        row = np.floor((np.asarray(dec) + 90.0) / spec.tile_deg).astype(np.int64)
        column = np.floor(np.mod(ra, 360.0) / 360.0 * self._columns(row)).astype(np.int64)
        inside = (dec >= spec.dec_range[0]) & (dec <= spec.dec_range[1])
        return np.where(inside, row * _COLUMNS_A_ROW + column, -1)

    def visits(self, tile: int) -> Visits:
        """Return the visits of a tile; the same for every caller."""
        if tile not in self._visits:
            self._visits[tile] = self._draw_visits(tile)
        return self._visits[tile]

    def _draw_visits(self, tile: int) -> Visits:
        spec = self.observatory
        rng = self._rng(1 + tile)
        row, column = divmod(tile, _COLUMNS_A_ROW)
        dec = (row + 0.5) * spec.tile_deg - 90.0
        ra = (column + 0.5) * 360.0 / float(self._columns(np.array(row)))
        nights = np.arange(self.first_night - spec.archive_days, self.last_night + 1)
        runs = nights >= self.first_night
        every = np.where(runs, spec.run_every, spec.archive_every)
        nights, runs = (x[self._clear & ((nights + tile) % every == 0)] for x in (nights, runs))
        start = self._start(ra, nights, rng)
        turn = np.arange(spec.run_visits)
        mjd = start[:, None] + turn * 0.022 + rng.uniform(0.0, 0.006, (len(nights), len(turn)))
        band = np.where(
            runs[:, None],
            _cycle(spec.run_bands, (nights[:, None] // spec.run_every) * spec.run_visits + turn),
            _cycle(spec.archive_bands, (nights[:, None] // spec.archive_every) * 2 + turn),
        )
        kept = (runs[:, None] | (turn < 2)) & np.isfinite(mjd) & (rng.random(mjd.shape) < 0.92)
        mjd, band = mjd[kept], band[kept]
        depth = np.array([spec.depth.get(name, 0.0) for name in BANDS])[band]
        depth = depth + rng.normal(0.0, 0.12, len(mjd)) - moonlight(mjd, ra, dec, band)
        latency = rng.uniform(*spec.latency_days, len(mjd))
        return Visits(mjd, band, 10.0 ** (0.4 * (AB_ZERO_POINT - depth)) / 5.0, mjd + latency)

    def _start(self, ra: float, nights: Ints, rng: np.random.Generator) -> Floats:
        """Return when a tile is first visited in each night, MJD TAI; NaN if it is up only by day."""
        spec = self.observatory
        midnight = nights + (-spec.longitude_deg / 360.0) % 1.0
        sidereal = 280.46062 + _SIDEREAL_DEG * (midnight - 51544.5) + spec.longitude_deg
        to_transit = -((sidereal - ra + 180.0) % 360.0 - 180.0) / _SIDEREAL_DEG
        latest = spec.half_night_days - 0.022 * spec.run_visits - 0.006
        begin = np.clip(to_transit + rng.uniform(-0.06, 0.03, len(nights)), -spec.half_night_days, latest)
        return np.where(np.abs(to_transit) < 0.40, midnight + begin, np.nan)

    def _columns(self, row: Ints) -> Floats:
        middle = (row + 0.5) * self.observatory.tile_deg - 90.0
        fitting = np.floor(360.0 * np.cos(np.radians(middle)) / self.observatory.tile_deg)
        return np.asarray(np.maximum(fitting, 1.0), dtype=np.float64)

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 17, OBSERVATORIES.index(self.observatory), stream])


def _cycle(bands: tuple[str, ...], number: Ints) -> Ints:
    return np.array([BANDS.index(band) for band in bands])[number % len(bands)]


def moonlight(mjd: Floats, ra: float, dec: float, band: Ints) -> Floats:
    """Return the depth the moon costs at a position [deg], per visit [mag]."""
    phase = (mjd - _NEW_MOON_MJD) / _MONTH % 1.0
    longitude = np.radians(sun_longitude(mjd) + 360.0 * phase)
    tilt = np.radians(_OBLIQUITY)
    moon_ra = np.degrees(np.arctan2(np.cos(tilt) * np.sin(longitude), np.cos(longitude)))
    moon_dec = np.degrees(np.arcsin(np.sin(tilt) * np.sin(longitude)))
    lit = (1.0 - np.cos(2.0 * np.pi * phase)) / 2.0
    near = np.exp(-separation_deg(ra, dec, moon_ra, moon_dec) / 60.0)
    return np.asarray(np.array([1.8, 1.4, 1.0, 0.7, 0.4, 0.3])[band] * lit**1.5 * near, dtype=np.float64)


def sun_longitude(mjd: Floats) -> Floats:
    """Return the ecliptic longitude of the sun [deg], to about 0.02 deg (Astronomical Almanac, section C)."""
    days = np.asarray(mjd, dtype=np.float64) - 51544.5
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = 280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly)
    return np.asarray(longitude, dtype=np.float64)


def galactic_latitude(ra: Floats, dec: Floats) -> Floats:
    """Return the Galactic latitude of ICRS positions [deg]."""
    return 90.0 - separation_deg(*_GALACTIC_POLE, ra, dec)


def ecliptic_latitude(ra: Floats, dec: Floats) -> Floats:
    """Return the ecliptic latitude of ICRS positions [deg]."""
    return 90.0 - separation_deg(*_ECLIPTIC_POLE, ra, dec)
