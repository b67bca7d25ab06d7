"""The web application: ``/graphql`` and what operators ask (``/healthz``, ``/readyz``, ``/metrics``).

Who may use which door: `asterism.gql.auth` and docs/access.md.

`create_app` wires everything; nothing is opened before the server starts it and all is closed when it stops.
A page in a browser cannot use a loopback server through a host name it controls: only loopback names are
answered there, and queries are POSTs of JSON only.
"""

from __future__ import annotations

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
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from typing_extensions import override

from asterism.errors import AsterismError
from asterism.gql.addresses import is_loopback
from asterism.gql.auth import Authentication, Gate, require
from asterism.gql.auth_tokens import Scope
from asterism.gql.bodies import BodyLimit, refusal, refuse
from asterism.gql.errors import BadRequestError
from asterism.gql.feed import ChangeFeed
from asterism.gql.limits import MAX_BODY_BYTES
from asterism.gql.loaders import RequestContext
from asterism.gql.permalinks import show_node
from asterism.gql.readers import Readers
from asterism.gql.schema import Schema, make_schema
from asterism.gql.services import Services
from asterism.graph.reader import open_driver
from asterism.metrics import REGISTRY
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

    def __init__(self, schema: Schema, *, show_ide: bool) -> None:
        super().__init__(
            schema,
            graphql_ide="graphiql" if show_ide else None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=MAX_OPERATIONS,
        )

    @override
    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> RequestContext:
        """Return a context of its own for each request."""
        return RequestContext(request.app.state.readers, request.app.state.services)

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
        if request.method == "POST":
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
    local = is_loopback(settings.api_host)
    names = ["127.0.0.1", "localhost", "[::1]", settings.api_host] if local else ["*"]
    schema = make_schema(introspection=settings.api_introspection)
    view = GraphQLView(schema, show_ide=local if settings.api_graphiql is None else settings.api_graphiql)
    gate = Gate(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_driver(settings) as driver:
            database, shown = settings.neo4j_database, settings.show_nonpublic
            readers = app.state.readers = Readers.of(driver, database, show_nonpublic=shown)
            feed = ChangeFeed(readers.changes)
            app.state.services = Services(settings, feed)
            app.state.schema = schema
            app.state.gate = gate
            yield
            await feed.close()

    return Starlette(
        routes=[
            Route("/graphql", view),
            WebSocketRoute("/graphql", view),
            Route("/node/{id}", show_node),
            Route("/healthz", _healthz),
            Route("/readyz", _readyz),
            Route("/metrics", _metrics),
        ],
        middleware=[
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
        ],
        exception_handlers={AsterismError: refuse},
        lifespan=lifespan,
    )


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def _readyz(request: Request) -> Response:
    readers: Readers = request.app.state.readers
    try:
        await readers.objects.ping()
    except AsterismError as error:
        return JSONResponse({"status": "unavailable", "code": error.code}, status_code=503)
    return JSONResponse({"status": "ready"})


async def _metrics(request: Request) -> Response:
    require(request, Scope.READ)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
