"""Every kind of localization, and the one function that reads any of them back."""

from __future__ import annotations

from asterism.errors import SkyError
from asterism.sky.circle import CircleLocalization
from asterism.sky.ellipse import EllipseLocalization
from asterism.sky.localization import Localization, Record
from asterism.sky.mixture import MixtureLocalization
from asterism.sky.skymap import SkyMapLocalization

KINDS: dict[str, type[Localization]] = {
    kind.kind: kind for kind in (CircleLocalization, MixtureLocalization, EllipseLocalization, SkyMapLocalization)
}
"""Class of each ``kind`` in records."""


def localization_from_record(record: Record) -> Localization:
    """Build the localization that `Localization.as_record` described.

    Raises
    ------
    SkyError
        If the kind is unknown or a value missing or impossible.
    """
    kind = KINDS.get(str(record.get("kind")))
    if kind is None:
        raise SkyError(f"unknown kind of localization {record.get('kind')!r:.40}", hint=f"one of {', '.join(KINDS)}")
    return kind.from_record(record)
