"""The schema: its roots and how its errors leave.

``schema.graphql`` beside this file is the schema as printed; a test compares the two, so every change of the
API shows in its diff. ``REWRITE_EXPECTED=1 pytest tests/gql/test_schema.py`` writes it anew.
"""

from __future__ import annotations

from importlib import resources

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, Info
from typing_extensions import override

from asterism.gql.connections import Connection
from asterism.gql.errors import public_errors
from asterism.gql.event_search import find_candidates, find_event, search_events
from asterism.gql.limits import QueryLimits
from asterism.gql.loaders import RequestContext
from asterism.gql.search import MAX_RADIUS_ARCSEC, ConeConnection, search_cone
from asterism.gql.telemetry import RequestTimer
from asterism.gql.types.candidates import CANDIDATES, Candidate
from asterism.gql.types.events import Event
from asterism.gql.types.objects import Object, object_of
from asterism.gql.types.scalars import SCALARS
from asterism.gql.types.statistics import Statistics, read_statistics
from asterism.ids import split_key


async def _object(info: Info[RequestContext, None], key: strawberry.ID) -> Object | None:
    split_key(key)
    row = await info.context.objects.load(key)
    return None if row is None else object_of(row)


@strawberry.type(description="What can be asked.")
class Query:
    """What can be asked."""

    object: Object | None = strawberry.field(
        resolver=_object, description="One object by its key, survey:objectId; null if there is none."
    )
    cone_search: ConeConnection | None = strawberry.field(
        resolver=search_cone,
        description="The objects around a position, nearest first. ra and dec in degrees (ICRS), "
        f"radiusArcsec up to {MAX_RADIUS_ARCSEC:g}. mjdFrom and mjdTo (MJD TAI) keep the objects whose span "
        "from first to last detection touches that one.",
    )
    event: Event | None = strawberry.field(
        resolver=find_event,
        description="One event of any standing by its key, authority:name; null if there is none.",
    )
    events: Connection[Event] | None = strawberry.field(
        resolver=search_events,
        description="Events, newest first. mjdFrom and mjdTo (MJD TAI) bound their time; one whose time is "
        "not known is found by its key only.",
    )
    candidates: Connection[Candidate] | None = strawberry.field(
        resolver=find_candidates,
        description=f"{CANDIDATES} Null for an event that is not known.",
    )
    statistics: Statistics | None = strawberry.field(
        resolver=read_statistics, description="How much is in the graph."
    )


class Schema(strawberry.Schema):
    """A schema whose errors carry a code and no internals."""

    @override
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Replace the errors by what the client may see, in place: Strawberry sends this very list."""
        errors[:] = public_errors(errors)


def make_schema() -> Schema:
    """Return the schema of the API."""
    return Schema(Query, config=StrawberryConfig(scalar_map=SCALARS), extensions=[QueryLimits, RequestTimer])


def stored_sdl() -> str:
    """Return the schema as it was last released, in GraphQL's own language."""
    return resources.files("asterism.gql").joinpath("schema.graphql").read_text(encoding="utf-8")
