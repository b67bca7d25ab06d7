"""``format("asterism-alerts")``: Kafka packets as decoded rows, read and decoded in Python executors.

The blobs never enter the JVM: a task consumes its offset range with confluent-kafka, archives the bytes, decodes
the prefix and yields rows of `INGESTED`, a chunk in one cell (`asterism.ingest.bundles`). An offset range is a function
of the query's offset log, so a batch that runs again reads, archives and decodes the same packets. Nothing is skipped
silently: a range that Kafka no longer holds fails the query.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxRows,
    SupportsTriggerAvailableNow,
)
from pyspark.sql.types import StructType
from typing_extensions import override

from asterism.ingest.archive import ArchiveWriter
from asterism.ingest.bundles import pack
from asterism.ingest.decode import Decoded, Decoder
from asterism.ingest.errors import SourceError
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.records import DEAD_LETTER, DETECTION

Offsets = dict[str, dict[str, int]]
"""``{topic: {partition: next offset}}``: what Spark writes to its offset log as JSON."""

CHUNK = 250
"""Packets decoded and handed over at once; bounds the memory of a task to about 40 MB of LSST packets."""

_STALL_SECONDS = 60.0
_OUTCOME = [DEAD_LETTER.field("code").with_nullable(True), DEAD_LETTER.field("message").with_nullable(True)]
INGESTED = pa.schema(
    [field.with_nullable(True).remove_metadata() for field in [*DETECTION, *_OUTCOME, DEAD_LETTER.field("payload")]]
)
"""`DETECTION`, or a dead letter: position, ``code``, ``message`` and ``payload`` set and the rest null."""

CHUNKS = pa.schema([("rows", pa.binary())])
"""What the source yields: one row a chunk, the rows of `INGESTED` in it packed."""


def ingested_rows(decoded: Decoded) -> list[pa.RecordBatch]:
    """Return detections and dead letters as batches of `INGESTED`."""
    batches = []
    for table in (decoded.detections, decoded.dead_letters):
        columns = [
            table[field.name].combine_chunks()
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in INGESTED
        ]
        batches += pa.table(columns, schema=INGESTED).to_batches()
    return batches


@dataclass(frozen=True)
class OffsetRange(InputPartition):
    """One task's work: offsets ``start`` to ``end`` (exclusive) of a partition."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True)
class SourceOptions:
    """The options of ``format("asterism-alerts")``.

    Attributes
    ----------
    bootstrap : str
        Kafka bootstrap servers.
    topics : tuple of str
        Topics to read, all partitions.
    archive : Path or None
        Folder of the raw archive; None to keep no packets.
    max_packets : int
        Most packets a micro-batch takes, over all partitions.
    registry, schema_folder : str or Path, optional
        Where writer schemas of framed packets come from.
    """

    bootstrap: str
    topics: tuple[str, ...]
    archive: Path | None
    max_packets: int
    registry: str | None
    schema_folder: Path | None

    @classmethod
    def of(cls, options: Mapping[str, str]) -> SourceOptions:
        """Read Spark's string options; the keys are spelled as below."""
        folder, archive = options.get("schemaFolder"), options.get("archive")
        return cls(
            bootstrap=options["bootstrap"],
            topics=tuple(options["topics"].split(",")),
            archive=Path(archive) if archive else None,
            max_packets=int(options["maxPackets"]),
            registry=options.get("schemaRegistry"),
            schema_folder=Path(folder) if folder else None,
        )

    def consumer(self) -> Consumer:
        """Return a consumer that belongs to no group: the checkpoint alone says what has been read."""
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "asterism-unused",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                # What is fetched beyond the end of a range is thrown away, so little is fetched ahead.
                "fetch.message.max.bytes": 2 * 2**20,
                "queued.max.messages.kbytes": 4 * 2**10,
                # By default a client whose queue is full pauses for a second: reading then mostly waits.
                "fetch.queue.backoff.ms": 10,
                "fetch.wait.max.ms": 100,
            }
        )


@lru_cache(maxsize=4)
def _schemas(folder: Path | None, registry: str | None) -> SchemaSource:
    """Return the schema source of this process: workers live longer than tasks, and a registry is asked once."""
    return SchemaSource(folder=folder, registry=registry)


def _archive(root: Path | None, work: OffsetRange) -> AbstractContextManager[ArchiveWriter | None]:
    if root is None:
        return nullcontext()
    return ArchiveWriter(root, work.topic, work.partition, work.start, work.end)


class AlertSource(DataSource):
    """Registers the name and the schema."""

    @classmethod
    @override
    def name(cls) -> str:
        return "asterism-alerts"

    @override
    def schema(self) -> StructType:
        return from_arrow_schema(CHUNKS)

    @override
    def streamReader(self, schema: StructType) -> DataSourceStreamReader:
        return AlertStreamReader(SourceOptions.of(self.options))


class AlertStreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans offset ranges on the driver and reads them in the executors."""

    def __init__(self, options: SourceOptions) -> None:
        self.options = options
        self._target: Offsets | None = None

    @override
    def initialOffset(self) -> Offsets:
        return self._watermarks()[0]

    @override
    def getDefaultReadLimit(self) -> ReadLimit:
        return ReadMaxRows(self.options.max_packets)

    @override
    def latestOffset(self, start: Offsets, limit: ReadLimit) -> Offsets:
        low, high = self._watermarks()
        begin = {t: {p: start.get(t, {}).get(p, o) for p, o in offsets.items()} for t, offsets in low.items()}
        return advance(begin, high if self._target is None else self._target, limit)

    @override
    def prepareForTriggerAvailableNow(self) -> None:
        self._target = self._watermarks()[1]

    @override
    def reportLatestOffset(self) -> Offsets:
        return self._watermarks()[1]

    @override
    def partitions(self, start: Offsets, end: Offsets) -> Sequence[InputPartition]:
        ranges = []
        for topic, offsets in sorted(end.items()):
            for partition, stop in sorted(offsets.items()):
                first = start.get(topic, {}).get(partition)
                if first is None:
                    first = self._watermarks()[0].get(topic, {}).get(partition, 0)
                if stop > first:
                    ranges.append(OffsetRange(topic, int(partition), first, stop))
        return ranges

    @override
    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, OffsetRange)  # noqa: S101 - Spark hands back what partitions() gave
        decoder = Decoder(_schemas(self.options.schema_folder, self.options.registry))
        with _archive(self.options.archive, partition) as archive:
            for positions, payloads in read_range(self.options.consumer(), partition):
                if archive is not None:
                    archive.append(positions, payloads)
                rows = pa.Table.from_batches(ingested_rows(decoder.decode(payloads, positions)), schema=INGESTED)
                yield pa.record_batch([pa.array([pack(rows)], pa.binary())], schema=CHUNKS)

    def _watermarks(self) -> tuple[Offsets, Offsets]:
        """Return the first and the next offset of every partition of every topic that exists."""
        consumer = self.options.consumer()
        try:
            metadata = consumer.list_topics(timeout=30).topics
            low: Offsets = {}
            high: Offsets = {}
            for topic in self.options.topics:
                for number in sorted(metadata[topic].partitions) if topic in metadata else ():
                    first, after = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
                    low.setdefault(topic, {})[str(number)] = first
                    high.setdefault(topic, {})[str(number)] = after
            return low, high
        except KafkaException as error:
            raise SourceError(f"Kafka at {self.options.bootstrap} does not answer: {error}") from error
        finally:
            consumer.close()


def advance(start: Offsets, high: Offsets, limit: ReadLimit) -> Offsets:
    """Return where a batch ends: at `high`, or at most `limit` packets on, shared by backlog over the partitions.

    Sharing by backlog drains all partitions at the same time; a partition with any backlog advances by at least one.
    """
    backlog = {
        (topic, partition): max(0, high.get(topic, {}).get(partition, offset) - offset)
        for topic, offsets in start.items()
        for partition, offset in offsets.items()
    }
    total = sum(backlog.values())
    allowed = total if isinstance(limit, ReadAllAvailable) or not isinstance(limit, ReadMaxRows) else limit.max_rows
    share = min(1.0, allowed / total) if total else 0.0
    end: Offsets = {topic: dict(offsets) for topic, offsets in start.items()}
    for (topic, partition), waiting in backlog.items():
        end[topic][partition] += min(waiting, max(1, int(waiting * share))) if waiting else 0
    return end


def read_range(consumer: Consumer, work: OffsetRange) -> Iterator[tuple[list[Position], list[bytes]]]:
    """Yield every message of an offset range in chunks; offsets that Kafka skips (transactions) are no messages.

    Raises
    ------
    SourceError
        If the range is no longer held by Kafka, or the broker stops answering for a minute.
    """
    here = TopicPartition(work.topic, work.partition, work.start)
    try:
        consumer.assign([here])
        reached, last_progress = work.start, time.monotonic()
        while reached < work.end:
            positions: list[Position] = []
            payloads: list[bytes] = []
            for message in consumer.consume(min(CHUNK, work.end - reached), timeout=1.0):
                offset = message.offset()
                if message.error() is not None or offset is None:
                    reached = max(reached, _after_error(message, work))
                elif offset < work.end:
                    reached = offset + 1
                    positions.append(Position(work.topic, work.partition, offset, message.timestamp()[1]))
                    payloads.append(message.value() or b"")
                else:
                    reached = work.end
            if positions:
                last_progress = time.monotonic()
                yield positions, payloads
            elif time.monotonic() - last_progress > _STALL_SECONDS:
                raise SourceError(f"no packet from {work} for {_STALL_SECONDS:.0f} s, stopped at offset {reached}")
    except KafkaException as error:
        raise SourceError(f"reading {work} failed: {error}") from error
    finally:
        consumer.close()


def _after_error(message: Any, work: OffsetRange) -> int:
    """Return the offset reached at the end of the partition; any other error ends the task."""
    error: KafkaError = message.error()
    if error.code() == KafkaError._PARTITION_EOF:
        return int(message.offset())
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise SourceError(
            f"Kafka no longer holds {work}: {error}",
            hint="packets expired before they were read; raise the topic's retention, then start from a new checkpoint",
        )
    if error.retriable():
        return work.start
    raise SourceError(f"reading {work} failed: {error}")
