"""`asterism.voevent.gcn` against a real Kafka: nothing lost, nothing doubled, nothing in the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from typing_extensions import override

from asterism.errors import JournalError
from asterism.journal import Journal, Position
from asterism.settings import load_settings
from asterism.voevent.check import check_kafka
from asterism.voevent.errors import DoorSettingsError
from asterism.voevent.gcn import HEARTBEAT, KafkaDoor, follow_kafka, messages_behind
from asterism.voevent.intake import Intake, refused_path
from asterism.voevent.liveness import Feed
from asterism.voevent.send import send


def until(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    """Wait for a condition and return its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


@contextmanager
def following(intake: Intake, door: KafkaDoor, feed: Feed | None = None) -> Iterator[Feed]:
    feed = feed or door.feed()
    stop = threading.Event()
    thread = threading.Thread(target=follow_kafka, args=(intake, door, stop, feed))
    thread.start()
    try:
        yield feed
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def broker(stack: Any) -> str:
    return str(stack.kafka_bootstrap)


@pytest.fixture
def heartbeat_topic(broker: str) -> str:
    admin = AdminClient({"bootstrap.servers": broker})
    if HEARTBEAT not in admin.list_topics(timeout=10).topics:
        admin.create_topics([NewTopic(HEARTBEAT, 1, 1)])[HEARTBEAT].result(30)
    return HEARTBEAT


def publish(broker: str, topic: str, *payloads: bytes | None) -> None:
    producer = Producer({"bootstrap.servers": broker, "message.max.bytes": 8 << 20})
    for payload in payloads:
        producer.produce(topic, payload)
    assert producer.flush(30) == 0


def door_to(broker: str, *topics: str) -> KafkaDoor:
    return KafkaDoor(broker, topics, f"test-{uuid.uuid4().hex}")


def committed(door: KafkaDoor, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": door.bootstrap, "group.id": door.group})
    try:
        (place,) = consumer.committed([TopicPartition(topic, 0)], timeout=10)
        return int(place.offset)
    finally:
        consumer.close()


def journalled(root: Path) -> list[tuple[str, bytes]]:
    return [(entry.headers["channel"], entry.payload) for entry in Journal(root).read()]


@pytest.mark.services
def test_voevents_and_alerts_of_a_megabyte_reach_the_journal_by_pattern_and_by_name(
    tmp_path: Path, broker: str, kafka_topic: Callable[..., str], samples: Any
) -> None:
    run = f"r{uuid.uuid4().hex[:8]}"
    classic, alerts = kafka_topic(f"gcn.classic.voevent.{run}"), kafka_topic("igwn.gwalert")
    large = json.dumps({**samples.alert(), "padding": "x" * 1_500_000}).encode()
    publish(broker, classic, samples.gbm_xml())
    publish(broker, alerts, large, samples.alert_json(alert_type="INITIAL"))
    door = door_to(broker, rf"^gcn\.classic\.voevent\.{run}.*", alerts)
    with Journal(tmp_path / "journal") as journal, following(Intake(journal), door) as feed:
        until(lambda: feed.look().journalled == 3)
        until(lambda: committed(door, alerts) == 2 and committed(door, classic) == 1)
        assert feed.look().connected_since is not None
        status = until(lambda: (now := feed.look()).partitions == 2 and now.lag == 0 and now)
    assert status.connected_since is not None
    assert sorted(journalled(tmp_path / "journal")) == sorted(
        [
            (f"kafka:{classic}", samples.gbm_xml()),
            (f"kafka:{alerts}", large),
            (f"kafka:{alerts}", samples.alert_json(alert_type="INITIAL")),
        ]
    )


def partition(lo: int, hi: int, lag: int) -> dict[str, int]:
    return {"lo_offset": lo, "hi_offset": hi, "consumer_lag": lag}


NOT_ASKED = -1001
"""What librdkafka calls an offset that it has not asked for."""


@pytest.mark.parametrize(
    ("states", "assigned", "expected"),
    [
        ({}, [], None),
        ({}, [("a", 0)], None),  # gathered before the assignment
        ({"a": {"0": partition(0, 5, 2)}}, [], None),  # what was assigned before is not ours
        ({"a": {"0": partition(0, 5, 2)}}, [("a", 0)], 2),
        ({"a": {"0": partition(0, 5, 2), "1": partition(3, 3, -1)}}, [("a", 0), ("a", 1)], 2),
        ({"a": {"0": partition(0, 5, 2), "1": partition(0, 7, -1)}}, [("a", 0), ("a", 1)], None),
        ({"a": {"0": partition(NOT_ASKED, NOT_ASKED, -1)}}, [("a", 0)], None),
        ({"a": {"0": partition(0, 5, 2), "-1": partition(NOT_ASKED, NOT_ASKED, -1)}}, [("a", 0)], 2),
        ({HEARTBEAT: {"0": partition(0, 900, 900)}}, [(HEARTBEAT, 0)], 0),
    ],
)
def test_what_waits_is_unknown_until_every_assigned_partition_says_so(
    states: dict[str, Any], assigned: list[tuple[str, int]], expected: int | None
) -> None:
    statistics = {"topics": {topic: {"partitions": partitions} for topic, partitions in states.items()}}
    assert messages_behind(statistics, assigned) == expected


@pytest.mark.services
def test_what_nobody_can_read_is_kept_with_its_code_and_does_not_block(
    tmp_path: Path, broker: str, kafka_topic: Callable[..., str], samples: Any
) -> None:
    topic = kafka_topic("gcn.notices")
    bad = [b"<VOEvent", b"\x00\xff", b"", b"[1, 2]"]
    publish(broker, topic, *bad, None, b"<VOEvent", samples.gbm_xml())
    door = door_to(broker, topic)
    with Journal(tmp_path / "journal") as journal:
        intake = Intake(journal)
        with following(intake, door) as feed:
            until(lambda: committed(door, topic) == 7)
        status = feed.look()
    assert (status.received, status.refused, status.journalled) == (7, 6, 1)
    assert journalled(tmp_path / "journal") == [(f"kafka:{topic}", samples.gbm_xml())]
    kept = list(Journal(refused_path(tmp_path / "journal")).read())
    assert [entry.payload for entry in kept] == bad
    assert {entry.headers["code"] for entry in kept} == {"voevent.not_well_formed"}
    assert [entry.headers["peer"] for entry in kept] == [f"{topic}[0]@{offset}" for offset in range(4)]


class FullDisk(Journal):
    """A journal whose disk is full while told so."""

    full = True

    @override
    def append(self, payload: bytes, headers: Any) -> Position:
        if self.full:
            raise JournalError("no space left on device")
        return super().append(payload, headers)


@pytest.mark.services
def test_while_the_disk_is_full_no_offset_is_committed_and_all_is_taken_later(
    tmp_path: Path, broker: str, kafka_topic: Callable[..., str], samples: Any
) -> None:
    topic = kafka_topic("gcn.notices")
    payloads = [samples.gbm_xml(trigger=700000000 + n) for n in range(5)]
    publish(broker, topic, *payloads)
    door = door_to(broker, topic)
    with FullDisk(tmp_path / "journal") as journal, following(Intake(journal), door) as feed:
        problem = until(lambda: feed.look().problem)
        assert problem.startswith("journal.")
        assert committed(door, topic) < 0
        journal.full = False
        until(lambda: committed(door, topic) == 5)
        assert feed.look().problem is None
    assert [payload for _, payload in journalled(tmp_path / "journal")] == payloads


VICTIM = """
import os, signal, sys, threading
from pathlib import Path
from asterism.journal import Journal
from asterism.voevent.gcn import KafkaDoor, follow_kafka
from asterism.voevent.intake import Intake

broker, topic, group, root = sys.argv[1:]
class Victim(Journal):
    count = 0
    def append(self, payload, headers):
        position = super().append(payload, headers)
        self.count += 1
        if self.count == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return position
follow_kafka(Intake(Victim(Path(root))), KafkaDoor(broker, (topic,), group), threading.Event())
"""


@pytest.mark.services
def test_killed_between_journal_and_commit_each_notice_is_journalled_once(
    tmp_path: Path, broker: str, kafka_topic: Callable[..., str], samples: Any
) -> None:
    topic = kafka_topic("gcn.notices")
    payloads = [samples.gbm_xml(trigger=700000000 + n) for n in range(6)]
    publish(broker, topic, *payloads)
    door = door_to(broker, topic)
    root = tmp_path / "journal"
    victim = [sys.executable, "-c", VICTIM, broker, topic, door.group, str(root)]
    assert subprocess.run(victim, timeout=60, check=False, env=os.environ).returncode == -signal.SIGKILL
    assert [payload for _, payload in journalled(root)] == payloads[:3]
    assert committed(door, topic) < 0
    with Journal(root) as journal, following(Intake(journal), door) as feed:
        until(lambda: committed(door, topic) == 6)
        status = feed.look()
    assert (status.journalled, status.duplicate) == (3, 3)
    assert [payload for _, payload in journalled(root)] == payloads


@pytest.mark.services
def test_heartbeats_say_that_the_stream_lives_and_are_not_journalled(
    tmp_path: Path, broker: str, heartbeat_topic: str
) -> None:
    door = door_to(broker, heartbeat_topic)
    feed = Feed("kafka", heartbeat=door.has_heartbeat, limit_seconds=1.0)
    publish(broker, heartbeat_topic, b'{"alert_datetime": "2020-01-01T00:00:00Z"}')  # old: not to be believed
    with Journal(tmp_path / "journal") as journal, following(Intake(journal), door, feed):
        until(lambda: feed.look().connected_since)
        until(lambda: feed.look().deaf)  # connected, and yet nothing is heard
        assert feed.look().last_heartbeat is None

        def beat() -> bool:
            publish(broker, heartbeat_topic, b'{"alert_datetime": "2026-01-01T00:00:00Z"}')
            return not feed.look().deaf

        until(beat)
        assert feed.look().last_heartbeat is not None
    assert journalled(tmp_path / "journal") == []
    assert feed.look().received == 0


def test_a_broker_that_is_not_there_is_said_and_the_door_still_stops(tmp_path: Path) -> None:
    door = door_to("127.0.0.1:1", "gcn.notices.x")
    with Journal(tmp_path / "journal") as journal, following(Intake(journal), door) as feed:
        problem = until(lambda: feed.look().problem)
    assert problem.startswith("voevent.door_closed: 127.0.0.1:1")
    assert feed.look().connected_since is None


def test_each_installation_has_a_group_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    groups = [
        KafkaDoor.from_settings(load_settings(home=tmp_path / home, gcn_bootstrap="127.0.0.1:1")).group
        for home in ("one", "one", "two")
    ]
    assert groups[0] == groups[1] != groups[2]
    named = load_settings(home=tmp_path, gcn_bootstrap="127.0.0.1:1", gcn_group="ours")
    assert KafkaDoor.from_settings(named).group == "ours"


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (("gcn.heartbeat",), True),
        (("^gcn[.].*",), True),
        (("^gcn[.]notices[.].*", "igwn.gwalert"), False),
        (("gcn",), False),
    ],
)
def test_a_door_knows_whether_its_topics_hold_the_heartbeat(topics: tuple[str, ...], expected: bool) -> None:
    assert door_to("127.0.0.1:1", *topics).has_heartbeat is expected


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"gcn_bootstrap": "127.0.0.1:1", "gcn_client_id": "me", "gcn_client_secret": "hush"},
        {"gcn_bootstrap": "127.0.0.1:1", "gcn_topics": ("^gcn[",)},
    ],
)
def test_a_door_that_lacks_something_is_refused_by_name(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(DoorSettingsError, match="gcn_"):
        KafkaDoor.from_settings(load_settings(home=tmp_path, **values))


@pytest.mark.services
def test_a_check_says_whether_the_subscription_works_and_disturbs_nobody(
    broker: str, kafka_topic: Callable[..., str], heartbeat_topic: str, samples: Any
) -> None:
    topic = kafka_topic("gcn.notices", partitions=2)
    publish(broker, topic, samples.gbm_xml())
    door = door_to(broker, topic)
    outcome = check_kafka(door, 20.0)
    assert (outcome.ok, outcome.reason) == (True, "2 partitions of 1 topics; no heartbeat subscribed")
    assert committed(door, topic) < 0
    silent = check_kafka(replace(door, topics=(topic, heartbeat_topic)), 3.0)
    assert (silent.ok, silent.reason) == (False, "2 partitions of 1 topics, but no heartbeat within 3 s")
    stop = threading.Event()
    beating = threading.Thread(target=beat, args=(broker, heartbeat_topic, stop))
    beating.start()
    try:
        alive = check_kafka(replace(door, topics=(topic, heartbeat_topic)), 20.0)
    finally:
        stop.set()
        beating.join()
    assert alive.ok
    assert "heartbeat" in alive.reason
    nothing = check_kafka(replace(door, topics=("^no-such-topic.*",)), 3.0)
    assert (nothing.ok, "no-such-topic" in nothing.reason or "no partitions" in nothing.reason) == (False, True)


def beat(broker: str, topic: str, stop: threading.Event) -> None:
    while not stop.wait(0.3):
        publish(broker, topic, b"{}")


def test_a_check_of_a_broker_that_is_not_there_says_so() -> None:
    outcome = check_kafka(door_to("127.0.0.1:1", "gcn.notices.x"), 1.5)
    assert not outcome.ok
    assert "127.0.0.1:1" in outcome.reason
    assert "refused" in outcome.reason


@pytest.mark.services
def test_listen_takes_kafka_beside_authors_and_a_broken_broker_stops_neither(
    tmp_path: Path, broker: str, kafka_topic: Callable[..., str], listen: Callable[..., Any], samples: Any
) -> None:
    topic = kafka_topic("gcn.notices")
    publish(broker, topic, samples.gbm_xml())
    variables = {"ASTERISM_GCN_BOOTSTRAP": broker, "ASTERISM_GCN_TOPICS": json.dumps([topic])}
    listener = listen("--kafka", "--remote", "127.0.0.1:1", variables=variables)
    send(samples.gbm_xml(), "127.0.0.1", listener.port)
    root = tmp_path / "home" / "journal"
    until(lambda: len(journalled(root)) == 2)
    assert sorted(journalled(root)) == [(f"kafka:{topic}", samples.gbm_xml()), ("vtp", samples.gbm_xml())]
    assert listener.stop() == {"received": 2, "journalled": 2, "duplicate": 0, "refused": 0}
    state = json.loads((tmp_path / "home" / "feeds" / "status.json").read_text())
    assert state["running"] is False
    assert {feed["name"] for feed in state["feeds"] if feed["problem"]} == {"remote:127.0.0.1:1"}
