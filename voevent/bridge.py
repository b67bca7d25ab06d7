"""The bridge: whatever the journal takes, from Kafka or anywhere else, is broadcast to subscribers of VTP.

It only reads the journal, so it runs beside ``asterism voevent listen`` or has the doors in its own process. Three
loops in Twisted's reactor: fill the outbox (in a thread: composing an alert with its map takes a while), serve the
subscribers, write down how far each is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from comet.utility import WhitelistingFactory
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread

from asterism.errors import AsterismError
from asterism.journal import Journal
from asterism.logs import get_logger
from asterism.voevent.broadcast import BroadcasterFactory, Places, Selection
from asterism.voevent.compose_json import Signature
from asterism.voevent.errors import ListenError
from asterism.voevent.map_server import DEFAULT_MAPS_PORT, map_site, map_url
from asterism.voevent.outbox import Outbox
from asterism.voevent.subscribe import DEFAULT_BROKER_PORT
from asterism.voevent.vtp import networks

_FILL_SECONDS = 0.2
_SAVE_SECONDS = 1.0

_log = get_logger("voevent.bridge")


@dataclass(frozen=True)
class Serving:
    """Where and what the bridge serves.

    Attributes
    ----------
    authority : str
        IVOA authority it signs with.
    host : str
        Address to bind, for subscribers and maps alike.
    port : int
        Port subscribers connect to; 0 takes a free one.
    maps_port : int
        Port of the maps; 0 takes a free one, which the addresses in documents do not survive.
    maps_url : str, optional
        Address under which the maps are reached, where it is not host and port.
    whitelist : sequence of str
        Networks that may subscribe and fetch maps.
    selection : Selection
        What is let out.
    from_start : bool
        Whether everything in the journal is served, to new subscribers too, rather than what comes from now on.
    """

    authority: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_BROKER_PORT
    maps_port: int = DEFAULT_MAPS_PORT
    maps_url: str | None = None
    whitelist: Sequence[str] = ("127.0.0.1/32", "::1/128")
    selection: Selection = field(default_factory=Selection)
    from_start: bool = False


class Bridge:
    """Follows a journal and serves it while Twisted's reactor runs, which `run` does, or a listener.

    Parameters
    ----------
    folder : Path
        Where outbox and places live; made if missing.
    journal : Journal
        What it follows.
    maps : Path
        The lake's folder of sky maps.
    serving : Serving
        Where and what it serves.

    Attributes
    ----------
    port, maps_port : int
        Ports bound.

    Raises
    ------
    ListenError
        If a port cannot be bound or a network is none.
    FilterError
        If a filter is no XPath.
    JournalError
        If journal, outbox or places are damaged, or another bridge is at work.
    """

    def __init__(self, folder: Path, journal: Journal, maps: Path, serving: Serving) -> None:
        self._reactor: Any = import_module("twisted.internet.reactor")  # imported late: importing installs it
        self._allowed = networks(serving.whitelist)
        self.maps_port = self._listen(serving.maps_port, map_site(maps), serving.host)
        base = serving.maps_url or f"http://{serving.host}:{self.maps_port}"
        signature = Signature(serving.authority, lambda sha256: map_url(base, sha256))
        self._outbox = Outbox(folder, journal, signature, maps, from_start=serving.from_start)
        self._places = Places(folder / "subscribers.json")
        self._factory = BroadcasterFactory(
            f"ivo://{serving.authority}/bridge",
            self._outbox,
            self._places,
            serving.selection,
            from_start=serving.from_start,
        )
        self.port = self._listen(serving.port, self._factory, serving.host)
        LoopingCall(self._turn).start(_FILL_SECONDS)
        LoopingCall(self._save).start(_SAVE_SECONDS, now=False)

    def run(self, ready: Callable[[], object]) -> None:
        """Run the reactor until SIGINT or SIGTERM, where no listener does.

        Parameters
        ----------
        ready : callable
            Called when subscribers can connect.
        """
        self._reactor.callWhenRunning(ready)
        self._reactor.run()

    def counts(self) -> dict[str, int]:
        """Return what became of notices and documents since the start."""
        filled, served = self._outbox.counts, self._factory.counts
        return {
            "broadcast": filled["sent"],
            "composed": filled["composed"],
            "known": filled["known"],
            "unsendable": filled["unsendable"],
            "sent": served["sent"],
            "acknowledged": served["acknowledged"],
            "refused": served["refused"],
        }

    def close(self) -> None:
        """Write down how far everybody is, when the reactor has stopped.

        Raises
        ------
        JournalError
            If the disk does not take it.
        """
        self._outbox.close()
        self._places.save()

    def _listen(self, port: int, factory: Any, host: str) -> int:
        guarded = WhitelistingFactory(factory, self._allowed)
        guarded.noisy = False
        try:
            bound: int = self._reactor.listenTCP(port, guarded, interface=host).getHost().port
        except CannotListenError as error:
            raise ListenError(f"{host}:{port}: {error.socketError}") from error
        return bound

    @inlineCallbacks
    def _turn(self) -> Any:
        """Fill the outbox until nothing is new, and serve; what goes wrong is tried again at the next turn."""
        try:
            while (yield deferToThread(self._outbox.fill)):
                self._factory.pump()
        except AsterismError as error:
            _log.error("bridge stopped for a moment", code=error.code, reason=error.message)
        except Exception:  # an error here would end the loop for good, and nobody would notice
            _log.exception("bridge stopped for a moment")

    def _save(self) -> Deferred[None]:
        return deferToThread(self._places.save).addErrback(
            lambda failure: _log.error("places not written", reason=failure.getErrorMessage())
        )
