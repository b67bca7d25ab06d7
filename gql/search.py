"""Cone search: what may be asked, and its pages."""

from __future__ import annotations

import strawberry
from strawberry.types import Info

from asterism.gql.connections import (
    Counted,
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
from asterism.gql.types.objects import Object, object_of
from asterism.graph.reader import Cone

MAX_RADIUS_ARCSEC = 3600.0


@strawberry.type(description="An object in a cone.")
class ConeEdge:
    """An object in a cone and the cursor behind it."""

    cursor: str
    separation_arcsec: float = strawberry.field(description="Distance from the centre of the cone [arcsec]")
    node: Object


@strawberry.type(description="A page of the objects in a cone, nearest first.")
class ConeConnection(Counted):
    """A page of the objects in a cone."""

    edges: list[ConeEdge]
    page_info: PageInfo


def checked_cone(ra: float, dec: float, radius_arcsec: float, mjd_from: float | None, mjd_to: float | None) -> Cone:
    """Return a cone after making sure that it is one.

    Raises
    ------
    ArgumentError
        Naming the argument that is out of range.
    """
    if not 0.0 <= ra <= 360.0:
        raise ArgumentError(f"ra is {ra}", hint="give the right ascension in degrees, 0 to 360, ICRS")
    if not -90.0 <= dec <= 90.0:
        raise ArgumentError(f"dec is {dec}", hint="give the declination in degrees, -90 to 90, ICRS")
    if not 0.0 < radius_arcsec <= MAX_RADIUS_ARCSEC:
        raise ArgumentError(
            f"radiusArcsec is {radius_arcsec}",
            hint=f"give a radius above 0 and up to {MAX_RADIUS_ARCSEC:g} arcsec; tile larger regions",
        )
    if mjd_from is not None and mjd_to is not None and mjd_from > mjd_to:
        raise ArgumentError(f"mjdFrom {mjd_from} is after mjdTo {mjd_to}", hint="give the earlier bound as mjdFrom")
    return Cone(ra, dec, radius_arcsec, mjd_from, mjd_to)


async def search_cone(
    info: Info[RequestContext, None],
    ra: float,
    dec: float,
    radius_arcsec: float,
    first: int = 25,
    after: str | None = None,
    mjd_from: float | None = None,
    mjd_to: float | None = None,
) -> ConeConnection | None:
    """Return a page of the objects in a cone, nearest first."""
    cone = checked_cone(ra, dec, radius_arcsec, mjd_from, mjd_to)
    size = page_size(first)
    name = list_name("coneSearch", ra, dec, radius_arcsec, mjd_from, mjd_to)
    place = decode_cursor(name, after)
    info.context.budget.charge(size + 1)
    behind = None if place is None else (place.value, place.key)
    rows = await info.context.readers.objects.cone_search(cone, size + 1, behind)
    edges = [
        ConeEdge(
            cursor=encode_cursor(name, Position(separation, row.key)),
            separation_arcsec=separation,
            node=object_of(row),
        )
        for row, separation in rows[:size]
    ]
    return ConeConnection(
        edges=edges,
        page_info=page_info([edge.cursor for edge in edges], more=len(rows) > size),
        count=lambda: info.context.readers.objects.count_cone(cone),
    )
