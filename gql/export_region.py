"""The credible region of a localization as a MOC."""

from __future__ import annotations

from pathlib import Path

from asterism.gql.errors import ArgumentError
from asterism.graph.events import load_localization
from asterism.graph.region_reader import RegionReader
from asterism.ids import split_key
from asterism.sky.moc import moc_fits, moc_json

MAX_RANGES = 20_000
"""Finest description of a region; no map met so far needs more."""
MEDIA_TYPES = {"fits": "application/fits", "json": "application/json"}
"""MIME type of each form of a MOC."""


async def region_record(reader: RegionReader, event: str | None, localization: str | None) -> tuple[str, str]:
    """Return key and record of a localization, or of the one that holds for an event.

    Raises
    ------
    ArgumentError
        If there is none, or both or neither are named.
    """
    if (event is None) == (localization is None):
        raise ArgumentError("name an event or a localization, not both", hint="event=authority:name")
    if event is not None:
        split_key(event)
    found = await reader.region(event, localization)
    if found is None:
        raise ArgumentError(
            f"there is no localization {localization}" if event is None else f"{event} has no localization that holds",
            hint="event(key:) { localizations { key } } lists them",
        )
    return found


def moc(record: str, maps: Path, level: float, form: str) -> bytes:
    """Return the region that holds probability `level`.

    Parameters
    ----------
    record : str
        The stored localization.
    maps : Path
        The lake's folder of sky maps.
    level : float
        Probability, in (0, 1].
    form : str
        ``fits`` or ``json``.

    Raises
    ------
    ArgumentError
        If level or form are none.
    SkyError
        If the localization cannot be read.
    """
    if not 0.0 < level <= 1.0:
        raise ArgumentError(f"level is {level}", hint="give a probability above 0, up to 1, such as 0.9")
    if form not in MEDIA_TYPES:
        raise ArgumentError(f"format is {form!r:.40}", hint=f"a region comes as {' or '.join(MEDIA_TYPES)}")
    ranges = load_localization(record, maps).ranges(level, max_ranges=MAX_RANGES)
    return moc_fits(ranges) if form == "fits" else moc_json(ranges)
