"""Limits of one request: length, depth and aliases of the document, and rows it may read.

Depth and aliases are measured here, on the document with its fragments spread, because the limiters that come
with Strawberry walk a fragment anew at each spread: n fragments that each spread the next twice cost them
2**n steps. Here each fragment is measured once. The check runs before validation, so a refused document costs
no more than its parsing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)
from strawberry.extensions import MaxTokensLimiter, SchemaExtension
from typing_extensions import override

from asterism.gql.errors import IntrospectionError, TooCostlyError, TooDeepError, TooManyAliasesError

MAX_TOKENS = 2000
MAX_DEPTH = 12
MAX_INTROSPECTION_DEPTH = 20
"""Introspection as tools send it nests ``ofType`` deeper than any query of data."""
MAX_ALIASES = 30
MAX_ROWS = 20_000
"""Most rows one request may ask the store for."""
MAX_DOCUMENTS = 64
"""Documents that are remembered parsed and validated; one of `MAX_TOKENS` takes about a megabyte."""
MAX_BODY_BYTES = 262_144
REQUEST_SECONDS = 30.0
"""Time one request is given [s]; each of its reads has less (`asterism.graph.reader.QUERY_SECONDS`)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a selection with its fragments spread.

    Parameters
    ----------
    depth : int
        Levels of nested fields, introspection left out.
    introspection : int
        Levels below ``__schema`` and ``__type``.
    aliases : int
        Aliases, each as often as it is spread.
    """

    depth: int = 0
    introspection: int = 0
    aliases: int = 0

    def beside(self, other: Shape) -> Shape:
        """Return the shape of two selections side by side."""
        return Shape(
            max(self.depth, other.depth),
            max(self.introspection, other.introspection),
            self.aliases + other.aliases,
        )


def measure(document: DocumentNode) -> Shape:
    """Return the shape of all operations of a document; time is linear in its length."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    known: dict[str, Shape] = {}
    shape = Shape()
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            shape = shape.beside(_selection(node.selection_set, fragments, known))
    return shape


def _selection(
    selection_set: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, Shape],
) -> Shape:
    shape = Shape()
    for node in selection_set.selections if selection_set else ():
        match node:
            case FieldNode():
                shape = shape.beside(_field(node, _selection(node.selection_set, fragments, known)))
            case InlineFragmentNode():
                shape = shape.beside(_selection(node.selection_set, fragments, known))
            case FragmentSpreadNode():
                shape = shape.beside(_fragment(node.name.value, fragments, known))
            case _:
                raise TypeError(f"{node.kind} is no selection")
    return shape


def _field(node: FieldNode, inner: Shape) -> Shape:
    aliases = inner.aliases + (node.alias is not None)
    if node.name.value.startswith("__"):
        return Shape(0, 1 + max(inner.depth, inner.introspection), aliases)
    return Shape(1 + inner.depth, inner.introspection, aliases)


def _fragment(name: str, fragments: Mapping[str, FragmentDefinitionNode], known: dict[str, Shape]) -> Shape:
    if name not in known and name in fragments:
        known[name] = Shape()  # a fragment that spreads itself adds nothing here; validation refuses it
        known[name] = _selection(fragments[name].selection_set, fragments, known)
    return known.get(name, Shape())


class QueryLimits(MaxTokensLimiter):
    """Refuse documents that are too long, too deep or full of aliases, before they are validated."""

    def __init__(self) -> None:
        super().__init__(max_token_count=MAX_TOKENS)

    @override
    def on_validate(self) -> Iterator[None]:
        """Measure the parsed document."""
        document = self.execution_context.graphql_document
        if document is not None:
            shape = measure(document)
            for depth, limit in ((shape.depth, MAX_DEPTH), (shape.introspection, MAX_INTROSPECTION_DEPTH)):
                if depth > limit:
                    raise TooDeepError(f"the query is {depth} levels deep, {limit} are allowed")
            if shape.aliases > MAX_ALIASES:
                raise TooManyAliasesError(f"the query has {shape.aliases} aliases, {MAX_ALIASES} are allowed")
        yield


class NoIntrospection(SchemaExtension):
    """Refuse documents that ask for the schema itself; ``__typename`` stays."""

    @override
    def on_validate(self) -> Iterator[None]:
        """Look at the parsed document."""
        document = self.execution_context.graphql_document
        if document is not None and measure(document).introspection > 1:
            raise IntrospectionError("this installation does not answer introspection")
        yield


@dataclass(slots=True)
class RowBudget:
    """Rows one request may still ask the store for.

    A list is charged before it is read, with the most rows it can have: pages below many parents cost parents
    x page size.
    """

    left: int = field(default=MAX_ROWS)

    def charge(self, rows: int) -> None:
        """Take `rows` off the budget.

        Raises
        ------
        TooCostlyError
            If fewer are left.
        """
        if rows > self.left:
            raise TooCostlyError(f"the query asks for up to {rows} rows more where {self.left} of {MAX_ROWS} are left")
        self.left -= rows
