"""Any delivered bytes to a `Notice`: XML and JSON by one door, one refusal for each thing that can be
wrong."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from asterism.sky.kinds import localization_from_record
from asterism.voevent.compose_json import as_delivered, is_composed, json_of
from asterism.voevent.document import parse
from asterism.voevent.errors import NoticeMarkupError
from asterism.voevent.igwn import normalise_igwn, read_json
from asterism.voevent.normalise import normalise
from asterism.voevent.notice import Notice, Reading, notice_key
from asterism.voevent.unified import normalise_unified

_SPACE = b" \t\r\n\xef\xbb\xbf"


def is_json(payload: bytes) -> bool:
    """Return whether bytes look like JSON rather than XML."""
    return payload.lstrip(_SPACE)[:1] in (b"{", b"[")


def read_notice(payload: bytes) -> Notice:
    """Return the notice that bytes are; see `read_payload`."""
    return read_payload(payload).notice


def read_alert(alert: Mapping[str, Any], key: str) -> Reading:
    """Return the notice that a JSON object is; see `read_payload`."""
    reader = normalise_igwn if "superevent_id" in alert else normalise_unified
    return reader(alert, key)


def read_payload(payload: bytes, files: Mapping[str, bytes] = MappingProxyType({})) -> Reading:
    """Return the notice that bytes are, with its localization.

    Parameters
    ----------
    payload : bytes
        A VOEvent (XML), an LVK alert or a notice in GCN's unified schema (JSON), as delivered.
    files : mapping of str to bytes, optional
        Maps by SHA-256, for a VOEvent composed from JSON that left them behind (`asterism.voevent.compose_json`);
        without its map such a notice has the map's address instead of a region.

    Raises
    ------
    NoticeRefusedError
        If they are none; the subclass and its code say why. Time and memory are bounded by the limits of
        `asterism.voevent.guard` and `asterism.voevent.igwn`, whatever the bytes.
    """
    if not payload.strip(_SPACE):
        raise NoticeMarkupError("there are no bytes")
    if is_json(payload):
        return read_alert(read_json(payload), notice_key(payload))
    document = parse(payload)
    if is_composed(document):
        return as_delivered(read_alert(json_of(document, files), notice_key(payload)), document)
    notice = normalise(document, notice_key(payload))
    record = None if notice.region is None else notice.region.record
    return Reading(notice, None if record is None else localization_from_record(dict(record)))
