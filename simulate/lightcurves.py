"""Light curves: the flux on a difference image of each kind of thing, as a function of time and band.

Shapes are deliberately simple (one rise, one decline, one colour); what association can learn from them is right: how
soon a thing appears, how fast it fades, its colour and its sign. Rates and colours: supernovae Filippenko 1997 (ARA&A
35, 309); kilonovae AT2017gfo (`asterism.simulate.gw170817`); afterglows Sari, Piran & Narayan 1998 (ApJ 497, L17)
and for off-axis ones the rise before the peak of Granot et al. 2002 (ApJ 570, L61); TDEs t**-5/3 with a blue colour
(van Velzen et al. 2021, ApJ 908, 4); dwarf novae a day up and a decline of 0.15 to 0.9 mag a day (Warner 1995), and
fast blue transients, which fade as fast but lie in galaxies (Drout et al. 2014, ApJ 794, 23; Ho et al. 2023, ApJ 949,
120): what is most easily taken for a kilonova.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from asterism.simulate.gw170817 import PHOTOMETRY
from asterism.simulate.measurement import AB_ZERO_POINT

BANDS = "ugrizy"
Floats = NDArray[np.float64]
_LAMBDA = np.array([0.365, 0.48, 0.62, 0.755, 0.87, 1.0])
_REFERENCE = BANDS.index("r")


_KILONOVA_RISE = 0.25
"""Rise before the first observations of AT2017gfo [d]: nobody saw it; expanding ejecta brighten as time squared."""


class Kind(StrEnum):
    """What a simulated thing is."""

    SUPERNOVA = "supernova"
    FAST_TRANSIENT = "fast_transient"
    DWARF_NOVA = "dwarf_nova"
    AGN = "agn"
    NUCLEAR_FLARE = "nuclear_flare"
    VARIABLE_STAR = "variable_star"
    FADED_STAR = "faded_star"
    KILONOVA = "kilonova"
    AFTERGLOW = "afterglow"
    OFF_AXIS_AFTERGLOW = "off_axis_afterglow"
    TDE = "tde"
    ASTEROID = "asteroid"
    UNKNOWN_ASTEROID = "unknown_asteroid"
    ARTEFACT = "artefact"


CATALOGUED = {Kind.AGN: "agn", Kind.VARIABLE_STAR: "star"}
"""Kinds that stand in the catalogue, and their class there."""

HOSTED = (Kind.SUPERNOVA, Kind.FAST_TRANSIENT, Kind.KILONOVA, Kind.AFTERGLOW, Kind.TDE, Kind.NUCLEAR_FLARE)
"""Kinds that happen in a galaxy."""


def difference_flux(kind: Kind, days: Floats, band: NDArray[np.int64], mag: Floats, shape: Floats) -> Floats:
    """Return the signed flux on the difference image [nJy].

    Parameters
    ----------
    kind : Kind
        What it is.
    days : ndarray
        Time since the epoch of the light curve [d], shape (objects, visits): explosion, burst, onset.
    band : ndarray of int
        Index into ``ugrizy`` of each visit.
    mag : ndarray
        AB magnitude in r, shape (objects, 1): at peak, of AGN and variables in quiescence, of kilonovae and
        afterglows one day after the epoch.
    shape : ndarray
        Stretch of time around 1, shape (objects, 1); the phase (0 to 1) of what varies for ever; the index of the
        power law of an afterglow.
    """
    flux = 10.0 ** (0.4 * (AB_ZERO_POINT - mag))
    return np.asarray(flux * _CURVES[kind](days, band, shape), dtype=np.float64)


def _supernova(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    colour = np.array([0.6, 0.05, 0.0, 0.15, 0.2, 0.25])[band]
    rate = np.array([0.09, 0.055, 0.035, 0.028, 0.025, 0.025])[band]
    rise = np.clip(days / (16.0 * shape), 0.0, 1.0)
    after = np.maximum(days / shape - 16.0, 0.0)
    decline = rate * np.minimum(after, 35.0) + 0.013 * np.maximum(after - 35.0, 0.0)
    return np.asarray((rise * (2.0 - rise)) ** 1.5 * _fainter(colour + decline))


def _kilonova(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    time = np.maximum(days, 0.0) / shape
    mag = np.empty(np.broadcast(time, band).shape)
    reference = float(np.interp(1.0, *np.array(PHOTOMETRY["r"]).T))
    for index, name in enumerate(BANDS):
        known, values = np.array(PHOTOMETRY[name]).T
        here = np.broadcast_to(band == index, mag.shape)
        late = 0.5 * np.maximum(time - known[-1], 0.0)
        mag[here] = (np.interp(time, known, values) + late)[here] - reference
    return np.asarray(np.clip(time / _KILONOVA_RISE, 0.0, 1.0) ** 2 * _fainter(mag))


def _afterglow(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    decay = np.maximum(days, 1e-3) ** -shape
    return np.where(days > 0.0, decay * _fainter(_power_law_colour(band)), 0.0)


def _off_axis_afterglow(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    time = np.maximum(days, 1e-3) / (12.0 * shape)
    curve = 2.0 / (time**-2.0 + time**1.6)
    return np.where(days > 0.0, curve * _fainter(_power_law_colour(band)), 0.0)


def _power_law_colour(band: NDArray[np.int64]) -> Floats:
    """Return magnitudes relative to r of a spectrum with flux density falling as frequency**-0.7."""
    return np.asarray(-2.5 * 0.7 * np.log10(_LAMBDA / _LAMBDA[_REFERENCE])[band])


def _tde(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    colour = np.array([-0.4, -0.2, 0.0, 0.1, 0.2, 0.3])[band]
    since_peak = days - 30.0 * shape
    rise = np.exp(-0.5 * (np.minimum(since_peak, 0.0) / (11.0 * shape)) ** 2)
    fall = (1.0 + np.maximum(since_peak, 0.0) / (45.0 * shape)) ** (-5.0 / 3.0)
    return np.where(days > 0.0, rise * fall * _fainter(colour), 0.0)


def _nuclear_flare(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    colour = np.array([0.0, 0.0, 0.0, 0.0, 0.05, 0.05])[band]
    time = np.maximum(days, 0.0) / shape
    return np.asarray((1.0 - np.exp(-time / 12.0)) * np.exp(-time / 110.0) * _fainter(colour))


def _agn(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    amplitude = np.array([0.35, 0.3, 0.25, 0.2, 0.2, 0.15])[band]
    waves = sum(np.sin(2.0 * np.pi * (days / period + 7.0 * k * shape)) for k, period in enumerate((37, 117, 401), 1))
    return np.asarray(_fainter(amplitude * waves) - 1.0)


def _variable_star(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    amplitude = np.array([0.6, 0.5, 0.4, 0.35, 0.3, 0.3])[band]
    wave = np.sin(2.0 * np.pi * days / (0.2 * 10.0 ** (2.8 * shape)))
    return np.asarray(_fainter(amplitude * wave) - 1.0)


def _faded_star(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    level = 0.5 + 0.1 * np.sin(2.0 * np.pi * (days / 25.0 + shape)) + 0.0 * band
    return np.asarray(_fainter(level) - 1.0)


def _dwarf_nova(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    colour = np.array([-0.2, -0.1, 0.0, 0.1, 0.2, 0.25])[band]
    decline = (0.15 + 2.0 * (shape - 0.8)) * np.maximum(days - 0.7, 0.0)
    return np.asarray(np.clip(days / 0.7, 0.0, 1.0) * _fainter(colour + decline))


def _fast_transient(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    colour = np.array([-0.3, -0.15, 0.0, 0.1, 0.2, 0.25])[band]
    decline = (0.2 + 1.8 * (shape - 0.8)) * np.maximum(days - 1.5 * shape, 0.0)
    rise = np.clip(days / (1.5 * shape), 0.0, 1.0)
    return np.asarray(rise * (2.0 - rise) * _fainter(colour + decline))


def _constant(days: Floats, band: NDArray[np.int64], shape: Floats) -> Floats:
    return np.ones(np.broadcast(days, band, shape).shape)


def _fainter(magnitudes: Floats) -> Floats:
    return np.asarray(10.0 ** (-0.4 * magnitudes), dtype=np.float64)


_CURVES: dict[Kind, Callable[[Floats, NDArray[np.int64], Floats], Floats]] = {
    Kind.SUPERNOVA: _supernova,
    Kind.FAST_TRANSIENT: _fast_transient,
    Kind.DWARF_NOVA: _dwarf_nova,
    Kind.AGN: _agn,
    Kind.NUCLEAR_FLARE: _nuclear_flare,
    Kind.VARIABLE_STAR: _variable_star,
    Kind.FADED_STAR: _faded_star,
    Kind.KILONOVA: _kilonova,
    Kind.AFTERGLOW: _afterglow,
    Kind.OFF_AXIS_AFTERGLOW: _off_axis_afterglow,
    Kind.TDE: _tde,
    Kind.ASTEROID: _constant,
    Kind.UNKNOWN_ASTEROID: _constant,
    Kind.ARTEFACT: _constant,
}
