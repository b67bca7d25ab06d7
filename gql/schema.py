"""The schema: its roots and how its errors leave.

``schema.graphql`` beside this file is the schema as printed; a test compares the two, so every change of the
API shows in its diff. ``REWRITE_EXPECTED=1 pytest tests/gql/test_schema.py`` writes it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import resources
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StreamResult
from strawberry.types import ExecutionContext, ExecutionResult, Info
from strawberry.types.graphql import OperationType
from typing_extensions import override

from asterism.gql.connections import Connection
from asterism.gql.errors import OverdueError, public_errors
from asterism.gql.event_search import find_candidates, find_event, search_events
from asterism.gql.limits import MAX_DOCUMENTS, REQUEST_SECONDS, NoIntrospection, QueryLimits
from asterism.gql.lists import RegionConnection, cross_survey, list_objects, search_region
from asterism.gql.loaders import RequestContext
from asterism.gql.mutations import Mutation
from asterism.gql.node_search import find_node
from asterism.gql.nodes import Node
from asterism.gql.search import MAX_RADIUS_ARCSEC, ConeConnection, search_cone
from asterism.gql.subscriptions import Subscription, read_sequence
from asterism.gql.telemetry import RequestTimer
from asterism.gql.types.alert import Alert
from asterism.gql.types.annotations import Annotation, Run
from asterism.gql.types.candidates import CANDIDATES, Candidate
from asterism.gql.types.coincidences import Coincidence
from asterism.gql.types.events import Event
from asterism.gql.types.evidence import CatalogSource, Classification
from asterism.gql.types.notices import Localization, Notice
from asterism.gql.types.objects import Object, Source, object_of
from asterism.gql.types.scalars import SCALARS, Int64
from asterism.gql.types.statistics import Statistics, read_statistics
from asterism.gql.watch_search import Entry, find_tagged, find_watched
from asterism.ids import split_key


async def _object(info: Info[RequestContext, None], key: strawberry.ID) -> Object | None:
    split_key(key)
    row = await info.context.objects.load(key)
    return None if row is None else object_of(row)


@strawberry.type(description="What can be asked.")
class Query:
    """What can be asked."""

    node: Node | None = strawberry.field(
        resolver=find_node, description="Anything by its id; null if there is none, or it may not be shown."
    )
    object: Object | None = strawberry.field(
        resolver=_object, description="One object by its key, survey:objectId; null if there is none."
    )
    cone_search: ConeConnection | None = strawberry.field(
        resolver=search_cone,
        description="The objects around a position, nearest first. ra and dec in degrees (ICRS), "
        f"radiusArcsec up to {MAX_RADIUS_ARCSEC:g}. mjdFrom and mjdTo (MJD TAI) keep the objects whose span "
        "from first to last detection touches that one.",
    )
    objects: Connection[Object] | None = strawberry.field(
        resolver=list_objects,
        description="All objects, or a survey's, by key. Where few pass a filter, a page may be short and still have "
        "a next one: it says how far was looked.",
    )
    cross_survey: Connection[Source] | None = strawberry.field(
        resolver=cross_survey,
        description="Sources of which each of the surveys (all, if not given) has an object, by key; lastFrom and "
        "lastTo (MJD TAI) bound the last detection of each. Pages may be short, as those of objects.",
    )
    region_search: RegionConnection | None = strawberry.field(
        resolver=search_region,
        description="The objects inside the credible region of the localization that holds for an event. Null for an "
        "event without one. Pages may be short, as those of objects.",
    )
    event: Event | None = strawberry.field(
        resolver=find_event,
        description="One event of any standing by its key, authority:name; null if there is none.",
    )
    events: Connection[Event] | None = strawberry.field(
        resolver=search_events,
        description="Events, newest first. mjdFrom and mjdTo (MJD TAI) bound their time; one whose time is "
        "not known is found by its key only. maxArea90 bounds the 90 % region of the localization that holds [deg2].",
    )
    candidates: Connection[Candidate] | None = strawberry.field(
        resolver=find_candidates,
        description=f"{CANDIDATES} Null for an event that is not known.",
    )
    watchlist: Connection[Entry] | None = strawberry.field(
        resolver=find_watched,
        description="What is on a watchlist; owner is its author, whoever asks if not given.",
    )
    tagged: Connection[Entry] | None = strawberry.field(
        resolver=find_tagged, description="What carries a tag now, whoever gave it."
    )
    statistics: Statistics | None = strawberry.field(resolver=read_statistics, description="How much is in the graph.")
    sequence: Int64 | None = strawberry.field(
        resolver=read_sequence,
        description="Number of the last change of any event: read it, then what you need, then subscribe after it.",
    )


NODES = (Alert, Annotation, Candidate, CatalogSource, Classification, Coincidence, Event, Localization, Notice)
"""With `Object`, `Run` and `Source` the types that `Query.node` may return."""


class Schema(strawberry.Schema):
    """A schema whose errors carry a code and no internals, and whose answers are given in time."""

    @override
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace the errors by what the client may see, in place: Strawberry sends this very list."""
        errors[:] = public_errors(errors)

    @override
    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Execute one request, or refuse it after `REQUEST_SECONDS`; what is followed comes by `stream`."""
        given = kwargs.get("allowed_operation_types")
        allowed = set(OperationType if given is None else given)
        kwargs["allowed_operation_types"] = allowed - {OperationType.SUBSCRIPTION}
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await super().execute(*args, **kwargs)
        except TimeoutError:
            error = OverdueError(f"the request took more than {REQUEST_SECONDS:g} s")
            errors = public_errors([GraphQLError(error.message, original_error=error)])
            return ExecutionResult(data=None, errors=errors)

    @override
    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> StreamResult:
        """Execute an operation of a WebSocket; each has its own context, although they share the connection."""
        if isinstance(context_value, RequestContext):
            context_value = context_value.fresh()
        return await super().stream(query, variable_values, context_value, *args, **kwargs)


def make_schema(*, introspection: bool = True) -> Schema:
    """Return the schema of the API.

    Parameters
    ----------
    introspection : bool
        Let clients ask for the schema itself.
    """
    extensions: list[Callable[[], SchemaExtension]] = [
        QueryLimits,
        *([] if introspection else [NoIntrospection]),
        lambda: ParserCache(maxsize=MAX_DOCUMENTS),
        lambda: ValidationCache(maxsize=MAX_DOCUMENTS),
        RequestTimer,
    ]
    schema = Schema(
        Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[*NODES, Object, Run, Source],
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=extensions,
    )
    followed = schema._schema.subscription_type
    for field in followed.fields.values() if followed is not None else ():
        field.resolve = _as_told  # Strawberry's own calls its message "event", and so does an argument of ours
    return schema


def _as_told(message: object, /, *_info: object, **_arguments: object) -> object:
    """Resolve the field of a subscription: its message."""
    return message


def stored_sdl() -> str:
    """Return the schema as it was last released, in GraphQL's own language."""
    return resources.files("asterism.gql").joinpath("schema.graphql").read_text(encoding="utf-8")
