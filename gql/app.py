"""The web application: ``/graphql``, ``/export`` and what operators ask (``/healthz``, ``/readyz``, ``/metrics``).

Who may use which door: `asterism.gql.auth` and docs/access.md.

`create_app` wires everything; nothing is opened before the server starts it and all is closed when it stops.
A page in a browser cannot use a loopback server through a host name it controls: only loopback names are
answered there, and queries are POSTs of JSON only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from cross_web import HTTPException
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UnsetType
from typing_extensions import override

from asterism.errors import AsterismError
from asterism.gql.access import Access
from asterism.gql.addresses import is_loopback
from asterism.gql.auth import Authentication, Gate, caller_of, require
from asterism.gql.auth_tokens import Scope
from asterism.gql.bodies import BodyLimit, refusal, refuse
from asterism.gql.cypher_door import CypherDoor
from asterism.gql.errors import BadRequestError
from asterism.gql.export import ROUTES as EXPORTS
from asterism.gql.feed import ChangeFeed
from asterism.gql.limits import MAX_BODY_BYTES
from asterism.gql.loaders import RequestContext
from asterism.gql.mutations_desk import Desk
from asterism.gql.permalinks import show_node
from asterism.gql.readers import Readers
from asterism.gql.schema import Schema, make_schema
from asterism.gql.services import Services
from asterism.graph.reader import open_driver
from asterism.metrics import REFUSALS, REGISTRY
from asterism.settings import Settings

INIT_SECONDS = 10.0
"""How long a WebSocket may stay silent before it says ``connection_init`` [s]."""
MAX_OPERATIONS = 20
"""Most operations one WebSocket may have open."""
MAX_MESSAGE_BYTES = MAX_BODY_BYTES
"""Longest message of a WebSocket; for uvicorn's ``ws_max_size``."""


class GraphQLView(GraphQL[RequestContext, None]):
    """GraphQL over HTTP: POST of JSON; a browser's GET shows the query page where that is on.

    Subscriptions come by WebSocket with the protocol graphql-transport-ws.
    """

    def __init__(self, schema: Schema, gate: Gate, *, show_ide: bool) -> None:
        self._gate = gate
        super().__init__(
            schema,
            graphql_ide="graphiql" if show_ide else None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=MAX_OPERATIONS,
        )

    @override
    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> RequestContext:
        """Return a context of its own for each request."""
        state = request.app.state
        address = request.client.host if request.client else ""
        return RequestContext(
            state.readers, state.services, Access(caller_of(request), state.desk, self._gate, address)
        )

    @override
    async def on_ws_connect(self, context: RequestContext) -> UnsetType | dict[str, object] | None:
        """Let a WebSocket in, with the token of its first message, as browsers send no headers with it."""
        access, payload = context.access, context.connection_params
        try:
            if access is not None:
                shown = payload.get("authorization") if isinstance(payload, dict) else None
                context.access = access = access if shown is None else access.again(str(shown))
                access.caller.require(Scope.READ)
        except AsterismError as error:
            REFUSALS.labels(error.code).inc()
            raise ConnectionRejectionError from error
        return await super().on_ws_connect(context)

    @override
    def parse_json(self, data: str | bytes) -> Any:
        """Parse a body; one that is JSON but no request is refused, too."""
        document = super().parse_json(data)
        if not isinstance(document, dict | list):
            raise HTTPException(400, "The body is neither a GraphQL request nor a list of them.")
        return document

    @override
    async def run(self, request: Request, *args: object, **kwargs: object) -> Response:  # type: ignore[override]
        """Serve a request; what is not GraphQL is refused with a code, too."""
        if request.scope["type"] == "http" and request.method == "POST":
            require(request, Scope.READ)
        try:
            return await super().run(request)
        except HTTPException as error:
            return refusal(BadRequestError(error.reason), error.status_code)
        except RecursionError:
            return refusal(BadRequestError("the body is nested too deeply"), 400)


def create_app(settings: Settings) -> Starlette:
    """Return the API as an ASGI application.

    Parameters
    ----------
    settings : Settings
        Address of Neo4j, visibility, and the address that will be listened on.
    """
    schema = make_schema(introspection=settings.api_introspection)
    gate = Gate(settings)
    local = is_loopback(settings.api_host)
    view = GraphQLView(schema, gate, show_ide=local if settings.api_graphiql is None else settings.api_graphiql)
    door = CypherDoor(settings, admit=lambda request: require(request, Scope.CYPHER).name)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.schema, app.state.settings, app.state.gate = schema, settings, gate
        with contextlib.closing(door):
            async with _opened(app):
                yield

    return Starlette(
        routes=[
            Route("/graphql", view),
            WebSocketRoute("/graphql", view),
            Route("/node/{id}", show_node),
            *EXPORTS,
            Route("/cypher", door.answer, methods=["POST"]),
            Route("/healthz", _healthz),
            Route("/readyz", _readyz),
            Route("/metrics", _metrics),
        ],
        middleware=_middleware(settings, gate),
        exception_handlers={AsterismError: refuse},
        lifespan=lifespan,
    )


@contextlib.asynccontextmanager
async def _opened(app: Starlette) -> AsyncIterator[None]:
    """Keep what requests need open: readers, services and the desk, which brings acts into the graph meanwhile."""
    settings: Settings = app.state.settings
    async with open_driver(settings) as driver:
        readers = Readers.of(driver, settings.neo4j_database, show_nonpublic=settings.show_nonpublic)
        feed, desk = ChangeFeed(readers.changes), Desk(settings)
        app.state.readers, app.state.services, app.state.desk = readers, Services(settings, feed), desk
        keeping_up = asyncio.create_task(desk.keep_up())
        try:
            yield
        finally:
            keeping_up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping_up
            desk.close()
            await feed.close()


def _middleware(settings: Settings, gate: Gate) -> list[Middleware]:
    local = is_loopback(settings.api_host)
    names = ["127.0.0.1", "localhost", "[::1]", settings.api_host] if local else ["*"]
    return [
        Middleware(TrustedHostMiddleware, allowed_hosts=names),
        Middleware(
            CORSMiddleware,
            allow_origins=settings.api_cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
            expose_headers=["retry-after"],
        ),
        Middleware(Authentication, gate=gate),
        Middleware(BodyLimit, max_bytes=MAX_BODY_BYTES),
    ]


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def _readyz(request: Request) -> Response:
    readers: Readers = request.app.state.readers
    try:
        await readers.objects.ping()
        request.app.state.gate.tokens.tokens()
    except AsterismError as error:
        return JSONResponse({"status": "unavailable", "code": error.code}, status_code=503)
    return JSONResponse({"status": "ready"})


async def _metrics(request: Request) -> Response:
    require(request, Scope.READ)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
