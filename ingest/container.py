"""Avro object containers: header, blocks, varints (Avro 1.12 specification, Object Container Files).

Parsed by hand because a library would compile the schema that every ZTF packet repeats, a third of the cost
of reading it; here the header is only sliced, and whoever asks compares or hashes the slice. Every length is
checked before it is used.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from asterism.ingest.errors import (
    CodecUnknownError,
    PacketTooLargeError,
    SchemaInvalidError,
    TruncatedPacketError,
    UndecodableError,
)
from asterism.ingest.writer import MAX_SCHEMA_BYTES

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
_MAX_ENTRIES = 64


class Header(NamedTuple):
    """A container's header: schema as JSON text, codec, sync marker, and where marker and blocks begin."""

    schema: bytes
    codec: str
    sync: bytes
    sync_start: int
    end: int


class Block(NamedTuple):
    """A block: number of records, where its bytes begin and end, and where the next block begins."""

    records: int
    start: int
    stop: int
    end: int


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag-coded 64-bit integer and where it ends.

    Raises
    ------
    TruncatedPacketError
        If the bytes end within it.
    UndecodableError
        If it has more than ten bytes.
    """
    value = shift = 0
    for position in range(at, at + 10):
        if position >= len(data):
            raise TruncatedPacketError(f"the packet ends at byte {len(data)}, within a number")
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position + 1
        shift += 7
    raise UndecodableError(f"the number at byte {at} has more than ten bytes")


def write_varint(value: int) -> bytes:
    """Return a non-negative integer zigzag-coded."""
    rest, out = value << 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def read_header(data: bytes) -> Header:
    """Read the header of a container; `data` begins with `MAGIC`.

    Raises
    ------
    TruncatedPacketError
        If the bytes end within it.
    SchemaInvalidError
        If it names no schema, or the schema is too long.
    UndecodableError
        If it is malformed.
    """
    metadata: dict[bytes, bytes] = {}
    count, at = read_varint(data, len(MAGIC))
    while count:
        if count < 0:
            _, at = read_varint(data, at)
        if abs(count) + len(metadata) > _MAX_ENTRIES:
            raise UndecodableError(f"the container's header has more than {_MAX_ENTRIES} entries")
        for _ in range(abs(count)):
            key, at = _read_bytes(data, at)
            value, at = _read_bytes(data, at)
            metadata[key] = value
        count, at = read_varint(data, at)
    if at + SYNC_BYTES > len(data):
        raise TruncatedPacketError(f"the packet ends at byte {len(data)}, within the container's header")
    if b"avro.schema" not in metadata:
        raise SchemaInvalidError("the container's header has no schema")
    codec = metadata.get(b"avro.codec", b"null").decode("ascii", errors="replace") or "null"
    return Header(metadata[b"avro.schema"], codec, data[at : at + SYNC_BYTES], at, at + SYNC_BYTES)


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = read_varint(data, at)
    if not 0 <= length <= MAX_SCHEMA_BYTES:
        raise SchemaInvalidError(f"the container's header has an entry of {length} bytes, more than {MAX_SCHEMA_BYTES}")
    if at + length > len(data):
        raise TruncatedPacketError(f"the packet ends at byte {len(data)}, within the container's header")
    return data[at : at + length], at + length


def read_block(data: bytes, at: int, sync: bytes) -> Block:
    """Return the block that begins at `at`, whole and followed by the sync marker.

    Raises
    ------
    TruncatedPacketError
        If the bytes end before the block does.
    UndecodableError
        If a length is negative or the sync marker is another.
    """
    count, start = read_varint(data, at)
    size, start = read_varint(data, start)
    if count < 0 or size < 0:
        raise UndecodableError(f"the block at byte {at} has {count} records of {size} bytes")
    stop = start + size
    if stop + SYNC_BYTES > len(data):
        raise TruncatedPacketError(f"the packet ends at byte {len(data)}; its block ends at byte {stop + SYNC_BYTES}")
    if data[stop : stop + SYNC_BYTES] != sync:
        raise UndecodableError(f"the block at byte {at} is not followed by the container's sync marker")
    return Block(count, start, stop, stop + SYNC_BYTES)


def unpack(data: bytes, codec: str, limit: int) -> bytes:
    """Return the bytes of a block uncompressed.

    Raises
    ------
    CodecUnknownError
        If the codec is neither null nor deflate.
    PacketTooLargeError
        If they are more than `limit` bytes.
    UndecodableError
        If they are damaged.
    """
    if codec == "null":
        return data
    if codec != "deflate":
        raise CodecUnknownError(f"the container is compressed with {codec!r:.40}; null and deflate are read")
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise UndecodableError(f"the container's block cannot be inflated: {error}") from error
    if len(plain) > limit:
        raise PacketTooLargeError(f"the container's block unpacks to more than {limit} bytes")
    if not inflater.eof:
        raise UndecodableError("the container's deflated block ends too early")
    return plain


def wrap(header: Header, record: bytes) -> bytes:
    """Return a container of one record, with the schema and the sync marker of the one it was taken from."""
    entries = ((b"avro.schema", header.schema), (b"avro.codec", b"null"))
    metadata = b"".join(write_varint(len(part)) + part for entry in entries for part in entry)
    start = MAGIC + write_varint(len(entries)) + metadata + b"\x00" + header.sync
    return start + write_varint(1) + write_varint(len(record)) + record + header.sync
