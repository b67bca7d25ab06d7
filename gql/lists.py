"""Roots that list objects: all of them, sources seen by several surveys, and a region of the sky."""

from __future__ import annotations

from dataclasses import astuple

import strawberry
from strawberry.types import Info

from asterism.gql.connections import (
    Connection,
    Edge,
    PageInfo,
    Position,
    decode_cursor,
    encode_cursor,
    list_name,
    page_info,
    page_size,
)
from asterism.gql.errors import ArgumentError
from asterism.gql.loaders import RequestContext
from asterism.gql.services import levels_of, ranges_of
from asterism.gql.types.filters import SURVEYS, ObjectFilter, object_search
from asterism.gql.types.objects import Object, Source, object_of, source_of
from asterism.graph.rows import ObjectRow
from asterism.ids import split_key

DEFAULT_LEVEL = 0.9
_ROUNDS = 3
"""Most reads one page of a region takes: ranges hold a little more than the region."""


async def list_objects(
    info: Info[RequestContext, None],
    first: int = 25,
    after: str | None = None,
    survey: str | None = None,
    where: ObjectFilter | None = None,
) -> Connection[Object] | None:
    """Return a page of all objects, by key."""
    size, search = page_size(first), object_search(where, survey)
    name = list_name("objects", *astuple(search))
    place = decode_cursor(name, after)
    info.context.budget.charge(size + 1)
    lists = info.context.readers.lists
    found = await lists.objects(search, size + 1, None if place is None else place.key)
    edges = [
        Edge[Object](cursor=encode_cursor(name, Position(0.0, row.key)), node=object_of(row))
        for row in found.rows[:size]
    ]
    ends = _ends(name, [edge.cursor for edge in edges], len(found.rows) > size, found.looked_to)
    return Connection[Object](edges=edges, page_info=ends, count=lambda: lists.count_objects(search))


async def cross_survey(
    info: Info[RequestContext, None],
    first: int = 25,
    after: str | None = None,
    surveys: list[str] | None = None,
    last_from: float | None = None,
    last_to: float | None = None,
) -> Connection[Source] | None:
    """Return a page of sources that several surveys have seen, by key."""
    size, wanted = page_size(first), sorted(set(SURVEYS if surveys is None else surveys))
    if not set(wanted) <= set(SURVEYS) or len(wanted) < 2:
        raise ArgumentError(f"surveys are {wanted!r:.80}", hint=f"two or more of {', '.join(SURVEYS)}")
    search = object_search(ObjectFilter(last_from=last_from, last_to=last_to))
    name = list_name("crossSurvey", wanted, last_from, last_to)
    place = decode_cursor(name, after)
    info.context.budget.charge(size + 1)
    behind = None if place is None else place.key
    found = await info.context.readers.lists.shared_sources(wanted, search, size + 1, behind)
    edges = [
        Edge[Source](cursor=encode_cursor(name, Position(0.0, row.key)), node=source_of(row))
        for row in found.rows[:size]
    ]
    ends = _ends(name, [edge.cursor for edge in edges], len(found.rows) > size, found.looked_to)
    return Connection[Source](edges=edges, page_info=ends)


@strawberry.type(description="An object in the region of an event.")
class RegionEdge:
    """An object in a region and the cursor behind it."""

    cursor: str
    level: float = strawberry.field(description="Smallest credible level of the localization that holds it, 0 to 1")
    node: Object


@strawberry.type(description="A page of the objects in the region of an event, in the order of the sky (hpx29).")
class RegionConnection:
    """A page of the objects in a region."""

    localization_key: strawberry.ID = strawberry.field(description="The localization the region is of")
    edges: list[RegionEdge]
    page_info: PageInfo


async def search_region(
    info: Info[RequestContext, None],
    event: strawberry.ID,
    level: float = DEFAULT_LEVEL,
    first: int = 25,
    after: str | None = None,
    where: ObjectFilter | None = None,
) -> RegionConnection | None:
    """Return a page of the objects inside the credible region of an event's localization."""
    split_key(event)
    size, search = page_size(first), object_search(where)
    if not 0.0 < level < 1.0:
        raise ArgumentError(f"level is {level}", hint="give a credible level between 0 and 1")
    found = await info.context.readers.events.region_record(event)
    services = info.context.services
    if found is None or services is None:
        return None
    key, record = found
    name = list_name("regionSearch", event, key, level, *astuple(search))
    place = decode_cursor(name, after)
    cell = None if place is None else _cell(place.rest)
    behind = None if place is None or cell is None else (cell, place.key)
    localization = await services.regions.localization(key, record)
    ranges = await ranges_of(localization, level)
    inside: list[tuple[ObjectRow, float]] = []
    more = True
    for _ in range(_ROUNDS):
        info.context.budget.charge(size + 1)
        rows = await info.context.readers.lists.region(ranges, search, size + 1, behind)
        levels = await levels_of(localization, [(row.ra, row.dec) for row in rows])
        inside += [(row, one) for row, one in zip(rows, levels, strict=True) if one < level]
        more = len(rows) > size
        behind = (rows[-1].hpx29, rows[-1].key) if rows else behind
        if not more or len(inside) > size:
            break
    edges = [RegionEdge(cursor=_region_cursor(name, row), level=one, node=object_of(row)) for row, one in inside[:size]]
    end = edges[-1].cursor if edges else None
    if more and len(inside) <= size and behind is not None:  # looked at, but not inside
        end = encode_cursor(name, Position(0.0, behind[1], str(behind[0])))
    left = more or len(inside) > size
    return RegionConnection(
        localization_key=strawberry.ID(key), edges=edges, page_info=PageInfo(has_next_page=left, end_cursor=end)
    )


def _region_cursor(name: str, row: ObjectRow) -> str:
    return encode_cursor(name, Position(0.0, row.key, str(row.hpx29)))


def _cell(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _ends(name: str, cursors: list[str], more: bool, looked_to: str | None) -> PageInfo:
    """Return where a page ends; where fewer passed than were asked for, behind what was looked at."""
    if looked_to is not None and not more:
        return PageInfo(has_next_page=True, end_cursor=encode_cursor(name, Position(0.0, looked_to)))
    return page_info(cursors, more=more)
