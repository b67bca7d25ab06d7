"""From a published position and error radius to a localization with the instrument's true containment.

"Error radius" has no common meaning: 68 % statistical for GBM, 90 % for Swift, IceCube and INTEGRAL. The
mission's table says which. A radius of 0 or below means unknown, never "exact": such a notice keeps its
position and has no region. A radius is raised only to a floor the mission documents. The published values
stay in `Region` beside what was made of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from asterism.errors import SkyError
from asterism.sky.circle import CircleLocalization
from asterism.sky.ellipse import EllipseLocalization
from asterism.sky.localization import Localization
from asterism.sky.mixture import Systematic, from_two_radii, with_systematic
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


@dataclass(frozen=True)
class Published:
    """What a notice says of the place of its event, and what its mission says of the notice."""

    ra_deg: float
    dec_deg: float
    radius_deg: float | None
    """Error radius, or semi-major axis of an ellipse [deg]; 0 or below is unknown."""
    containment: float | None
    """Probability inside; None if undocumented."""
    systematic_included: bool | None
    radius_50_deg: float | None = None
    """A 50 % radius that stands beside a 90 % one [deg]."""
    floor_deg: float | None = None
    """Smallest radius the mission documents [deg]."""
    systematic: tuple[str, Systematic] | None = None
    """Name and size of the systematic error to add."""
    minor_deg: float | None = None
    """Semi-minor axis [deg]; None of a circle."""
    angle_deg: float = 0.0
    """Position angle of the major axis from north through east [deg]."""


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
    return region_of(
        Published(
            *centre,
            radius_deg=_degrees(document.error2radius, document.position_unit, "Error2Radius"),
            containment=stage.containment,
            systematic_included=stage.systematic_included,
            radius_50_deg=None if stage.radius_50 is None else number(values.get(stage.radius_50)),
            floor_deg=stage.floor_deg,
            systematic=mission.systematic(t0_mjd_tai, values) if stage.systematics else None,
        )
    )


def region_of(told: Published) -> tuple[Region, tuple[str, ...]]:
    """Return the region a published position and error mean, and flags."""
    ra, dec, published, minor = told.ra_deg, told.dec_deg, told.radius_deg, told.minor_deg
    if published is None or published <= 0.0 or (minor is not None and minor <= 0.0):
        return Region("point", ra, dec), (RADIUS_UNKNOWN,)
    radius = published if told.floor_deg is None else max(published, told.floor_deg)
    flags = (RADIUS_RAISED,) if radius > published else ()
    containment = told.containment
    if containment is None:
        containment, flags = _ASSUMED_CONTAINMENT, (*flags, CONTAINMENT_ASSUMED)
    try:
        shape = _shape(told, radius, containment)
    except SkyError:  # wider than the sphere lets its containment be
        return Region("point", ra, dec, published, told.containment), (*flags, RADIUS_UNINFORMATIVE)
    region = Region(
        type="mixture" if shape.kind == "mixture" else "ellipse" if shape.kind == "ellipse" else "circle",
        ra_deg=ra,
        dec_deg=dec,
        radius_deg=published,
        containment=told.containment,
        systematic_included=told.systematic_included,
        radius_50_deg=told.radius_50_deg,
        systematic=None if told.systematic is None else told.systematic[0],
        area_50_deg2=shape.area(0.5),
        area_90_deg2=shape.area(0.9),
        record=shape.as_record(),
    )
    return region, flags


def _shape(told: Published, radius: float, containment: float) -> Localization:
    """Return the density that has the published radius, widened by the systematic error where it has one."""
    ra, dec = told.ra_deg, told.dec_deg
    if told.minor_deg is not None and told.minor_deg != told.radius_deg:
        return EllipseLocalization.symmetric(ra, dec, radius, told.minor_deg, told.angle_deg, containment)
    if told.systematic is not None:
        return with_systematic(ra, dec, radius, told.systematic[1])
    return _track(ra, dec, told.radius_50_deg, radius) or CircleLocalization(ra, dec, radius, containment)


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
