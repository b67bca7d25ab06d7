"""What lists may be narrowed to: the input types of candidates and objects."""

from __future__ import annotations

import strawberry

from asterism.gql.errors import ArgumentError
from asterism.gql.types.candidates import CandidateSort, Vetting
from asterism.graph.event_reader import CandidateSearch
from asterism.graph.list_reader import ObjectSearch

SURVEYS = ("lsst", "ztf")


@strawberry.input(description="Which candidates; those that pass all that is given. Bounds are included.")
class CandidateFilter:
    """Which candidates."""

    max_level: float | None = strawberry.field(
        default=None, description="Inside this credible level of the localization, 0 to 1"
    )
    first_from: float | None = strawberry.field(default=None, description="First detection not before, MJD TAI")
    first_to: float | None = strawberry.field(default=None, description="First detection not after, MJD TAI")
    last_from: float | None = strawberry.field(default=None, description="Last detection not before, MJD TAI")
    last_to: float | None = strawberry.field(default=None, description="Last detection not after, MJD TAI")
    min_detections: int | None = strawberry.field(default=None, description="Scored with at least as many")
    max_detections: int | None = strawberry.field(default=None, description="Scored with at most as many")
    vetting: Vetting | None = strawberry.field(default=None, description="In this state of vetting")
    class_name: str | None = strawberry.field(default=None, description="With a current classification of this class")
    has_host: bool | None = strawberry.field(default=None, description="With a host galaxy, or without")
    host: strawberry.ID | None = strawberry.field(
        default=None, description="At this catalogued source, catalogue:release:id"
    )


@strawberry.input(description="Which objects; those that pass all that is given. Bounds are included.")
class ObjectFilter:
    """Which objects."""

    first_from: float | None = strawberry.field(default=None, description="First detection not before, MJD TAI")
    first_to: float | None = strawberry.field(default=None, description="First detection not after, MJD TAI")
    last_from: float | None = strawberry.field(default=None, description="Last detection not before, MJD TAI")
    last_to: float | None = strawberry.field(default=None, description="Last detection not after, MJD TAI")
    min_detections: int | None = strawberry.field(default=None, description="By the survey's own count")
    brighter_than: float | None = strawberry.field(
        default=None, description="Latest alert at least as bright as this magnitude [mag]"
    )
    class_name: str | None = strawberry.field(default=None, description="With a current classification of this class")


def candidate_search(
    where: CandidateFilter | None,
    sort: CandidateSort,
    *,
    include_closed: bool,
    rule_set: str | None,
    as_of: float | None,
) -> CandidateSearch:
    """Return a search for candidates after making sure that its bounds have an order.

    Raises
    ------
    ArgumentError
        Naming what is out of order or range.
    """
    one = where or CandidateFilter()
    _ordered("firstFrom", one.first_from, "firstTo", one.first_to)
    _ordered("lastFrom", one.last_from, "lastTo", one.last_to)
    _ordered("minDetections", one.min_detections, "maxDetections", one.max_detections)
    if one.max_level is not None and not 0.0 < one.max_level <= 1.0:
        raise ArgumentError(f"maxLevel is {one.max_level}", hint="give a credible level above 0 and up to 1")
    return CandidateSearch(
        closed=include_closed,
        rule_set=rule_set,
        as_of=as_of,
        level=one.max_level,
        first_from=one.first_from,
        first_to=one.first_to,
        last_from=one.last_from,
        last_to=one.last_to,
        min_detections=one.min_detections,
        max_detections=one.max_detections,
        vetting=None if one.vetting is None else one.vetting.value,
        class_name=one.class_name,
        has_host=one.has_host,
        host=one.host,
        sort=str(sort.value),
    )


def object_search(where: ObjectFilter | None, survey: str | None = None) -> ObjectSearch:
    """Return a search for objects after making sure that its bounds have an order.

    Raises
    ------
    ArgumentError
        Naming what is out of order, or a survey that is none of ours.
    """
    one = where or ObjectFilter()
    _ordered("firstFrom", one.first_from, "firstTo", one.first_to)
    _ordered("lastFrom", one.last_from, "lastTo", one.last_to)
    if survey is not None and survey not in SURVEYS:
        raise ArgumentError(f"survey is {survey!r:.40}", hint=f"one of {', '.join(SURVEYS)}")
    return ObjectSearch(
        survey=survey,
        first_from=one.first_from,
        first_to=one.first_to,
        last_from=one.last_from,
        last_to=one.last_to,
        min_detections=one.min_detections,
        brighter_than=one.brighter_than,
        class_name=one.class_name,
    )


def _ordered(low_name: str, low: float | None, high_name: str, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise ArgumentError(
            f"{low_name} {low} is above {high_name} {high}", hint=f"give the smaller bound as {low_name}"
        )
