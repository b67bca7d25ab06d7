"""A VTP author: sends one VOEvent and waits for the answer.

A VTP message is a 4-byte big-endian length and the XML. The receiver answers with a Transport document whose role is
``ack`` or ``nak``, or closes the connection, which is no yes either.
"""

from __future__ import annotations

import socket
import struct
from xml.parsers import expat

from asterism.voevent.errors import NotAcknowledgedError, SendError

DEFAULT_PORT = 8098
"""Port VTP receivers usually listen on."""

_LENGTH = struct.Struct(">I")
_MAX_ANSWER = 100_000


def send(payload: bytes, host: str, port: int = DEFAULT_PORT, timeout: float = 20.0) -> None:
    """Send a VOEvent; return when the receiver has acknowledged it.

    Parameters
    ----------
    payload : bytes
        The XML, sent as it is.
    host, port : str, int
        Where the receiver listens.
    timeout : float
        Longest wait for the connection and for each answer [s].

    Raises
    ------
    SendError
        If nobody listens, or no answer comes.
    NotAcknowledgedError
        If the receiver does not take it.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(_LENGTH.pack(len(payload)) + payload)
            answer = _exactly(connection, _LENGTH.unpack(_exactly(connection, _LENGTH.size))[0])
    except OSError as error:
        raise SendError(f"{host}:{port}: {error}") from error
    role, reason = read_answer(answer)
    if role == "nak":
        raise NotAcknowledgedError(f"{host}:{port} refuses the notice: {reason or 'no reason given'}")
    if role != "ack":
        raise SendError(f"{host}:{port} answered with role {role!r}, neither ack nor nak")


def _exactly(connection: socket.socket, length: int) -> bytes:
    if length > _MAX_ANSWER:
        raise SendError(f"the answer would have {length} bytes")
    content = bytearray()
    while len(content) < length:
        more = connection.recv(length - len(content))
        if not more:
            raise SendError("the receiver closed the connection without an answer")
        content += more
    return bytes(content)


def read_answer(answer: bytes) -> tuple[str | None, str]:
    """Return role and reason of a Transport document.

    Raises
    ------
    SendError
        If it is no XML.
    """
    roles: list[str | None] = []
    path: list[str] = []
    reason: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        roles.append(attributes.get("role"))

    def text(data: str) -> None:
        if path[-1] == "Result":
            reason.append(data)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: path.pop()
    parser.CharacterDataHandler = text
    try:
        parser.Parse(answer, True)
    except expat.ExpatError as error:
        raise SendError(f"the answer is no XML: {error}") from error
    return roles[0], "".join(reason).strip()
