"""A VTP subscription made of Comet's protocol: journalled before acknowledged, and back within a minute.

Plain Comet acknowledges what it could not store, drops what it cannot parse, and waits up to an hour before it calls
again. VTP has no replay: a broker sends a notice once, to those connected at that moment. Hence, here:

- The acknowledgement follows the journal's fsync. While the disk is full, notices are held in memory and tried again,
  and beyond `MAX_HELD_BYTES` nothing more is read from the connection.
- What nobody can read is kept aside with its code and acknowledged: a broker strikes a subscriber that says no off its
  list, and would not send anything better a second time.
- A lost connection is called again after 1 s, then ever longer pauses, never more than a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from comet.protocol.messages import ack, authenticateresponse, iamaliveresponse
from comet.protocol.subscriber import VOEventSubscriber, VOEventSubscriberFactory
from comet.utility import ParseError, xml_document
from lxml.etree import QName, XPath, XPathSyntaxError
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from typing_extensions import override

from asterism.errors import AsterismError
from asterism.logs import get_logger
from asterism.voevent.errors import DoorClosedError, DoorSettingsError, NoticeRefusedError
from asterism.voevent.guard import MAX_XML_BYTES, check_xml
from asterism.voevent.intake import Intake
from asterism.voevent.liveness import Feed
from asterism.voevent.vtp import LOCAL_IVO, NO_IVORN

DEFAULT_BROKER_PORT = 8099
"""Port VTP brokers usually broadcast on."""
LONGEST_DELAY = 60.0
"""Longest pause between two attempts to connect [s]."""
MAX_HELD_BYTES = 64 << 20
"""Most bytes of notices held in memory while the disk does not take them."""

_RETRY_SECONDS = 1.0

_log = get_logger("voevent.subscribe")


@dataclass(frozen=True)
class Remote:
    """A broker to subscribe to.

    Attributes
    ----------
    host, port : str, int
        Where it broadcasts.
    filters : tuple of str
        XPath expressions the broker applies: it sends an event if one of them holds, or all events if there is none.
    """

    host: str
    port: int
    filters: tuple[str, ...] = ()

    @classmethod
    def of(cls, address: str, filters: Sequence[str] = ()) -> Remote:
        """Return the broker at ``host:port``, or ``host``.

        Raises
        ------
        DoorSettingsError
            If the address is none, or a filter is no XPath (a broker would ignore it silently).
        """
        host, _, port = address.rpartition(":") if ":" in address else (address, "", str(DEFAULT_BROKER_PORT))
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise DoorSettingsError(f"{address!r} is no address of a broker", hint="brokers are written host:port")
        for text in filters:
            try:
                XPath(text)
            except XPathSyntaxError as error:
                raise DoorSettingsError(f"filter {text!r} is no XPath: {error}") from error
        return cls(host, int(port), tuple(filters))

    @property
    def channel(self) -> str:
        """Name of the feed, and channel of its notices."""
        return f"remote:{self.host}:{self.port}"

    def feed(self, limit_seconds: float = 150.0) -> Feed:
        """Return a new feed for this broker; brokers send a sign of life each minute."""
        return Feed(self.channel, heartbeat=True, limit_seconds=limit_seconds)


class Subscriber(VOEventSubscriber):  # type: ignore[misc]
    """One connection to a broker."""

    MAX_LENGTH = MAX_XML_BYTES

    def __init__(self, filters: Sequence[str]) -> None:
        super().__init__(list(filters))
        self._open = True

    @override
    def stringReceived(self, data: bytes) -> None:
        """Answer a complete message."""
        self.resetTimeout()
        try:
            check_xml(data)
            element = xml_document(data).element
        except (NoticeRefusedError, ParseError):
            self._take(data, NO_IVORN)  # the intake says what is wrong with it
            return
        if QName(element).localname == "Transport":
            self._transport(element.get("role"), element.findtext("Origin") or NO_IVORN)
        else:
            self._take(data, element.get("ivorn") or NO_IVORN)

    @override
    def connectionLost(self, *args: Any) -> None:
        """Note the end of the connection."""
        self._open = False
        super().connectionLost(*args)

    def _transport(self, role: str | None, origin: str) -> None:
        feed, local = self.factory.feed, self.factory.local_ivo
        if role == "authenticate":
            feed.connected()
            self.send_xml(authenticateresponse(local, origin, self.filters))
        elif role == "iamalive":
            feed.connected()
            feed.heartbeat()
            self.send_xml(iamaliveresponse(local, origin))
        else:
            _log.warning("message of an unknown role", feed=feed.name, role=role)

    def _take(self, payload: bytes, ivorn: str) -> None:
        self.factory.journalled(payload, self).addCallback(lambda _: self._acknowledge(ivorn))

    def _acknowledge(self, ivorn: str) -> None:
        if self._open:
            self.send_xml(ack(self.factory.local_ivo, ivorn))


class SubscriberFactory(VOEventSubscriberFactory):  # type: ignore[misc]
    """Keeps a subscription to one broker.

    Parameters
    ----------
    intake : Intake
        Where notices go.
    remote : Remote
        The broker.
    feed : Feed
        What notes its state.
    """

    protocol = Subscriber
    noisy = False

    def __init__(self, intake: Intake, remote: Remote, feed: Feed) -> None:
        super().__init__(LOCAL_IVO, filters=list(remote.filters))
        self.maxDelay, self.jitter = LONGEST_DELAY, 0.0
        self.feed = feed
        self._intake, self._remote = intake, remote
        self._held = 0

    @inlineCallbacks
    def journalled(self, payload: bytes, connection: Subscriber) -> Any:
        """Return a deferred that fires when a message is on disk, however long that takes."""
        self._held += len(payload)
        while True:
            try:
                yield deferToThread(self._store, payload)
                break
            except AsterismError as error:
                _log.error("notice not taken", feed=self.feed.name, code=error.code, reason=error.message)
                self.feed.failed(error)
                if self._held > MAX_HELD_BYTES:
                    connection.pauseProducing()
                yield self._later()
        self._held -= len(payload)
        connection.resumeProducing()

    def _later(self) -> Deferred[None]:
        from twisted.internet import reactor  # importing it earlier would install it

        return deferLater(reactor, _RETRY_SECONDS)

    def _store(self, payload: bytes) -> None:
        channel, peer = self._remote.channel, f"{self._remote.host}:{self._remote.port}"
        try:
            receipt = self._intake.accept(payload, channel, peer=peer)
        except NoticeRefusedError as error:
            self._intake.keep_refused(payload, channel, error, peer=peer)
            self.feed.refused()
            _log.warning("message refused", feed=self.feed.name, code=error.code, reason=error.message)
        else:
            self.feed.took(duplicate=receipt.duplicate)
            _log.info("notice journalled", notice_key=receipt.notice_key, duplicate=receipt.duplicate)

    @override
    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        """Note why, and call again later."""
        self.feed.disconnected(DoorClosedError(f"{self._remote.channel}: {reason.getErrorMessage()}"))
        super().clientConnectionFailed(connector, reason)

    @override
    def clientConnectionLost(self, connector: Any, reason: Any) -> None:
        """Note why, and call again later."""
        self.feed.disconnected(DoorClosedError(f"{self._remote.channel}: {reason.getErrorMessage()}"))
        super().clientConnectionLost(connector, reason)
