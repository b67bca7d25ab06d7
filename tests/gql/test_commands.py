from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from asterism.gql.addresses import is_loopback
from asterism.gql.commands import listen
from asterism.settings import Settings


def command(*flags: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "asterism", "serve", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


@contextmanager
def served(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    process = command(
        "--port",
        "0",
        "--json",
        ASTERISM_HOME=str(settings.home),
        ASTERISM_NEO4J_URI=settings.neo4j_uri,
        ASTERISM_NEO4J_PASSWORD=settings.neo4j_password.get_secret_value(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def refused(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    code: str = json.loads(errors)["error"]["code"]
    return code


@pytest.mark.services
def test_the_command_prints_its_address_serves_and_ends_cleanly_on_ctrl_c(sky: Settings) -> None:
    with served(sky) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        assert document["pid"] == process.pid
        answer = httpx.post(document["graphql"], json={"query": "{ statistics { objects } }"}, timeout=60)
        assert answer.json() == {"data": {"statistics": {"objects": "122"}}}
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors


def test_connections_send_at_once_instead_of_waiting_for_the_other_side_to_acknowledge() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_others_can_reach_needs_to_be_meant(tmp_path: Path) -> None:
    assert refused(command("--host", "0.0.0.0", "--json", ASTERISM_HOME=str(tmp_path))) == "gql.cannot_serve"


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert refused(command("--port", port, "--json", ASTERISM_HOME=str(tmp_path))) == "gql.cannot_serve"


def test_without_a_graph_to_read_it_does_not_start(tmp_path: Path) -> None:
    environment = {"ASTERISM_HOME": str(tmp_path), "ASTERISM_NEO4J_URI": "bolt://127.0.0.1:1"}
    assert refused(command("--port", "0", "--json", **environment)) == "graph.unreachable"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("some.name", False),
        ("", False),
    ],
)
def test_only_loopback_addresses_count_as_local(host: str, local: bool) -> None:
    assert is_loopback(host) is local
