"""Read the wanted fields of a flat record straight from its bytes, stepping over the others.

The records of ZTF and LSST are a hundred small fields of which a fifth is wanted, and the library spends most
of its time on making values nobody asked for; stepping over one costs a tenth of that. A `Scanner` may
decline, never differ: it knows fixed-width types, numbers, text and unions of one of them with null, nothing
else, and for bytes it cannot make sense of it gives way to the library, which then names the fault. Unwanted
text is not checked to be valid.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from asterism.ingest.writer import Schema

_WIDTHS = {"float": 4, "double": 8, "boolean": 1}
_VARINTS = ("int", "long")
_BLOBS = ("string", "bytes")
_STRUCTS = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}


# What a step does, as plain integers because an enumeration is slow to compare; from _UNPACK on it gives a value.
_JUMPS, _SKIP, _SKIP_VARINT, _SKIP_BLOB, _UNPACK, _BOOLEAN, _VARINT, _TEXT = range(8)


class _Step(NamedTuple):
    """One step: what to do, with what (jumps: how far to go, by each field's first byte), which byte means null."""

    op: int
    argument: Any
    null: int | None


class _NotFlatError(Exception):
    """The schema has a type that is not scanned."""


class Scanner:
    """Reads records of one schema.

    Parameters
    ----------
    steps : tuple
        What `compile_scanner` made.
    """

    def __init__(self, steps: tuple[_Step, ...]) -> None:
        self._steps = steps

    def read(self, data: bytes, at: int) -> tuple[list[Any], int] | None:
        """Return the wanted values in the order of the schema and where the last of them ends; None to decline."""
        values: list[Any] = []
        try:
            for op, argument, null in self._steps:
                if op == _JUMPS:
                    for jump in argument:
                        at += jump[data[at]]
                    continue
                if null is not None:
                    branch, at = data[at], at + 1
                    if branch == null:
                        if op >= _UNPACK:
                            values.append(None)
                        continue
                    if branch != 2 - null:
                        return None
                if op == _UNPACK:
                    values.append(argument.unpack_from(data, at)[0])
                    at += argument.size
                else:
                    at = _step(op, argument, data, at, values)
        except (IndexError, KeyError, struct.error, ValueError):
            return None
        return (values, at) if at <= len(data) else None


def _step(op: int, width: int, data: bytes, at: int, values: list[Any]) -> int:
    """Do a step that is neither a jump nor an unpacking; return where it ends."""
    if op == _SKIP:
        return at + width
    if op == _BOOLEAN:
        values.append((False, True)[data[at]])
        return at + 1
    byte, at = data[at], at + 1
    number, shift = byte & 0x7F, 7
    while byte > 0x7F:
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
        byte, at = data[at], at + 1
        number |= (byte & 0x7F) << shift
        shift += 7
    if op == _SKIP_VARINT:
        return at
    number = (number >> 1) ^ -(number & 1)
    if op == _VARINT:
        if number >> 63 not in (0, -1):
            raise ValueError(number)
        values.append(number)
        return at
    if not 0 <= number <= len(data) - at:
        raise ValueError(number)
    if op == _TEXT:
        values.append(data[at : at + number].decode())
    return at + number


def compile_scanner(schema: Schema, wanted: Mapping[tuple[int, int | None], object]) -> Scanner | None:
    """Return a scanner for a record whose fields, or the fields of records in it, are flat; None if they are not.

    Parameters
    ----------
    schema : dict
        The schema, up to the last wanted field.
    wanted : mapping
        Keys are index of the field at the top and, if it is a record, in that.
    """
    steps: list[_Step] = []
    try:
        for place, kind in _leaves(schema):
            base, width, null = _flat(kind)
            last = steps[-1] if steps else None
            if place in wanted:
                steps.append(_wanted_step(base, null))
            elif width and null is not None:
                jump = {null: 1, 2 - null: 1 + width}
                if last is not None and last.op == _JUMPS:
                    steps[-1] = _Step(_JUMPS, (*last.argument, jump), None)
                else:
                    steps.append(_Step(_JUMPS, (jump,), None))
            elif width and last is not None and last.op == _SKIP:
                steps[-1] = _Step(_SKIP, last.argument + width, None)
            elif width:
                steps.append(_Step(_SKIP, width, None))
            else:
                steps.append(_Step(_SKIP_VARINT if base in _VARINTS else _SKIP_BLOB, 0, null))
    except _NotFlatError:
        return None
    return Scanner(tuple(steps))


def _leaves(schema: Schema) -> Iterator[tuple[tuple[int, int | None], Any]]:
    for index, item in enumerate(schema["fields"]):
        kind = item["type"]
        if isinstance(kind, dict) and kind["type"] == "record":
            for inner_index, inner in enumerate(kind["fields"]):
                yield (index, inner_index), inner["type"]
        else:
            yield (index, None), kind


def _flat(kind: Any) -> tuple[str, int, int | None]:
    """Return the base type, its width (0 if it varies), and the branch byte that means null."""
    if isinstance(kind, list):
        if len(kind) != 2 or "null" not in kind or kind[0] == kind[1]:
            raise _NotFlatError
        null = 2 * kind.index("null")
        base, width, nested = _flat(kind[1 - null // 2])
        if nested is not None:
            raise _NotFlatError
        return base, width, null
    name = kind["type"] if isinstance(kind, dict) else kind
    if name == "fixed":
        return name, kind["size"], None
    if name in _WIDTHS:
        return name, _WIDTHS[name], None
    if name in _VARINTS or name in _BLOBS:
        return name, 0, None
    raise _NotFlatError


def _wanted_step(base: str, null: int | None) -> _Step:
    if base in _STRUCTS:
        return _Step(_UNPACK, _STRUCTS[base], null)
    ops = {"boolean": _BOOLEAN, "int": _VARINT, "long": _VARINT, "string": _TEXT}
    if base not in ops:
        raise _NotFlatError
    return _Step(ops[base], 0, null)
