"""A limit on request bodies, before anything reads them."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asterism.gql.errors import BodyTooLargeError, GqlError, error_extensions


def refusal(error: GqlError, status: int) -> JSONResponse:
    """Return a refusal in the form of a GraphQL response."""
    return JSONResponse(
        {"data": None, "errors": [{"message": error.message, "extensions": error_extensions(error)}]},
        status_code=status,
    )


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
