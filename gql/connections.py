"""Pages of long lists: keyset cursors and Relay's connection shape.

A cursor holds the sort value and the key of the row it stands behind, so a page costs the same wherever it is
and rows that arrive meanwhile neither repeat nor push out others. It also names its list (the field and its
arguments): followed into another list, it is refused instead of answering nonsense. Cursors are opaque to
clients; their form may change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import strawberry

from asterism.errors import IdError
from asterism.gql.errors import ArgumentError, CursorError
from asterism.ids import split_key

MAX_PAGE = 100
_MAX_CURSOR = 512
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list sorted by (value, key), and by `rest` where a key may stand there twice."""

    value: float
    key: str
    rest: str = ""


def list_name(*parts: object) -> str:
    """Return a short name of a list: the same for the same field and arguments only."""
    return hashlib.sha256(json.dumps(parts, allow_nan=False).encode()).hexdigest()[:12]


def encode_cursor(name: str, position: Position) -> str:
    """Return the cursor of a position in the list of that name."""
    place = [name, position.value, position.key, *([position.rest] if position.rest else [])]
    document = json.dumps(place, separators=(",", ":"), allow_nan=False)
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def decode_cursor(name: str, cursor: str | None) -> Position | None:
    """Return the position a cursor stands for; None for no cursor.

    Raises
    ------
    CursorError
        If it is malformed or belongs to another list than `name`.
    """
    if cursor is None:
        return None
    if len(cursor) > _MAX_CURSOR:
        raise CursorError(f"the cursor has {len(cursor)} characters, none of ours has more than {_MAX_CURSOR}")
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        document = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        owner, value, key, *rest = document
        if not (isinstance(value, float) and math.isfinite(value)) or len(rest) > 1:
            raise ValueError(document)
        if not all(isinstance(text, str) and text.isascii() for text in (key, *rest)):
            raise ValueError(document)
        split_key(key)
    except (ValueError, TypeError, RecursionError, binascii.Error, IdError) as error:
        raise CursorError(f"the cursor {cursor!r:.60} is malformed") from error
    if owner != name:
        raise CursorError(f"the cursor {cursor!r:.60} belongs to another list")
    return Position(value, key, *rest)


def page_size(first: int) -> int:
    """Return the size of a page.

    Raises
    ------
    ArgumentError
        Unless 1 <= `first` <= `MAX_PAGE`.
    """
    if not 1 <= first <= MAX_PAGE:
        raise ArgumentError(
            f"first is {first}, 1 to {MAX_PAGE} are allowed",
            hint=f"ask for at most {MAX_PAGE} and follow endCursor",
        )
    return first


@strawberry.type(description="Where a page ends.")
class PageInfo:
    """Where a page ends."""

    has_next_page: bool = strawberry.field(description="There is another page behind endCursor.")
    end_cursor: str | None = strawberry.field(description="Pass as after to get the next page; null for an empty page.")


@strawberry.type(description="A row of a page.")
class Edge(Generic[T]):
    """A row of a page and the cursor behind it."""

    cursor: str
    node: T


Count = Callable[[], Awaitable[int]]
"""Counts the rows of a list; called only when asked."""


async def _total(root: strawberry.Parent[Counted]) -> int | None:
    return None if root.count is None else await root.count()


@strawberry.type
class Counted:
    """A list whose length can be asked for."""

    count: strawberry.Private[Count | None] = None
    total_count: int | None = strawberry.field(
        resolver=_total,
        description="Rows of the whole list, counted only where this is asked for; null where it is not known.",
    )


@strawberry.type(description="A page of a list.")
class Connection(Counted, Generic[T]):
    """A page of a list."""

    edges: list[Edge[T]]
    page_info: PageInfo


def page_info(cursors: Sequence[str], *, more: bool) -> PageInfo:
    """Return the end of a page with these cursors."""
    return PageInfo(has_next_page=more, end_cursor=cursors[-1] if cursors else None)
