"""From a published position and error radius to a localization with the instrument's true containment.

"Error radius" has no common meaning: 68 % statistical for GBM, 90 % for Swift, IceCube and INTEGRAL. The
mission's table says which. A radius of 0 or below means unknown, never "exact": such a notice keeps its
position and has no region. A radius is raised only to a floor the mission documents. The published values
stay in `Region` beside what was made of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from asterism.errors import SkyError
from asterism.sky.circle import CircleLocalization
from asterism.sky.localization import Localization
from asterism.sky.mixture import from_two_radii, with_systematic
from asterism.voevent.document import Document
from asterism.voevent.errors import NoticePositionError
from asterism.voevent.missions.table import Mission, Stage
from asterism.voevent.notice import Region
from asterism.voevent.numbers import number

RADIUS_UNKNOWN = "radius_unknown"
RADIUS_RAISED = "radius_raised_to_floor"
RADIUS_UNINFORMATIVE = "radius_uninformative"
CONTAINMENT_ASSUMED = "containment_assumed"

_ASSUMED_CONTAINMENT = 0.68
"""Taken where none is documented: of the usual meanings the one that gives the largest 90 % region."""
_FRAMES = ("FK5", "ICRS")


def locate(
    document: Document, mission: Mission, stage: Stage, t0_mjd_tai: float | None, values: Mapping[str, str]
) -> tuple[Region | None, tuple[str, ...]]:
    """Return where a document says the event is, and flags.

    Parameters
    ----------
    document : Document
        The document.
    mission, stage : Mission, Stage
        What its numbers mean.
    t0_mjd_tai : float, optional
        Trigger time, which selects the systematic error.
    values : mapping of str to str
        Its parameters.

    Raises
    ------
    NoticePositionError
        If a coordinate is not finite or out of range, or in a frame or unit not known here.
    """
    centre = position(document) if stage.position else None
    if centre is None:
        return None, ()
    ra, dec = centre
    published = _degrees(document.error2radius, document.position_unit, "Error2Radius")
    if published is None or published <= 0.0:
        return Region("point", ra, dec), (RADIUS_UNKNOWN,)
    half = None if stage.radius_50 is None else number(values.get(stage.radius_50))
    systematic = mission.systematic(t0_mjd_tai, values) if stage.systematics else None
    radius = published if stage.floor_deg is None else max(published, stage.floor_deg)
    flags = (RADIUS_RAISED,) if radius > published else ()
    containment = stage.containment
    if containment is None:
        containment, flags = _ASSUMED_CONTAINMENT, (*flags, CONTAINMENT_ASSUMED)
    try:
        if systematic is not None:
            shape: Localization = with_systematic(ra, dec, radius, systematic[1])
        else:
            shape = _track(ra, dec, half, radius) or CircleLocalization(ra, dec, radius, containment)
    except SkyError:  # wider than the sphere lets its containment be
        return Region("point", ra, dec, published, stage.containment), (*flags, RADIUS_UNINFORMATIVE)
    region = Region(
        type="mixture" if shape.kind == "mixture" else "circle",
        ra_deg=ra,
        dec_deg=dec,
        radius_deg=published,
        containment=stage.containment,
        systematic_included=stage.systematic_included,
        radius_50_deg=half,
        systematic=None if systematic is None else systematic[0],
        area_50_deg2=shape.area(0.5),
        area_90_deg2=shape.area(0.9),
        record=shape.as_record(),
    )
    return region, flags


def position(document: Document) -> tuple[float, float] | None:
    """Return right ascension and declination [deg] of a document; None if it has no position.

    Raises
    ------
    NoticePositionError
        If it has one that is none.
    """
    if document.c1 is None and document.c2 is None:
        return None
    frame = (document.coord_system or "UTC-ICRS-GEO").upper().split("-")
    if not any(name in frame for name in _FRAMES):
        raise NoticePositionError(f"frame of {document.coord_system!r:.60} is neither FK5 nor ICRS")
    ra = _degrees(document.c1, document.position_unit, "C1")
    dec = _degrees(document.c2, document.position_unit, "C2")
    if ra is None or dec is None or not 0.0 <= ra <= 360.0 or not -90.0 <= dec <= 90.0:
        raise NoticePositionError(f"({document.c1!r:.40}, {document.c2!r:.40}) is no position on the sky")
    return ra % 360.0, dec


def _degrees(text: str | None, unit: str | None, name: str) -> float | None:
    """Return an angle [deg]; None if the document has none."""
    if text is None:
        return None
    value = number(text)
    if value is None:
        raise NoticePositionError(f"{name} {text!r:.40} is not a finite number")
    named = (unit or "deg").strip().lower()
    if named in {"deg", "degree", "degrees"}:
        return value
    if named in {"rad", "radian", "radians"}:
        return math.degrees(value)
    raise NoticePositionError(f"unit {unit!r:.40} of the position is neither deg nor rad")


def _track(ra: float, dec: float, r50: float | None, r90: float) -> Localization | None:
    """Return a heavy-tailed localization that keeps both radii; None if there is one only, or a Gaussian fits
    both."""
    if r50 is None or not 0.0 < r50 < r90:
        return None
    try:
        return from_two_radii(ra, dec, r50, r90)
    except SkyError:  # closer than a Gaussian's, as those of cascades: the 90 % circle says it all
        return None
