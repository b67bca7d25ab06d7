"""`asterism.voevent.send`: the answers it may get. Delivery is tested with the receiver, in ``test_vtp.py``."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
from comet.protocol.messages import ack, iamalive, nak

from asterism.voevent.errors import NotAcknowledgedError, SendError
from asterism.voevent.send import read_answer, send


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """Start a peer that answers one message with the given bytes and hangs up; gives its port."""
    servers: list[tuple[socket.socket, threading.Thread]] = []

    def start(answer: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                length = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))[0]
                connection.recv(length, socket.MSG_WAITALL)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        servers.append((server, thread))
        return int(server.getsockname()[1])

    yield start
    for server, thread in servers:
        thread.join(10)
        server.close()


def framed(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def test_an_acknowledgement_of_comet_is_a_yes(answering: Callable[[bytes], int]) -> None:
    send(b"<a/>", "127.0.0.1", answering(framed(ack("ivo://a/b", "ivo://c/d#e").raw_bytes)))


def test_a_nak_carries_its_reason(answering: Callable[[bytes], int]) -> None:
    port = answering(framed(nak("ivo://a/b", "ivo://c/d#e", "no room").raw_bytes))
    with pytest.raises(NotAcknowledgedError, match="no room"):
        send(b"<a/>", "127.0.0.1", port)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x00",
        framed(b""),
        framed(b"hello"),
        framed(iamalive("ivo://a/b").raw_bytes),
        struct.pack(">I", 2**31),
    ],
)
def test_anything_else_is_no_yes(answering: Callable[[bytes], int], answer: bytes) -> None:
    with pytest.raises(SendError):
        send(b"<a/>", "127.0.0.1", answering(answer))


def test_role_and_reason_are_read_off_a_transport_document() -> None:
    assert read_answer(ack("ivo://a/b", "ivo://c/d#e").raw_bytes) == ("ack", "")
    assert read_answer(nak("ivo://a/b", "ivo://c/d#e", "because").raw_bytes) == ("nak", "because")
