"""Numbers of notices: text to finite values, or a coded refusal."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_SECONDS_PER_YEAR = 365.25 * 86400.0
_PER_SECOND = {
    "hz": 1.0,
    "s^-1": 1.0,
    "s-1": 1.0,
    "1/s": 1.0,
    "yr^-1": 1.0 / _SECONDS_PER_YEAR,
    "yr-1": 1.0 / _SECONDS_PER_YEAR,
    "1/yr": 1.0 / _SECONDS_PER_YEAR,
    "day^-1": 1.0 / 86400.0,
}


def number(text: str | None) -> float | None:
    """Return a decimal number; None for none, and for text that is no number, NaN and infinity included."""
    if text is None or len(text) > 64 or not _NUMBER.fullmatch(text.strip()):
        return None
    value = float(text)
    return value if abs(value) < float("inf") else None


def finite(value: object) -> float | None:
    """Return a JSON number, or text that is one, as a float; None for anything else, infinity included."""
    if isinstance(value, str):
        return number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def integer(text: str | None) -> int | None:
    """Return a decimal integer of at most 18 digits; None for anything else."""
    if text is None or not re.fullmatch(r"[+-]?\d{1,18}", text.strip()):
        return None
    return int(text)


def truth(text: str | None) -> bool:
    """Return whether a flag is raised: ``true``, ``1`` or ``yes``."""
    return text is not None and text.strip().lower() in {"true", "1", "yes"}


def probability(text: str | None) -> float | None:
    """Return a number in [0, 1]; None for anything else."""
    value = number(text)
    return value if value is not None and 0.0 <= value <= 1.0 else None


def rate_hz(text: str | None, unit: str | None) -> float | None:
    """Return a rate [Hz]; None if it is negative, no number, or in a unit not known here."""
    value, factor = number(text), _PER_SECOND.get((unit or "").strip().lower())
    return None if value is None or factor is None or value < 0.0 else value * factor
