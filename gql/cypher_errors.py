"""Errors of the Cypher door, beside those of `asterism.graph.errors`.

::

    GqlError
    +-- CypherRequestError        not a request of this door
    +-- CypherBusyError           all places are taken
    +-- NotAcceptableError        none of the accepted formats is made here
"""

from __future__ import annotations

from asterism.gql.errors import GqlError


class CypherRequestError(GqlError):
    """The body is not a request of the Cypher door."""

    code = "gql.cypher_request"
    hint = 'POST JSON such as {"query": "RETURN $x AS x", "parameters": {"x": 1}} or {"recipe": "loose_ends"}'


class CypherBusyError(GqlError):
    """All places for Cypher queries are taken."""

    code = "gql.cypher_busy"
    hint = "try again in some seconds; ASTERISM_CYPHER_PLACES sets how many run at a time"


class NotAcceptableError(GqlError):
    """None of the formats the client accepts is made here."""

    code = "gql.not_acceptable"
    hint = "accept application/x-ndjson, application/json, text/csv or application/vnd.apache.arrow.stream"
