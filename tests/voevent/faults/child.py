"""Run a program that stops dead at a named point, so that a test can prove that it got there and kill it there.

``python fault_child.py POINT NTH MARKER PROGRAM [ARGUMENT ...]``: when POINT is reached for the NTH time its name is
written to the file MARKER and the whole process stops (SIGSTOP). PROGRAM is ``asterism``, ``twistd`` (plain Comet) or
``notices`` (the Spark application's query of notices alone, which needs no Kafka). The program's own code is
unchanged; what is wrapped here are its functions. Not a test itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import Any


class Point:
    """Counts how often it is reached and stops the process at the chosen time."""

    def __init__(self, name: str, nth: int, marker: Path) -> None:
        self.name, self.nth, self.marker = name, nth, marker
        self.count = 0
        self.lock = threading.Lock()

    def due(self) -> bool:
        with self.lock:
            self.count += 1
            return self.count == self.nth

    def stop(self) -> None:
        with self.marker.open("w", encoding="utf-8") as stream:
            stream.write(f"{self.name} {self.nth}")
            stream.flush()
            os.fsync(stream.fileno())
        os.kill(os.getpid(), signal.SIGSTOP)


def before(module: str, owner: str, name: str, point: Point) -> None:
    wrap(module, owner, name, point, first=True)


def after(module: str, owner: str, name: str, point: Point) -> None:
    wrap(module, owner, name, point, first=False)


def wrap(module: str, owner: str, name: str, point: Point, *, first: bool) -> None:
    """Reach the point before or after each call of a method."""
    target = getattr(import_module(module), owner)
    original = getattr(target, name)

    @wraps(original)
    def wrapped(*args: Any, **values: Any) -> Any:
        if first and point.due():
            point.stop()
        result = original(*args, **values)
        if not first and point.due():
            point.stop()
        return result

    setattr(target, name, wrapped)


def record_written(point: Point, *, fraction: float) -> None:
    """Reach the point when a part of a journal record is written and nothing is synced."""
    original = os.pwrite

    def pwrite(descriptor: int, content: bytes, offset: int) -> int:
        if point.due():
            original(descriptor, content[: int(len(content) * fraction)], offset)
            point.stop()
        return original(descriptor, content, offset)

    os.pwrite = pwrite


def saved_in_part(point: Point) -> None:
    """Reach the point when Comet's ``save-event`` has written half of a file."""
    eventwriter: Any = import_module("comet.plugins.eventwriter")
    original = eventwriter.event_file

    class Half:
        def __init__(self, stream: Any) -> None:
            self.name, self._stream = stream.name, stream

        def write(self, text: str) -> None:
            if point.due():
                self._stream.write(text[: len(text) // 2])
                self._stream.flush()
                point.stop()
            self._stream.write(text)

    @contextmanager
    def event_file(*args: Any, **values: Any) -> Iterator[Half]:
        with original(*args, **values) as stream:
            yield Half(stream)

    eventwriter.event_file = event_file


def merged(point: Point) -> None:
    """Reach the point within a write transaction: some statements are executed, nothing is committed."""
    transaction = import_module("neo4j").ManagedTransaction
    original = transaction.run

    def run(self: Any, query: Any, *args: Any, **values: Any) -> Any:
        result = original(self, query, *args, **values)
        if "MERGE" in str(query) and point.due():
            result.consume()
            point.stop()
        return result

    transaction.run = run


JOURNAL = ("asterism.journal", "Journal", "append")
RECEIVER = ("asterism.voevent.vtp", "Receiver")
EVENT_DB = ("comet.utility.event_db", "Event_DB", "check_event")
COMET = ("comet.protocol.receiver", "VOEventReceiver")

Install = Callable[[Point], None]
POINTS: dict[str, dict[str, Install]] = {
    "asterism": {
        "inside the validator": partial(before, *JOURNAL),
        "half of it written": partial(record_written, fraction=0.5),
        "written, not synced": partial(record_written, fraction=1.0),
        "stored, before the ACK": partial(after, *JOURNAL),
        "ACK not yet flushed": partial(after, *RECEIVER, "send_xml"),
        "ACK sent": partial(before, *RECEIVER, "connectionLost"),
        "in the transaction": merged,
        "committed, no checkpoint": partial(after, "neo4j", "Session", "execute_write"),
    },
    "twistd": {
        "inside the validator": partial(before, *EVENT_DB),
        "half of it written": saved_in_part,
        "stored, before the ACK": partial(after, *EVENT_DB),
        "ACK not yet flushed": partial(after, *COMET, "send_xml"),
        "ACK sent": partial(before, *COMET, "connectionLost"),
    },
}
POINTS["notices"] = POINTS["asterism"]


def run_asterism() -> None:
    import_module("asterism.cli").main()


def run_twistd() -> None:
    import_module("twisted.scripts.twistd").run()


def run_notices() -> None:
    from asterism.deploy.application import keep_running, session
    from asterism.deploy.signals import stop_on_signals
    from asterism.logs import configure_logs
    from asterism.settings import load_settings
    from asterism.voevent.stream import start_notice_query

    settings = load_settings()
    configure_logs(settings.log_level, as_json=True)
    with stop_on_signals() as stop, session(settings) as spark:
        keep_running(partial(start_notice_query, spark, settings), stop, False)


PROGRAMS = {"asterism": run_asterism, "twistd": run_twistd, "notices": run_notices}


def main() -> None:
    name, nth, marker, program, *arguments = sys.argv[1:]
    sys.argv = [program, *arguments]
    if name:
        POINTS[program][name](Point(name, int(nth), Path(marker)))
    PROGRAMS[program]()


if __name__ == "__main__":
    main()
