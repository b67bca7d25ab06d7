"""Packet bytes to detections: every packet becomes exactly one row of `DETECTION` or of `DEAD_LETTER`.

A message is either an Avro object container of one record (ZTF), or the magic byte 0, a four-byte big-endian
schema id and the bare record (LSST). `Decoder.decode` reads only as far as the last wanted field; one bad
packet never stops a batch.

What that leaves unseen: damage in fields that are not wanted, and behind them. A container is caught all the
same if it is cut, for its block's length and sync marker must fit; a framed message carries no length, so one
that is cut within its history or cutouts passes here and is found by `Decoder.decode_full` in the science lane
(Kafka's own checksum makes that unlikely). For framed messages the id alone says which version it is: bytes of
LSST 9.0 also decode, wrongly labelled, as 10.0.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from asterism.ingest.container import MAGIC, Header, read_block, read_header, unpack
from asterism.ingest.detections import detections
from asterism.ingest.errors import (
    EmptyPacketError,
    MultipleRecordsError,
    PacketError,
    PacketTooLargeError,
    TruncatedPacketError,
    UndecodableError,
    WrongMagicError,
)
from asterism.ingest.packets import MAX_PACKET_BYTES, Position, known_ms
from asterism.ingest.plan import Plan, Row, plan_for
from asterism.ingest.schemas import SchemaSource
from asterism.ingest.surveys import SURVEYS, Survey
from asterism.records import DEAD_LETTER, DETECTION

FRAME_MAGIC = b"\x00"
_FRAME_BYTES = 5


@dataclass(frozen=True)
class Decoded:
    """What a batch of packets became; the two tables together have one row per packet.

    Attributes
    ----------
    detections : pa.Table
        Schema `DETECTION`, in the order of the packets.
    dead_letters : pa.Table
        Schema `DEAD_LETTER`, in the order of the packets.
    """

    detections: pa.Table
    dead_letters: pa.Table


class _Body(NamedTuple):
    """A record found in a packet: how to read it, its bytes, and where they begin and end."""

    plan: Plan
    data: bytes
    start: int
    stop: int
    framed: bool


class _Rows(NamedTuple):
    """The packets of a batch that one plan read: which they were and what they gave."""

    indices: list[int]
    rows: list[Row]


class Decoder:
    """Decodes packets. Keep one: it remembers the last container header and every schema id it met.

    Parameters
    ----------
    schemas : SchemaSource, optional
        Where writer schemas of framed messages come from; without it every framed message is a dead letter.
    """

    def __init__(self, schemas: SchemaSource | None = None) -> None:
        self._schemas = SchemaSource() if schemas is None else schemas
        self._by_id: dict[int, Plan] = {}
        self._last: tuple[bytes, Header, Plan] | None = None

    def decode(self, payloads: Sequence[bytes], positions: Sequence[Position]) -> Decoded:
        """Decode packets as far as the wanted fields.

        Parameters
        ----------
        payloads : sequence of bytes
            One packet each.
        positions : sequence of Position
            Where each was read, of the same length.

        Returns
        -------
        Decoded
            A row for every packet, in one of the two tables.
        """
        if len(payloads) != len(positions):
            raise ValueError(f"{len(payloads)} packets with {len(positions)} positions")
        read: dict[Plan, _Rows] = {}
        failures: dict[int, PacketError] = {}
        for index, payload in enumerate(payloads):
            try:
                plan, row = self._read(payload)
            except PacketError as error:
                failures[index] = error
            else:
                group = read.setdefault(plan, _Rows([], []))
                group.indices.append(index)
                group.rows.append(row)
        tables, order = [DETECTION.empty_table()], np.empty(0, dtype=np.int64)
        for survey in SURVEYS:
            table, indices, refused = _of_survey(survey, read, positions)
            tables.append(table)
            order = np.concatenate([order, indices])
            failures.update(refused)
        found = pa.concat_tables(tables)
        if len(read) > 1:
            found = found.take(np.argsort(order))
        return Decoded(found, _dead_letters(failures, payloads, positions))

    def decode_full(self, payload: bytes) -> dict[str, Any]:
        """Decode one packet whole: history, cutouts and every other field, as the writer named them.

        Raises
        ------
        PacketError
            The subclass says why it cannot be decoded.
        """
        body = self._open(payload)
        stream = io.BytesIO(body.data)
        stream.seek(body.start)
        record = body.plan.read_whole(stream)
        if stream.tell() != body.stop:
            raise UndecodableError(f"the record ends at byte {stream.tell()}, the packet at {body.stop}")
        return record

    def _read(self, payload: bytes) -> tuple[Plan, Row]:
        body = self._open(payload)
        try:
            row, end = body.plan.read(body.data, body.start)
        except TruncatedPacketError as error:
            if body.framed:
                raise
            raise UndecodableError("the record is longer than its container says") from error
        if end > body.stop:
            raise UndecodableError(f"the record reads to byte {end}, beyond its end at {body.stop}")
        return body.plan, row

    def _open(self, payload: bytes) -> _Body:
        """Find the record in a packet and the plan to read it with."""
        if not payload:
            raise EmptyPacketError("the message has no bytes")
        if len(payload) > MAX_PACKET_BYTES:
            raise PacketTooLargeError(f"the packet has more than {MAX_PACKET_BYTES} bytes")
        if payload.startswith(MAGIC):
            return self._open_container(payload)
        if payload.startswith(FRAME_MAGIC):
            if len(payload) <= _FRAME_BYTES:
                raise TruncatedPacketError(f"the message has {len(payload)} bytes, not even its schema id and a record")
            schema_id = int.from_bytes(payload[1:_FRAME_BYTES], "big")
            return _Body(self._plan_of(schema_id), payload, _FRAME_BYTES, len(payload), framed=True)
        if MAGIC.startswith(payload):
            raise TruncatedPacketError(f"the packet has {len(payload)} bytes, not even its magic number")
        raise WrongMagicError(f"the packet begins with {payload[:8].hex()}, neither a container nor a framed message")

    def _open_container(self, payload: bytes) -> _Body:
        header, plan = self._header(payload)
        sync = payload[header.sync_start : header.end]
        block = read_block(payload, header.end, sync) if header.end < len(payload) else None
        if block is None or block.records == 0:
            raise EmptyPacketError("the container holds no record")
        if block.records > 1 or block.end < len(payload):
            raise MultipleRecordsError(
                f"the container holds {block.records} records, {len(payload) - block.end} bytes follow"
            )
        if header.codec == "null":
            return _Body(plan, payload, block.start, block.stop, framed=False)
        plain = unpack(payload[block.start : block.stop], header.codec, MAX_PACKET_BYTES)
        return _Body(plan, plain, 0, len(plain), framed=False)

    def _header(self, payload: bytes) -> tuple[Header, Plan]:
        """Return the container's header (not its sync marker) and plan, mostly by one comparison."""
        if self._last is not None and payload.startswith(self._last[0]) and len(payload) >= self._last[1].end:
            return self._last[1], self._last[2]
        header = read_header(payload)
        plan = plan_for(header.schema)
        self._last = (payload[: header.sync_start], header, plan)
        return header, plan

    def _plan_of(self, schema_id: int) -> Plan:
        if schema_id not in self._by_id:
            self._by_id[schema_id] = plan_for(self._schemas.text(schema_id))
        return self._by_id[schema_id]


def _of_survey(
    survey: Survey, read: dict[Plan, _Rows], positions: Sequence[Position]
) -> tuple[pa.Table, NDArray[np.int64], dict[int, PacketError]]:
    """Return a survey's detections, the packet each came from, and what was refused by packet."""
    groups = {plan: group for plan, group in read.items() if plan.survey is survey}
    if not groups:
        return DETECTION.empty_table(), np.empty(0, dtype=np.int64), {}
    parts = [plan.columns(group.rows) for plan, group in groups.items()]
    raw = {wanted: [value for part in parts for value in part[wanted]] for wanted in survey.fields}
    order = [index for group in groups.values() for index in group.indices]
    table, refused = detections(survey, raw, [positions[index] for index in order])
    kept = np.array([index for at, index in enumerate(order) if at not in refused], dtype=np.int64)
    return table, kept, {order[at]: error for at, error in refused.items()}


def _dead_letters(
    failures: dict[int, PacketError], payloads: Sequence[bytes], positions: Sequence[Position]
) -> pa.Table:
    rows = [
        {
            "topic": positions[index].topic,
            "partition": positions[index].partition,
            "offset": positions[index].offset,
            "publishedMs": known_ms(positions[index].published_ms),
            "code": failures[index].code,
            "message": failures[index].message,
            "payload": payloads[index],
        }
        for index in sorted(failures)
    ]
    return pa.Table.from_pylist(rows, schema=DEAD_LETTER)
