"""The one way into the journal, whatever the door: check, deduplicate, append, and only then say yes.

Invariants:

- When `Intake.accept` returns, the bytes are on disk. A sender may be acknowledged, a Kafka offset committed. If it
  raises, they may not be, and the sender must keep them.
- What is refused here is what could not be read by anybody: markup that is broken or hostile, no VOEvent, no JSON. A
  notice with a position off the sky is journalled; the projector gives it its code, and the bytes are not lost.
- Doors whose sender cannot keep what is refused (Kafka, a broker we subscribe to) hand it to `Intake.keep_refused`:
  a second journal beside the first, with the code, so that a refusal that was our mistake can be undone.
- The same bytes by the same channel are one delivery: journalled once, acknowledged each time. Nothing else is a
  duplicate: one more newline makes another notice.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from asterism.journal import Journal, Position
from asterism.voevent.document import parse
from asterism.voevent.errors import NoticeMarkupError, NoticeRefusedError
from asterism.voevent.igwn import read_json
from asterism.voevent.notice import notice_key
from asterism.voevent.read import is_json

VTP, FILE = "vtp", "file"
"""Channels."""

CHANNEL, RECEIVED, CONTENT_TYPE, PEER = "channel", "receivedAt", "contentType", "peer"
"""Names of the journal's headers."""

_LONGEST_REFUSED = 8 << 20


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery."""

    notice_key: str
    duplicate: bool
    """The same bytes had come by the same channel before."""


class Intake:
    """Takes notices into the journal. Safe to call from several threads of one process.

    Parameters
    ----------
    journal : Journal
        Where they go; what it holds already is read once.

    Attributes
    ----------
    counts : Counter of str
        ``received``, ``journalled``, ``duplicate`` and ``refused`` since the start.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._seen: set[tuple[str, str]] = set()
        self._last: Position | None = None
        self._deliveries: Counter[str] = Counter()
        for entry in journal.read():
            self._note(entry.headers[CHANNEL], notice_key(entry.payload), entry.position)
        self._refused: Journal | None = None
        self._seen_refused: set[tuple[str, str]] = set()
        self.counts: Counter[str] = Counter()

    def _note(self, channel: str, key: str, position: Position) -> None:
        self._seen.add((channel, key))
        self._deliveries[channel] += 1
        self._last = position

    def journalled(self) -> tuple[dict[str, int], Position | None]:
        """Return how many deliveries of each channel the journal holds, and the position of the last one."""
        with self._lock:
            return dict(self._deliveries), self._last

    def keep_refused(self, payload: bytes, channel: str, error: NoticeRefusedError, peer: str | None = None) -> None:
        """Put bytes that `accept` has refused on disk, once, beside the journal.

        Parameters
        ----------
        payload : bytes
            What came; beyond 8 MiB only the beginning is kept.
        channel : str
            The door it came by.
        error : NoticeRefusedError
            Why it was refused.
        peer : str, optional
            Who sent it.

        Raises
        ------
        JournalError
            If it cannot be written; the sender must not be told that all is well.
        """
        kept = payload[:_LONGEST_REFUSED]
        headers = {CHANNEL: channel, RECEIVED: datetime.now(UTC).isoformat(), "code": error.code}
        headers |= {"reason": error.message[:1000], "bytes": str(len(payload)), PEER: peer or ""}
        with self._lock:
            if self._refused is None:
                self._refused = Journal(refused_path(self._journal.root))
                self._seen_refused = {
                    (entry.headers[CHANNEL], notice_key(entry.payload)) for entry in self._refused.read()
                }
            if (channel, notice_key(kept)) not in self._seen_refused:
                self._refused.append(kept, headers)
                self._seen_refused.add((channel, notice_key(kept)))

    def accept(self, payload: bytes, channel: str, peer: str | None = None) -> Receipt:
        """Journal a delivery; when this returns it is on disk.

        Parameters
        ----------
        payload : bytes
            The notice as delivered.
        channel : str
            The door it came by.
        peer : str, optional
            Who sent it.

        Raises
        ------
        NoticeRefusedError
            If nobody could read it.
        JournalError
            If it cannot be written; the sender must not be told that all is well.
        """
        with self._lock:
            self.counts["received"] += 1
        try:
            content_type = checked_content_type(payload)
        except NoticeRefusedError:
            with self._lock:
                self.counts["refused"] += 1
            raise
        key = notice_key(payload)
        headers = {CHANNEL: channel, CONTENT_TYPE: content_type, RECEIVED: datetime.now(UTC).isoformat()}
        with self._lock:
            if (channel, key) in self._seen:
                self.counts["duplicate"] += 1
                return Receipt(key, duplicate=True)
            position = self._journal.append(payload, headers if peer is None else headers | {PEER: peer})
            self._note(channel, key, position)
            self.counts["journalled"] += 1
        return Receipt(key, duplicate=False)


def refused_path(journal: Path) -> Path:
    """Return the folder of the refused messages that belong to a journal's folder."""
    return journal.with_name(f"{journal.name}-refused")


def checked_content_type(payload: bytes) -> str:
    """Return the media type of a notice that can be read.

    Raises
    ------
    NoticeRefusedError
        If it is neither a VOEvent nor a JSON object, or hostile.
    """
    if not payload.strip():
        raise NoticeMarkupError("there are no bytes")
    if is_json(payload):
        read_json(payload)
        return "application/json"
    parse(payload)
    return "application/xml"
