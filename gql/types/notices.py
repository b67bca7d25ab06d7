"""Notices and the localizations they give."""

from __future__ import annotations

import json
from enum import Enum

import strawberry

from asterism.gql.nodes import Node
from asterism.gql.types.scalars import Instant, instant
from asterism.graph.rows import LocalizationRow, NoticeRow


@strawberry.enum(description="What happened.")
class EventKind(Enum):
    """What happened."""

    GW = "gw"
    GRB = "grb"
    NEUTRINO = "neutrino"
    UNKNOWN = "unknown"


@strawberry.enum(description="Whether an event or notice is about the sky; only REAL ones get candidates.")
class Standing(Enum):
    """Whether an event or notice is about the sky."""

    REAL = "real"
    TEST = "test"
    MOCK = "mock"
    INJECTION = "injection"
    PREDICTION = "prediction"
    UTILITY = "utility"


@strawberry.type(description="How probable the author of a notice holds a class.")
class ClassProbability:
    """Probability of a class."""

    name: str
    probability: float


@strawberry.type(description="A notice: what one delivered document says. It never changes.")
class Notice(Node):
    """A notice."""

    key: strawberry.ID = strawberry.field(description="SHA-256 of its bytes")
    ivorn: str | None = strawberry.field(description="Its own identifier; not unique")
    mission: str | None
    kind: EventKind | None
    stage: str | None = strawberry.field(description="Type of notice within the mission")
    role: str | None
    standing: Standing | None
    is_retraction: bool | None
    issued: Instant | None = strawberry.field(description="When it was written, by its author's clock")
    received: Instant | None = strawberry.field(description="When it first came here")
    channels: list[str] = strawberry.field(description="Ways it came by")
    t0: Instant | None = strawberry.field(description="When it says the event happened")
    far_hz: float | None = strawberry.field(description="False-alarm rate [Hz]")
    classification: list[ClassProbability]
    map_url: str | None = strawberry.field(description="Where its author says the sky map is")
    flags: list[str] = strawberry.field(description="What is odd about it")
    conflict: bool = strawberry.field(description="Another document has the same IVORN")


@strawberry.type(description="Where a notice says its event is.")
class Localization(Node):
    """Where a notice says its event is."""

    key: strawberry.ID
    notice_key: strawberry.ID
    kind: str | None = strawberry.field(description="circle, mixture, ellipse or skymap")
    ra: float | None = strawberry.field(
        description="right ascension of the centre, or of a map's densest pixel, ICRS [deg]"
    )
    dec: float | None = strawberry.field(description="declination of the same, ICRS [deg]")
    radius_deg: float | None = strawberry.field(description="Error radius as published [deg]")
    containment: float | None = strawberry.field(description="Probability inside radiusDeg; null if not documented")
    systematic_included: bool | None = strawberry.field(
        description="radiusDeg covers systematic errors; null if not documented"
    )
    systematic: str | None = strawberry.field(description="Systematic error added to the published radius")
    area50: float | None = strawberry.field(description="Area of the 50 % credible region [deg2]")
    area90: float | None = strawberry.field(description="Area of the 90 % credible region [deg2]")
    distance_mpc: float | None = strawberry.field(description="Mean luminosity distance [Mpc]")
    distance_sigma_mpc: float | None = strawberry.field(description="Its standard deviation [Mpc]")
    valid_from: Instant | None = strawberry.field(
        description="Since when it held, by the authors' clocks; null if it never did"
    )
    valid_to: Instant | None = strawberry.field(description="Until when it held; null while it does")
    current: bool = strawberry.field(description="It is the one that holds")


def notice_of(row: NoticeRow) -> Notice:
    """Return a notice as the API shows it."""
    return Notice(
        key=strawberry.ID(row.key),
        ivorn=row.ivorn,
        mission=row.mission,
        kind=None if row.kind is None else EventKind(row.kind),
        stage=row.stage,
        role=row.role,
        standing=None if row.standing is None else Standing(row.standing),
        is_retraction=row.is_retraction,
        issued=instant(row.issued_mjd_tai),
        received=instant(row.received_mjd_tai),
        channels=row.channels or [],
        t0=instant(row.t0_mjd_tai),
        far_hz=row.far_hz,
        classification=classes_of(row.classification),
        map_url=row.map_url,
        flags=row.flags or [],
        conflict=bool(row.conflict),
    )


def localization_of(row: LocalizationRow, notice_key: str) -> Localization:
    """Return a localization as the API shows it."""
    return Localization(
        key=strawberry.ID(row.key),
        notice_key=strawberry.ID(notice_key),
        kind=row.kind,
        ra=row.ra,
        dec=row.dec,
        radius_deg=row.radius_deg,
        containment=row.containment,
        systematic_included=row.systematic_included,
        systematic=row.systematic,
        area50=row.area50,
        area90=row.area90,
        distance_mpc=row.distance_mpc,
        distance_sigma_mpc=row.distance_sigma_mpc,
        valid_from=instant(row.valid_from_mjd_tai),
        valid_to=instant(row.valid_to_mjd_tai),
        current=bool(row.current),
    )


def classes_of(text: str | None) -> list[ClassProbability]:
    """Return the classes a node holds as JSON, by name."""
    values = json.loads(text) if text else {}
    return [ClassProbability(name=name, probability=value) for name, value in sorted(values.items())]
