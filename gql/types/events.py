"""Events, and what belongs to them."""

from __future__ import annotations

import json
from enum import Enum

import strawberry
from strawberry.types import Info

from asterism.gql.connections import Connection, decode_cursor, page_size
from asterism.gql.errors import ArgumentError
from asterism.gql.loaders import (
    MAX_ANNOTATIONS,
    MAX_EVENTS,
    MAX_NOTICES,
    CandidatesAsked,
    CoincidencesAsked,
    RequestContext,
)
from asterism.gql.nodes import Node
from asterism.gql.types.annotations import Annotation, annotation_of
from asterism.gql.types.candidates import CANDIDATES, Candidate, CandidateSort, candidate_page, candidates_name
from asterism.gql.types.coincidences import Coincidence, coincidence_of
from asterism.gql.types.filters import CandidateFilter, candidate_search
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
from asterism.gql.types.scalars import Instant, Int64, instant
from asterism.graph.event_reader import CandidatePage, CandidateSearch
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


async def _localizations(root: strawberry.Parent[Event], info: Info[RequestContext, None]) -> list[Localization]:
    rows = await info.context.localizations.load(root.key)
    return [localization_of(row, notice) for row, notice in rows]


async def _localization(root: strawberry.Parent[Event], info: Info[RequestContext, None]) -> Localization | None:
    rows = await info.context.localizations.load(root.key)
    return next((localization_of(row, notice) for row, notice in rows if row.current), None)


async def _candidates(
    root: strawberry.Parent[Event],
    info: Info[RequestContext, None],
    first: int = 25,
    after: str | None = None,
    min_probability: float | None = None,
    include_closed: bool = False,
    where: CandidateFilter | None = None,
    sort: CandidateSort = CandidateSort.PROBABILITY,
    rule_set: str | None = None,
    as_of: float | None = None,
) -> Connection[Candidate]:
    search = candidate_search(where, sort, include_closed=include_closed, rule_set=rule_set, as_of=as_of)
    return await candidates_of(root, info.context, first, after, min_probability, search)


async def _coincidences(
    root: strawberry.Parent[Event], info: Info[RequestContext, None], include_closed: bool = False
) -> list[Coincidence]:
    found = await info.context.coincidences.load(CoincidencesAsked(root.key, include_closed))
    return [coincidence_of(*one) for one in found]


async def _annotations(root: strawberry.Parent[Event], info: Info[RequestContext, None]) -> list[Annotation]:
    return [annotation_of(row) for row in await info.context.event_annotations.load(root.key)]


@strawberry.type(description="Something that happened, as all its notices together tell it.")
class Event(Node):
    """An event."""

    row: strawberry.Private[EventRow]
    key: strawberry.ID = strawberry.field(description="authority:name")
    changed: Int64 | None = strawberry.field(
        description="Place of its last change in the sequence that subscriptions follow; null before the first"
    )
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
    rule_set: str | None = strawberry.field(description="Rule set its candidates were last scored with; null before")
    scored_localization_key: strawberry.ID | None = strawberry.field(description="Localization they were scored with")
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
    coincidences: list[Coincidence] = strawberry.field(
        resolver=_coincidences,
        description="Links to events that may be this one, the largest odds first; includeClosed adds those no longer "
        f"believed. At most {MAX_EVENTS}.",
    )
    annotations: list[Annotation] = strawberry.field(
        resolver=_annotations,
        description=f"What was said of it and its candidates, the newest first, at most {MAX_ANNOTATIONS}.",
    )


async def candidates_of(
    event: Event,
    context: RequestContext,
    first: int,
    after: str | None,
    min_probability: float | None,
    search: CandidateSearch,
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
    if min_probability is not None and (search.as_of is not None or search.rule_set not in (None, event.rule_set)):
        raise ArgumentError(
            "probabilities are known for the present and the event's own rule set only",
            hint="leave out minProbability, or asOf and ruleSet",
        )
    place = decode_cursor(candidates_name(event.key, min_probability, search), after)
    behind = None if place is None else (place.value, place.key, place.rest)
    least = None if min_probability is None else least_log_l(event.row, min_probability)
    if min_probability is not None and least is None:
        return candidate_page(event, [], size, min_probability, search)
    page = CandidatePage(event.key, least, search, behind)
    rows = await context.candidates.load(CandidatesAsked(page, size + 1))
    whole = CandidatePage(event.key, least, search)
    return candidate_page(event, rows, size, min_probability, search, lambda: context.candidate_counts.load(whole))


def event_of(row: EventRow) -> Event:
    """Return an event as the API shows it."""
    authority, _, name = row.key.partition(":")
    return Event(
        row=row,
        key=strawberry.ID(row.key),
        changed=None if row.changed is None else Int64(row.changed),
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
        scored_localization_key=None if row.scored_localization is None else strawberry.ID(row.scored_localization),
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
