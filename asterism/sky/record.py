"""Reading localizations back from records: values are checked like any input."""

from __future__ import annotations

import math

from asterism.errors import SkyError
from asterism.sky.localization import Record


def numbers(record: Record, *names: str) -> tuple[float, ...]:
    """Return finite numbers of a record by name.

    Raises
    ------
    SkyError
        If one is missing or not a finite number.
    """
    values = []
    for name in names:
        value = record.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SkyError(f"localization record has no finite {name}: {value!r:.40}")
        values.append(float(value))
    return tuple(values)
