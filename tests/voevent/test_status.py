"""``asterism voevent status``: what it says of real listeners, alive, dead and deaf, with and without a graph."""

from __future__ import annotations

import json
import socket
import struct
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from comet.protocol.messages import authenticate, iamalive

from asterism.journal import Journal
from asterism.settings import Settings
from asterism.voevent.commands import voevent
from asterism.voevent.intake import FILE, VTP, Intake
from asterism.voevent.send import send

NO_GRAPH = {"ASTERISM_NEO4J_URI": "bolt://127.0.0.1:1"}
Listen = Callable[..., Any]


def until(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def run(home: Path, *words: str, **variables: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(voevent, [*words, "--json"], env={"ASTERISM_HOME": str(home), **variables})
    return done.exit_code, json.loads(done.stdout)


def test_without_a_listener_there_is_nothing_to_say_and_it_fails(tmp_path: Path) -> None:
    code, state = run(tmp_path / "home", "status", **NO_GRAPH)
    assert code == 1
    assert (state["listening"], state["feeds"], state["deliveries"]) == (False, [], 0)


def test_a_listener_is_seen_while_it_lives_and_what_it_cannot_know_is_null(
    listen: Listen, tmp_path: Path, samples: Any
) -> None:
    home = tmp_path / "home"
    listener = listen()
    for trigger in (700000001, 700000001, 700000002):
        send(samples.gbm_xml(trigger=trigger), "127.0.0.1", listener.port)
    until(lambda: json.loads((home / "feeds" / "status.json").read_text())["feeds"][0]["received"] == 3)
    code, state = run(home, "status", **NO_GRAPH)
    (feed,) = state["feeds"]
    assert (code, state["listening"], state["pid"]) == (0, True, listener.process.pid)
    assert (feed["name"], feed["deaf"], feed["problem"]) == ("vtp", False, None)
    assert [feed[name] for name in ("received", "journalled", "duplicate", "refused")] == [3, 2, 1, 0]
    assert (feed["deliveries"], feed["projected"], feed["lag"], feed["heartbeat_age_seconds"]) == (2, None, None, None)
    assert feed["connected_since"] <= feed["last_message"]
    assert (state["deliveries"], state["projected"], state["unprojected"]) == (2, None, None)
    assert state["graph"].startswith("graph.")
    listener.process.kill()
    listener.process.wait()
    code, state = run(home, "status", **NO_GRAPH)
    assert (code, state["listening"], state["deliveries"]) == (1, False, 2)


@pytest.mark.services
def test_what_is_not_yet_in_the_graph_is_counted(
    installation: Callable[..., Settings], listen: Listen, samples: Any
) -> None:
    home = installation().home
    unreadable = samples.gbm_xml(trigger=700000002).replace(b"<C1>120.0000<", b"<C1>725.0<")
    with Journal(home / "journal") as journal:
        intake = Intake(journal)
        intake.accept(samples.gbm_xml(), VTP)
        intake.accept(samples.gbm_xml(), FILE)
        intake.accept(unreadable, FILE)
    _, before = run(home, "status")
    assert [before[name] for name in ("deliveries", "projected", "unprojected", "graph")] == [3, 0, 3, None]
    run(home, "project")
    listener = listen()
    send(samples.gbm_xml(trigger=700000003), "127.0.0.1", listener.port)
    code, after = until(lambda: (now := run(home, "status"))[1]["feeds"] and now)
    assert code == 0
    assert [after[name] for name in ("deliveries", "projected", "unprojected", "unreadable")] == [4, 3, 1, 1]
    assert [after["feeds"][0][name] for name in ("name", "deliveries", "projected")] == ["vtp", 2, 1]


def test_a_broker_gone_silent_raises_the_alarm_in_log_metrics_and_status_until_it_speaks_again(
    listen: Listen, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as free:
        server.settimeout(30)
        metrics = free.getsockname()[1]
        free.close()
        name = f"remote:127.0.0.1:{server.getsockname()[1]}"
        variables = {"ASTERISM_DEAF_AFTER_SECONDS": "1.5", "ASTERISM_LISTEN_METRICS_PORT": str(metrics)}
        listen("--no-vtp", "--remote", name.removeprefix("remote:"), variables=variables)
        connection, _ = server.accept()
        with connection:
            say(connection, authenticate("ivo://test.org/b").raw_bytes)
            until(lambda: f'asterism_notice_feed_deaf{{feed="{name}"}} 1.0' in scraped(metrics))
            # The metric is set just before the file is replaced.
            home = tmp_path / "home"
            code, state = until(lambda: (now := run(home, "status", **NO_GRAPH))[1]["feeds"][0]["deaf"] and now)
            assert code == 1
            assert state["feeds"][0]["connected_since"] is not None

            def speaks() -> bool:
                say(connection, iamalive("ivo://test.org/b").raw_bytes)
                return f'asterism_notice_feed_deaf{{feed="{name}"}} 0.0' in scraped(metrics)

            until(speaks)


def say(connection: socket.socket, content: bytes) -> None:
    connection.sendall(struct.pack(">I", len(content)) + content)


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())
