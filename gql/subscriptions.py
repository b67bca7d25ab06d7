"""Subscriptions: events and their candidates, as they are after each commit that touches them.

Each message tells a *state*, read after the commit it is about, under the number of that commit. So it may be told more
than once and states in between may be left out, but the last one never is: a client that comes back gets the present
state first (or, with ``after``, what changed behind the number it knows), whoever was killed meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

import strawberry
from strawberry.types import Info

from asterism.gql.connections import page_size
from asterism.gql.errors import ArgumentError
from asterism.gql.loaders import RequestContext
from asterism.gql.services import Services
from asterism.gql.types.candidates import Candidate, candidate_key, candidate_of, candidate_version
from asterism.gql.types.events import Event, event_of
from asterism.gql.types.objects import object_of
from asterism.gql.types.scalars import Int64
from asterism.graph.event_reader import CandidatePage, CandidateSearch
from asterism.graph.rows import EventRow
from asterism.ids import split_key

DEFAULT_WATCHED = 50


@strawberry.type(description="An event after a change.")
class EventUpdate:
    """An event after a change."""

    key: strawberry.ID = strawberry.field(description="Key of the event")
    sequence: Int64 = strawberry.field(
        description="Place of the change in the sequence; pass it as after to go on behind it"
    )
    snapshot: bool = strawberry.field(description="The state when the subscription began, not a change")
    event: Event


@strawberry.type(description="The best candidates of an event after a change: those that differ from the last message.")
class CandidateUpdate:
    """The best candidates of an event after a change."""

    key: strawberry.ID = strawberry.field(description="Key of the event")
    sequence: Int64 = strawberry.field(description="Place of the change in the sequence")
    snapshot: bool = strawberry.field(description="All that are watched: forget what was told before")
    event: Event
    candidates: list[Candidate] = strawberry.field(
        description="Those that are new or differ (see version), the best first"
    )
    left: list[strawberry.ID] = strawberry.field(
        description="Keys of candidates that are no longer among the best, or no longer believed"
    )


async def event_updated(
    info: Info[RequestContext, None], event: strawberry.ID | None = None, after: Int64 | None = None
) -> AsyncGenerator[EventUpdate, None]:
    """Tell the state of an event, or of each that changes."""
    if event is not None:
        split_key(event)
    async with _services(info).feed.subscribe(event, _checked(after)) as changes:
        if event is not None:
            row = await _event(info, event)
            if row is not None and (after is None or (row.changed or 0) > after):
                yield _event_update(row, snapshot=True)
        while True:
            change = await changes.take()
            row = await _event(info, change.event_key)
            if row is not None:
                yield _event_update(row, snapshot=False)


async def candidate_updated(
    info: Info[RequestContext, None], event: strawberry.ID, first: int = DEFAULT_WATCHED
) -> AsyncGenerator[CandidateUpdate, None]:
    """Tell the best candidates of an event, then those among them that change."""
    split_key(event)
    size = page_size(first)
    told: dict[str, str] | None = None
    async with _services(info).feed.subscribe(event) as changes:
        while True:
            row = await _event(info, event)
            if row is not None:
                now = await _best(info, row, size)
                if told is None or _versions(now) != told:
                    yield _candidate_update(row, now, told)
                    told = _versions(now)
            await changes.take()


def _candidate_update(row: EventRow, now: Mapping[str, Candidate], told: dict[str, str] | None) -> CandidateUpdate:
    known, versions = told or {}, _versions(now)
    return CandidateUpdate(
        key=strawberry.ID(row.key),
        sequence=Int64(row.changed or 0),
        snapshot=told is None,
        event=event_of(row),
        candidates=[one for key, one in now.items() if known.get(key) != versions[key]],
        left=[strawberry.ID(key) for key in known if key not in now],
    )


async def _event(info: Info[RequestContext, None], key: str) -> EventRow | None:
    """Return the event as it is now; the operation begins anew with every message."""
    info.context.renew()
    return await info.context.events.load(key)


async def _best(info: Info[RequestContext, None], row: EventRow, size: int) -> dict[str, Candidate]:
    """Return the best open candidates by key, the best first."""
    page = CandidatePage(row.key, None, CandidateSearch())
    info.context.budget.charge(size)
    (found,) = await info.context.readers.events.candidates_of_events([page], size)
    event = event_of(row)
    return {
        candidate_key(target.key, row.key, link): candidate_of(event, link, object_of(target))
        for link, target, _, _ in found
    }


def _versions(candidates: Mapping[str, Candidate]) -> dict[str, str]:
    """Return what tells two states of each candidate apart: its link, and how probable it is beside the others."""
    return {key: f"{candidate_version(one.link)} {one.probability}" for key, one in candidates.items()}


def _event_update(row: EventRow, *, snapshot: bool) -> EventUpdate:
    return EventUpdate(
        key=strawberry.ID(row.key), sequence=Int64(row.changed or 0), snapshot=snapshot, event=event_of(row)
    )


def _services(info: Info[RequestContext, None]) -> Services:
    if info.context.services is None:
        raise ArgumentError("subscriptions are not served here", hint="connect with graphql-transport-ws")
    return info.context.services


def _checked(after: Int64 | None) -> Int64 | None:
    if after is not None and after < 0:
        raise ArgumentError(f"after is {after}", hint="pass the sequence of an earlier answer")
    return after


async def read_sequence(info: Info[RequestContext, None]) -> Int64:
    """Return the number of the last change."""
    info.context.budget.charge(1)
    return Int64(await info.context.readers.changes.sequence())


@strawberry.type(description="What can be followed, over graphql-transport-ws.")
class Subscription:
    """What can be followed."""

    event_updated: AsyncGenerator[EventUpdate, None] = strawberry.subscription(
        resolver=event_updated,
        description="An event: its present state, then its state after every change. Without event, every event that "
        "changes. after leaves out what is not behind that place of the sequence; without event it tells first what "
        "changed behind it.",
    )
    candidate_updated: AsyncGenerator[CandidateUpdate, None] = strawberry.subscription(
        resolver=candidate_updated,
        description="The best candidates of an event (at most first, 100 at most): all of them at once, then those "
        "among them that a change made differ.",
    )
