"""`asterism.voevent.vtp` and `asterism.voevent.send`, as the processes a user runs."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asterism.journal import Journal
from asterism.voevent.document import compose
from asterism.voevent.errors import SendError
from asterism.voevent.send import read_answer, send

ASTERISM = str(Path(sys.executable).with_name("asterism"))
COMET_SENDVO = str(Path(sys.executable).with_name("comet-sendvo"))


Listen = Callable[..., Any]


def journalled(home: Path) -> list[bytes]:
    return [entry.payload for entry in Journal(home / "journal").read()]


def ask(port: int, payload: bytes) -> tuple[str | None, str]:
    """Send bytes as a VTP message and return role and reason of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(struct.pack(">I", len(payload)) + payload)
        content = b""
        while more := connection.recv(65536):
            content += more
    return read_answer(content[4:]) if content else (None, "")


def test_comets_own_sender_delivers_and_a_second_copy_is_acknowledged_once_journalled(
    listen: Listen, tmp_path: Path, samples: Any
) -> None:
    listener = listen()
    document = tmp_path / "notice.xml"
    document.write_bytes(samples.gbm_xml())
    for _ in range(2):
        command = [COMET_SENDVO, "-h", "127.0.0.1", "-p", str(listener.port), "-f", str(document)]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    assert journalled(listener.home) == [document.read_bytes()]
    assert listener.stop() == {"received": 2, "journalled": 1, "duplicate": 1, "refused": 0}


def test_every_message_is_answered_and_a_refusal_names_its_code(listen: Listen, samples: Any) -> None:
    listener = listen()
    refused = {
        b"<VOEvent": "voevent.not_well_formed",
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>": "voevent.hostile_markup",
        b"<VOEvent role='observation'/>": "voevent.not_a_voevent",
        b"<VOEvent ivorn='ivo://a/b#c' role='rumour'/>": "voevent.not_a_voevent",
        b"<a>" * 50 + b"</a>" * 50: "voevent.too_large",
    }
    for payload, code in refused.items():
        role, reason = ask(listener.port, payload)
        assert (role, reason.partition(":")[0]) == ("nak", code)
    unfinished = samples.gbm_xml().replace(b'role="observation"', b"")
    assert ask(listener.port, unfinished)[0] == "ack"  # a VOEvent without role is an observation
    assert ask(listener.port, samples.gbm_xml())[0] == "ack"
    assert journalled(listener.home) == [unfinished, samples.gbm_xml()]
    assert listener.stop()["refused"] == len(refused)


def test_a_message_longer_than_any_notice_is_not_read(listen: Listen, samples: Any) -> None:
    listener = listen()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=20) as connection:
        connection.sendall(struct.pack(">I", 2**31))
        assert connection.recv(1) == b""
    send(samples.gbm_xml(), "127.0.0.1", listener.port)


def test_documents_beyond_comets_own_limit_pass(listen: Listen, samples: Any) -> None:
    listener = listen()
    payload = compose(samples.gbm(description="x" * 200_000))
    send(payload, "127.0.0.1", listener.port)
    assert journalled(listener.home) == [payload]


def test_strangers_may_not_connect(listen: Listen, samples: Any) -> None:
    listener = listen("--whitelist", "192.0.2.0/24")
    with pytest.raises(SendError):
        send(samples.gbm_xml(), "127.0.0.1", listener.port)
    assert journalled(listener.home) == []


def test_a_second_listener_on_the_port_is_refused_with_a_code(listen: Listen, tmp_path: Path) -> None:
    listener = listen()
    command = [ASTERISM, "voevent", "listen", "--port", str(listener.port), "--json"]
    environment = {**os.environ, "ASTERISM_HOME": str(tmp_path / "other")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "voevent.cannot_listen"


def test_a_second_listener_on_the_journal_is_refused_before_it_opens_a_door(listen: Listen, tmp_path: Path) -> None:
    listen()
    command = [ASTERISM, "voevent", "listen", "--port", "0", "--json"]
    environment = {**os.environ, "ASTERISM_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "journal.unusable"


def test_nobody_listening_is_a_coded_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SendError) as failed:
        send(b"<a/>", "127.0.0.1", port)
    assert failed.value.code == "voevent.not_sent"
