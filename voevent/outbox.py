"""What the bridge sends: a journal of its own, filled from the notice journal, so that what goes out is on disk first.

VTP has no replay. The outbox gives it one: every document has a place in it, and a subscriber is served from the place
behind the last one it acknowledged (`asterism.voevent.broadcast`).

Invariants:

- Only what stands in the notice journal is sent. A VOEvent goes out byte for byte as it came; JSON goes out as the
  VOEvent composed of it.
- Nothing goes round in circles: the same bytes are sent once ever, whatever the door they came by, and so is what was
  composed of one JSON, by whomever. Of documents that share an IVORN at most `MOST_VARIANTS` are sent, so that a broker
  that writes documents anew on their way cannot turn a circle into a storm.
- Nothing is lost: an outbox record names the place in the notice journal behind its notice, and filling goes on there.
- A document a stock Comet cannot take is not sent: it would drop the connection, come back, and get it again for ever.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from comet.utility import ParseError, xml_document

from asterism.errors import JournalError
from asterism.formats import replace_file
from asterism.journal import Entry, Journal, Position
from asterism.logs import get_logger
from asterism.segments import as_journal_errors, encode
from asterism.voevent.compose_json import (
    MAX_VTP_BYTES,
    Earlier,
    Signature,
    compose_notice,
    source_key,
)
from asterism.voevent.document import Document, parse
from asterism.voevent.errors import ComposeError, NoticeRefusedError, UnsendableError
from asterism.voevent.igwn import read_json
from asterism.voevent.missions.table import mission_of
from asterism.voevent.notice import notice_key
from asterism.voevent.project import store_map
from asterism.voevent.read import is_json, read_alert

MOST_VARIANTS = 8
"""Different documents sent under one IVORN. Of real notices at most two were seen."""

_IVORN, _ROLE, _MISSION, _SOURCE, _NEXT, _EVENT, _RANK = (
    "ivorn",
    "role",
    "mission",
    "sourceKey",
    "nextInJournal",
    "composedOfEvent",
    "rank",
)
_CACHED = 256

_log = get_logger("voevent.outbox")


@dataclass(frozen=True)
class Outgoing:
    """A document to send."""

    ivorn: str
    role: str
    mission: str
    """Authority of the mission's table."""
    payload: bytes
    next_position: Position
    """The place behind it in the outbox."""


class Outbox:
    """The outbox in one folder. One thread fills it, another may read.

    Parameters
    ----------
    folder : Path
        Where it lives; made if missing.
    journal : Journal
        The notice journal it is filled from.
    signature : Signature
        Who composes.
    maps : Path
        The lake's folder of sky maps.
    from_start : bool
        Whether a new outbox begins with the oldest notice of the journal rather than with the next one.

    Attributes
    ----------
    counts : Counter of str
        ``sent``, ``composed`` (among them), ``known`` and ``unsendable`` since the start.

    Raises
    ------
    JournalError
        If one of the two journals is damaged, or another bridge fills the outbox.
    """

    def __init__(
        self, folder: Path, journal: Journal, signature: Signature, maps: Path, *, from_start: bool = False
    ) -> None:
        self._source, self._signature, self._maps = journal, signature, maps
        self._journal = Journal(folder / "outbox")
        self._journal.claim()
        self._sent: set[str] = set()
        self._variants: Counter[str] = Counter()
        self._composed: defaultdict[str, list[Earlier]] = defaultdict(list)
        self._recent: OrderedDict[Position, Outgoing] = OrderedDict()
        self.counts: Counter[str] = Counter()
        self._next = _beginning(folder, journal, from_start)
        self.end = Position(0, 0)
        for entry in self._journal.read():
            self._remember(notice_key(entry.payload), entry.headers)
            self._next, self.end = _position(entry.headers[_NEXT]), entry.next_position

    def close(self) -> None:
        """Let another process fill it."""
        self._journal.close()

    def fill(self, most: int = 20) -> int:
        """Take over what is new in the notice journal; return how many of its entries were looked at.

        Parameters
        ----------
        most : int
            Most entries to look at.

        Raises
        ------
        JournalError
            If it cannot be read or the outbox not be written; calling again goes on at the same notice.
        """
        looked = 0
        for entry in islice(self._source.read(self._next), most):
            key = notice_key(entry.payload)
            if key in self._sent:
                self.counts["known"] += 1
            else:
                try:
                    self._take(key, entry)
                except (NoticeRefusedError, ComposeError, UnsendableError) as error:
                    self.counts["unsendable"] += 1
                    _log.warning("notice not broadcast", notice_key=key, code=error.code, reason=error.message)
                except JournalError:
                    raise
                except Exception:  # a mistake of ours about one notice must not keep the others back
                    self.counts["unsendable"] += 1
                    _log.exception("notice not broadcast", notice_key=key, code=UnsendableError.code)
            self._next = entry.next_position
            looked += 1
        return looked

    def after(self, position: Position) -> Outgoing | None:
        """Return the document at a place of the outbox; None if there is none yet.

        Parameters
        ----------
        position : Position
            The beginning, or `Outgoing.next_position` of the one before.

        Raises
        ------
        JournalError
            If the outbox is damaged there, or ends before.
        """
        if position >= self.end:
            return None
        if position not in self._recent:
            before = position
            for entry in islice(self._journal.read(position), _CACHED // 2):
                headers = entry.headers
                self._recent[before] = Outgoing(
                    headers[_IVORN], headers[_ROLE], headers[_MISSION], entry.payload, entry.next_position
                )
                self._recent.move_to_end(before)
                before = entry.next_position
            while len(self._recent) > _CACHED:
                self._recent.popitem(last=False)
        return self._recent.get(position)

    def _take(self, key: str, entry: Entry) -> None:
        if is_json(entry.payload):
            self._compose(key, entry)
            return
        document = parse(entry.payload)
        source = source_key(document)
        if source in self._sent:
            self.counts["known"] += 1
            return
        check_sendable(entry.payload)
        if self._variants[document.ivorn] >= MOST_VARIANTS:
            raise UnsendableError(f"{MOST_VARIANTS} other documents were sent under {document.ivorn}")
        mission = _mission(document)
        headers = {_IVORN: document.ivorn, _ROLE: document.role, _MISSION: mission}
        self._append(entry.payload, headers if source is None else headers | {_SOURCE: source}, entry)

    def _compose(self, key: str, entry: Entry) -> None:
        alert = read_json(entry.payload)
        reading = read_alert(alert, key)
        notice = reading.notice
        composed = compose_notice(alert, reading, self._signature, self._composed[notice.event_key])
        for sha256, content in composed.files.items():
            with as_journal_errors(f"map {sha256} cannot be written"):
                store_map(self._maps, sha256, content)
        headers = {_IVORN: composed.ivorn, _ROLE: parse(composed.payload).role, _MISSION: notice.mission}
        headers |= {_SOURCE: key, _EVENT: notice.event_key, _RANK: str(notice.rank)}
        self._append(composed.payload, headers, entry)
        self.counts["composed"] += 1

    def _append(self, payload: bytes, headers: Mapping[str, str], entry: Entry) -> None:
        place = entry.next_position
        noted = {**headers, _NEXT: f"{place.segment}:{place.offset}"}
        segment, offset = self._journal.append(payload, noted)
        self._remember(notice_key(payload), noted)
        self.counts["sent"] += 1
        self.end = Position(segment, offset + len(encode(payload, noted)))

    def _remember(self, key: str, headers: Mapping[str, str]) -> None:
        self._sent.add(key)
        self._variants[headers[_IVORN]] += 1
        if _SOURCE in headers:
            self._sent.add(headers[_SOURCE])
        if _EVENT in headers:
            self._composed[headers[_EVENT]].append(Earlier(headers[_IVORN], int(headers[_RANK])))


def check_sendable(payload: bytes) -> None:
    """Pass a VOEvent that a stock Comet hands to its handlers.

    Raises
    ------
    UnsendableError
        If it would be dropped, and perhaps the connection with it.
    """
    if len(payload) > MAX_VTP_BYTES:
        raise UnsendableError(f"the document has {len(payload)} bytes, VTP carries {MAX_VTP_BYTES}")
    try:
        element = xml_document(payload).element
    except (ParseError, ValueError) as error:
        raise UnsendableError(f"Comet cannot read the document: {error}") from error
    if element.get("role") is None:
        raise UnsendableError("the document has no role; subscribers would drop it without an answer")


def _mission(document: Document) -> str:
    """Return the authority of the mission a document is from."""
    if source_key(document) is not None:
        return document.param("Mission", "Asterism") or mission_of(document.ivorn).authority
    return mission_of(document.ivorn).authority


def _beginning(folder: Path, journal: Journal, from_start: bool) -> Position:
    """Return where a new outbox begins in the notice journal: decided once, kept on disk."""
    path = folder / "begin.json"
    try:
        return _position(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        begin = Position(0, 0) if from_start else journal.end()
    except (OSError, ValueError) as error:
        raise JournalError(f"{path} cannot be read: {error}") from error
    with as_journal_errors(f"{path} cannot be written"):
        replace_file(path, json.dumps(f"{begin.segment}:{begin.offset}").encode())
    return begin


def _position(text: str) -> Position:
    segment, _, offset = text.partition(":")
    return Position(int(segment), int(offset))
