"""Scalars GraphQL lacks, and instants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from asterism.gql.errors import ArgumentError
from asterism.times import mjd_tai_to_iso

Int64 = NewType("Int64", int)
"""A 64-bit integer: GraphQL's Int has 32 bits, JavaScript's numbers 53, so it travels as a decimal string."""

_LIMIT = 2**63


def _parse_int64(value: object) -> int:
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and -_LIMIT <= int(text) < _LIMIT):
        raise ArgumentError(
            f"{value!r:.40} is not a 64-bit integer", hint='write it as a decimal string: "9007199254740993"'
        )
    return int(text)


SCALARS: Mapping[object, ScalarDefinition] = {
    Int64: strawberry.scalar(
        name="Int64",
        description="A 64-bit integer as a decimal string.",
        serialize=str,
        parse_value=_parse_int64,
    )
}
"""For Strawberry's ``scalar_map``."""


def _iso(root: strawberry.Parent[Instant]) -> str | None:
    try:
        return mjd_tai_to_iso(root.mjd_tai)
    except (ValueError, OverflowError):
        return None


@strawberry.type(description="An instant.")
class Instant:
    """An instant."""

    mjd_tai: float = strawberry.field(description="Modified Julian Date, TAI [d]")
    iso: str | None = strawberry.field(
        resolver=_iso, description="ISO 8601, UTC, microseconds; null outside the years 1 to 9999"
    )


def instant(mjd_tai: float | None) -> Instant | None:
    """Return an instant, or None for an unknown one [MJD TAI]."""
    return None if mjd_tai is None else Instant(mjd_tai=mjd_tai)
