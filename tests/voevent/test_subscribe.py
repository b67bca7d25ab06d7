"""`asterism.voevent.subscribe`: against plain Comet as a broker, and against one that plays what Comet never would."""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from comet.protocol.messages import authenticate, iamalive
from comet.utility import xml_document

from asterism.journal import Journal
from asterism.voevent.errors import DoorSettingsError, SendError
from asterism.voevent.intake import refused_path
from asterism.voevent.send import send
from asterism.voevent.subscribe import LONGEST_DELAY, Remote, SubscriberFactory

ASTERISM = str(Path(sys.executable).with_name("asterism"))
TWISTD = str(Path(sys.executable).with_name("twistd"))
Listen = Callable[..., Any]


def until(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def comet_broker(folder: Path, receive: int, broadcast: int) -> Iterator[None]:
    """Plain Comet: takes events from authors and broadcasts them."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [TWISTD, "-n", "--pidfile=", "comet", "--local-ivo=ivo://test.org/broker", f"--eventdb={folder}"]
    command += ["--receive", f"--receive-port={receive}", "--broadcast", f"--broadcast-port={broadcast}"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*command, "--broadcast-test-interval=0"], cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: answers(receive) and answers(broadcast))
        yield
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def submit(payload: bytes, port: int) -> None:
    try:
        send(payload, "127.0.0.1", port)
    except SendError as error:
        raise AssertionError(error) from error


def entries(home: Path) -> list[tuple[str, bytes]]:
    return [(entry.headers["channel"], entry.payload) for entry in Journal(home / "journal").read()]


def feed(home: Path) -> dict[str, Any]:
    """Return the state of the only feed."""
    try:
        (state,) = json.loads((home / "feeds" / "status.json").read_text())["feeds"]
    except FileNotFoundError:
        return {"connected_since": None}
    return dict(state)


def test_events_of_a_comet_broker_are_journalled_and_it_is_called_again_when_it_was_away(
    listen: Listen, tmp_path: Path, samples: Any
) -> None:
    receive, broadcast = free_ports(2)
    home, remote = tmp_path / "home", f"127.0.0.1:{broadcast}"
    wanted = "/*[local-name()='VOEvent' and not(contains(@ivorn, '700000002'))]"
    first, unwanted, later = (samples.gbm_xml(trigger=700000001 + n) for n in range(3))
    with comet_broker(tmp_path / "comet", receive, broadcast):
        listener = listen("--no-vtp", "--remote", remote, "--filter", wanted)
        until(lambda: feed(home)["connected_since"])
        submit(unwanted, receive)
        submit(first, receive)
        until(lambda: len(entries(home)) == 1)
    until(lambda: feed(home)["problem"])
    with comet_broker(tmp_path / "comet", receive, broadcast):
        until(lambda: feed(home)["connected_since"])
        submit(later, receive)
        until(lambda: len(entries(home)) == 2)
    assert entries(home) == [(f"remote:{remote}", first), (f"remote:{remote}", later)]
    assert listener.stop() == {"received": 2, "journalled": 2, "duplicate": 0, "refused": 0}
    assert "Nak" not in (tmp_path / "comet" / "log").read_text()


class Broker:
    """A broker that says what a test tells it to."""

    def __init__(self, server: socket.socket) -> None:
        self._connection, _ = server.accept()
        self._connection.settimeout(30)

    def say(self, content: bytes) -> None:
        self._connection.sendall(struct.pack(">I", len(content)) + content)

    def answer(self) -> Any:
        """Return the next message as an element."""
        length = struct.unpack(">I", self._connection.recv(4, socket.MSG_WAITALL))[0]
        return xml_document(self._connection.recv(length, socket.MSG_WAITALL)).element

    def silent(self, seconds: float) -> bool:
        self._connection.settimeout(seconds)
        try:
            return not self._connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self._connection.settimeout(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        yield listening


def address(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_greetings_are_answered_and_what_nobody_can_read_is_kept_and_acknowledged(
    listen: Listen, tmp_path: Path, server: socket.socket, samples: Any
) -> None:
    listen("--no-vtp", "--remote", address(server), "--filter", "//Who")
    with Broker(server) as broker:
        broker.say(authenticate("ivo://test.org/b").raw_bytes)
        greeting = broker.answer()
        assert (greeting.get("role"), greeting.find("Meta/Param").get("value")) == ("authenticate", "//Who")
        broker.say(iamalive("ivo://test.org/b").raw_bytes)
        assert broker.answer().get("role") == "iamalive"
        hostile = b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"
        for payload in (b"<VOEvent", hostile, samples.gbm_xml(), samples.gbm_xml()):
            broker.say(payload)
            assert broker.answer().get("role") == "ack"
    home = tmp_path / "home"
    assert [payload for _, payload in entries(home)] == [samples.gbm_xml()]
    kept = list(Journal(refused_path(home / "journal")).read())
    assert [(entry.payload, entry.headers["code"]) for entry in kept] == [
        (b"<VOEvent", "voevent.not_well_formed"),
        (hostile, "voevent.hostile_markup"),
    ]
    state = until(lambda: (now := feed(home)).get("received") == 4 and now)
    assert state["last_heartbeat"] is not None
    assert [state[name] for name in ("received", "journalled", "duplicate", "refused")] == [4, 1, 1, 2]


def test_while_the_disk_is_full_nothing_is_acknowledged_and_nothing_lost(
    listen: Listen, tmp_path: Path, server: socket.socket, samples: Any
) -> None:
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))

    listener = listen("--no-vtp", "--remote", address(server), before=full)
    with Broker(server) as broker:
        broker.say(authenticate("ivo://test.org/b").raw_bytes)
        broker.answer()
        payloads = [samples.gbm_xml(trigger=700000000 + n) for n in range(4)]
        for payload in payloads:
            broker.say(payload)
        assert broker.silent(2.0)
        broker.say(iamalive("ivo://test.org/b").raw_bytes)  # still there, or the broker would drop us
        assert broker.answer().get("role") == "iamalive"
        assert entries(tmp_path / "home") == []
        resource.prlimit(listener.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert {broker.answer().get("role") for _ in payloads} == {"ack"}
        assert sorted(payload for _, payload in entries(tmp_path / "home")) == sorted(payloads)


def test_the_pauses_between_attempts_never_exceed_a_minute() -> None:
    remote = Remote.of("127.0.0.1:1")
    factory = SubscriberFactory(None, remote, remote.feed())  # type: ignore[arg-type]
    waited: list[float] = []

    class Clock:
        @staticmethod
        def callLater(seconds: float, _: Any) -> None:
            waited.append(seconds)

    factory.clock = Clock()
    for _ in range(12):
        factory.retry(connector=object())
    assert waited == sorted(waited)
    assert waited[0] < 5
    assert waited[-1] == LONGEST_DELAY
    factory.stopFactory()


@pytest.mark.parametrize("text", ["", ":8099", "host:", "host:port", "host:0", "host:99999"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DoorSettingsError):
        Remote.of(text)


def test_a_filter_that_is_no_xpath_is_refused_because_a_broker_would_ignore_it() -> None:
    with pytest.raises(DoorSettingsError):
        Remote.of("broker", ["//["])
    assert Remote.of("broker", ["//Who"]) == Remote("broker", 8099, ("//Who",))


def run_check(home: Path, *options: str, **variables: str) -> tuple[int, list[dict[str, Any]]]:
    command = [ASTERISM, "voevent", "listen", "--check", "--json", "--check-seconds", "10", *options]
    environment = {**os.environ, "ASTERISM_HOME": str(home), **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_check_says_of_each_broker_whether_a_subscription_works(tmp_path: Path, server: socket.socket) -> None:
    receive, broadcast, nobody = free_ports(3)
    mute = address(server)  # accepts, and says nothing
    remotes = [f"127.0.0.1:{broadcast}", f"127.0.0.1:{nobody}", mute]
    options = [word for remote in remotes for word in ("--remote", remote)]
    with comet_broker(tmp_path / "comet", receive, broadcast):
        code, outcomes = run_check(tmp_path / "home", *options, "--check-seconds", "2")
        assert run_check(tmp_path / "home", *options[:2])[0] == 0
    assert code == 1
    assert [(outcome["feed"], outcome["ok"]) for outcome in outcomes] == [
        (f"remote:{remotes[0]}", True),
        (f"remote:{remotes[1]}", False),
        (f"remote:{remotes[2]}", False),
    ]
    assert outcomes[0]["reason"] == "authenticate from ivo://test.org/broker"
    assert "refused" in outcomes[1]["reason"]
    assert "timed out" in outcomes[2]["reason"]
