"""Does a subscription work? Tries each from the outside in: reach the broker, be let in, subscribe, hear something.

A check disturbs nobody: for Kafka it joins a group of its own and commits nothing, to a VTP broker it is one more
subscriber for a moment. Whatever else the check is, it is no proof that notices flow: the sky may be quiet.
"""

from __future__ import annotations

import socket
import struct
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from comet.protocol.messages import authenticateresponse
from comet.utility import ParseError, xml_document
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from asterism.voevent.errors import NoticeRefusedError
from asterism.voevent.gcn import HEARTBEAT, KAFKA, KafkaDoor, from_newest_heartbeat, sent_at
from asterism.voevent.guard import MAX_XML_BYTES, check_xml
from asterism.voevent.subscribe import Remote
from asterism.voevent.vtp import LOCAL_IVO, NO_IVORN

_SETTLE_SECONDS = 1.0
"""How long a broker has to hang up on a subscriber it does not want [s]."""
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Outcome:
    """What became of the check of one subscription."""

    feed: str
    ok: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def check_doors(kafka: KafkaDoor | None, remotes: Sequence[Remote], seconds: float) -> Iterator[Outcome]:
    """Try every subscription, one after the other.

    Parameters
    ----------
    kafka : KafkaDoor, optional
        Kafka brokers.
    remotes : sequence of Remote
        VTP brokers.
    seconds : float
        How long each may take [s].
    """
    if kafka is not None:
        yield check_kafka(kafka, seconds)
    for remote in remotes:
        yield check_remote(remote, seconds)


class _Hearing:
    """What a probing consumer has been told so far."""

    def __init__(self) -> None:
        self.error: str | None = None
        self.topics: dict[str, int] | None = None
        self.heartbeat_age: float | None = None

    def assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        counts = Counter(partition.topic for partition in partitions)
        self.topics = {topic: number for topic, number in counts.items() if topic != HEARTBEAT}
        from_newest_heartbeat(consumer, partitions)

    def failed(self, error: KafkaError) -> None:
        self.error = error.str()

    def take(self, message: Message) -> None:
        fault = message.error()
        if fault is not None:
            self.failed(fault)
        elif message.topic() == HEARTBEAT:
            self.heartbeat_age = time.time() - (sent_at(message) or time.time())


def check_kafka(door: KafkaDoor, seconds: float) -> Outcome:
    """Return whether the brokers let us in, give us partitions and, if subscribed, send a heartbeat in time."""
    hearing = _Hearing()
    values = replace(door, group=f"{door.group}-check-{uuid.uuid4().hex[:8]}").configuration()
    end = time.monotonic() + seconds
    try:
        consumer = Consumer(values | {"auto.offset.reset": "latest", "error_cb": hearing.failed})
        try:
            consumer.subscribe(list(door.topics), on_assign=hearing.assigned)
            while time.monotonic() < end and not _enough(hearing, door):
                for message in consumer.consume(10, timeout=0.2):
                    hearing.take(message)
        finally:
            consumer.close()
    except KafkaException as error:
        return Outcome(KAFKA, False, f"{door.bootstrap}: {error.args[0]}")
    return Outcome(KAFKA, _enough(hearing, door), _told(hearing, door, seconds))


def _enough(hearing: _Hearing, door: KafkaDoor) -> bool:
    return bool(hearing.topics) and (hearing.heartbeat_age is not None or not door.has_heartbeat)


def _told(hearing: _Hearing, door: KafkaDoor, seconds: float) -> str:
    if hearing.topics is None:
        return f"{door.bootstrap}: no partitions within {seconds:g} s: {hearing.error or 'no reason given'}"
    if not hearing.topics:
        return f"{door.bootstrap}: none of the topics exists or may be read: {', '.join(door.topics)}"
    told = f"{sum(hearing.topics.values())} partitions of {len(hearing.topics)} topics"
    if not door.has_heartbeat:
        return f"{told}; no heartbeat subscribed"
    if hearing.heartbeat_age is None:
        return f"{told}, but no heartbeat within {seconds:g} s"
    return f"{told}, heartbeat {max(hearing.heartbeat_age, 0.0):.1f} s old"


def check_remote(remote: Remote, seconds: float) -> Outcome:
    """Return whether a broker greets us in time, and stays when we have subscribed."""
    where = f"{remote.host}:{remote.port}"
    try:
        with socket.create_connection((remote.host, remote.port), timeout=seconds) as connection:
            role, origin = _greeting(connection, time.monotonic() + seconds)
            if role == "authenticate":
                answer: bytes = authenticateresponse(LOCAL_IVO, origin, remote.filters).raw_bytes
                connection.sendall(_LENGTH.pack(len(answer)) + answer)
            connection.settimeout(_SETTLE_SECONDS)
            try:
                stayed = connection.recv(1) != b""
            except TimeoutError:
                stayed = True
    except (OSError, NoticeRefusedError, ParseError) as error:
        return Outcome(remote.channel, False, f"{where}: {error}")
    if not stayed:
        return Outcome(remote.channel, False, f"{where}: the broker hung up when we subscribed")
    return Outcome(remote.channel, True, f"{role} from {origin}")


def _greeting(connection: socket.socket, end: float) -> tuple[str, str]:
    """Return role and origin of the first message."""
    content = _exactly(connection, _LENGTH.unpack(_exactly(connection, _LENGTH.size, end))[0], end)
    check_xml(content)
    element = xml_document(content).element
    return element.get("role") or "a message without role", element.findtext("Origin") or NO_IVORN


def _exactly(connection: socket.socket, length: int, end: float) -> bytes:
    if length > MAX_XML_BYTES:
        raise ParseError(f"the first message would have {length} bytes")
    content = bytearray()
    while len(content) < length:
        connection.settimeout(max(end - time.monotonic(), 0.01))
        more = connection.recv(length - len(content))
        if not more:
            raise ConnectionError("the broker closed the connection; are we on its whitelist?")
        content += more
    return bytes(content)
