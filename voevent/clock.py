"""Instants of notices: ISO text in the time scale a document names, to MJD TAI.

``coord_system_id`` starts with the scale: UTC-FK5-GEO, UTC-ICRS-GEO, TDB-ICRS-BARY. Barycentric instants
change scale only: the light travel time to the barycentre, up to 500 s, stays in the value, and `BARYCENTRIC`
flags the notice.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from asterism.times import datetime_to_mjd_tai, mjd_tai_to_iso
from asterism.voevent.errors import NoticeTimeError

BARYCENTRIC = "barycentric_time"
"""Flag of a notice whose instant is that of arrival at the Solar System barycentre."""
SCALES = ("UTC", "TAI", "TT", "TDB", "GPS")
_TAI_MINUS = {"TAI": 0.0, "TT": -32.184, "GPS": 19.0}
"""What to add to a reading of the scale to get TAI [s]."""

_ISO = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[T ](?P<time>\d{2}:\d{2}:\d{2})"
    r"(?P<fraction>\.\d{1,12})?(?P<zone>Z|[+-]\d{2}:?\d{2}| UTC)?"
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def scale_of(coord_system: str | None) -> str:
    """Return the time scale a coordinate system names; UTC if it names none.

    Raises
    ------
    NoticeTimeError
        If it names one that is unknown here.
    """
    if not coord_system:
        return "UTC"
    scale = coord_system.split("-", 1)[0].upper()
    if scale not in SCALES:
        raise NoticeTimeError(f"time scale of {coord_system[:40]!r} is none of {', '.join(SCALES)}")
    return scale


def mjd_tai(text: str, scale: str = "UTC") -> float:
    """Return an instant as MJD TAI.

    Parameters
    ----------
    text : str
        ``YYYY-MM-DDThh:mm:ss`` with any fraction and an optional zone; without a zone it is a reading of
        `scale`.
    scale : str
        One of `SCALES`.

    Raises
    ------
    NoticeTimeError
        If the text is no instant between 1972 and 2199.
    """
    found = _ISO.fullmatch(text.strip())
    if found is None:
        raise NoticeTimeError(f"{text[:60]!r} is no ISO 8601 instant")
    zone = (found["zone"] or "Z").strip().replace("UTC", "Z")
    leap = found["time"].endswith(":60")  # a leap second: one second after :59
    clock = found["time"][:-2] + "59" if leap else found["time"]
    try:
        moment = datetime.fromisoformat(f"{found['date']}T{clock}{zone}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise NoticeTimeError(f"{text[:60]!r} is no instant: {error}") from error
    if not 1972 <= moment.year < 2200:
        raise NoticeTimeError(f"{text[:60]!r} is not between 1972 and 2199")
    seconds = float(found["fraction"] or 0.0) + float(leap)
    if scale == "UTC" or found["zone"]:
        return datetime_to_mjd_tai(moment) + seconds / 86400.0
    reading = moment.timestamp() / 86400.0 + 40587.0
    correction = _tdb_to_tai(reading) if scale == "TDB" else _TAI_MINUS[scale]
    return reading + (seconds + correction) / 86400.0


def utc_text(text: str, scale: str = "UTC") -> str:
    """Return an instant as ISO 8601 UTC with microseconds and ``Z``; a UTC reading keeps its digits exactly.

    Raises
    ------
    NoticeTimeError
        If the text is no instant.
    """
    value = mjd_tai(text, scale)
    found = _ISO.fullmatch(text.strip())
    if scale != "UTC" or found is None or found["zone"] not in (None, "Z", " UTC") or found["time"].endswith(":60"):
        return mjd_tai_to_iso(value)
    digits = (found["fraction"] or ".")[1:7].ljust(6, "0")
    return f"{found['date']}T{found['time']}.{digits}Z"


def mjd_tai_of_day(text: str | None) -> float | None:
    """Return 00:00 UTC of ``YYYY-MM-DD`` as MJD TAI; None for None."""
    if text is None:
        return None
    if not _DAY.fullmatch(text):
        raise NoticeTimeError(f"{text[:60]!r} is no day")
    return mjd_tai(f"{text}T00:00:00")


def _tdb_to_tai(mjd_tdb: float) -> float:
    """Return TAI - TDB [s]; the leading periodic term leaves 30 us (USNO Circular 179, equation 2.6)."""
    century = (mjd_tdb - 51544.5) / 36525.0
    return -32.184 - 0.001657 * math.sin(628.3076 * century + 6.2401)
