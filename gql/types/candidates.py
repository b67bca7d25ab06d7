"""Candidates: how probable each is, and why."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.types import Info

from asterism.errors import IdError
from asterism.gql.connections import Connection, Count, Edge, Position, encode_cursor, list_name, page_info
from asterism.gql.loaders import MAX_ANNOTATIONS, RequestContext
from asterism.gql.nodes import LINK_HINT, Node, link_key, split_link_key
from asterism.gql.types.annotations import Annotation, annotation_of
from asterism.gql.types.objects import Object, object_of
from asterism.gql.types.scalars import Instant, instant
from asterism.graph.annotation_reader import VETTING
from asterism.graph.event_reader import CandidateSearch, Ranked
from asterism.graph.posterior import PRIOR_FACTOR, Posterior, posterior
from asterism.graph.rows import LinkRow

if TYPE_CHECKING:
    from asterism.gql.types.events import Event

CANDIDATES = (
    "The candidates of an event under the rule set it was last scored with, the largest log L first. "
    "minProbability keeps open ones of at least this probability; includeClosed adds those no longer believed."
)

TERMS = {
    "position": ("ln deg^-2", "density of the event's sky map at the object"),
    "time": ("ln d^-1", "density of a counterpart's first detection at this delay, over the background's shape"),
    "background": ("ln deg^2 d", "one over the rate of unrelated objects that pass the same cuts"),
    "fade": ("ln 1", "density of the fade rate among counterparts over that among unrelated objects"),
    "persistence": ("ln 1", "probability of being seen again, or not, as a counterpart over that of others"),
    "distance": ("ln 1", "density of the host galaxy's distance on the sky map over that among other hosts"),
    "coincidence": ("ln 1", "what events that coincide with this one say of the object's place"),
}
"""Unit and meaning of each term of log L."""


async def _annotations(root: strawberry.Parent[Candidate], info: Info[RequestContext, None]) -> list[Annotation]:
    rows = await info.context.candidate_annotations.load((root.object.key, root.event.key))
    return [annotation_of(row) for row in rows]


async def _vetting_history(root: strawberry.Parent[Candidate], info: Info[RequestContext, None]) -> list[Annotation]:
    return [said for said in await _annotations(root, info) if said.kind == VETTING]


def _version(root: strawberry.Parent[Candidate]) -> str:
    return candidate_version(root.link)


def _terms(root: strawberry.Parent[Candidate]) -> list[EvidenceTerm]:
    values = {
        "position": root.link.log_position,
        "time": root.link.log_time,
        "background": root.link.log_background,
        "fade": root.link.log_fade,
        "persistence": root.link.log_persistence,
        "distance": root.link.log_distance,
        "coincidence": root.link.log_coincidence,
    }
    return [
        EvidenceTerm(name=name, value=values[name], unit=unit, meaning=meaning)
        for name, (unit, meaning) in TERMS.items()
    ]


@strawberry.type(description="A factor of the likelihood ratio L of a candidate.")
class EvidenceTerm:
    """A factor of the likelihood ratio."""

    name: str
    value: float | None = strawberry.field(
        description="Natural logarithm of the factor; null if what it needs is not known, then it adds nothing"
    )
    unit: str
    meaning: str


@strawberry.type(description="An object that may be the counterpart of an event.")
class Candidate(Node):
    """An object that may be the counterpart of an event."""

    key: strawberry.ID = strawberry.field(description="object|event|localization|ruleSet|MJD TAI it was opened")
    link: strawberry.Private[LinkRow]
    version: str = strawberry.field(
        resolver=_version, description="Changes whenever anything stored of this link changes"
    )
    event: Annotated[Event, strawberry.lazy("asterism.gql.types.events")]
    object: Object
    probability: float | None = strawberry.field(
        description="That it is the counterpart, given all candidates and the prior q of the event; null for "
        "a closed link, a retracted event, and until the event is scored under the link's localization"
    )
    probability_low: float | None = strawberry.field(description=f"The same for a prior of q / {PRIOR_FACTOR:g}")
    probability_high: float | None = strawberry.field(description=f"The same for a prior of {PRIOR_FACTOR:g} q")
    log_l: float = strawberry.field(
        description="Natural logarithm of the likelihood ratio of counterpart to unrelated object"
    )
    terms: list[EvidenceTerm] = strawberry.field(resolver=_terms, description="What log L is the sum of.")
    level: float | None = strawberry.field(
        description="Smallest credible level of the localization that holds the object, 0 .. 1"
    )
    searched_area_deg2: float | None = strawberry.field(description="Area of everything at least as dense [deg2]")
    delay_days: float | None = strawberry.field(
        description="First detection minus time of the event [d]; negative before it"
    )
    fade_rate: float | None = strawberry.field(description="Fade rate, positive where it fades [mag/d]")
    fade_rate_err: float | None = strawberry.field(description="1 sigma of fadeRate [mag/d]")
    n_chance: float | None = strawberry.field(
        description="Unrelated objects expected with at least this log L in the event's region and window"
    )
    n_chance_area: float | None = strawberry.field(
        description="Unrelated objects expected in searchedAreaDeg2 and the time seen so far"
    )
    detections: int | None = strawberry.field(description="Detections it was scored with")
    open: bool = strawberry.field(description="It is believed now")
    opened: Instant | None = strawberry.field(description="Since when it is, or was, believed")
    closed: Instant | None = strawberry.field(description="When it ceased to be; null while open")
    closed_because: str | None = strawberry.field(
        description="What changed: localization (another one holds), object (it no longer passes) or event "
        "(retracted, or not real)"
    )
    vetting: str | None = strawberry.field(description="pending, confirmed, ambiguous or rejected")
    localization_key: strawberry.ID = strawberry.field(description="Localization it was scored with")
    rule_set: str = strawberry.field(description="Rule set it was scored with")

    vetting_history: list[Annotation] = strawberry.field(
        resolver=_vetting_history,
        description=f"Who set vetting to what, and why, the newest first, at most {MAX_ANNOTATIONS}.",
    )
    annotations: list[Annotation] = strawberry.field(
        resolver=_annotations,
        description=f"All that was said of this object as a candidate of this event, at most {MAX_ANNOTATIONS}.",
    )


def candidate_key(object_key: str, event_key: str, link: LinkRow) -> str:
    """Return the key of a link: a pair has one for each time it was believed."""
    return link_key(object_key, event_key, link.localization, link.rule_set, repr(link.opened_mjd_tai or 0.0))


def split_candidate_key(key: str) -> tuple[str, str, str, str, float]:
    """Return object, event, localization, rule set and time of opening [MJD TAI] a key is made of.

    Raises
    ------
    IdError
        If it is not made of them.
    """
    object_key, event_key, localization, rules, opened = split_link_key(key, 5)
    try:
        return object_key, event_key, localization, rules, float(opened)
    except ValueError as error:
        raise IdError(f"{opened!r:.40} is no time a candidate was opened at", hint=LINK_HINT) from error


def candidate_version(link: LinkRow) -> str:
    """Return a short text that differs whenever a link does."""
    return hashlib.sha256(repr(link).encode()).hexdigest()[:16]


def candidate_of(event: Event, link: LinkRow, target: Object) -> Candidate:
    """Return a candidate as the API shows it."""
    belief = posterior(event.row, link)
    return Candidate(
        key=strawberry.ID(candidate_key(target.key, event.key, link)),
        link=link,
        event=event,
        object=target,
        probability=None if belief is None else belief.value,
        probability_low=None if belief is None else belief.low,
        probability_high=None if belief is None else belief.high,
        log_l=link.log_l,
        level=link.level,
        searched_area_deg2=link.searched_area_deg2,
        delay_days=link.delay_days,
        fade_rate=link.fade_rate,
        fade_rate_err=link.fade_rate_err,
        n_chance=link.n_chance,
        n_chance_area=link.n_chance_area,
        detections=link.detections,
        open=link.open,
        opened=instant(link.opened_mjd_tai),
        closed=instant(link.closed_mjd_tai),
        closed_because=link.closed_because,
        vetting=link.vetting,
        localization_key=strawberry.ID(link.localization),
        rule_set=link.rule_set,
    )


@strawberry.enum(description="Order of candidates.")
class CandidateSort(Enum):
    """Order of candidates."""

    PROBABILITY = strawberry.enum_value("probability", description="The largest log L first")
    LEVEL = strawberry.enum_value("level", description="The smallest credible level first")
    FIRST_DETECTION = strawberry.enum_value("first_detection", description="The newest object first")
    LAST_DETECTION = strawberry.enum_value("last_detection", description="The last seen object first")
    BRIGHTNESS = strawberry.enum_value("brightness", description="The brightest latest alert first")


@strawberry.enum(description="What people decided on a candidate.")
class Vetting(Enum):
    """What people decided on a candidate."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    AMBIGUOUS = "ambiguous"
    REJECTED = "rejected"


def candidates_name(event_key: str, min_probability: float | None, search: CandidateSearch) -> str:
    """Return the name of a list of candidates, for cursors."""
    return list_name("candidates", event_key, min_probability, *astuple(search))


def candidate_page(
    event: Event,
    rows: list[Ranked],
    size: int,
    min_probability: float | None,
    search: CandidateSearch,
    count: Count | None = None,
) -> Connection[Candidate]:
    """Return a page of an event's candidates.

    Parameters
    ----------
    event : Event
        The event.
    rows : list of (LinkRow, ObjectRow, float)
        The page and, if there is one, the row behind it.
    size : int
        Size of the page.
    min_probability : float, optional
        Leaves out what is less probable: the store's bound on log L allows for rounding.
    search : CandidateSearch
        As asked; part of the list's name.
    count : callable, optional
        Counts them all.
    """
    name = candidates_name(event.key, min_probability, search)
    kept = [row for row in rows if min_probability is None or _reaches(posterior(event.row, row[0]), min_probability)]
    edges = [
        Edge[Candidate](
            cursor=encode_cursor(name, Position(place, row.key, belief)),
            node=candidate_of(event, link, object_of(row)),
        )
        for link, row, place, belief in kept[:size]
    ]
    info = page_info([edge.cursor for edge in edges], more=len(kept) > size)
    return Connection[Candidate](edges=edges, page_info=info, count=count)


def _reaches(belief: Posterior | None, min_probability: float) -> bool:
    return belief is not None and belief.value >= min_probability
