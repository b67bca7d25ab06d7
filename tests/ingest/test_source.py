"""Planning of offset ranges, and reading them from a real Kafka."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows

from asterism.deploy.local.stack import LocalStack
from asterism.ingest.errors import SourceError
from asterism.ingest.source import AlertStreamReader, OffsetRange, Offsets, SourceOptions, advance, read_range

OFFSETS = st.dictionaries(st.sampled_from("01234"), st.integers(0, 10**6), min_size=1)


@given(OFFSETS, st.dictionaries(st.sampled_from("01234"), st.integers(0, 10**4)), st.integers(1, 10**5))
def test_a_batch_never_goes_back_nor_past_the_end_and_always_makes_progress(
    start: dict[str, int], backlog: dict[str, int], limit: int
) -> None:
    high = {partition: offset + backlog.get(partition, 0) for partition, offset in start.items()}
    end = advance({"t": start}, {"t": high}, ReadMaxRows(limit))["t"]
    assert all(start[p] <= end[p] <= high[p] for p in start)
    taken = sum(end[p] - start[p] for p in start)
    waiting = sum(high[p] - start[p] for p in start)
    assert taken <= max(limit, len(start))
    assert taken > 0 or waiting == 0
    assert advance({"t": start}, {"t": high}, ReadAllAvailable())["t"] == high


def test_a_topic_that_went_backwards_is_not_read_again() -> None:
    start: Offsets = {"t": {"0": 50}}
    assert advance(start, {"t": {"0": 10}}, ReadMaxRows(5)) == start


def options(stack: LocalStack, archive: Path, *topics: str) -> SourceOptions:
    return SourceOptions(stack.kafka_bootstrap, topics, archive, 100, None, None)


def produce(stack: LocalStack, topic: str, packets: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap})
    for packet in packets:
        producer.produce(topic, packet, partition=0)
    assert producer.flush(30) == 0


@pytest.mark.services
def test_a_range_is_read_whole_and_no_further(
    stack: LocalStack, kafka_topic: Callable[..., str], tmp_path: Path
) -> None:
    topic = kafka_topic("range")
    packets = [str(i).encode() for i in range(700)]
    produce(stack, topic, packets)
    chunks = list(read_range(options(stack, tmp_path, topic).consumer(), OffsetRange(topic, 0, 3, 690)))
    assert [payload for _, payloads in chunks for payload in payloads] == packets[3:690]
    assert [p.offset for positions, _ in chunks for p in positions] == list(range(3, 690))
    assert max(len(payloads) for _, payloads in chunks) <= 250


@pytest.mark.services
def test_packets_that_expired_before_they_were_read_fail_the_query_by_name(
    stack: LocalStack, kafka_topic: Callable[..., str], tmp_path: Path
) -> None:
    topic = kafka_topic("expired")
    produce(stack, topic, [b"a", b"b", b"c"])
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    for done in admin.delete_records([TopicPartition(topic, 0, OFFSET_END)]).values():
        done.result(30)
    with pytest.raises(SourceError, match="no longer holds"):
        list(read_range(options(stack, tmp_path, topic).consumer(), OffsetRange(topic, 0, 0, 3)))


@pytest.mark.services
def test_a_topic_that_does_not_exist_yet_is_waited_for(
    stack: LocalStack, kafka_topic: Callable[..., str], tmp_path: Path
) -> None:
    topic = kafka_topic("later")
    reader = AlertStreamReader(options(stack, tmp_path, topic, f"{topic}-missing"))
    assert reader.initialOffset() == {topic: {"0": 0}}
    produce(stack, topic, [b"a"])
    end = reader.latestOffset(reader.initialOffset(), reader.getDefaultReadLimit())
    assert reader.partitions(reader.initialOffset(), end) == [OffsetRange(topic, 0, 0, 1)]
    assert (
        f"{topic}-missing"
        not in AdminClient({"bootstrap.servers": stack.kafka_bootstrap}).list_topics(timeout=10).topics
    )
