"""A process that publishes the packets of a pool, as many as it is allowed to, and costs as little as it can."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.synchronize import Event
from typing import Any

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.packet_pool import Pool, Sky

PARTITIONS = 4
RETENTION_BYTES = 1 << 30
"""Of each partition; with the segment that is being written the broker holds at most about 5 GB."""
_SEGMENT_BYTES = 64 << 20
_BLOCK = 2000
_PRODUCER = {
    "linger.ms": 10,
    "batch.size": 1 << 20,
    "message.max.bytes": 8 << 20,
    "acks": 1,
    "delivery.report.only.error": True,
    "log_level": 0,
}


@dataclass(frozen=True)
class Publisher:
    """The process, seen from the one that measures.

    Attributes
    ----------
    pid : int
        Its process.
    """

    pid: int
    _allowed: Any
    _sent: Any

    @property
    def sent(self) -> int:
        """Alerts handed to Kafka's client so far."""
        return int(self._sent.value)

    def allow(self, total: int) -> None:
        """Let it go on until it has sent `total` alerts in all."""
        self._allowed.value = total


@contextmanager
def publishing(bootstrap: str, topic: str, survey: str, sky: Sky, first: int = 0) -> Iterator[Publisher]:
    """Make the topic, with bounded retention, and run a process that publishes alerts from number `first` on."""
    _make_topic(bootstrap, topic)
    context = multiprocessing.get_context("spawn")
    allowed, sent, stop = context.Value("q", 0, lock=False), context.Value("q", 0, lock=False), context.Event()
    process = context.Process(target=_publish, args=(bootstrap, topic, survey, sky, first, allowed, sent, stop))
    process.start()
    try:
        yield Publisher(int(process.pid or 0), allowed, sent)
    finally:
        stop.set()
        process.join(60)
        if process.is_alive():
            process.kill()
            process.join()


def _make_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    settings = {"retention.bytes": str(RETENTION_BYTES), "segment.bytes": str(_SEGMENT_BYTES)}
    settings |= {"file.delete.delay.ms": "1000"}
    for future in admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, config=settings)]).values():
        future.result(30)


def _publish(
    bootstrap: str, topic: str, survey: str, sky: Sky, first: int, allowed: Any, sent: Any, stop: Event
) -> None:
    """Publish, the alerts of an object always to the same partition."""
    producer = Producer({"bootstrap.servers": bootstrap, **_PRODUCER})
    failed: list[KafkaError] = []

    def told(error: KafkaError | None, message: object) -> None:
        del message
        if error is not None:
            failed.append(error)

    pool, number = Pool(survey), 0
    for block in count():
        for target, packet in pool.packets(sky, first + block * _BLOCK, _BLOCK):
            while number >= allowed.value and not stop.is_set():
                producer.poll(0.005)
            while not stop.is_set():
                try:
                    producer.produce(topic, packet, partition=target % PARTITIONS, on_delivery=told)
                    break
                except BufferError:
                    producer.poll(0.02)
            if stop.is_set():
                producer.flush(10)
                return
            number += 1
            if number % 16 == 0:
                producer.poll(0)
            sent.value = number
        if failed:
            raise RuntimeError(f"Kafka refused a packet: {failed[0].str()}")
        time.sleep(0)
