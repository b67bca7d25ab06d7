"""Coincidences: two events that may be one, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from asterism.gql.nodes import Node, link_key
from asterism.gql.types.scalars import Instant, instant
from asterism.graph.rows import CoincidenceRow, EventRow

if TYPE_CHECKING:
    from asterism.gql.types.events import Event


@strawberry.type(description="Two events that may be one.")
class Coincidence(Node):
    """Two events that may be one."""

    key: strawberry.ID = strawberry.field(description="event|event|localization|localization|ruleSet")
    first: Annotated[Event, strawberry.lazy("asterism.gql.types.events")]
    second: Annotated[Event, strawberry.lazy("asterism.gql.types.events")]
    log_odds: float | None = strawberry.field(
        description="Natural logarithm of the odds of one common source to two unrelated events"
    )
    overlap: float | None = strawberry.field(
        description="4 pi times the integral of the product of both densities; 1 says nothing"
    )
    offset_seconds: float | None = strawberry.field(description="Time of the second minus time of the first [s]")
    window_seconds: float | None = strawberry.field(description="Span of offsets that were looked at [s]")
    far_hz: float | None = strawberry.field(description="Joint false-alarm rate [Hz]")
    far_floored: bool | None = strawberry.field(description="A false-alarm rate was raised to the least believed")
    chain: list[str] = strawberry.field(description="Keys of all events that hang together with these two")
    rule_set: str
    localization_keys: list[strawberry.ID] = strawberry.field(description="Localizations of the two it was made with")
    open: bool = strawberry.field(description="It is believed now")
    opened: Instant | None = strawberry.field(description="Since when it is, or was, believed")
    closed: Instant | None = strawberry.field(description="When it ceased to be; null while open")
    closed_because: str | None = strawberry.field(description="What changed: event, localization or odds")


def coincidence_of(row: CoincidenceRow, first: EventRow, second: EventRow) -> Coincidence:
    """Return a coincidence as the API shows it."""
    from asterism.gql.types.events import event_of  # which imports this module

    localizations = (row.first_localization, row.second_localization)
    return Coincidence(
        key=strawberry.ID(link_key(first.key, second.key, *localizations, row.rule_set)),
        first=event_of(first),
        second=event_of(second),
        log_odds=row.log_odds,
        overlap=row.overlap,
        offset_seconds=row.offset_seconds,
        window_seconds=row.window_seconds,
        far_hz=row.far_hz,
        far_floored=row.far_floored,
        chain=row.chain or [],
        rule_set=row.rule_set,
        localization_keys=[strawberry.ID(key) for key in localizations],
        open=row.open,
        opened=instant(row.opened_mjd_tai),
        closed=instant(row.closed_mjd_tai),
        closed_because=row.closed_because,
    )
