"""Roots about events: which are asked for, and their pages."""

from __future__ import annotations

from dataclasses import astuple

import strawberry
from strawberry.types import Info

from asterism.gql.connections import (
    Connection,
    Edge,
    Position,
    decode_cursor,
    encode_cursor,
    list_name,
    page_info,
    page_size,
)
from asterism.gql.errors import ArgumentError
from asterism.gql.loaders import RequestContext
from asterism.gql.types.candidates import Candidate, CandidateSort
from asterism.gql.types.events import Event, EventState, candidates_of, event_of
from asterism.gql.types.filters import CandidateFilter, candidate_search
from asterism.gql.types.notices import EventKind, Standing
from asterism.graph.event_reader import EventSearch
from asterism.ids import split_key


async def find_event(info: Info[RequestContext, None], key: strawberry.ID) -> Event | None:
    """Return an event of any standing."""
    split_key(key)
    row = await info.context.events.load(key)
    return None if row is None else event_of(row)


async def search_events(
    info: Info[RequestContext, None],
    first: int = 25,
    after: str | None = None,
    kind: EventKind | None = None,
    state: EventState | None = None,
    standing: Standing = Standing.REAL,
    mjd_from: float | None = None,
    mjd_to: float | None = None,
    max_far_hz: float | None = None,
    max_area90: float | None = None,
) -> Connection[Event] | None:
    """Return a page of events, newest first."""
    if mjd_from is not None and mjd_to is not None and mjd_from > mjd_to:
        raise ArgumentError(f"mjdFrom {mjd_from} is after mjdTo {mjd_to}", hint="give the earlier bound as mjdFrom")
    size = page_size(first)
    search = EventSearch(
        standing.value,
        None if kind is None else kind.value,
        None if state is None else state.value,
        mjd_from,
        mjd_to,
        max_far_hz,
        max_area90,
    )
    name = list_name("events", *astuple(search))
    place = decode_cursor(name, after)
    info.context.budget.charge(size + 1)
    behind = None if place is None else (place.value, place.key)
    found = await info.context.readers.events.events(search, size + 1, behind)
    edges = [
        Edge[Event](cursor=encode_cursor(name, Position(row.t0_mjd_tai, row.key)), node=event_of(row))
        for row in found[:size]
        if row.t0_mjd_tai is not None
    ]
    return Connection[Event](
        edges=edges,
        page_info=page_info([edge.cursor for edge in edges], more=len(found) > size),
        count=lambda: info.context.readers.events.count_events(search),
    )


async def find_candidates(
    info: Info[RequestContext, None],
    event: strawberry.ID,
    first: int = 25,
    after: str | None = None,
    min_probability: float | None = None,
    include_closed: bool = False,
    where: CandidateFilter | None = None,
    sort: CandidateSort = CandidateSort.PROBABILITY,
    rule_set: str | None = None,
    as_of: float | None = None,
) -> Connection[Candidate] | None:
    """Return a page of an event's candidates, by default the best first."""
    split_key(event)
    search = candidate_search(where, sort, include_closed=include_closed, rule_set=rule_set, as_of=as_of)
    row = await info.context.events.load(event)
    if row is None:
        return None
    return await candidates_of(event_of(row), info.context, first, after, min_probability, search)
