"""What a packet is delivered with: its position, which identifies the delivery whatever the bytes contain."""

from __future__ import annotations

from typing import NamedTuple

MAX_PACKET_BYTES = 4 * 2**20
"""Larger packets are refused unread [bytes]; real ones have 70 kB (ZTF) to 300 kB (LSST, long history)."""


class Position(NamedTuple):
    """Where a packet was read.

    Attributes
    ----------
    topic : str
        Kafka topic, or ``file-<sha256 prefix>`` for a file.
    partition : int
        Kafka partition; 0 for a file.
    offset : int
        Kafka offset; record number in a file.
    published_ms : int or None
        Kafka timestamp [ms since 1970 UTC]; None if unknown.
    """

    topic: str
    partition: int
    offset: int
    published_ms: int | None = None


def known_ms(published_ms: int | None) -> int | None:
    """Return a Kafka timestamp [ms since 1970 UTC], None where Kafka gives -1 or 0 for "not available"."""
    return published_ms if published_ms is not None and published_ms > 0 else None
