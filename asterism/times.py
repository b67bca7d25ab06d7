"""Time scales. Inside Asterism an instant is **MJD TAI** (float64 days, column names end in ``MjdTai``).

ZTF gives JD UTC at the *start* of the exposure, LSST MJD TAI at its midpoint; nothing here moves one to the other.
The difference TAI - UTC is 10 s + leap seconds, stepping at 00:00 UTC of the day a leap second is in force (IERS
Bulletin C); since 2017-01-01 it is 37 s. Float64 MJD resolves about 0.6 us in this century, float64 JD 40 us.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

JD_MINUS_MJD = 2400000.5
SECONDS_PER_DAY = 86400.0
_MJD_UNIX_EPOCH = 40587.0


@lru_cache(maxsize=1)
def _leap_seconds() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the MJD UTC at which TAI - UTC changes and the value from there on [s], from astropy's bundled table."""
    from astropy.utils import iers

    table = iers.LeapSeconds.from_iers_leap_seconds(iers.IERS_LEAP_SECOND_FILE)
    mjd = np.asarray(table["mjd"], dtype=np.float64)
    return mjd, np.asarray(table["tai_utc"], dtype=np.float64)


def tai_minus_utc(mjd_utc: ArrayLike) -> NDArray[np.float64]:
    """Return TAI - UTC [s] at MJD UTC; instants before 1972 get the first value, 10 s."""
    starts, offsets = _leap_seconds()
    index = np.searchsorted(starts, np.asarray(mjd_utc, dtype=np.float64), side="right") - 1
    return offsets[np.clip(index, 0, None)]


def mjd_utc_to_tai(mjd_utc: ArrayLike) -> NDArray[np.float64]:
    """Convert MJD UTC to MJD TAI, shape preserved."""
    utc = np.asarray(mjd_utc, dtype=np.float64)
    return utc + tai_minus_utc(utc) / SECONDS_PER_DAY


def mjd_tai_to_utc(mjd_tai: ArrayLike) -> NDArray[np.float64]:
    """Convert MJD TAI to MJD UTC, shape preserved; the inverse of `mjd_utc_to_tai` outside leap seconds."""
    tai = np.asarray(mjd_tai, dtype=np.float64)
    starts, offsets = _leap_seconds()
    index = np.searchsorted(starts + offsets / SECONDS_PER_DAY, tai, side="right") - 1
    return tai - offsets[np.clip(index, 0, None)] / SECONDS_PER_DAY


def jd_utc_to_mjd_tai(jd_utc: ArrayLike) -> NDArray[np.float64]:
    """Convert JD UTC (ZTF's ``jd``) to MJD TAI, shape preserved."""
    return mjd_utc_to_tai(np.asarray(jd_utc, dtype=np.float64) - JD_MINUS_MJD)


def night_of(mjd_tai: ArrayLike, shift_hours: float) -> NDArray[np.int32]:
    """Return the night as an integer YYYYMMDD.

    Parameters
    ----------
    mjd_tai : array_like
        Instants, MJD TAI.
    shift_hours : float
        Hours added to UTC before the date is taken, such that one night at the site has one date:
        0 for Palomar (UTC date), -12 for Rubin (``dayObs``).
    """
    shifted = mjd_tai_to_utc(mjd_tai) + shift_hours / 24.0
    days = np.floor(shifted - _MJD_UNIX_EPOCH).astype("int64").astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    months = days.astype("datetime64[M]")
    year = years.astype(np.int64) + 1970
    month = (months - years).astype(np.int64) + 1
    day = (days - months).astype(np.int64) + 1
    return np.asarray(year * 10000 + month * 100 + day, dtype=np.int32)


def mjd_tai_to_iso(mjd_tai: float) -> str:
    """Return an instant as ISO 8601 UTC with microseconds and ``Z``."""
    seconds = (float(mjd_tai_to_utc(mjd_tai)) - _MJD_UNIX_EPOCH) * SECONDS_PER_DAY
    return datetime.fromtimestamp(round(seconds, 6), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def datetime_to_mjd_tai(moment: datetime) -> float:
    """Convert an aware datetime to MJD TAI.

    Raises
    ------
    ValueError
        If `moment` is naive: an instant without a time zone is not an instant.
    """
    if moment.tzinfo is None:
        raise ValueError("a datetime without time zone is not an instant")
    return float(mjd_utc_to_tai(moment.timestamp() / SECONDS_PER_DAY + _MJD_UNIX_EPOCH))


def now_mjd_tai() -> float:
    """Return the present instant as MJD TAI, by this machine's clock."""
    return datetime_to_mjd_tai(datetime.now(UTC))
