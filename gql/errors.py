"""Errors of the API and what a client may see of them.

::

    GqlError                      the request was refused; the message is the client's
    +-- BadRequestError           not a GraphQL request over HTTP
    +-- BodyTooLargeError         the body exceeds the limit
    +-- QuerySyntaxError          not a GraphQL document
    +-- QueryInvalidError         a document this schema does not answer
    +-- TooManyTokensError        the document is too long
    +-- TooDeepError              the selections are nested too deeply
    +-- TooManyAliasesError       one request asks the same too often
    +-- TooCostlyError            the query may return too many rows
    +-- ArgumentError             an argument is out of range
    +-- CursorError               a cursor is malformed or of another list
    +-- IntrospectionError        introspection is switched off
    +-- OverdueError              the request took too long
    +-- TooSlowError              a subscriber does not take what it asked for
    +-- TooManySubscribersError   there are too many subscriptions
    +-- IdempotencyError          an idempotency key was used for two different mutations
    +-- ActPendingError           a mutation is recorded, but not yet shown
    +-- AccessError               who asks may not have it
        +-- UnauthenticatedError      ... because they showed no token
        +-- TokenInvalidError         ... because the token is none of ours
        +-- TokenExpiredError         ... because the token holds no longer
        +-- TokenRevokedError         ... because the token was revoked
        +-- ForbiddenError            ... because the token does not include it
        +-- QuotaError                ... because they asked too often
    InternalError                 something of ours failed; only an id leaves
    ServeError                    the server cannot be started as asked
    TokenUnknownError             a token cannot be made as asked, or does not exist
    ExportError                   an exported file cannot be written
    TokenFileError                the file of tokens cannot be read or written

Invariant: a client sees the message of a `GqlError` or an `IdError` (it is about the client's own words) and
nothing but the code and a reference of any other error; the log has the rest under that reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from graphql import GraphQLError, GraphQLSyntaxError
from typing_extensions import override

from asterism.errors import AsterismError, IdError
from asterism.logs import get_logger


class GqlError(AsterismError):
    """The request was refused."""

    code = "gql.refused"


class BadRequestError(GqlError):
    """The request is not a GraphQL request over HTTP."""

    code = "gql.bad_request"
    hint = 'POST JSON (content-type application/json), such as {"query": "{ statistics { alerts } }"}'


class BodyTooLargeError(GqlError):
    """The body of the request exceeds the limit."""

    code = "gql.body_too_large"
    hint = "send a shorter document, or fewer variables at a time"


class QuerySyntaxError(GqlError):
    """The query is not a GraphQL document."""

    code = "gql.syntax"
    hint = "the position is in locations"


class QueryInvalidError(GqlError):
    """The query asks for what the schema does not have, or gives a value of the wrong type."""

    code = "gql.invalid"
    hint = "compare with gql/schema.graphql"


class TooManyTokensError(GqlError):
    """The document has too many tokens."""

    code = "gql.too_many_tokens"
    hint = "send it in several requests; put long values into variables"


class TooDeepError(GqlError):
    """The selections are nested too deeply."""

    code = "gql.too_deep"
    hint = "ask for the inner objects by key in a second request"


class TooManyAliasesError(GqlError):
    """The document uses too many aliases."""

    code = "gql.too_many_aliases"
    hint = "send it in several requests"


class TooCostlyError(GqlError):
    """The query may return more rows than one request is given."""

    code = "gql.too_costly"
    hint = "ask for smaller pages (first) and follow endCursor"


class ArgumentError(GqlError):
    """An argument is out of its range."""

    code = "gql.argument"


class CursorError(GqlError):
    """A cursor is malformed or belongs to another list."""

    code = "gql.cursor"
    hint = "pass the endCursor of the page before, unchanged, to the same field with the same other arguments"


class IntrospectionError(GqlError):
    """The query asks for the schema itself, which this installation does not tell."""

    code = "gql.introspection_off"
    hint = "the schema is gql/schema.graphql of the project; ASTERISM_API_INTROSPECTION=true switches it on"


class OverdueError(GqlError):
    """The request took longer than one request is given."""

    code = "gql.overdue"
    hint = "ask for smaller pages (first), fewer lists at once, or a narrower search"


class TooSlowError(GqlError):
    """A subscriber does not take its messages, and more wait than may."""

    code = "gql.too_slow"
    hint = "read sequence, then what you need, and subscribe again with after: that number"


class TooManySubscribersError(GqlError):
    """There are as many subscriptions as may be."""

    code = "gql.too_many_subscribers"
    hint = "close some, or try again later"


class IdempotencyError(GqlError):
    """An idempotency key was used before, for a mutation with other content."""

    code = "gql.idempotency_key"
    hint = "use a new key for each mutation, and the same only to repeat one"


class ActPendingError(GqlError):
    """The mutation is safely recorded, but the graph does not take it now; it will be shown when the graph does."""

    code = "gql.act_pending"
    hint = "nothing needs to be done; to be sure, repeat it later with the same idempotencyKey"


class AccessError(GqlError):
    """Who asks may not have what they ask for."""

    code = "gql.access"
    status: ClassVar[int] = 403
    """HTTP status it leaves with."""

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that go with it."""
        return {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}


class UnauthenticatedError(AccessError):
    """The request shows no token, and what it asks for needs one."""

    code = "gql.unauthenticated"
    status = 401
    hint = "send the header Authorization: Bearer <token>; asterism token create NAME --scope SCOPE makes one"


class TokenInvalidError(AccessError):
    """The token of the request is none of this installation."""

    code = "gql.token_invalid"
    status = 401
    hint = "send it as printed when it was made: Authorization: Bearer asterism_<token>"


class TokenExpiredError(AccessError):
    """The token of the request holds no longer."""

    code = "gql.token_expired"
    status = 401
    hint = "ask for a new one: asterism token create NAME --scope SCOPE"


class TokenRevokedError(AccessError):
    """The token of the request was revoked."""

    code = "gql.token_revoked"
    status = 401
    hint = "ask whoever runs this installation for a new one"


class ForbiddenError(AccessError):
    """The token of the request does not include the scope that is needed."""

    code = "gql.forbidden"


class QuotaError(AccessError):
    """The client has made more requests than its quota allows.

    Parameters
    ----------
    message : str
        What happened.
    retry_after : int
        When the next request will be served [s].
    """

    code = "gql.quota"
    status = 429

    def __init__(self, message: str, *, retry_after: int = 60) -> None:
        super().__init__(message, hint=f"wait {retry_after} s; tokens have a larger quota than addresses without one")
        self.retry_after = retry_after

    @property
    @override
    def headers(self) -> dict[str, str]:
        """When to come back [s]."""
        return {"Retry-After": str(self.retry_after)}


class InternalError(AsterismError):
    """Something failed that is not the client's fault."""

    code = "gql.internal"
    hint = "if it happens again, report it with the reference"


class ServeError(AsterismError):
    """The server cannot be started as asked."""

    code = "gql.cannot_serve"


MAX_ERRORS = 20
"""Most errors one answer carries; a refused list may fail once per row above it."""


class TokenUnknownError(AsterismError):
    """A token cannot be made as asked, or there is none of that id."""

    code = "gql.token_unknown"
    hint = "asterism token list shows all; a name has letters, digits and . _ @ + -, at most 60"


class ExportError(AsterismError):
    """An exported file cannot be written."""

    code = "gql.export_failed"
    hint = "check folder, permissions and free space"


class TokenFileError(AsterismError):
    """The file of tokens cannot be read or written; nobody is let in with a token."""

    code = "gql.token_file"
    hint = "tokens.json lies in ASTERISM_HOME and belongs to whoever runs the API, mode 600"


_log = get_logger("gql")


def public_errors(errors: Sequence[GraphQLError]) -> list[GraphQLError]:
    """Return what a client may see of the errors of one request; log the rest.

    Parameters
    ----------
    errors : sequence of GraphQLError
        As graphql-core or Strawberry made them, or this function before.

    Returns
    -------
    list of GraphQLError
        With ``extensions.code`` and ``extensions.hint``. A message is masked unless it is about the client's
        own words; errors of one cause (a query that served many fields) share one reference.
    """
    masked: dict[int, _Shown] = {}
    return [_public_error(error, masked) for error in errors[:MAX_ERRORS]]


class _Shown(NamedTuple):
    """What a client sees of an error."""

    message: str
    extensions: dict[str, str]


def _public_error(error: GraphQLError, masked: dict[int, _Shown]) -> GraphQLError:
    if error.original_error is None and error.extensions and "code" in error.extensions:
        return error
    cause = _root_cause(error)
    match cause:
        case GqlError() | IdError():
            shown = _Shown(cause.message, error_extensions(cause))
        case GraphQLError():
            refusal = _refusal(cause)
            shown = _Shown(refusal.message, error_extensions(refusal))
        case _:
            shown = masked.get(id(cause)) or masked.setdefault(id(cause), _masked(cause))
    return GraphQLError(
        shown.message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=shown.extensions,
    )


def error_extensions(error: AsterismError) -> dict[str, str]:
    """Return the ``extensions`` of an error that may be shown."""
    return {"code": error.code, "hint": error.advice}


def masked_error(cause: BaseException) -> tuple[str, dict[str, str]]:
    """Log an error of ours; return the message and the ``extensions`` that may leave: code and the log's reference."""
    return _masked(cause)


def _masked(cause: BaseException) -> _Shown:
    """Log an error of ours and return its code and the reference to the log, no words of it."""
    reference = secrets.token_hex(6)
    code = cause.code if isinstance(cause, AsterismError) else InternalError.code
    _log.error("request failed", code=code, reference=reference, exc_info=cause)
    return _Shown(f"the request failed on our side (reference {reference})", {"code": code, "hint": InternalError.hint})


def _root_cause(error: GraphQLError) -> BaseException:
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _refusal(error: GraphQLError) -> GqlError:
    """Give an error of graphql-core itself, which is about the document or its variables, its code."""
    if isinstance(error, GraphQLSyntaxError):
        # graphql-core has no type of its own for its token limit.
        too_long = "tokens" in error.message and "Parsing aborted" in error.message
        return TooManyTokensError(error.message) if too_long else QuerySyntaxError(error.message)
    return QueryInvalidError(error.message)
