"""Publishes messages to Kafka: each once, those of one object in order (the key is the object id).

The truth that comes back counts what the broker acknowledged, so an interrupted run still knows what it
delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from asterism.progress import progress
from asterism.simulate.errors import BrokerError, DeliveryError
from asterism.simulate.stream import Message
from asterism.simulate.truth import MessageTruth, Truth

_BROKER_SECONDS = 15.0
_FLUSH_SECONDS = 60.0
_STOP_SECONDS = 5.0
_QUIET = {"log_level": 0}
_PRODUCER = {
    "enable.idempotence": True,
    "linger.ms": 20,
    "message.max.bytes": 8 << 20,
    "queue.buffering.max.kbytes": 64 << 10,
    "message.timeout.ms": 50_000,
}


def ensure_topics(bootstrap: str, topics: Iterable[str], partitions: int) -> None:
    """Create the topics that do not exist; existing ones keep their partitions.

    Raises
    ------
    BrokerError
        If Kafka does not answer or refuses.
    """
    try:
        admin = AdminClient({"bootstrap.servers": bootstrap, **_QUIET})
        known = admin.list_topics(timeout=_BROKER_SECONDS).topics
        missing = [NewTopic(topic, num_partitions=partitions) for topic in topics if topic not in known]
        for future in admin.create_topics(missing).values() if missing else ():
            future.result(_BROKER_SECONDS)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise BrokerError(f"{bootstrap}: {error.args[0].str()}") from error


class Publisher:
    """Sends messages and counts those the broker has acknowledged.

    Parameters
    ----------
    bootstrap : str
        Bootstrap servers.
    prefix : str
        Put before the name of every topic.
    """

    def __init__(self, bootstrap: str, prefix: str = "") -> None:
        self._prefix = prefix
        self._failure: KafkaError | None = None
        self._producer = Producer({"bootstrap.servers": bootstrap, **_QUIET, **_PRODUCER})
        self.delivered = Truth()
        """The truth of all messages the broker has acknowledged."""

    def send(self, message: Message) -> None:
        """Queue one message; waits while the queue is full.

        Raises
        ------
        DeliveryError
            If the broker refused this or an earlier message.
        """
        topic, acknowledge = self._prefix + message.topic, self._acknowledge(message.truth)
        while True:
            self._check()
            try:
                self._producer.produce(topic, message.payload, message.key, on_delivery=acknowledge)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self._failure = error.args[0]
            else:
                self._producer.poll(0)
                return

    def pause(self, until: float) -> None:
        """Let acknowledgements come in until the monotonic clock [s] shows `until`."""
        while (left := until - time.monotonic()) > 0:
            self._producer.poll(left)

    def flush(self) -> None:
        """Wait until everything queued is delivered.

        Raises
        ------
        DeliveryError
            If the broker refused a message or did not answer in time.
        """
        unanswered = self._producer.flush(_FLUSH_SECONDS)
        self._check()
        if unanswered:
            raise DeliveryError(f"{unanswered} messages unanswered, {self.delivered.packets} delivered")

    def abandon(self) -> None:
        """Drop what is queued; what is under way gets a moment to arrive."""
        self._producer.purge(in_flight=False)
        self._producer.flush(_STOP_SECONDS)

    def _acknowledge(self, truth: MessageTruth) -> Callable[[KafkaError | None, object], None]:
        def acknowledged(error: KafkaError | None, message: object) -> None:
            del message
            if error is None:
                self.delivered.add(truth)
            elif error.code() != KafkaError._PURGE_QUEUE:
                self._failure = self._failure or error

        return acknowledged

    def _check(self) -> None:
        if self._failure is not None:
            raise DeliveryError(f"{self._failure.str()}; {self.delivered.packets} messages were delivered")


def publish(
    messages: Iterable[Message],
    bootstrap: str,
    *,
    topics: Iterable[str],
    prefix: str = "",
    partitions: int = 4,
    rate: float | None = None,
    total: int | None = None,
) -> Truth:
    """Publish messages and return the truth of those delivered.

    Parameters
    ----------
    messages : iterable of Message
        What to publish, in this order.
    bootstrap : str
        Bootstrap servers.
    topics : iterable of str
        Topics of the messages without the prefix; made if missing.
    prefix : str
        Put before the name of every topic.
    partitions : int
        Partitions of a topic that is made.
    rate : float, optional
        Most messages a second; as fast as possible if not given.
    total : int, optional
        Expected number of messages, for the progress bar.

    Raises
    ------
    BrokerError
        If Kafka does not answer or refuses a topic.
    DeliveryError
        If Kafka did not take a message.
    """
    ensure_topics(bootstrap, [prefix + topic for topic in topics], partitions)
    publisher = Publisher(bootstrap, prefix)
    start = time.monotonic()
    try:
        with progress("publishing packets", total) as advance:
            for number, message in enumerate(messages):
                if rate is not None:
                    publisher.pause(start + number / rate)
                publisher.send(message)
                advance()
        publisher.flush()
    except BaseException:
        publisher.abandon()
        raise
    return publisher.delivered
