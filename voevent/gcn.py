"""Kafka as a door: GCN's streams of VOEvents and JSON, LVK's alerts with their maps, and the heartbeat.

Invariants. An offset is committed only when every notice before it is on disk, in the journal or, if nobody could read
it, among the refused (`Intake.keep_refused`): one bad message neither blocks the stream nor vanishes. Whatever goes
wrong - the disk, the broker, a login - ends the session; the next one begins at the committed offsets, so what was not
committed comes again and the intake recognises what it has. Heartbeats are not journalled and not committed: they only
say that the stream is alive.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import (
    OFFSET_END,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from pydantic import SecretStr

from asterism.errors import AsterismError
from asterism.formats import replace_file
from asterism.logs import get_logger
from asterism.settings import Settings
from asterism.voevent.errors import DoorClosedError, DoorSettingsError, NoticeRefusedError
from asterism.voevent.intake import Intake
from asterism.voevent.liveness import Feed

KAFKA = "kafka"
"""Name of the feed; the channel of a notice is ``kafka:<topic>``."""
HEARTBEAT = "gcn.heartbeat"
"""The topic that carries about one message a second, and no notice."""

_BATCH = 50
_POLL_SECONDS = 0.5
_LONGEST_DELAY = 60.0
_NOT_A_FAULT = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED}
"""Of one topic: without a recent message it is unknown to the broker; the others go on."""
_LIMITS = {
    "fetch.message.max.bytes": 8 << 20,  # an LVK alert has 1 MB, the largest a broker of GCN takes 4 MB
    "fetch.max.bytes": 16 << 20,
    "queued.max.messages.kbytes": 32 << 10,
}

_log = get_logger("voevent.gcn")


@dataclass(frozen=True)
class KafkaDoor:
    """Where notices come from by Kafka.

    Attributes
    ----------
    bootstrap : str
        Bootstrap servers.
    topics : tuple of str
        Topics; one that begins with ``^`` is a regular expression.
    group : str
        Consumer group, under which the brokers keep the offsets. Two installations with one group would each get half.
    client_id, client_secret, token_url : str, SecretStr, str, optional
        OAuth client credentials and the endpoint that gives tokens for them; without a client id there is no login.
    tls : bool
        Whether the login goes over TLS.
    """

    bootstrap: str
    topics: tuple[str, ...]
    group: str
    client_id: str | None = None
    client_secret: SecretStr | None = None
    token_url: str | None = None
    tls: bool = True

    @classmethod
    def from_settings(cls, settings: Settings) -> KafkaDoor:
        """Return the door that the settings ``gcn_*`` describe.

        Raises
        ------
        DoorSettingsError
            If the brokers are not set, a topic is no regular expression, or a client id has no secret or endpoint.
        """
        if not settings.gcn_bootstrap:
            raise DoorSettingsError("gcn_bootstrap is not set")
        for topic in settings.gcn_topics:
            _pattern(topic)
        if settings.gcn_client_id and not (settings.gcn_client_secret and settings.gcn_token_url):
            raise DoorSettingsError("gcn_client_id needs gcn_client_secret and gcn_token_url")
        return cls(
            bootstrap=settings.gcn_bootstrap,
            topics=settings.gcn_topics,
            group=settings.gcn_group or _own_group(settings.feeds_path),
            client_id=settings.gcn_client_id,
            client_secret=settings.gcn_client_secret,
            token_url=settings.gcn_token_url,
            tls=settings.gcn_tls,
        )

    @property
    def has_heartbeat(self) -> bool:
        """Whether the heartbeat is among the topics."""
        return any(_pattern(topic).match(HEARTBEAT) for topic in self.topics)

    def feed(self, limit_seconds: float = 150.0) -> Feed:
        """Return a new feed for this door."""
        return Feed(KAFKA, heartbeat=self.has_heartbeat, limit_seconds=limit_seconds)

    def configuration(self) -> dict[str, Any]:
        """Return what a consumer needs to connect; it holds the secret in clear."""
        values: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "group.id": self.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 10_000,
            "topic.metadata.refresh.interval.ms": 60_000,
            "statistics.interval.ms": 2_000,
            "log_level": 0,
            **_LIMITS,
        }
        if self.client_id is None or self.client_secret is None:
            return values
        return values | {
            "security.protocol": "SASL_SSL" if self.tls else "SASL_PLAINTEXT",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": self.client_id,
            "sasl.oauthbearer.client.secret": self.client_secret.get_secret_value(),
            "sasl.oauthbearer.token.endpoint.url": self.token_url,
        }


def follow_kafka(intake: Intake, door: KafkaDoor, stop: threading.Event, feed: Feed | None = None) -> None:
    """Take notices from Kafka until told to stop; blocks, reconnects with growing pauses and never gives up.

    Parameters
    ----------
    intake : Intake
        Where notices go.
    door : KafkaDoor
        Where they come from.
    stop : threading.Event
        Ends it within a second or two.
    feed : Feed, optional
        What notes its state.
    """
    feed = feed or door.feed()
    delay = 1.0
    while not stop.is_set():
        try:
            with _Session(intake, door, feed) as session:
                while not stop.is_set():
                    if session.step():
                        delay = 1.0
        except KafkaException as error:
            _pause(feed, DoorClosedError(f"{door.bootstrap}: {error.args[0]}"), stop, delay)
        except AsterismError as error:
            _pause(feed, error, stop, delay)
        delay = min(2 * delay, _LONGEST_DELAY)
    feed.disconnected()


def _pause(feed: Feed, error: AsterismError, stop: threading.Event, delay: float) -> None:
    _log.error("Kafka session ended", code=error.code, reason=error.message, retry_seconds=delay)
    feed.disconnected(error)
    stop.wait(delay)


class _Session:
    """A consumer from subscription to the first thing that goes wrong."""

    def __init__(self, intake: Intake, door: KafkaDoor, feed: Feed) -> None:
        self._intake, self._door, self._feed = intake, door, feed
        self._said = ""
        self._assigned: frozenset[tuple[str, int]] = frozenset()
        self._consumer = Consumer({**door.configuration(), "error_cb": self._error, "stats_cb": self._statistics})
        self._consumer.subscribe(
            list(door.topics), on_assign=self._begin, on_revoke=self._give_back, on_lost=self._give_back
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def step(self) -> bool:
        """Take what has come; return whether a notice was among it.

        Raises
        ------
        JournalError
            If the disk does not take a notice. Those before it are committed.
        KafkaException
            If the consumer cannot go on.
        """
        taken: dict[tuple[str, int], TopicPartition] = {}
        try:
            for message in self._consumer.consume(_BATCH, timeout=_POLL_SECONDS):
                fault = message.error()
                if fault is not None:
                    self._topic_fault(fault)
                elif message.topic() == HEARTBEAT:
                    self._feed.heartbeat(sent_at(message))
                else:
                    after = self._take(message)
                    taken[after.topic, after.partition] = after
        finally:
            self._commit(list(taken.values()))
        return bool(taken)

    def _begin(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Note what the brokers assigned; called before the first of its messages is given out."""
        self._assigned = frozenset((partition.topic, partition.partition) for partition in partitions)
        self._feed.assigned(len(self._assigned))
        from_newest_heartbeat(consumer, partitions)

    def _give_back(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._assigned = frozenset()
        self._feed.assigned(0)

    def _take(self, message: Message) -> TopicPartition:
        """Put a message on disk and return the place behind it."""
        topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
        payload, channel, place = message.value() or b"", f"{KAFKA}:{topic}", f"{topic}[{partition}]@{offset}"
        try:
            receipt = self._intake.accept(payload, channel, peer=place)
        except NoticeRefusedError as error:
            self._intake.keep_refused(payload, channel, error, peer=place)
            self._feed.refused()
            _log.warning("message refused", place=place, code=error.code, reason=error.message)
        else:
            self._feed.took(duplicate=receipt.duplicate)
            _log.info("notice journalled", place=place, notice_key=receipt.notice_key, duplicate=receipt.duplicate)
        return TopicPartition(topic, partition, offset + 1)

    def _commit(self, taken: list[TopicPartition]) -> None:
        """Tell the brokers; if they do not hear it, the notices come again and are recognised."""
        if not taken:
            return
        try:
            self._consumer.commit(offsets=taken, asynchronous=False)
        except KafkaException as error:
            _log.warning("offsets not committed", reason=str(error.args[0]))

    @staticmethod
    def _topic_fault(fault: KafkaError) -> None:
        if fault.code() not in _NOT_A_FAULT:
            raise KafkaException(fault)
        _log.warning("a topic is not there", reason=fault.str())

    def _error(self, error: KafkaError) -> None:
        """Note what librdkafka says; it tries again by itself."""
        problem = DoorClosedError(f"{self._door.bootstrap}: {error.str()}")
        if problem.message != self._said:
            _log.warning("Kafka", code=problem.code, reason=error.str())
        self._said = problem.message
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._feed.disconnected(problem)
        else:
            self._feed.failed(problem)

    def _statistics(self, text: str) -> None:
        statistics = json.loads(text)
        if self._assigned and any(broker["state"] == "UP" for broker in statistics["brokers"].values()):
            self._feed.connected()
        self._feed.waiting(messages_behind(statistics, self._assigned))


def messages_behind(statistics: dict[str, Any], assigned: Collection[tuple[str, int]]) -> int | None:
    """Return how many notices wait at the brokers, by librdkafka's statistics.

    Parameters
    ----------
    statistics : dict
        They are gathered every two seconds, so they may be older than the assignment.
    assigned : collection of tuple
        Topic and partition of what this consumer is to fetch.

    Returns
    -------
    int or None
        None if nothing is assigned, or while the place in one of the partitions is not known.
    """
    topics = statistics.get("topics", {})
    states = [
        topics.get(topic, {}).get("partitions", {}).get(str(partition))
        for topic, partition in assigned
        if topic != HEARTBEAT
    ]
    lags = [-1 if state is None else _lag(state) for state in states]
    return None if not assigned or min(lags, default=0) < 0 else sum(lags)


def _lag(state: dict[str, Any]) -> int:
    """Return how many messages of a partition wait; below zero if that is not known."""
    if state["hi_offset"] < 0:
        return -1
    return 0 if state["hi_offset"] == state["lo_offset"] else int(state["consumer_lag"])


def from_newest_heartbeat(consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
    """Begin at the committed offsets; of heartbeats only new ones say anything."""
    for partition in partitions:
        if partition.topic == HEARTBEAT:
            partition.offset = OFFSET_END
    consumer.assign(list(partitions))


def sent_at(message: Message) -> float | None:
    """Return when a message was sent, Unix time [s]; None if it does not say."""
    kind, milliseconds = message.timestamp()
    return None if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds / 1000.0


def _pattern(topic: str) -> re.Pattern[str]:
    """Return what a topic of the settings matches.

    Raises
    ------
    DoorSettingsError
        If it is no regular expression.
    """
    try:
        return re.compile(topic if topic.startswith("^") else f"{re.escape(topic)}$")
    except re.error as error:
        raise DoorSettingsError(f"gcn_topics: {topic!r} is no regular expression: {error}") from error


def _own_group(folder: Path) -> str:
    """Return the consumer group of an installation, made once."""
    path = folder / "kafka-group"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, f"asterism-{uuid.uuid4()}".encode())
        return path.read_text(encoding="utf-8")
