"""Events, and what belongs to them."""

from __future__ import annotations

import json
from enum import Enum

import strawberry
from strawberry.types import Info

from asterism.gql.connections import Connection, decode_cursor, page_size
from asterism.gql.errors import ArgumentError
from asterism.gql.loaders import MAX_NOTICES, CandidatesAsked, RequestContext
from asterism.gql.types.candidates import CANDIDATES, Candidate, candidate_page, candidates_name
from asterism.gql.types.notices import (
    ClassProbability,
    EventKind,
    Localization,
    Notice,
    Standing,
    classes_of,
    localization_of,
    notice_of,
)
from asterism.gql.types.scalars import Instant, instant
from asterism.graph.event_reader import CandidatePage
from asterism.graph.posterior import least_log_l, p_none
from asterism.graph.rows import EventRow


@strawberry.enum(description="Whether an event has a region that holds.")
class EventState(Enum):
    """Whether an event has a region that holds."""

    ACTIVE = "active"
    RETRACTED = "retracted"
    UNLOCALIZED = "unlocalized"


@strawberry.type(description="What else the author of a notice says of the source, such as HasRemnant.")
class Property:
    """A property of the source."""

    name: str
    number: float | None
    text: str | None


async def _notices(root: strawberry.Parent[Event], info: Info[RequestContext, None]) -> list[Notice]:
    return [notice_of(row) for row in await info.context.notices.load(root.key)]


async def _localizations(
    root: strawberry.Parent[Event], info: Info[RequestContext, None]
) -> list[Localization]:
    rows = await info.context.localizations.load(root.key)
    return [localization_of(row, notice) for row, notice in rows]


async def _localization(
    root: strawberry.Parent[Event], info: Info[RequestContext, None]
) -> Localization | None:
    rows = await info.context.localizations.load(root.key)
    return next((localization_of(row, notice) for row, notice in rows if row.current), None)


async def _candidates(
    root: strawberry.Parent[Event],
    info: Info[RequestContext, None],
    first: int = 25,
    after: str | None = None,
    min_probability: float | None = None,
    include_closed: bool = False,
) -> Connection[Candidate]:
    return await candidates_of(root, info.context, first, after, min_probability, include_closed)


@strawberry.type(description="Something that happened, as all its notices together tell it.")
class Event:
    """An event."""

    row: strawberry.Private[EventRow]
    key: strawberry.ID = strawberry.field(description="authority:name")
    authority: str = strawberry.field(description="Who named it, such as lvk or gbm")
    name: str = strawberry.field(description="The mission's own name of it")
    kind: EventKind | None
    standing: Standing | None
    state: EventState | None
    version: int | None = strawberry.field(description="How many different notices there are")
    t0: Instant | None = strawberry.field(description="When it happened")
    far_hz: float | None = strawberry.field(description="False-alarm rate [Hz]")
    classification: list[ClassProbability]
    properties: list[Property]
    flags: list[str] = strawberry.field(description="What is odd about its notices")
    latest_stage: str | None = strawberry.field(description="Type of its newest notice")
    first_issued: Instant | None = strawberry.field(description="When its first notice was written")
    last_issued: Instant | None = strawberry.field(description="When its newest notice was written")
    retracted: Instant | None = strawberry.field(
        description="When it was retracted; null also where the retraction has no date (see state)"
    )
    rule_set: str | None = strawberry.field(
        description="Rule set its candidates were last scored with; null before"
    )
    scored_localization_key: strawberry.ID | None = strawberry.field(
        description="Localization they were scored with"
    )
    n_candidates: int | None = strawberry.field(
        description="Linked candidates, restricted objects counted too; null before scoring"
    )
    n_overflow: int | None = strawberry.field(description="Candidates beyond the linked ones")
    q: float | None = strawberry.field(
        description="Prior probability that the counterpart is among what the surveys could have detected"
    )
    p_none: float | None = strawberry.field(
        description="Probability that none of the detected candidates is the counterpart"
    )
    background_rate: float | None = strawberry.field(
        description="Unrelated objects that pass the same cuts [deg^-2 d^-1]"
    )
    background_measured: bool | None = strawberry.field(
        description="backgroundRate was measured off source; false: the rule set's own number"
    )
    background_objects: int | None = strawberry.field(description="Objects it was measured with")
    region_level: float | None = strawberry.field(description="Credible level that candidates lie within")

    notices: list[Notice] = strawberry.field(
        resolver=_notices, description=f"The last issued first, at most {MAX_NOTICES}."
    )
    localization: Localization | None = strawberry.field(
        resolver=_localization, description="The one that holds; null for an event retracted or without any."
    )
    localizations: list[Localization] = strawberry.field(
        resolver=_localizations,
        description=f"All there were, the current one, then the last issued first, at most {MAX_NOTICES}.",
    )
    candidates: Connection[Candidate] = strawberry.field(resolver=_candidates, description=CANDIDATES)


async def candidates_of(
    event: Event,
    context: RequestContext,
    first: int,
    after: str | None,
    min_probability: float | None,
    include_closed: bool,
) -> Connection[Candidate]:
    """Return a page of an event's candidates.

    Raises
    ------
    ArgumentError
        If an argument is out of range.
    CursorError
        If `after` is no cursor of this list.
    """
    size = page_size(first)
    if min_probability is not None and not 0.0 <= min_probability <= 1.0:
        raise ArgumentError(f"minProbability is {min_probability}", hint="give a probability, 0 to 1")
    place = decode_cursor(candidates_name(event.key, min_probability, include_closed), after)
    behind = None if place is None else (place.value, place.key, place.rest)
    least = None if min_probability is None else least_log_l(event.row, min_probability)
    if min_probability is not None and least is None:
        return candidate_page(event, [], size, min_probability, include_closed)
    page = CandidatePage(event.key, least, include_closed, behind)
    rows = await context.candidates.load(CandidatesAsked(page, size + 1))
    return candidate_page(event, rows, size, min_probability, include_closed)


def event_of(row: EventRow) -> Event:
    """Return an event as the API shows it."""
    authority, _, name = row.key.partition(":")
    return Event(
        row=row,
        key=strawberry.ID(row.key),
        authority=authority,
        name=name,
        kind=None if row.kind is None else EventKind(row.kind),
        standing=None if row.standing is None else Standing(row.standing),
        state=None if row.state is None else EventState(row.state),
        version=row.version,
        t0=instant(row.t0_mjd_tai),
        far_hz=row.far_hz,
        classification=classes_of(row.classification),
        properties=_properties(row.properties),
        flags=row.flags or [],
        latest_stage=row.latest_stage,
        first_issued=instant(row.first_issued_mjd_tai),
        last_issued=instant(row.last_issued_mjd_tai),
        retracted=instant(row.retracted_mjd_tai),
        rule_set=row.rule_set,
        scored_localization_key=None
        if row.scored_localization is None
        else strawberry.ID(row.scored_localization),
        n_candidates=row.n_candidates,
        n_overflow=row.n_overflow,
        q=row.q,
        p_none=p_none(row),
        background_rate=row.background_rate,
        background_measured=row.background_measured,
        background_objects=row.background_objects,
        region_level=row.region_level,
    )


def _properties(text: str | None) -> list[Property]:
    values = json.loads(text) if text else {}
    return [
        Property(
            name=name,
            number=value if isinstance(value, int | float) and not isinstance(value, bool) else None,
            text=value if isinstance(value, str) else None,
        )
        for name, value in sorted(values.items())
    ]
