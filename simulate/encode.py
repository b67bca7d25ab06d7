"""The little of Avro's binary form needed to put packets together from parts that are encoded once and
used often.

A history line is the same in every packet that repeats it, so its bytes are kept; encoding whole packets field by
field takes several times as long.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import fastavro

NULL = b"\x00"
"""The first branch of a nullable field, which is null in both surveys."""

PRESENT = b"\x02"
"""The second branch: a value follows."""


def encode(schema: Any, row: dict[str, Any]) -> bytes:
    """Return a record under a schema already parsed by fastavro."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, row)
    return stream.getvalue()


def avro_long(value: int) -> bytes:
    """Return a non-negative integer: zigzag, then seven bits a byte, lowest first."""
    rest, encoded = value << 1, bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def avro_bytes(value: bytes) -> bytes:
    """Return bytes, or a string in UTF-8, behind their length."""
    return avro_long(len(value)) + value


def nullable_array(lines: Sequence[bytes]) -> bytes:
    """Return a nullable array of encoded records; null if there are none, as both surveys send it."""
    if not lines:
        return NULL
    return b"".join((PRESENT, avro_long(len(lines)), *lines, NULL))
