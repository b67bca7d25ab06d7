"""A VTP broadcaster made of Comet's protocol, with the two promises Comet does not give: nothing is forgotten while a
subscriber is away, and nobody's slowness costs the others anything.

Comet hands an event to whoever is connected and forgets it. Here every subscriber reads the outbox
(`asterism.voevent.outbox`) at its own pace: `WINDOW` documents are under way, the next one goes out when one is
acknowledged. So memory is bounded, and a subscriber that names itself (Comet's ``--local-ivo``) is served, when it
comes back, from the place behind what it acknowledged: at least once, and Comet recognises by itself what it had. One
without a name gets what comes while it is there, as ever.

There is no authentication in VTP: a name is a claim, hence the place is kept for name and address together, and the
whitelist is loopback unless the operator says otherwise.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from comet.protocol.broadcaster import VOEventBroadcaster, VOEventBroadcasterFactory
from comet.utility import ParseError, xml_document
from lxml import etree
from twisted.internet.threads import deferToThread
from typing_extensions import override

from asterism.errors import JournalError
from asterism.formats import replace_file
from asterism.journal import Position
from asterism.logs import get_logger
from asterism.segments import as_journal_errors
from asterism.voevent.errors import FilterError, NoticeRefusedError
from asterism.voevent.guard import check_xml
from asterism.voevent.outbox import Outbox, Outgoing

WINDOW = 8
"""Documents under way to one subscriber: sent, not yet acknowledged."""
ACK_SECONDS = 60.0
"""Longest wait for an acknowledgement [s]; who needs longer is dropped."""
MOST_SUBSCRIBERS = 200
MOST_PLACES = 10_000
"""Names whose places are kept; a further one is served as if it had none."""

_GRACE_SECONDS = 5.0
_TRIES = 3
_MAX_MESSAGE = 16_384
_MAX_FILTERS = 16

_log = get_logger("voevent.broadcast")


@dataclass(frozen=True)
class Selection:
    """What the operator lets out; empty means everything."""

    roles: frozenset[str] = frozenset()
    missions: frozenset[str] = frozenset()
    xpaths: tuple[str, ...] = ()
    """Of several one must hold, as with Comet's filters."""

    def passes(self, outgoing: Outgoing) -> bool:
        """Return whether role and mission of a document are wanted; XPath is asked elsewhere, it takes time."""
        return _in(outgoing.role, self.roles) and _in(outgoing.mission, self.missions)


class Places:
    """How far each named subscriber has acknowledged, in one file. Safe to use from two threads.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    JournalError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, Position] = {}
        self._changed = False
        self._lock = threading.Lock()
        with as_journal_errors(f"{path} cannot be read"):
            if path.exists():
                try:
                    known = json.loads(path.read_text(encoding="utf-8"))
                    self._places = {name: Position(*place) for name, place in known.items()}
                except (ValueError, TypeError, AttributeError) as error:
                    raise JournalError(
                        f"{path} is damaged: {error}", hint="without it subscribers begin with the next notice"
                    ) from error

    def get(self, name: str) -> Position | None:
        """Return the place behind what a subscriber has acknowledged; None if it is new."""
        return self._places.get(name)

    def put(self, name: str, place: Position) -> None:
        """Note that a subscriber has everything before a place."""
        with self._lock:
            room = name in self._places or len(self._places) < MOST_PLACES
            if room and place > self._places.get(name, Position(-1, 0)):
                self._places[name] = place
                self._changed = True

    def save(self) -> None:
        """Write the file if anything changed.

        Raises
        ------
        JournalError
            If it cannot be written; then a restart sends again what subscribers acknowledged since.
        """
        with self._lock:
            changed, self._changed = self._changed, False
            content = json.dumps(dict(sorted(self._places.items()))).encode()
        if changed:
            with as_journal_errors(f"{self._path} cannot be written"):
                replace_file(self._path, content)


@dataclass(frozen=True)
class _UnderWay:
    """A document sent and not yet acknowledged."""

    ivorn: str
    place: Position
    """Where it stands in the outbox."""
    sent_at: float


class Subscriber(VOEventBroadcaster):  # type: ignore[misc]
    """One connection of a subscriber."""

    MAX_LENGTH = _MAX_MESSAGE

    def __init__(self) -> None:
        super().__init__()
        self._name: str | None = None
        self._place: Position | None = None
        self._under_way: deque[_UnderWay] = deque()
        self._asking = False
        self._lost = False
        self._grace: Any = None

    @override
    def connectionMade(self) -> None:
        """Introduce ourselves; send nothing until the subscriber has done so, or has had time to."""
        super().connectionMade()
        peer = self.transport.getPeer()
        if len(self.factory.broadcasters) > MOST_SUBSCRIBERS:
            _log.warning("subscriber turned away: there are too many", peer=str(peer), most=MOST_SUBSCRIBERS)
            self.transport.abortConnection()
            return
        _log.info("subscriber connected", peer=str(peer))
        reactor: Any = import_module("twisted.internet.reactor")
        self._grace = reactor.callLater(_GRACE_SECONDS, self._begin, None)

    @override
    def connectionLost(self, *args: Any) -> None:
        """Forget it; its place stays."""
        self._lost = True
        if self._grace is not None and self._grace.active():
            self._grace.cancel()
        _log.info("subscriber gone", peer=str(self.transport.getPeer()), name=self._name)
        super().connectionLost(*args)

    @override
    def stringReceived(self, data: bytes) -> None:
        """Take an answer, a sign of life, or filters and name."""
        try:
            check_xml(data)
            message = xml_document(data).element
        except (NoticeRefusedError, ParseError) as error:
            self._drop("unreadable message", reason=str(error))
            return
        role = message.get("role")
        if role in ("ack", "nak"):
            self._answered(message.findtext("Origin"), role)
            return
        super().stringReceived(data)
        if role == "authenticate":
            if len(self.filters) > _MAX_FILTERS:
                self._drop("too many filters", most=_MAX_FILTERS)
            elif self._place is None:
                self._begin(message.findtext("Response"))

    @override
    def lengthLimitExceeded(self, length: int) -> None:
        """Hang up: no message of a subscriber is that long."""
        self._drop("message too long", bytes=length)

    @override
    def sendIAmAlive(self) -> None:
        """Ask for a sign of life; drop who owes one, or an answer."""
        if self.alive_count >= self.MAX_ALIVE_COUNT:
            self._drop("no sign of life")
        elif self._under_way and time.monotonic() - self._under_way[0].sent_at > ACK_SECONDS:
            first = self._under_way[0]
            self.factory.unanswered[self._key(), first.place] += 1
            self._drop("documents are not acknowledged", ivorn=first.ivorn)
        else:
            super().sendIAmAlive()

    def pump(self) -> None:
        """Send what there is, as far as the window allows."""
        while not (self._lost or self._asking or self._place is None) and len(self._under_way) < WINDOW:
            outgoing = self.factory.outbox.after(self._place)
            if outgoing is None:
                break
            if not self.factory.selection.passes(outgoing) or self._hopeless(outgoing):
                self._place = outgoing.next_position
            elif self.filters or self.factory.xpaths:
                self._asking = True
                asked = deferToThread(_wanted, outgoing, list(self.filters), self.factory.xpaths)
                asked.addCallback(self._decided, outgoing, self._place)
            else:
                self._send(outgoing, self._place)
        self._note()

    def _begin(self, name: str | None) -> None:
        if self._grace.active():
            self._grace.cancel()
        self._name = name.strip()[:200] if name and name.strip() else None
        known = None if self._name is None else self.factory.places.get(self._key())
        begin = Position(0, 0) if self.factory.from_start else self.factory.outbox.end
        self._place = min(known or begin, self.factory.outbox.end)
        _log.info("subscriber served", name=self._name, filters=len(self.filters), returning=known is not None)
        self.pump()

    def _key(self) -> str:
        return f"{self._name or ''}@{self.transport.getPeer().host}"

    def _decided(self, wanted: bool, outgoing: Outgoing, place: Position) -> None:
        self._asking = False
        if self._lost:
            return
        if wanted:
            self._send(outgoing, place)
        else:
            self._place = outgoing.next_position
        self.pump()

    def _send(self, outgoing: Outgoing, place: Position) -> None:
        self.sendString(outgoing.payload)
        self._under_way.append(_UnderWay(outgoing.ivorn, place, time.monotonic()))
        self._place = outgoing.next_position
        self.factory.counts["sent"] += 1

    def _answered(self, ivorn: str | None, role: str) -> None:
        """Strike an answered document off; a refusal is an answer too, sending again would not change it."""
        self.factory.counts["acknowledged" if role == "ack" else "refused"] += 1
        if role == "nak":
            _log.warning("subscriber refuses a document", name=self._name, ivorn=ivorn)
        if self._under_way:
            named = (one for one in self._under_way if one.ivorn == ivorn)
            self._under_way.remove(next(named, self._under_way[0]))
        self.pump()

    def _note(self) -> None:
        if self._name is not None and self._place is not None:
            place = self._under_way[0].place if self._under_way else self._place
            self.factory.places.put(self._key(), place)

    def _hopeless(self, outgoing: Outgoing) -> bool:
        """Return whether a subscriber was dropped over this document again and again."""
        if self.factory.unanswered[self._key(), self._place] < _TRIES:
            return False
        _log.error("document skipped: never acknowledged", name=self._name, ivorn=outgoing.ivorn, tries=_TRIES)
        return True

    def _drop(self, why: str, **values: Any) -> None:
        _log.warning(f"subscriber dropped: {why}", name=self._name, peer=str(self.transport.getPeer()), **values)
        self.transport.abortConnection()


class BroadcasterFactory(VOEventBroadcasterFactory):  # type: ignore[misc]
    """Makes subscribers' connections.

    Parameters
    ----------
    local_ivo : str
        Who we say we are.
    outbox : Outbox
        What is sent.
    places : Places
        How far each subscriber is.
    selection : Selection
        What the operator lets out.
    from_start : bool
        Whether a subscriber that is new begins with the oldest document rather than with the next one.

    Attributes
    ----------
    counts : Counter of str
        ``sent``, ``acknowledged`` and ``refused`` over all subscribers.

    Raises
    ------
    FilterError
        If a filter of the operator is no XPath.
    """

    protocol = Subscriber
    noisy = False

    def __init__(
        self, local_ivo: str, outbox: Outbox, places: Places, selection: Selection, *, from_start: bool = False
    ) -> None:
        super().__init__(local_ivo, 0)
        self.outbox, self.places, self.selection, self.from_start = outbox, places, selection, from_start
        self.xpaths = [_compiled(xpath) for xpath in selection.xpaths]
        self.counts: Counter[str] = Counter()
        self.unanswered: Counter[tuple[str, Position]] = Counter()

    def pump(self) -> None:
        """Send every subscriber what is new."""
        for subscriber in list(self.broadcasters):
            subscriber.pump()


def _compiled(xpath: str) -> Callable[[Any], Any]:
    try:
        compiled: Callable[[Any], Any] = etree.XPath(xpath)
    except etree.XPathSyntaxError as error:
        raise FilterError(f"{xpath[:200]!r} is no XPath: {error}") from error
    return compiled


def _wanted(outgoing: Outgoing, theirs: Sequence[Callable[[Any], Any]], ours: Sequence[Callable[[Any], Any]]) -> bool:
    element = xml_document(outgoing.payload).element
    return _any_holds(theirs, element) and _any_holds(ours, element)


def _any_holds(filters: Sequence[Callable[[Any], Any]], element: Any) -> bool:
    """Return whether one of several filters holds, or there is none; one that fails does not hold, as in Comet."""
    for xpath in filters:
        try:
            if xpath(element):
                return True
        except etree.XPathError as error:
            _log.info("filter failed", reason=str(error))
    return not filters


def _in(value: str, wanted: Collection[str]) -> bool:
    return not wanted or value in wanted
