"""Values of the database as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from neo4j.graph import Node, Path, Relationship


def plain(value: Any) -> Any:
    """Return a value of the database as JSON can hold it.

    NaN and infinities are None; instants ISO 8601 text; a node is its labels and properties, a relationship its type
    and properties, a path the list of both.
    """
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | str() | bool() | int():
            return value
        case Node():
            return {"labels": sorted(value.labels), "properties": _plain_map(value)}
        case Relationship():
            return {"type": value.type, "properties": _plain_map(value)}
        case Path():
            steps = [plain(node) for node in value.nodes]
            for index, relationship in enumerate(value.relationships):
                steps.insert(2 * index + 1, plain(relationship))
            return steps
        case bytes() | bytearray():
            return value.hex()
        case Mapping():
            return _plain_map(value)
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value.iso_format() if hasattr(value, "iso_format") else str(value)


def size_of(value: Any) -> int:
    """Return about how many bytes a plain value takes as JSON."""
    match value:
        case str():
            return len(value) + 2
        case list():
            return 2 + sum(1 + size_of(item) for item in value)
        case dict():
            return 2 + sum(4 + len(name) + size_of(item) for name, item in value.items())
        case _:
            return 8


def _plain_map(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(item) for name, item in value.items()}
