"""LVK alerts as JSON (``igwn.gwalert``): a superevent with its sky map inside, in base64.

There is no revision number: a notice is (superevent, ``time_created``, ``alert_type``). Its event is the
superevent id, matched exactly. A retraction has ``event: null`` and still names its event. The event time
moves by milliseconds between notices.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from asterism.errors import SkyError
from asterism.sky.fits import read_skymap
from asterism.sky.fitstable import Limits
from asterism.sky.skymap import SkyMapLocalization
from asterism.voevent.clock import mjd_tai
from asterism.voevent.document import Document
from asterism.voevent.errors import (
    NoticeMapError,
    NoticeMarkupError,
    NoticeSchemaError,
    NoticeTooLargeError,
    NoticeUnknownError,
)
from asterism.voevent.identity import event_key, standing_of
from asterism.voevent.missions.table import Mission, Stage, missions
from asterism.voevent.notice import Notice, Reading, Region

MAX_JSON_BYTES = 6_000_000
"""Longest JSON document [bytes]; GCN's broker passes 4 MiB."""
MAX_JSON_COMMAS = 100_000
"""Most commas in one, and so most values: every value takes time, a long text none. A map in base64 has no comma."""

MAP_LIMITS = Limits(compressed_bytes=6_000_000, unpacked_bytes=64 * 2**20, pixels=12 * 256**2, rows=2**18)
"""Bounds on a map inside an alert; a flat one, which no alert has, takes longest for its size."""

STAGES = {
    "EARLYWARNING": "early_warning",
    "EARLY_WARNING": "early_warning",
    "PRELIMINARY": "preliminary",
    "INITIAL": "initial",
    "UPDATE": "update",
    "RETRACTION": "retraction",
}
"""Spellings of ``alert_type`` and the stage of the mission's table each means; the documentation has both
early warnings."""

_MOCK_SEARCH = "MDC"
_DEEPEST = 16
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


def read_json(payload: bytes) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    NoticeTooLargeError
        If it is longer or deeper than any notice.
    NoticeMarkupError
        If it is not JSON as the standard has it (NaN and infinity are not), holds a number too large for 64 bits of
        floating point, or is no object.
    """
    if len(payload) > MAX_JSON_BYTES:
        raise NoticeTooLargeError(f"{len(payload)} bytes are more than {MAX_JSON_BYTES}")
    if payload.count(b",") > MAX_JSON_COMMAS:
        raise NoticeTooLargeError(f"more than {MAX_JSON_COMMAS} commas")
    try:
        value = json.loads(payload.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise NoticeTooLargeError("values nest too deeply") from error
    except ValueError as error:
        raise NoticeMarkupError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise NoticeMarkupError(f"a JSON {type(value).__name__} is no notice")
    if _depth(value) > _DEEPEST:
        raise NoticeTooLargeError(f"values nest deeper than {_DEEPEST} levels")
    if b"\\ud" in payload.lower():  # an escape that may be half a character, which nothing downstream can encode
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise NoticeMarkupError("text holds half a surrogate pair") from error
    return value


def normalise_igwn(alert: Mapping[str, Any], key: str) -> Reading:
    """Return the notice an alert is, its sky map and the file of it.

    Parameters
    ----------
    alert : mapping
        The JSON object.
    key : str
        SHA-256 of its bytes.

    Raises
    ------
    NoticeRefusedError
        If it is no LVK alert, or its time or map is none.
    """
    if not isinstance(alert.get("superevent_id"), str) or not isinstance(alert.get("alert_type"), str):
        raise NoticeUnknownError("no LVK alert: superevent_id or alert_type is missing")
    name, alert_type = alert["superevent_id"], alert["alert_type"].upper()
    if not 2 <= len(name) <= 40 or not set(name) <= _NAME_CHARACTERS:
        raise NoticeSchemaError(f"superevent_id {name[:60]!r} is none")
    if alert_type not in STAGES:
        raise NoticeSchemaError(f"alert_type {alert_type[:40]!r} is none of {', '.join(STAGES)}")
    mission, stage = _table(STAGES[alert_type])
    event = _member(alert, "event")
    standing, named = standing_of(mission, name, Document(f"ivo://lvk/LVC#{name}", "observation"))
    if standing == "real" and event is not None and event.get("search") == _MOCK_SEARCH:
        standing = "mock"
    time = None if event is None else _text(event, "time")
    t0 = None if time is None else mjd_tai(time)
    content = None if event is None else _map_of(event)
    sky_map = None if content is None else _sky_map(content)
    flags = {"external_coincidence"} if alert.get("external_coinc") else set()
    if event is not None:
        flags |= {"significant"} if event.get("significant") is True else {"not_significant"}
    notice = Notice(
        key=key,
        event_key=event_key(mission, name, standing, named),
        mission=mission.authority,
        kind=mission.kind,
        stage=stage.name,
        role="observation",
        standing=standing,
        is_retraction=stage.retraction,
        rank=stage.rank,
        issued_mjd_tai=mjd_tai(_text(alert, "time_created") or ""),
        t0_mjd_tai=t0,
        t0_rank=0 if t0 is None else stage.t0_rank,
        observation_time_raw=time,
        region=None if sky_map is None or content is None else map_region(sky_map, content),
        far_hz=None if event is None else _positive(event.get("far")),
        classification={} if event is None else _probabilities(event.get("classification")),
        properties={} if event is None else _properties(event),
        flags=tuple(sorted(flags)),
        verified_against_sample=stage.verified_against_sample,
        raw=without_long_text(alert),
    )
    return Reading(notice, sky_map, content)


def _table(stage_name: str) -> tuple[Mission, Stage]:
    mission = next(mission for mission in missions() if mission.authority == "lvk")
    return mission, next(stage for stage in mission.stages if stage.name == stage_name)


def _sky_map(content: bytes) -> SkyMapLocalization:
    try:
        return read_skymap(content, MAP_LIMITS)
    except SkyError as error:
        raise NoticeMapError(f"the sky map cannot be read: {error}") from error


def map_region(sky_map: SkyMapLocalization, content: bytes) -> Region:
    """Return the region of a map, named by the SHA-256 of its file."""
    ra, dec = sky_map.mode()
    distance, sigma = sky_map.distance_moments() or (None, None)
    return Region(
        type="skymap",
        ra_deg=ra,
        dec_deg=dec,
        area_50_deg2=sky_map.area(0.5),
        area_90_deg2=sky_map.area(0.9),
        distance_mpc=distance,
        distance_sigma_mpc=sigma,
        map_sha256=hashlib.sha256(content).hexdigest(),
    )


def _map_of(event: Mapping[str, Any]) -> bytes | None:
    text = event.get("skymap")
    if text is None:
        return None
    try:
        if not isinstance(text, str):
            raise NoticeMapError(f"the sky map is a {type(text).__name__}, not base64 text")
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoticeMapError(f"the sky map is not base64: {error}") from error


def _member(alert: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = alert.get(name)
    if value is not None and not isinstance(value, dict):
        raise NoticeSchemaError(f"{name} is a {type(value).__name__}, not an object")
    return value


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise NoticeSchemaError(f"{name} is a {type(value).__name__}, not text")
    return value


def _positive(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value < 1e300
    return float(value) if good and isinstance(value, int | float) else None


def _probabilities(values: object) -> dict[str, float]:
    if not isinstance(values, dict):
        return {}
    known = {str(name)[:60]: _positive(value) for name, value in values.items()}
    return {name: value for name, value in known.items() if value is not None and value <= 1.0}


def _properties(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return EM-bright properties, and what tells a burst from a binary."""
    found: dict[str, Any] = dict(_probabilities(event.get("properties")))
    found |= {name: event[name] for name in ("group", "pipeline", "search") if isinstance(event.get(name), str)}
    numbers = {name: _positive(event.get(name)) for name in ("duration", "central_frequency")}
    return found | {name: value for name, value in numbers.items() if value is not None}


def without_long_text(value: Any) -> Any:
    """Return an alert with long text, as a map is, replaced by its length."""
    if isinstance(value, dict):
        return {name: without_long_text(member) for name, member in value.items()}
    if isinstance(value, list):
        return [without_long_text(member) for member in value]
    return f"({len(value)} characters)" if isinstance(value, str) and len(value) > 2000 else value


def _depth(value: Any) -> int:
    deepest, pending = 0, [(value, 1)]
    while pending:
        here, level = pending.pop()
        deepest = max(deepest, level)
        if level > _DEEPEST:
            return deepest
        members = here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
        pending += [(member, level + 1) for member in members]
    return deepest


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if abs(value) == float("inf"):
        raise ValueError(f"{text:.40} is beyond every number")
    return value
