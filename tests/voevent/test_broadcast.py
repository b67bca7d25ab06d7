"""`asterism.voevent.broadcast`: one subscriber's connection, byte by byte. Real subscribers stand in test_bridge.py."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from comet.protocol.messages import ack, authenticateresponse, iamaliveresponse, nak
from lxml import etree
from twisted.internet.testing import StringTransport

from asterism.journal import Journal, Position
from asterism.voevent import broadcast
from asterism.voevent.broadcast import ACK_SECONDS, WINDOW, BroadcasterFactory, Places, Selection, Subscriber
from asterism.voevent.compose_json import Signature
from asterism.voevent.document import parse
from asterism.voevent.errors import FilterError
from asterism.voevent.intake import Intake
from asterism.voevent.outbox import Outbox

NAME = "ivo://example.org/comet"


class Wire:
    """One connection, seen from the subscriber's side."""

    def __init__(self, factory: BroadcasterFactory) -> None:
        self.transport = StringTransport()
        self.protocol: Subscriber = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def messages(self) -> list[bytes]:
        """Return what was sent since the last call."""
        content, found = self.transport.value(), []
        self.transport.clear()
        while content:
            (length,) = struct.unpack(">I", content[:4])
            found.append(content[4 : 4 + length])
            content = content[4 + length :]
        return found

    def notices(self) -> list[bytes]:
        """Return the VOEvents sent since the last call."""
        return [message for message in self.messages() if b"VOEvent" in message]

    def say(self, message: Any) -> None:
        """Send a message of VTP."""
        content = message if isinstance(message, bytes) else message.raw_bytes
        self.protocol.dataReceived(struct.pack(">I", len(content)) + content)

    def introduce(self, name: str | None = NAME, filters: tuple[str, ...] = ()) -> None:
        self.say(authenticateresponse(name, "ivo://example.org/bridge", filters))

    def acknowledge(self, *notices: bytes) -> None:
        for notice in notices:
            self.say(ack(NAME, parse(notice).ivorn))

    def lose(self) -> None:
        self.protocol.connectionLost(None)

    @property
    def dropped(self) -> bool:
        return bool(self.transport.disconnected)


@pytest.fixture
def sources(samples: Any) -> list[bytes]:
    return [samples.gbm_xml(trigger=700000000 + n) for n in range(3 * WINDOW)]


@pytest.fixture
def outbox(tmp_path: Path, sources: list[bytes]) -> Outbox:
    journal = Journal(tmp_path / "journal")
    intake = Intake(journal)
    for payload in sources:
        intake.accept(payload, "vtp")
    made = Outbox(tmp_path, journal, Signature("example.org", str), tmp_path / "maps", from_start=True)
    while made.fill():
        pass
    return made


Connect = Callable[..., Wire]


@pytest.fixture
def connect(tmp_path: Path, outbox: Outbox) -> Iterator[Connect]:
    factories: dict[Selection, BroadcasterFactory] = {}
    wires: list[Wire] = []

    def make(selection: Selection = Selection(), *, from_start: bool = True) -> Wire:  # noqa: B008
        if selection not in factories:
            places = Places(tmp_path / "subscribers.json")
            factories[selection] = BroadcasterFactory("ivo://x.org/b", outbox, places, selection, from_start=from_start)
        wires.append(Wire(factories[selection]))
        return wires[-1]

    yield make
    for wire in wires:
        if not wire.protocol._lost:
            wire.lose()


def test_nothing_is_sent_before_the_subscriber_has_said_what_it_wants(connect: Connect) -> None:
    wire = connect()
    (hello,) = wire.messages()
    assert etree.fromstring(hello).get("role") == "authenticate"
    assert wire.notices() == []


def test_a_subscriber_is_sent_a_window_and_then_one_for_each_it_acknowledges(
    connect: Connect, sources: list[bytes]
) -> None:
    wire = connect()
    wire.introduce()
    got = wire.notices()
    assert got == sources[:WINDOW]
    wire.acknowledge(got[1], got[0])
    assert wire.notices() == sources[WINDOW : WINDOW + 2]


def test_one_that_does_not_acknowledge_holds_nobody_up(connect: Connect, sources: list[bytes]) -> None:
    mute, good = connect(), connect()
    mute.introduce("ivo://example.org/mute")
    good.introduce()
    received: list[bytes] = []
    while more := good.notices():
        received += more
        good.acknowledge(*more)
    assert received == sources
    assert len(mute.notices()) == WINDOW


def test_who_comes_back_is_served_from_the_first_it_did_not_acknowledge(connect: Connect, sources: list[bytes]) -> None:
    wire = connect()
    wire.introduce()
    wire.acknowledge(sources[0], sources[1], sources[3])
    wire.lose()
    again = connect()
    again.introduce()
    assert again.notices() == sources[2 : 2 + WINDOW]
    other = connect()
    other.introduce("ivo://example.org/other")
    assert other.notices() == sources[:WINDOW]


def test_without_a_name_or_new_a_subscriber_begins_with_the_next_document(connect: Connect) -> None:
    wire = connect(from_start=False)
    wire.introduce(None)
    assert wire.notices() == []


def test_a_refusal_is_an_answer(connect: Connect, sources: list[bytes]) -> None:
    wire = connect()
    wire.introduce()
    wire.messages()
    wire.say(nak(NAME, parse(sources[0]).ivorn, "no"))
    assert wire.notices() == [sources[WINDOW]]
    assert not wire.dropped


def test_roles_and_missions_the_operator_keeps_back_are_passed_over(connect: Connect) -> None:
    tests_only = connect(Selection(roles=frozenset({"test"})))
    tests_only.introduce()
    assert tests_only.notices() == []
    lvk_only = connect(Selection(missions=frozenset({"lvk"})))
    lvk_only.introduce()
    assert lvk_only.notices() == []
    gbm = connect(Selection(missions=frozenset({"lvk", "gbm"}), roles=frozenset({"observation"})))
    gbm.introduce()
    assert len(gbm.notices()) == WINDOW


def test_a_filter_of_the_operator_that_is_no_xpath_is_refused(connect: Connect) -> None:
    with pytest.raises(FilterError):
        connect(Selection(xpaths=("//[",)))


def test_the_dead_and_the_mute_are_dropped_and_the_living_are_not(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, mute, living = connect(), connect(), connect()
    for number, wire in enumerate((dead, mute, living)):
        wire.introduce(f"{NAME}{number}")
    while more := living.notices():
        living.acknowledge(*more)
    later = broadcast.time.monotonic() + ACK_SECONDS + 1.0
    for wire in (dead, mute, living):
        wire.protocol.sendIAmAlive()
    for wire in (mute, living):
        wire.say(iamaliveresponse(NAME, "ivo://x.org/b"))
    monkeypatch.setattr(broadcast.time, "monotonic", lambda: later)
    for wire in (dead, mute, living):
        wire.protocol.sendIAmAlive()
    assert [dead.dropped, mute.dropped, living.dropped] == [True, True, False]


def test_a_document_a_subscriber_never_acknowledges_does_not_stop_it_for_ever(
    connect: Connect, sources: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(broadcast.time, "monotonic", lambda: now[0])
    for _ in range(3):
        wire = connect()
        wire.introduce()
        assert wire.notices()[0] == sources[0]
        wire.acknowledge(*sources[1:WINDOW])
        now[0] += ACK_SECONDS + 1.0
        wire.protocol.sendIAmAlive()
        assert wire.dropped
        wire.lose()
    again = connect()
    again.introduce()
    assert again.notices()[0] == sources[1]


@pytest.mark.parametrize(
    "message",
    [
        b"<Transport",
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        b"<a>" * 100 + b"</a>" * 100,
        b"<a>" + b"x" * 20_000 + b"</a>",
        authenticateresponse(NAME, "ivo://x.org/b", ["//a"] * 17).raw_bytes,
    ],
)
def test_a_hostile_subscriber_is_dropped(connect: Connect, message: bytes) -> None:
    wire = connect()
    wire.say(message)
    assert wire.dropped
    assert wire.notices() == []


def test_there_is_an_end_to_subscribers(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MOST_SUBSCRIBERS", 2)
    assert [connect().dropped for _ in range(3)] == [False, False, True]


def test_a_place_counts_for_the_address_it_was_reached_from(connect: Connect, tmp_path: Path) -> None:
    wire = connect()
    wire.introduce()
    wire.acknowledge(*wire.notices())
    wire.protocol.factory.places.save()
    places = Places(tmp_path / "subscribers.json")
    host = wire.transport.getPeer().host
    assert (places.get(f"{NAME}@{host}") or Position(0, 0)) > Position(0, 0)
    assert places.get(f"{NAME}@192.0.2.1") is None
