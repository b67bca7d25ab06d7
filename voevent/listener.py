"""All doors in one process: authors and brokers by VTP, Kafka, a folder; one intake behind them, one journal.

Twisted's reactor runs in the main thread, Kafka in one of its own. No door can stop another: each mends itself, and
what it cannot mend is in its feed's state. Once a second that state goes to a file, from which ``asterism voevent
status`` reads it, and the alarms of deaf feeds are raised and cleared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread

from asterism.logs import get_logger
from asterism.voevent.errors import DoorError
from asterism.voevent.gcn import KafkaDoor, follow_kafka
from asterism.voevent.intake import FILE, VTP, Intake
from asterism.voevent.liveness import Feed
from asterism.voevent.spool import take_files
from asterism.voevent.status import StatusFile
from asterism.voevent.subscribe import Remote, SubscriberFactory
from asterism.voevent.vtp import Address, open_receiver

_SPOOL_SECONDS = 0.5
_STATUS_SECONDS = 1.0
_CONNECT_SECONDS = 20
_STOP_SECONDS = 20.0
_AGAIN_SECONDS = 10.0

_log = get_logger("voevent.listener")


@dataclass(frozen=True)
class Doors:
    """Which doors are open, and how long each may be silent.

    Attributes
    ----------
    address : Address, optional
        Where authors send to.
    remotes : tuple of Remote
        Brokers to subscribe to.
    kafka : KafkaDoor, optional
        Kafka brokers.
    spool : Path, optional
        Folder whose files are taken.
    limit_seconds : float
        Silence after which a feed is deaf [s].
    """

    address: Address | None = None
    remotes: tuple[Remote, ...] = ()
    kafka: KafkaDoor | None = None
    spool: Path | None = None
    limit_seconds: float = 150.0


class Listener:
    """Opens the doors, and keeps them open while the reactor runs.

    Parameters
    ----------
    intake : Intake
        Where notices go.
    doors : Doors
        Which ones.
    status : StatusFile
        Where their state goes.
    """

    def __init__(self, intake: Intake, doors: Doors, status: StatusFile) -> None:
        self._intake, self._doors, self._status = intake, doors, status
        self._reactor: Any = import_module("twisted.internet.reactor")  # imported late: importing installs it
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.feeds: list[Feed] = []

    def run(self, ready: Callable[[str | None, int | None], None]) -> None:
        """Listen until SIGINT or SIGTERM. Runs Twisted's reactor, hence once in a process.

        Parameters
        ----------
        ready : callable
            Called with host and port (None without a receiver) when the doors are open.

        Raises
        ------
        ListenError
            If the address cannot be bound or a network is none.
        """
        bound: tuple[str | None, int | None] = (None, None)
        if self._doors.address is not None:
            feed = self._feed(Feed(VTP, heartbeat=False, limit_seconds=self._doors.limit_seconds))
            bound = open_receiver(self._reactor, self._intake, self._doors.address, feed)
        for remote in self._doors.remotes:
            self._subscribe(remote)
        if self._doors.spool is not None:
            self._watch(self._doors.spool)
        if self._doors.kafka is not None:
            self._follow(self._doors.kafka)
        self._every(_STATUS_SECONDS, lambda: self._status.write(self.feeds, self._intake))
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop.set)
        self._reactor.callWhenRunning(ready, *bound)
        try:
            self._reactor.run()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(_STOP_SECONDS)
            self._status.write(self.feeds, self._intake, running=False)

    def _feed(self, feed: Feed) -> Feed:
        self.feeds.append(feed)
        return feed

    def _subscribe(self, remote: Remote) -> None:
        feed = self._feed(remote.feed(self._doors.limit_seconds))
        factory = SubscriberFactory(self._intake, remote, feed)
        self._reactor.connectTCP(remote.host, remote.port, factory, timeout=_CONNECT_SECONDS)

    def _watch(self, folder: Path) -> None:
        feed = self._feed(Feed(FILE, heartbeat=False, limit_seconds=self._doors.limit_seconds))

        def look() -> None:
            feed.connected()
            try:
                take_files(folder, self._intake, feed)
            except OSError as error:
                feed.disconnected(DoorError(f"{folder}: {error}"))

        self._every(_SPOOL_SECONDS, look)

    def _follow(self, door: KafkaDoor) -> None:
        feed = self._feed(door.feed(self._doors.limit_seconds))

        def follow() -> None:
            while not self._stop.is_set():
                try:
                    follow_kafka(self._intake, door, self._stop, feed)
                except Exception as error:  # a mistake of ours must not close the door for good
                    _log.exception("Kafka door broke")
                    feed.disconnected(DoorError(f"{type(error).__name__}: {error}"))
                    self._stop.wait(_AGAIN_SECONDS)

        thread = threading.Thread(target=follow, name="kafka", daemon=True)
        self._reactor.callWhenRunning(thread.start)
        self._threads.append(thread)

    def _every(self, seconds: float, work: Callable[[], object]) -> None:
        """Do something again and again in a thread, whatever becomes of it each time."""

        def once() -> Deferred[object]:
            return deferToThread(work).addErrback(lambda failure: _log.error("failed", reason=str(failure)))

        LoopingCall(once).start(seconds)
