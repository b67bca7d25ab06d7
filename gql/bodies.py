"""A limit on request bodies, before anything reads them, and the form in which every door refuses."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asterism.errors import AsterismError, IdError
from asterism.gql.errors import AccessError, BodyTooLargeError, GqlError, error_extensions, masked_error
from asterism.metrics import REFUSALS

UNAVAILABLE = frozenset({"graph.unreachable", "graph.auth_failed", "gql.token_file"})
"""Codes that say: not now. What is asked for may be served later."""


def refusal(error: GqlError | IdError, status: int) -> JSONResponse:
    """Return a refusal in the form of a GraphQL response."""
    return JSONResponse(
        {"data": None, "errors": [{"message": error.message, "extensions": error_extensions(error)}]},
        status_code=status,
    )


def refusal_of(error: Exception) -> JSONResponse:
    """Return what a client may see of an error, with the status and the headers that go with it."""
    if isinstance(error, AccessError):
        answer = refusal(error, error.status)
        answer.headers.update(error.headers)
        return answer
    if isinstance(error, GqlError | IdError):
        return refusal(error, 400)
    message, extensions = masked_error(error)
    status = 503 if extensions["code"] in UNAVAILABLE else 500
    return JSONResponse({"data": None, "errors": [{"message": message, "extensions": extensions}]}, status_code=status)


async def refuse(_request: Request, error: Exception) -> Response:
    """Answer a request whose door raised an error of ours; for Starlette's ``exception_handlers``."""
    if isinstance(error, AsterismError):
        REFUSALS.labels(error.code).inc()
    return refusal_of(error)


class BodyLimit:
    """Reads each body up to a limit and hands it on whole; a longer one is refused with 413.

    Parameters
    ----------
    app : ASGIApp
        The application behind it.
    max_bytes : int
        Most bytes a body may have, whatever its headers say.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                error = BodyTooLargeError(f"the body has more than {self._max_bytes} bytes")
                await refusal(error, 413)(scope, receive, send)
                return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)
