"""Valid queries of any shape, drawn from a schema: what a client could ask that knows nothing but the schema."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_leaf_type,
)

OPTIONAL = 0.25
"""How often an argument that may be left out is given."""


class QueryMaker:
    """Draws queries.

    Parameters
    ----------
    schema : GraphQLSchema
        Whose queries.
    values : mapping of str to sequence
        Values to choose from for arguments of a name; those of other names are drawn by type.
    seed : int
        The same seed draws the same queries.
    """

    def __init__(self, schema: GraphQLSchema, values: Mapping[str, Sequence[Any]], seed: int) -> None:
        self._schema = schema
        self._values = values
        self._rng = random.Random(seed)

    def query(self, depth: int) -> str:
        """Return a query of at most so many levels."""
        root = self._schema.query_type
        assert root is not None
        names = self._rng.sample(sorted(root.fields), self._rng.choice([1, 1, 1, 2, 3]))
        fields = [self._field(root.fields[name], name, depth, alias=f"r{i}") for i, name in enumerate(names)]
        return "{ " + " ".join(fields) + " }"

    def _field(self, field: GraphQLField, name: str, depth: int, *, alias: str = "") -> str:
        label = f"{alias}: " if alias and self._rng.random() < 0.3 else ""
        inner = get_named_type(field.type)
        selection = "" if is_leaf_type(inner) else " " + self._selection(inner, depth - 1)
        return f"{label}{name}{self._arguments(field.args)}{selection}"

    def _selection(self, kind: Any, depth: int) -> str:
        if isinstance(kind, GraphQLInterfaceType):
            one = self._rng.choice(sorted(self._schema.get_possible_types(kind), key=lambda each: each.name))
            return f"{{ __typename ... on {one.name} {self._selection(one, depth)} }}"
        assert isinstance(kind, GraphQLObjectType)
        leaves = [name for name, field in kind.fields.items() if self._is_leaf(field)]
        deeper = [name for name in kind.fields if name not in leaves] if depth > 1 else []
        chosen = self._rng.sample(leaves, min(len(leaves), self._rng.randint(0, 4)))
        chosen += self._rng.sample(deeper, min(len(deeper), self._rng.choice([1, 1, 1, 2])))
        fields = [self._field(kind.fields[name], name, depth) for name in chosen]
        return "{ __typename " + " ".join(fields) + " }"

    @staticmethod
    def _is_leaf(field: GraphQLField) -> bool:
        return is_leaf_type(get_named_type(field.type))

    def _arguments(self, arguments: Mapping[str, GraphQLArgument]) -> str:
        given = []
        for name, argument in arguments.items():
            required = isinstance(argument.type, GraphQLNonNull) and argument.default_value is Undefined
            if required or self._rng.random() < OPTIONAL:
                given.append(f"{name}: {self._value(argument.type, name)}")
        return f"({', '.join(given)})" if given else ""

    def _value(self, kind: Any, name: str) -> str:
        if isinstance(kind, GraphQLNonNull):
            return self._value(kind.of_type, name)
        if isinstance(kind, GraphQLList):
            return "[" + ", ".join(self._value(kind.of_type, name) for _ in range(self._rng.randint(0, 3))) + "]"
        if isinstance(kind, GraphQLEnumType):
            return self._rng.choice(sorted(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            some = [n for n in kind.fields if self._rng.random() < OPTIONAL]
            return "{" + ", ".join(f"{n}: {self._value(kind.fields[n].type, n)}" for n in some) + "}"
        if name in self._values:
            return json.dumps(self._rng.choice(self._values[name]))
        assert isinstance(kind, GraphQLScalarType)
        return json.dumps(self._scalar(kind.name))

    def _scalar(self, name: str) -> Any:
        match name:
            case "Int":
                return self._rng.choice([0, 1, 2, 7, 50, 100, 101, -1, 2**31 - 1])
            case "Float":
                return self._rng.choice(
                    [0.0, 0.5, 1.0, -1.0, 60000.0, 1e308, -1e308, 1e-300, self._rng.uniform(0, 360)]
                )
            case "Boolean":
                return self._rng.random() < 0.5
            case "Int64":
                return str(self._rng.choice([0, 1, 2**53 + 1, 2**63 - 1, -1]))
            case _:
                return self._rng.choice(["", "a", "ztf:0001", "é☃", "'}) DELETE n //", "x" * 300, "\u0000"])
