"""``GET /export/...``: any result as a file, streamed. Scope ``read``.

The first piece is read before the answer begins, so that a refusal has its status; what fails later breaks the
connection off, so that no half table passes for a whole one.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Callable

from anyio import to_thread
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from asterism.gql.auth import require
from asterism.gql.auth_tokens import Scope
from asterism.gql.errors import ArgumentError
from asterism.gql.export_formats import FORMATS, written
from asterism.gql.export_queries import AlertsExport, CandidatesExport, ConeExport, Export, ObjectsExport
from asterism.gql.export_region import MEDIA_TYPES, moc, region_record
from asterism.gql.search import checked_cone

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def _cone(params: QueryParams) -> tuple[Export, str]:
    _only(params, "ra", "dec", "radiusArcsec", "mjdFrom", "mjdTo")
    ra, dec, radius = (_number(params, name) for name in ("ra", "dec", "radiusArcsec"))
    bounds = [_number(params, name) if name in params else None for name in ("mjdFrom", "mjdTo")]
    return ConeExport(checked_cone(ra, dec, radius, *bounds)), f"cone-{ra:g}-{dec:g}"


def _objects(params: QueryParams) -> tuple[Export, str]:
    _only(params, "key")
    return ObjectsExport(tuple(params.getlist("key"))), "objects"


def _alerts(params: QueryParams) -> tuple[Export, str]:
    _only(params, "object")
    return AlertsExport(_text(params, "object")), f"alerts-{params['object']}"


def _candidates(params: QueryParams) -> tuple[Export, str]:
    _only(params, "event", "includeClosed")
    closed = params.get("includeClosed", "false")
    if closed not in ("true", "false"):
        raise ArgumentError(f"includeClosed is {closed!r:.40}", hint="give true or false")
    return CandidatesExport(_text(params, "event"), closed == "true"), f"candidates-{params['event']}"


TABLES: dict[str, Callable[[QueryParams], tuple[Export, str]]] = {
    "cone": _cone,
    "objects": _objects,
    "alerts": _alerts,
    "candidates": _candidates,
}
"""What can be asked for as a table, and how its parameters are read."""


async def _table(request: Request) -> Response:
    require(request, Scope.READ)
    export, name = TABLES[request.url.path.rpartition("/")[2]](request.query_params)
    asked = request.query_params.get("format", "votable")
    if asked not in FORMATS:
        raise ArgumentError(f"format is {asked!r:.40}", hint=f"a table comes as {', '.join(FORMATS)}")
    form = FORMATS[asked](export.table)
    pieces = written(form, export.rows(request.app.state.readers))
    head = [await anext(pieces), await anext(pieces)]
    return StreamingResponse(
        _chained(head, pieces), media_type=form.media_type, headers=_attachment(f"{name}{form.suffix}")
    )


async def _moc(request: Request) -> Response:
    require(request, Scope.READ)
    params = request.query_params
    _only(params, "event", "localization", "level")
    level = _number(params, "level") if "level" in params else 0.9
    form = params.get("format", "fits")
    state = request.app.state
    key, record = await region_record(state.readers.regions, params.get("event"), params.get("localization"))
    content = await to_thread.run_sync(moc, record, state.settings.maps_path, level, form)
    headers = _attachment(f"{params.get('event', key)}-{level:g}.moc.{form}")
    return Response(content, media_type=MEDIA_TYPES[form], headers=headers)


ROUTES = [*(Route(f"/export/{name}", _table) for name in TABLES), Route("/export/moc", _moc)]
"""The doors of exports."""


async def _chained(head: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for piece in head:
        yield piece
    async for piece in rest:
        yield piece


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{_UNSAFE.sub("-", name)}"'}


def _only(params: QueryParams, *names: str) -> None:
    """Refuse what is not understood: a misspelt bound must not widen a search."""
    for name in params:
        if name not in (*names, "format"):
            raise ArgumentError(
                f"{name!r:.60} is no parameter of this export", hint=f"it takes {', '.join(names)}, format"
            )


def _text(params: QueryParams, name: str) -> str:
    if name not in params:
        raise ArgumentError(f"{name} is not given", hint=f"add {name}=... to the address")
    return params[name]


def _number(params: QueryParams, name: str) -> float:
    text = _text(params, name)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(f"{name} is {text!r:.60}", hint="give a decimal number")
    return number
