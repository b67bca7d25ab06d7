"""What Relay calls a node: everything with an ``id`` that finds it again.

An id is the base64 of ``Type:key``; clients take it as opaque. What is a link, not a node of the graph, has a key made
of the keys it joins.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import strawberry

from asterism.errors import IdError
from asterism.gql.errors import ArgumentError
from asterism.ids import split_key

SEPARATOR = "|"
"""Stands between the keys a link's key is made of."""

LINK_HINT = "pass an id of a new answer: what a link's id is made of has changed since this one was given"

_MAX_ID = 1024


def _id(root: strawberry.Parent[Any]) -> strawberry.ID:
    return strawberry.ID(global_id(type(root).__name__, root.key))


def _permalink(root: strawberry.Parent[Any]) -> str:
    return f"/node/{_id(root)}"


@strawberry.interface(description="Something that can be found again by its id.")
class Node:
    """Something that can be found again by its id; whatever it is has a ``key``, too."""

    id: strawberry.ID = strawberry.field(
        resolver=_id, description="Opaque; node(id) finds it again, whatever type it has."
    )
    permalink: str = strawberry.field(
        resolver=_permalink, description="Path on this server that shows it as JSON, for links that last."
    )


def global_id(kind: str, key: str) -> str:
    """Return the id of a node."""
    return base64.urlsafe_b64encode(f"{kind}:{key}".encode()).decode().rstrip("=")


def parse_global_id(text: str) -> tuple[str, str]:
    """Return type and key an id stands for.

    Raises
    ------
    ArgumentError
        If it is none of ours.
    """
    try:
        if len(text) > _MAX_ID:
            raise ValueError(len(text))
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
        kind, colon, key = raw.partition(":")
        if not (kind.isalpha() and colon and key):
            raise ValueError(raw)
    except (ValueError, binascii.Error) as error:
        raise ArgumentError(f"{text!r:.60} is no id", hint="pass an id of an earlier answer, unchanged") from error
    return kind, key


def link_key(*keys: str) -> str:
    """Return the key of a link between things of these keys."""
    return SEPARATOR.join(keys)


def split_link_key(key: str, parts: int) -> tuple[str, ...]:
    """Return the keys a link's key is made of.

    Raises
    ------
    IdError
        If there are not as many, or the first two are no keys.
    """
    keys = tuple(key.split(SEPARATOR))
    if len(keys) != parts:
        raise IdError(f"key {key!r:.80} is not made of {parts} parts", hint=LINK_HINT)
    for one in keys[:2]:
        split_key(one)
    return keys
