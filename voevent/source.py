"""``format("asterism-notices")``: the journal as a stream of rows.

An offset is a position of the journal, a batch the entries between two of them, in the order they were journalled. The
journal is append-only and holds what was acknowledged, so a batch that runs again reads the same notices. Spark asks
for the latest offset many times a second: it is found without reading any notice, from where the last answer ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.streaming.datasource import (
    ReadLimit,
    ReadMaxRows,
    SupportsTriggerAvailableNow,
)
from pyspark.sql.types import StructType
from typing_extensions import override

from asterism.journal import Entry, Journal, Position
from asterism.voevent.project import Delivery

MAX_NOTICES = 100
"""Most notices a micro-batch takes."""
MAX_TABLE_BYTES = 8 << 20
"""Payloads are handed to Spark together up to this size."""

Offset = dict[str, int]
"""``{"segment": ..., "offset": ...}``: what Spark writes to its offset log as JSON."""

JOURNALLED = pa.schema(
    [
        pa.field("segment", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("channel", pa.string()),
        pa.field("receivedMjdTai", pa.float64()),
        pa.field("payload", pa.binary()),
    ]
)
"""One row per journalled delivery."""


def as_offset(position: Position) -> Offset:
    """Return a position as Spark stores it."""
    return {"segment": position.segment, "offset": position.offset}


def as_position(offset: Offset) -> Position:
    """Return the position Spark stored."""
    return Position(int(offset["segment"]), int(offset["offset"]))


@dataclass(frozen=True)
class Span(InputPartition):
    """A task's work: the entries from `start` up to, not including, `end`."""

    start: Position
    end: Position


class NoticeSource(DataSource):
    """Registers the name and the schema; the option ``journal`` is the journal's folder."""

    @classmethod
    @override
    def name(cls) -> str:
        return "asterism-notices"

    @override
    def schema(self) -> StructType:
        return from_arrow_schema(JOURNALLED)

    @override
    def streamReader(self, schema: StructType) -> DataSourceStreamReader:
        return NoticeStreamReader(Path(self.options["journal"]))


class NoticeStreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans spans of the journal on the driver and reads them in an executor."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._target: Position | None = None
        self._end: Position | None = None

    @override
    def initialOffset(self) -> Offset:
        return as_offset(Position(0, 0))

    @override
    def getDefaultReadLimit(self) -> ReadLimit:
        return ReadMaxRows(MAX_NOTICES)

    @override
    def latestOffset(self, start: Offset, limit: ReadLimit) -> Offset:
        end = as_position(start)
        most = limit.max_rows if isinstance(limit, ReadMaxRows) else None
        for position in islice(Journal(self.root).ends(end), most):
            if self._target is not None and position > self._target:
                break
            end = position
        return as_offset(end)

    @override
    def prepareForTriggerAvailableNow(self) -> None:
        self._target = Journal(self.root).end()

    @override
    def reportLatestOffset(self) -> Offset:
        journal = Journal(self.root)
        known = journal.end() if self._end is None else self._end
        self._end = max(journal.ends(known), default=known)
        return as_offset(self._end)

    @override
    def partitions(self, start: Offset, end: Offset) -> Sequence[InputPartition]:
        return [Span(as_position(start), as_position(end))]

    @override
    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, Span)  # noqa: S101 - Spark hands back what partitions() gave
        rows: list[dict[str, Any]] = []
        size = 0
        for entry in takewhile(lambda entry: entry.position < partition.end, Journal(self.root).read(partition.start)):
            rows.append(_row(entry))
            size += len(entry.payload)
            if size >= MAX_TABLE_BYTES:
                yield pa.RecordBatch.from_pylist(rows, schema=JOURNALLED)
                rows, size = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=JOURNALLED)


def _row(entry: Entry) -> dict[str, Any]:
    delivery = Delivery.of(entry)
    return {
        "segment": entry.position.segment,
        "offset": entry.position.offset,
        "channel": delivery.channel,
        "receivedMjdTai": delivery.received_mjd_tai,
        "payload": delivery.payload,
    }
