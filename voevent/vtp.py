"""A VTP receiver made of Comet's protocols, with the one promise Comet does not give: journalled before acknowledged.

Plain Comet acknowledges before handlers run and writes its "seen" database before that, so a crash in between loses the
notice for good: the resent copy is refused as seen. Here the only validator is the journal (`asterism.voevent.intake`),
there is no other database, and duplicates are acknowledged, because the sender asks whether we have it and we do. If
the disk does not take a notice, the answer is a NAK and the sender keeps it.

Comet's own parser sees only documents that passed ours; what it drops silently (broken markup, a missing role, an
unknown one) is answered with a NAK that carries our code. There is no authentication in VTP: whoever may connect may
say anything, hence the loopback default and the whitelist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from comet.icomet import IValidator
from comet.protocol import VOEventReceiverFactory
from comet.protocol.messages import nak
from comet.protocol.receiver import VOEventReceiver
from comet.utility import ParseError, WhitelistingFactory, xml_document
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread
from typing_extensions import override
from zope.interface import implementer  # type: ignore[import-untyped]

from asterism.errors import AsterismError
from asterism.logs import get_logger
from asterism.voevent.document import parse
from asterism.voevent.errors import ListenError, NoticeRefusedError
from asterism.voevent.guard import MAX_XML_BYTES
from asterism.voevent.intake import VTP, Intake
from asterism.voevent.liveness import Feed

LOCAL_IVO = "ivo://asterism/receiver"
"""How we sign answers."""
NO_IVORN = "ivo://unknown/unknown#unknown"
"""Origin named in the refusal of a document whose own could not be read."""

_log = get_logger("voevent.vtp")


@dataclass(frozen=True)
class Address:
    """Where authors connect: host, port (0 takes a free one) and the networks that may."""

    host: str
    port: int
    whitelist: tuple[str, ...]


@implementer(IValidator)
class JournalFirst:
    """The validator that journals: an event is valid when it is on disk.

    It runs in a thread, because fsync would stall every connection of the reactor.
    """

    def __init__(self, intake: Intake, feed: Feed) -> None:
        self._intake, self._feed = intake, feed

    def __call__(self, event: xml_document) -> Deferred[Any]:
        """Journal one event."""
        return deferToThread(self._accept, event.raw_bytes)

    def _accept(self, payload: bytes) -> None:
        try:
            receipt = self._intake.accept(payload, VTP)
        except AsterismError as error:
            _log.error("notice not taken", code=error.code, reason=error.message)
            self._feed.failed(error)
            raise
        self._feed.took(duplicate=receipt.duplicate)
        _log.info("notice journalled", notice_key=receipt.notice_key, duplicate=receipt.duplicate)


class Receiver(VOEventReceiver):  # type: ignore[misc]
    """One connection of an author: a message, an answer, the end."""

    MAX_LENGTH = MAX_XML_BYTES

    @override
    def stringReceived(self, data: bytes) -> None:
        """Answer a complete message."""
        try:
            parse(data)
            event = xml_document(data)
        except NoticeRefusedError as error:
            self._refuse(f"{error.code}: {error.message}")
        except ParseError as error:
            self._refuse(f"{NoticeRefusedError.code}: {error}")
        else:
            self.process_event(event).addBoth(lambda _: self.transport.loseConnection())

    def _refuse(self, reason: str) -> None:
        _log.warning("message refused", peer=str(self.transport.getPeer()), reason=reason)
        self.factory.refused()
        self.send_xml(nak(self.factory.local_ivo, NO_IVORN, reason))
        self.transport.loseConnection()


class ReceiverFactory(VOEventReceiverFactory):  # type: ignore[misc]
    """Makes receivers that journal.

    Parameters
    ----------
    intake : Intake
        Where notices go.
    feed : Feed
        What notes its state.
    """

    protocol = Receiver
    noisy = False

    def __init__(self, intake: Intake, feed: Feed) -> None:
        super().__init__(LOCAL_IVO, validators=[JournalFirst(intake, feed)])
        self._intake, self._feed = intake, feed

    def refused(self) -> None:
        """Count a message that was refused before it reached the intake."""
        self._intake.counts.update(["received", "refused"])
        self._feed.refused()


def networks(texts: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    """Return networks from texts such as ``127.0.0.1/32``.

    Raises
    ------
    ListenError
        If one is none.
    """
    try:
        return [ip_network(text, strict=False) for text in texts]
    except ValueError as error:
        raise ListenError(f"whitelist: {error}", hint="networks look like 192.0.2.0/24") from error


def open_receiver(reactor: Any, intake: Intake, address: Address, feed: Feed) -> tuple[str, int]:
    """Accept connections of authors; return host and port.

    Raises
    ------
    ListenError
        If the address cannot be bound or a network is none.
    """
    factory = WhitelistingFactory(ReceiverFactory(intake, feed), networks(address.whitelist), "submission")
    factory.noisy = False
    try:
        bound = reactor.listenTCP(address.port, factory, interface=address.host).getHost()
    except CannotListenError as error:
        raise ListenError(f"{address.host}:{address.port}: {error.socketError}") from error
    feed.connected()
    return bound.host, bound.port
