"""Roots about what people keep: what carries a tag, and what is on a watchlist."""

from __future__ import annotations

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
from asterism.gql.mutations_input import checked_name
from asterism.gql.types.events import Event, event_of
from asterism.gql.types.objects import Object, object_of
from asterism.gql.types.scalars import Instant, instant
from asterism.graph.curation.acts import Kind
from asterism.graph.rows import EntryRow


@strawberry.type(description="A circle on the sky.")
class WatchedCone:
    """A circle on the sky."""

    ra: float = strawberry.field(description="right ascension of the centre, ICRS [deg]")
    dec: float = strawberry.field(description="declination of the centre, ICRS [deg]")
    radius_arcsec: float = strawberry.field(description="Radius [arcsec]")


async def _object(root: strawberry.Parent[Entry], info: Info[RequestContext, None]) -> Object | None:
    row = None if root.row.object_key is None else await info.context.objects.load(root.row.object_key)
    return None if row is None else object_of(row)


async def _event(root: strawberry.Parent[Entry], info: Info[RequestContext, None]) -> Event | None:
    row = None if root.row.event_key is None else await info.context.events.load(root.row.event_key)
    return None if row is None else event_of(row)


@strawberry.type(description="What carries a tag or is on a watchlist: an object, an event, both, or a cone.")
class Entry:
    """What carries a tag or is on a watchlist."""

    row: strawberry.Private[EntryRow]
    author: str = strawberry.field(description="Who put it there")
    since: Instant | None = strawberry.field(description="When")
    cone: WatchedCone | None

    object: Object | None = strawberry.field(resolver=_object)
    event: Event | None = strawberry.field(resolver=_event)


async def find_watched(
    info: Info[RequestContext, None],
    name: str,
    owner: str | None = None,
    first: int = 25,
    after: str | None = None,
) -> Connection[Entry] | None:
    """Return a page of a watchlist."""
    caller = None if info.context.access is None else info.context.access.caller
    whose = owner or (caller.name if caller is not None else "")
    if not whose:
        raise ArgumentError("owner is not given", hint="name the owner of the watchlist, or send your token")
    return await _page(info, Kind.WATCH, checked_name("name", name), whose, first, after)


async def find_tagged(
    info: Info[RequestContext, None], name: str, first: int = 25, after: str | None = None
) -> Connection[Entry] | None:
    """Return a page of what carries a tag."""
    return await _page(info, Kind.TAG, checked_name("name", name), None, first, after)


async def _page(
    info: Info[RequestContext, None], kind: Kind, name: str, owner: str | None, first: int, after: str | None
) -> Connection[Entry]:
    size = page_size(first)
    listed = list_name(kind, name, owner)
    place = decode_cursor(listed, after)
    info.context.budget.charge(size + 1)
    behind = None if place is None else place.key
    rows = await info.context.readers.curation.entries(kind, name, size + 1, owner, behind)
    edges = [Edge[Entry](cursor=encode_cursor(listed, Position(0.0, row.key)), node=_entry(row)) for row in rows[:size]]
    return Connection[Entry](edges=edges, page_info=page_info([edge.cursor for edge in edges], more=len(rows) > size))


def _entry(row: EntryRow) -> Entry:
    if row.ra is None or row.dec is None or row.radius_arcsec is None:
        cone = None
    else:
        cone = WatchedCone(ra=row.ra, dec=row.dec, radius_arcsec=row.radius_arcsec)
    return Entry(row=row, author=row.author, since=instant(row.created_mjd_tai), cone=cone)
