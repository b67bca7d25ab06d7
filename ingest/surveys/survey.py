"""What a survey is: data. A `Survey` says how to recognise its packets and which field fills which column.

Invariants:

- Fields are found by **name** in the writer schema, never by position or by topic: a version that adds,
  reorders or renames
  (by alias, or by a further path here) needs no code.
- The type of a needed field is checked once per schema (`Kind`); a decoded value has that type or is null.
- Conversions see whole columns: float64 arrays with NaN for null, or lists of text with None for null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
"""A column of numbers or flags, NaN where null."""
Texts = list[str | None]
"""A column of text, None where null."""
Values = Numbers | Texts

NAMESPACE = "@namespace"
"""A path that stands for the namespace of the writer's schema."""

_FLAGS: Mapping[Any, float] = {
    **dict.fromkeys((True, "t", "T", "true", "True", "1"), 1.0),
    **dict.fromkeys((False, "f", "F", "false", "False", "0"), 0.0),
}


class Kind(Enum):
    """What a packet field holds; the value lists the Avro types it may have beside null."""

    NUMBER = frozenset({"int", "long", "float", "double"})
    FLAG = frozenset({"boolean", "int", "long", "string"})
    TEXT = frozenset({"string", "enum"})
    ID = frozenset({"int", "long", "string"})


@dataclass(frozen=True, eq=False)
class Field:
    """A field of the packet; equal only to itself, so that hashing one is cheap.

    Attributes
    ----------
    kind : Kind
        What it holds.
    paths : tuple of str
        Dotted paths in order of preference, such as ``candidate.magpsf``; the first that the schema has is
        read.
    """

    kind: Kind
    paths: tuple[str, ...]


def number(*paths: str) -> Field:
    """Return a numeric field."""
    return Field(Kind.NUMBER, paths)


def flag(*paths: str) -> Field:
    """Return a field that says yes or no as a boolean, 1 and 0, or t and f."""
    return Field(Kind.FLAG, paths)


def text(*paths: str) -> Field:
    """Return a text field."""
    return Field(Kind.TEXT, paths)


def identifier(*paths: str) -> Field:
    """Return an identifier, integer or text."""
    return Field(Kind.ID, paths)


@dataclass(frozen=True)
class Column:
    """A column of `DETECTION`: a conversion and the fields it is given, as columns in this order."""

    convert: Callable[..., Values]
    fields: tuple[Field, ...]


def column(convert: Callable[..., Values], *fields: Field) -> Column:
    """Return the declaration of a column."""
    return Column(convert, fields)


@dataclass(frozen=True)
class Survey:
    """A survey and its field map.

    Attributes
    ----------
    name : str
        Namespace of its keys, in lower case.
    signature : tuple of str
        Dotted paths that a writer schema of this survey has, all of them, in every version.
    night_shift_hours : float
        Hours added to UTC before the date of the night is taken (`asterism.times.night_of`).
    identified_by : tuple of str
        Columns of which one must be known, or the alert belongs to nothing.
    columns : mapping
        Column of `DETECTION` to how it is filled; a column not named stays null.
    missing_numbers, missing_texts : tuple
        Values by which the survey says "unknown".
    """

    name: str
    signature: tuple[str, ...]
    night_shift_hours: float
    identified_by: tuple[str, ...]
    columns: Mapping[str, Column]
    missing_numbers: tuple[float, ...] = ()
    missing_texts: tuple[str, ...] = ("",)
    fields: tuple[Field, ...] = field(init=False)
    """Every packet field the columns need, each once."""

    def __post_init__(self) -> None:
        needed = dict.fromkeys(item for entry in self.columns.values() for item in entry.fields)
        object.__setattr__(self, "fields", tuple(needed))

    def convert(self, raw: Mapping[Field, Sequence[Any]]) -> dict[str, Values]:
        """Turn decoded values, one sequence per field and all of one length, into columns of `DETECTION`."""
        clean = {item: self._clean(item.kind, values) for item, values in raw.items()}
        with np.errstate(all="ignore"):
            return {
                name: entry.convert(*(clean[item] for item in entry.fields)) for name, entry in self.columns.items()
            }

    def _clean(self, kind: Kind, values: Sequence[Any]) -> Any:
        match kind:
            case Kind.NUMBER:
                numbers = np.array(values, dtype=np.float64)
                numbers[~np.isfinite(numbers)] = np.nan
                for missing in self.missing_numbers:
                    numbers[numbers == missing] = np.nan
                return numbers
            case Kind.FLAG:
                return np.array([_FLAGS.get(value, np.nan) for value in values], dtype=np.float64)
            case Kind.TEXT | Kind.ID:
                return [None if value in self.missing_texts else value for value in values]
