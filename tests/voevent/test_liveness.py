"""`asterism.voevent.liveness`: what counts as deaf, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from asterism.errors import JournalError
from asterism.logs import configure_logs
from asterism.metrics import REGISTRY
from asterism.voevent.errors import DoorClosedError
from asterism.voevent.liveness import Feed

LIMIT = 100.0


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def feed(clock: Clock, *, heartbeat: bool = True, name: str = "feed") -> Feed:
    return Feed(name, heartbeat=heartbeat, limit_seconds=LIMIT, clock=clock)


def test_a_feed_that_never_connected_is_deaf_from_the_limit_on(clock: Clock) -> None:
    silent = feed(clock)
    clock.now += LIMIT
    assert not silent.look().deaf
    clock.now += 1
    assert silent.look().deaf


@pytest.mark.parametrize("sign", ["heartbeat", "took", "refused"])
def test_any_message_or_heartbeat_puts_it_off_and_a_connection_alone_does_not(clock: Clock, sign: str) -> None:
    ours = feed(clock)
    ours.connected()
    clock.now += 0.9 * LIMIT
    {"heartbeat": ours.heartbeat, "took": lambda: ours.took(duplicate=True), "refused": ours.refused}[sign]()
    ours.connected()
    clock.now += 0.9 * LIMIT
    assert not ours.look().deaf
    ours.connected()
    clock.now += 0.2 * LIMIT
    assert ours.look().deaf
    ours.heartbeat()
    assert not ours.look().deaf


def test_without_a_heartbeat_silence_is_no_deafness_but_a_lost_connection_is(clock: Clock) -> None:
    quiet = feed(clock, heartbeat=False)
    quiet.connected()
    clock.now += 100 * LIMIT
    assert not quiet.look().deaf
    quiet.disconnected(DoorClosedError("gone"))
    clock.now += 0.9 * LIMIT
    assert not quiet.look().deaf
    clock.now += 0.2 * LIMIT
    status = quiet.look()
    assert (status.deaf, status.problem, status.connected_since) == (True, "voevent.door_closed: gone", None)
    quiet.connected()
    assert (quiet.look().deaf, quiet.look().problem) == (False, None)


def test_repeated_failures_to_reconnect_do_not_put_the_alarm_off(clock: Clock) -> None:
    quiet = feed(clock, heartbeat=False)
    quiet.connected()
    quiet.disconnected()
    for _ in range(11):
        clock.now += 0.1 * LIMIT
        quiet.disconnected(DoorClosedError("refused"))
    assert quiet.look().deaf


def test_the_alarm_is_one_line_when_it_begins_one_when_it_ends_and_a_metric(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("INFO", as_json=True)
    ours = feed(clock, name="alarmed")
    clock.now += 2 * LIMIT
    for _ in range(3):
        ours.look()
    assert metric("asterism_notice_feed_deaf") == 1.0
    ours.heartbeat()
    for _ in range(3):
        ours.look()
    assert metric("asterism_notice_feed_deaf") == 0.0
    assert metric("asterism_notice_feed_heard_timestamp_seconds") == clock.now
    said = capsys.readouterr().err
    assert (said.count("feed is deaf"), said.count("feed hears again")) == (1, 1)


def metric(name: str) -> Any:
    return REGISTRY.get_sample_value(name, {"feed": "alarmed"})


def test_counts_and_instants_are_those_of_the_messages(clock: Clock) -> None:
    ours = feed(clock)
    ours.took(duplicate=False)
    ours.took(duplicate=True)
    clock.now += 1
    ours.refused()
    ours.heartbeat(sent=1_700_000_000.0)
    status = ours.look()
    assert (status.received, status.journalled, status.duplicate, status.refused) == (3, 1, 1, 1)
    assert status.last_message == "2027-01-15T08:00:01.000+00:00"
    assert status.last_heartbeat == "2023-11-14T22:13:20.000+00:00"
    assert status.lag is None


def test_a_problem_on_our_side_stands_until_a_notice_is_taken(clock: Clock) -> None:
    ours = feed(clock)
    ours.connected()
    ours.failed(JournalError("no space left"))
    assert ours.look().problem == "journal.unusable: no space left"
    ours.heartbeat()
    assert ours.look().problem is not None
    ours.took(duplicate=False)
    assert ours.look().problem is None


def test_who_is_given_partitions_is_connected_and_what_waits_is_unknown_until_told(clock: Clock) -> None:
    ours = feed(clock)
    ours.failed(JournalError("no space left"))
    ours.assigned(0)
    status = ours.look()
    assert (status.connected_since, status.partitions, status.lag) == (None, 0, None)
    ours.assigned(2)
    ours.waiting(5)
    status = ours.look()
    assert (status.connected_since is None, status.partitions, status.lag) == (False, 2, 5)
    assert status.problem == "journal.unusable: no space left"  # the disk is no better for it
    ours.assigned(0)
    assert (ours.look().partitions, ours.look().lag) == (0, None)
    ours.disconnected()
    assert (ours.look().connected_since, ours.look().partitions) == (None, None)
