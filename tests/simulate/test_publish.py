"""Published messages are in Kafka as generated, and what was delivered is known even when it goes wrong."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from asterism.deploy.local.stack import LocalStack
from asterism.simulate.errors import BrokerError, DeliveryError
from asterism.simulate.publish import ensure_topics, publish
from asterism.simulate.stream import TOPICS, Message, generate_stream
from asterism.simulate.truth import MessageTruth, Outcome, Truth

NOWHERE = "127.0.0.1:9"


@pytest.fixture
def prefix(stack: LocalStack) -> Iterator[str]:
    name = f"simulate-{uuid.uuid4().hex[:12]}-"
    yield name
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    made = [topic for topic in admin.list_topics(timeout=10).topics if topic.startswith(name)]
    for done in admin.delete_topics(made).values() if made else ():
        done.result(30)


def end_of(consumer: Consumer, partition: TopicPartition) -> int:
    """Return the end offset; a partition made a moment ago may not have its leader yet."""
    for _ in range(50):
        try:
            return int(consumer.get_watermark_offsets(partition, timeout=10)[1])
        except KafkaException as error:
            if not error.args[0].retriable() and error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise
            time.sleep(0.2)
    raise AssertionError(f"{partition} has no leader")


def consume(bootstrap: str, topic: str) -> list[tuple[int, bytes, bytes]]:
    """Return (partition, key, value) of everything in a topic, in order of offset within each partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.partition.eof": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ends = {p: end_of(consumer, TopicPartition(topic, p)) for p in partitions}
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    found: list[tuple[int, bytes, bytes]] = []
    deadline = time.monotonic() + 30
    while len(found) < sum(ends.values()) and time.monotonic() < deadline:
        found += [(m.partition(), m.key(), m.value()) for m in consumer.consume(100, timeout=1.0)]
    consumer.close()
    return found


@pytest.mark.services
def test_kafka_holds_exactly_the_stream(stack: LocalStack, prefix: str) -> None:
    messages = list(generate_stream(3, 30, 30, duplicates=0.2, corrupted=0.2))
    truth = publish(messages, stack.kafka_bootstrap, topics=TOPICS, prefix=prefix, partitions=3)
    counted = Truth()
    for message in messages:
        counted.add(message.truth)
    assert truth == counted
    for topic in TOPICS:
        sent = [m for m in messages if m.topic == topic]
        found = consume(stack.kafka_bootstrap, prefix + topic)
        assert sorted(value for _, _, value in found) == sorted(m.payload for m in sent)
        assert len({partition for partition, _, _ in found}) > 1
        for key in {m.key for m in sent}:
            assert [value for _, k, value in found if k == key] == [m.payload for m in sent if m.key == key]


@pytest.mark.services
def test_topics_are_made_once_with_the_partitions_asked_for(stack: LocalStack, prefix: str) -> None:
    for partitions in (3, 5):
        ensure_topics(stack.kafka_bootstrap, [f"{prefix}ztf"], partitions)
    topics = AdminClient({"bootstrap.servers": stack.kafka_bootstrap}).list_topics(timeout=10).topics
    assert len(topics[f"{prefix}ztf"].partitions) == 3


@pytest.mark.services
def test_a_rate_is_kept(stack: LocalStack, prefix: str) -> None:
    messages = list(generate_stream(3, 11, 0))
    start = time.monotonic()
    publish(messages, stack.kafka_bootstrap, topics=["ztf"], prefix=prefix, rate=20.0)
    assert time.monotonic() - start >= 10 / 20.0


@pytest.mark.services
def test_an_interrupt_ends_publishing_at_once(stack: LocalStack, prefix: str) -> None:
    def interrupted() -> Iterator[Message]:
        yield from generate_stream(3, 5, 0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(interrupted(), stack.kafka_bootstrap, topics=["ztf"], prefix=prefix)
    found = consume(stack.kafka_bootstrap, f"{prefix}ztf")
    expected = {m.payload for m in generate_stream(3, 5, 0)}
    assert {value for _, _, value in found} <= expected


@pytest.mark.services
def test_a_message_the_broker_refuses_ends_publishing_with_a_code(stack: LocalStack, prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    narrow = NewTopic(f"{prefix}ztf", 1, 1, config={"max.message.bytes": "1000"})
    for done in admin.create_topics([narrow]).values():
        done.result(30)
    with pytest.raises(DeliveryError, match="0 messages were delivered") as caught:
        publish(generate_stream(3, 5, 0), stack.kafka_bootstrap, topics=["ztf"], prefix=prefix)
    assert caught.value.code == "simulate.delivery"


@pytest.mark.services
def test_a_message_beyond_the_client_s_limit_is_refused_with_a_code(stack: LocalStack, prefix: str) -> None:
    huge = Message("ztf", b"key", bytes(20 << 20), MessageTruth(Outcome.ALERT, "ztf:1", None))
    with pytest.raises(DeliveryError, match="too large"):
        publish([huge], stack.kafka_bootstrap, topics=["ztf"], prefix=prefix)


def test_no_broker_is_said_with_a_code_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asterism.simulate.publish._BROKER_SECONDS", 0.5)
    with pytest.raises(BrokerError) as caught:
        publish([], NOWHERE, topics=TOPICS)
    assert caught.value.code == "simulate.broker"
    assert "asterism up" in caught.value.advice
