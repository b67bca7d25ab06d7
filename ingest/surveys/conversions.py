"""Conversions the field maps name, on whole columns: from a survey's units and conventions to ours.

NaN and None mean null and propagate: whatever depends on an unknown is unknown. Magnitudes are AB (Oke & Gunn
1983, ApJ 266, 713): m = -2.5 log10(f) - 48.60 with f in erg s-1 cm-2 Hz-1, of which 1 nJy is 1e-32, so that 1
nJy has exactly 31.4 mag.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from asterism.errors import IdError
from asterism.ids import id_text
from asterism.ingest.surveys.survey import Numbers, Texts
from asterism.times import jd_utc_to_mjd_tai

AB_ZERO_POINT = 31.4
"""AB magnitude of 1 nJy [mag]."""
POGSON = 2.5 / math.log(10.0)
"""Magnitudes per unit of relative flux error, 1.0857."""
MALFORMED = ""
"""Stands for an identifier that is none; such an alert is refused, so it never leaves ingest."""

_FIRST_MJD = 41317.0
_LAST_MJD = 88069.0
_BANDS = frozenset("ugrizy")
_LSST_VERSION = re.compile(r"(?:lsst\.)?v(\d+)_(\d+)")


def as_is(values: Numbers) -> Numbers:
    """Keep a column of numbers."""
    return values


def names(values: Texts) -> Texts:
    """Keep printable text of at most 128 characters, blanks around it removed; anything else is unknown."""
    stripped = (value.strip() if value else None for value in values)
    return [value if value and len(value) <= 128 and value.isprintable() else None for value in stripped]


def identifiers(values: Sequence[int | str | None]) -> Texts:
    """Write identifiers as text; 0 means none, and what cannot be an identifier becomes `MALFORMED`."""
    return [str(value) if type(value) is int and value > 0 else _identifier(value) for value in values]


def _identifier(value: int | str | None) -> str | None:
    if value is None or value == 0:
        return None
    try:
        return id_text(value)
    except IdError:
        return MALFORMED


def ztf_band(fid: Numbers) -> Texts:
    """Name ZTF's filter numbers: 1 g, 2 r, 3 i."""
    return [{1.0: "g", 2.0: "r", 3.0: "i"}.get(value) for value in fid.tolist()]


def bands(values: Texts) -> Texts:
    """Keep the names of the six bands; anything else is unknown."""
    return [value if value in _BANDS else None for value in values]


def instants(mjd_tai: Numbers) -> Numbers:
    """Keep instants [MJD TAI] from 1972 to 2100; others are unknown."""
    return np.where((mjd_tai >= _FIRST_MJD) & (mjd_tai < _LAST_MJD), mjd_tai, np.nan)


def instants_from_jd(jd_utc: Numbers) -> Numbers:
    """Convert JD UTC to MJD TAI [d], from 1972 to 2100; others are unknown."""
    return instants(jd_utc_to_mjd_tai(jd_utc))


def not_negative(values: Numbers) -> Numbers:
    """Keep counts and distances >= 0."""
    return np.where(values >= 0.0, values, np.nan)


def flux_of_mag(mag: Numbers, positive: Numbers) -> Numbers:
    """Return the signed flux [nJy] of an AB magnitude [mag] and its sign (1 positive, 0 negative)."""
    return (2.0 * positive - 1.0) * np.power(10.0, (AB_ZERO_POINT - mag) / 2.5)


def flux_error_of_mag(mag: Numbers, mag_error: Numbers) -> Numbers:
    """Return the error [nJy] of the flux of an AB magnitude with a 1 sigma error [mag], to first order."""
    return np.power(10.0, (AB_ZERO_POINT - mag) / 2.5) * mag_error / POGSON


def mag_of_flux(flux: Numbers) -> Numbers:
    """Return the AB magnitude of the absolute flux [nJy]; unknown for 0."""
    size = np.abs(flux)
    return AB_ZERO_POINT - 2.5 * np.log10(np.where(size > 0.0, size, np.nan))


def mag_error_of_flux(flux: Numbers, flux_error: Numbers) -> Numbers:
    """Return the 1 sigma error [mag] of `mag_of_flux`, to first order."""
    size = np.abs(flux)
    return POGSON * flux_error / np.where(size > 0.0, size, np.nan)


def positive_unless(negative: Numbers, flux: Numbers) -> Numbers:
    """Return 1 unless the survey calls the flux negative; where it says nothing, the flux's sign decides."""
    by_sign = np.where(flux > 0.0, 1.0, np.where(flux < 0.0, 0.0, np.nan))
    return np.where(np.isnan(negative), by_sign, 1.0 - negative)


def ztf_public(programid: Numbers) -> Numbers:
    """Return 1 for programme 1, else 0, unknown ones included: only what is known to be public is shown."""
    return np.where(programid == 1.0, 1.0, 0.0)


def always_public(source_id: Sequence[int | str | None]) -> Numbers:
    """Return 1 for every alert of a survey whose alerts are world-public."""
    return np.ones(len(source_id))


def lsst_version(values: Texts) -> Texts:
    """Return ``9.0`` for ``lsst.v9_0``; other text names no version."""
    matches = (_LSST_VERSION.fullmatch(value) if value else None for value in values)
    return [f"{match[1]}.{match[2]}" if match else None for match in matches]
