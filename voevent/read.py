"""Any delivered bytes to a `Notice`: XML and JSON by one door, one refusal for each thing that can be
wrong."""

from __future__ import annotations

from asterism.sky.kinds import localization_from_record
from asterism.voevent.document import parse
from asterism.voevent.errors import NoticeMarkupError
from asterism.voevent.igwn import normalise_igwn, read_json
from asterism.voevent.normalise import normalise
from asterism.voevent.notice import Notice, Reading, notice_key

_SPACE = b" \t\r\n\xef\xbb\xbf"


def is_json(payload: bytes) -> bool:
    """Return whether bytes look like JSON rather than XML."""
    return payload.lstrip(_SPACE)[:1] in (b"{", b"[")


def read_notice(payload: bytes) -> Notice:
    """Return the notice that bytes are; see `read_payload`."""
    return read_payload(payload).notice


def read_payload(payload: bytes) -> Reading:
    """Return the notice that bytes are, with its localization.

    Parameters
    ----------
    payload : bytes
        A VOEvent (XML) or an LVK alert (JSON), as delivered.

    Raises
    ------
    NoticeRefusedError
        If they are none; the subclass and its code say why. Time and memory are bounded by the limits of
        `asterism.voevent.guard` and `asterism.voevent.igwn`, whatever the bytes.
    """
    if not payload.strip(_SPACE):
        raise NoticeMarkupError("there are no bytes")
    if is_json(payload):
        return normalise_igwn(read_json(payload), notice_key(payload))
    notice = normalise(parse(payload), notice_key(payload))
    record = None if notice.region is None else notice.region.record
    return Reading(notice, None if record is None else localization_from_record(dict(record)))
