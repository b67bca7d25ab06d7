"""Who asks, and what they may do.

`Authentication` stands before every door: it reads ``Authorization: Bearer <token>`` once, counts the request against
the client's quota and leaves the `Caller` with the request; a door then calls `require`. Tokens are taken from that
header only (over a WebSocket, which browsers open without headers, from the payload of ``connection_init``, see
`Gate.caller`): an address ends in logs and histories. A token that is wrong is refused, never taken for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from asterism.errors import AsterismError
from asterism.gql.addresses import is_loopback, neighbourhood
from asterism.gql.auth_tokens import Scope, TokenStore
from asterism.gql.bodies import refusal_of
from asterism.gql.errors import AccessError, ForbiddenError, TokenInvalidError, UnauthenticatedError
from asterism.gql.quotas import Quotas
from asterism.logs import get_logger
from asterism.metrics import REFUSALS
from asterism.settings import Settings

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Doors for probes: no token, no quota."""
POLICY_VIOLATION = 1008
"""Close code of a WebSocket that is not let in."""

_log = get_logger("gql.auth")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Parameters
    ----------
    name : str
        Holder of the token, the author of what they write; empty without a token.
    token_id : str, optional
        Public id of the token.
    scopes : frozenset of Scope
        What they may do, included scopes too.
    """

    name: str = ""
    token_id: str | None = None
    scopes: frozenset[Scope] = frozenset()

    def require(self, scope: Scope) -> None:
        """Return if the caller has a scope.

        Raises
        ------
        UnauthenticatedError
            If they have not and showed no token.
        ForbiddenError
            If their token does not include it.
        """
        if scope in self.scopes:
            return
        if self.token_id is None:
            raise UnauthenticatedError(f"this needs a token with scope {scope}")
        raise ForbiddenError(
            f"this needs scope {scope}; token {self.token_id} has {', '.join(sorted(self.scopes))}",
            hint=f"asterism token create NAME --scope {scope} makes one",
        )


ANYBODY = Caller(scopes=frozenset({Scope.READ}))
"""Whoever shows no token where reading is open to all."""


class Gate:
    """Lets clients in: checks tokens and counts requests.

    Parameters
    ----------
    settings : Settings
        Where tokens lie, what is open to all, and the quotas.
    """

    def __init__(self, settings: Settings) -> None:
        self.tokens = TokenStore(settings.tokens_path)
        self._quotas = Quotas()
        self._nobody = ANYBODY if settings.api_anonymous_read else Caller()
        self._per_token = settings.api_token_requests_per_minute
        self._per_address = settings.api_anonymous_requests_per_minute

    def caller(self, authorization: str | None, address: str) -> Caller:
        """Return who asks, after counting the request.

        Parameters
        ----------
        authorization : str, optional
            Value of the header, ``Bearer <token>``.
        address : str
            Address of the client; quotas without a token go by it. Clients on this machine are not counted.

        Raises
        ------
        AccessError
            If the token is wrong or the quota is used up.
        TokenFileError
            If tokens cannot be looked up.
        """
        if authorization is None:
            self._count_address(address)
            return self._nobody
        scheme, _, text = authorization.strip().partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise TokenInvalidError("the Authorization header is not of the form: Bearer <token>")
            token = self.tokens.check(text.strip())
        except AccessError:
            self._count_address(address)
            raise
        scopes = token.allowed()
        if Scope.ADMIN not in scopes:
            self._quotas.take(f"token {token.id}", self._per_token)
        return Caller(token.name, token.id, scopes)

    def _count_address(self, address: str) -> None:
        if not is_loopback(address):
            self._quotas.take(f"address {neighbourhood(address)}", self._per_address)


class Authentication:
    """Asks every request who it is from, before any door.

    Parameters
    ----------
    app : ASGIApp
        The doors.
    gate : Gate
        Who may come in.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in ("http", "websocket") and scope["path"] not in OPEN_PATHS:
            client = scope.get("client")
            try:
                caller = self._gate.caller(Headers(scope=scope).get("authorization"), client[0] if client else "")
            except AsterismError as error:
                REFUSALS.labels(error.code).inc()
                _log.info("request refused", code=error.code, path=scope["path"])
                if scope["type"] == "websocket":
                    await receive()
                    await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": error.code})
                else:
                    await refusal_of(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def caller_of(connection: HTTPConnection) -> Caller:
    """Return who a request or WebSocket is from."""
    caller: Caller = connection.state.caller
    return caller


def require(connection: HTTPConnection, scope: Scope) -> Caller:
    """Return who a request is from if they may do what `scope` allows.

    The application turns the errors into 401 and 403 for every door; a door need not catch them.

    Raises
    ------
    UnauthenticatedError, ForbiddenError
        If they may not.
    """
    caller = caller_of(connection)
    caller.require(scope)
    return caller
