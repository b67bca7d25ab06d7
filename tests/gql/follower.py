"""A client of subscriptions that never gives up: it connects again when it is cut off, and keeps what it was told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

PROTOCOL = Subprotocol("graphql-transport-ws")


@contextmanager
def opened(url: str, **options: Any) -> Iterator[ClientConnection]:
    """Give a connection that has been acknowledged."""
    with connect(url.replace("http", "ws", 1) + "/graphql", subprotocols=[PROTOCOL], **options) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(30)) == {"type": "connection_ack"}
        yield socket


def subscribe(socket: ClientConnection, query: str, name: str = "1", **variables: Any) -> None:
    """Begin an operation."""
    socket.send(json.dumps({"id": name, "type": "subscribe", "payload": {"query": query, "variables": variables}}))


def next_data(socket: ClientConnection, seconds: float = 60.0) -> Any:
    """Return the data of the next message."""
    message = json.loads(socket.recv(seconds))
    assert message["type"] == "next", message
    assert "errors" not in message["payload"], message
    return message["payload"]["data"]


class Follower:
    """Follows one subscription in a thread.

    Parameters
    ----------
    url : str
        Address of the API.
    query : str
        The subscription.
    """

    def __init__(self, url: str, query: str, **variables: Any) -> None:
        self._url, self._query, self._variables = url, query, variables
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.told: list[Any] = []
        """Every message's data, in order."""
        self.connections = 0

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with opened(self._url, open_timeout=30) as socket:
                    subscribe(socket, self._query, **self._variables)
                    self.connections += 1
                    while not self._stop.is_set():
                        try:
                            self.told.append(next_data(socket, 0.2))
                        except TimeoutError:
                            continue
            except (OSError, WebSocketException, EOFError):
                time.sleep(0.1)
