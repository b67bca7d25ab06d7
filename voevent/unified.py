"""GCN's JSON notices (topics ``gcn.notices.*``, the "unified schema"): one reader, and one table a mission.

The schema documents what its members mean, so a mission without a table is read as well: position and error
in ICRS degrees (a number is a circle's radius, a list an ellipse), `containment_probability` 0.9 and
`systematic_included` false unless they say otherwise, rates in Hz, instants in UTC. What a document itself
says outranks its mission's table, and that the schema's defaults.

Easy to get wrong: `id` may be a list of names of which one is the XML's; it may be missing, and then
instrument, instant and position name the event, never one of them alone; `alert_tense` may say test or
injection; a map that cannot be read (an example's ``"stuff"``) must not lose the circle beside it; and a
fragment with neither id nor instant is still somebody's notice, named by its content.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from asterism.errors import SkyError
from asterism.sky.ellipse import EllipseLocalization
from asterism.sky.fits import read_skymap
from asterism.sky.kinds import localization_from_record
from asterism.sky.skymap import SkyMapLocalization
from asterism.times import datetime_to_mjd_tai
from asterism.voevent.clock import mjd_tai, utc_text
from asterism.voevent.document import Document
from asterism.voevent.errors import NoticePositionError, NoticeTimeError, NoticeUnknownError
from asterism.voevent.identity import event_key, name_in_json, safe_name, standing_of
from asterism.voevent.igwn import MAP_LIMITS, map_region, without_long_text
from asterism.voevent.localize import Published, region_of
from asterism.voevent.missions.table import UNIFIED, Mission, Stage, Standing, mission_of_json
from asterism.voevent.notice import Notice, Reading, Region
from asterism.voevent.numbers import finite

DEFAULT_CONTAINMENT = 0.9
"""What an error holds where nobody says so (core/Localization of the schema)."""

DERIVED_KEY, UNUSUAL_ID, MAP_UNREADABLE, CONTAINMENT_DEFAULT = (
    "event_key_derived",
    "unusual_id",
    "map_unreadable",
    "containment_by_schema_default",
)
"""Flags: the event's name was made of what happened when and where; it is no id as the mission's are; the map
inside is none; nobody said what the radius holds."""

_PATH = re.compile(r"/gcn/(?:notices/)?([a-z0-9_./-]{1,120}?)(?:\.schema\.json)?$")
_CORE = ("id", "event_name", "trigger_time", "alert_datetime", "mission", "instrument", "ra")
_ROLE_OF_TENSE = {"test": "test", "planned": "prediction", "commanded": "utility"}
_REFERENCES = ("ref_ID", "ref_type", "ref_instrument", "follow_up_event")
_MAX_TEXTS = 20


def normalise_unified(alert: Mapping[str, Any], key: str) -> Reading:
    """Return the notice a JSON object is, its localization, and the map inside it.

    Parameters
    ----------
    alert : mapping
        The JSON object.
    key : str
        SHA-256 of its bytes.

    Raises
    ------
    NoticeRefusedError
        If it is no notice of GCN, or its position or time is none.
    """
    schema = _schema_path(alert)
    if not schema and sum(name in alert for name in _CORE) < 2:
        raise NoticeUnknownError(f"no $schema of GCN, and not two of {', '.join(_CORE)}")
    mission = mission_of_json(schema, _text(alert.get("mission")), _text(alert.get("instrument")))
    stage = mission.stage_of_json(alert)
    observed = _instant(alert)
    t0 = None if alert.get("trigger_time") is None or not stage.t0_rank else _mjd(observed)
    region, sky_map, content, flags = _where(alert, mission, stage, _mjd(observed))
    name, name_flags = _name(alert, mission, schema, observed)
    role = _ROLE_OF_TENSE.get(_text(alert.get("alert_tense")), "observation")
    standing, named = _standing(alert, mission, name, role)
    notice = Notice(
        key=key,
        event_key=event_key(mission, name, standing, named),
        mission=mission.authority,
        kind=stage.kind or mission.kind,
        stage=stage.name,
        role=role,
        standing=standing,
        is_retraction=stage.retraction or alert.get("alert_type") == "retraction",
        rank=stage.rank,
        revision=_revision(alert, mission),
        issued_mjd_tai=_issued(alert),
        t0_mjd_tai=t0,
        t0_rank=0 if t0 is None else stage.t0_rank,
        observation_time_raw=observed,
        region=region,
        far_hz=_rate(alert.get("far")),
        classification=_classification(alert),
        properties=_properties(alert),
        map_url=_text(alert.get("healpix_url")) or None,
        flags=tuple(sorted({*flags, *name_flags, *_more_flags(alert)})),
        verified_against_sample=stage.json_verified_against_sample,
        raw=without_long_text(alert),
    )
    if sky_map is not None:
        return Reading(notice, sky_map, content)
    record = None if region is None else region.record
    return Reading(notice, None if record is None else localization_from_record(dict(record)))


def _schema_path(alert: Mapping[str, Any]) -> str:
    """Return the path of ``$schema`` below ``gcn/notices/``, in lower case; empty if it is none of GCN's."""
    found = _PATH.search(_text(alert.get("$schema")).lower())
    return found[1] if found else ""


def _name(alert: Mapping[str, Any], mission: Mission, schema: str, observed: str | None) -> tuple[str, list[str]]:
    """Return the event's name and flags."""
    rule = mission.json
    ids = [text for member in (rule.ids if rule else ()) for text in _texts(alert.get(member))]
    joined = [_text(alert[member]) for member in (rule.joined if rule else ()) if _text(alert.get(member))]
    name, usual = name_in_json(mission, ids, joined)
    flags = [] if usual else [DERIVED_KEY] if name is None else [UNUSUAL_ID]
    name = name or _derived_name(alert, observed)
    if mission.authority != UNIFIED:
        return name, flags
    space = schema.partition("/")[0] or _text(alert.get("mission")) or _text(alert.get("instrument")) or "unknown"
    return f"{safe_name(space.lower()[:40])}/{name}", flags


def _derived_name(alert: Mapping[str, Any], observed: str | None) -> str:
    """Return a name of instrument, instant and position, as far as printed; one of the content without these."""
    ra, dec = finite(alert.get("ra")), finite(alert.get("dec"))
    if observed is None or ra is None or dec is None:
        canonical = json.dumps(alert, sort_keys=True, allow_nan=False)
        return f"content-{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"
    moment = utc_text(observed).replace("-", "").replace(":", "")
    return safe_name(f"{_text(alert.get('instrument')) or 'x'}_{moment}_{ra:.4f}{dec:+.4f}")


def _standing(alert: Mapping[str, Any], mission: Mission, name: str, role: str) -> tuple[Standing, bool]:
    if alert.get("alert_tense") == "injection":
        return "injection", False
    return standing_of(mission, name, Document("", role))


def _instant(alert: Mapping[str, Any]) -> str | None:
    """Return the instant of the trigger, or of the observation's start, as written.

    Raises
    ------
    NoticeTimeError
        If the trigger's is no instant.
    """
    trigger = alert.get("trigger_time")
    if trigger is None:
        start = _text(alert.get("observation_start"))
        return start if _readable(start) else None
    if not isinstance(trigger, str):
        raise NoticeTimeError(f"trigger_time is a {type(trigger).__name__}, not text")
    mjd_tai(trigger)
    return trigger


def _mjd(text: str | None) -> float | None:
    return None if text is None else mjd_tai(text)


def _readable(text: str) -> bool:
    try:
        mjd_tai(text)
    except NoticeTimeError:
        return False
    return True


def _issued(alert: Mapping[str, Any]) -> float | None:
    """Return when the notice was written; None if it does not say so, or in no readable way."""
    text, created = _text(alert.get("alert_datetime")), alert.get("createdOn")
    if text and _readable(text):
        return mjd_tai(text)
    if isinstance(created, int) and 0 < created < 7_000_000_000_000:  # a circular's, in ms since 1970
        return datetime_to_mjd_tai(datetime.fromtimestamp(created / 1000.0, UTC))
    return None


def _where(
    alert: Mapping[str, Any], mission: Mission, stage: Stage, t0: float | None
) -> tuple[Region | None, SkyMapLocalization | None, bytes | None, list[str]]:
    """Return the region, the map inside and its bytes, and flags."""
    region, flags = _circle_or_ellipse(alert, mission, stage, t0) if stage.position else (None, [])
    if alert.get("healpix_file") is None:
        return region, None, None, flags
    try:
        content = base64.b64decode("".join(_text(alert["healpix_file"]).split()), validate=True)
        sky_map = read_skymap(content, MAP_LIMITS)
    except (SkyError, binascii.Error, ValueError):
        return region, None, None, [*flags, MAP_UNREADABLE]
    found = map_region(sky_map, content)
    if region is not None:
        found = replace(found, radius_deg=region.radius_deg, containment=region.containment)
    included = alert.get("systematic_included")
    return replace(found, systematic_included=included if isinstance(included, bool) else None), sky_map, content, []


def _circle_or_ellipse(
    alert: Mapping[str, Any], mission: Mission, stage: Stage, t0: float | None
) -> tuple[Region | None, list[str]]:
    ra, dec = (_coordinate(alert.get(name), name) for name in ("ra", "dec"))
    corners, containment, flags = alert.get("rectangular_error_corners"), *_containment(alert, stage)
    if corners is not None and alert.get("ra_dec_error") is None:
        return _box(corners, containment), flags
    if ra is None or dec is None:
        return None, []
    if not 0.0 <= ra <= 360.0 or not -90.0 <= dec <= 90.0:
        raise NoticePositionError(f"({ra}, {dec}) is no position on the sky")
    included = alert.get("systematic_included")
    if not isinstance(included, bool):
        included = bool(stage.systematic_included)
    axes = _axes(alert.get("ra_dec_error"))
    values = {name: value for name, value in alert.items() if isinstance(value, str)}
    told = Published(
        ra % 360.0,
        dec,
        radius_deg=axes[0],
        minor_deg=axes[1],
        angle_deg=axes[2],
        containment=containment,
        systematic_included=included,
        radius_50_deg=None if stage.radius_50 is None else finite(alert.get(stage.radius_50)),
        floor_deg=stage.floor_deg,
        systematic=mission.systematic(t0, values) if stage.systematics and not included else None,
    )
    region, more = region_of(told)
    return region, [*more, *(flags if region.radius_deg is not None else [])]


def _containment(alert: Mapping[str, Any], stage: Stage) -> tuple[float, list[str]]:
    """Return what the error holds, and a flag if nobody but the schema says so."""
    value = alert.get("containment_probability")
    if value is None:
        value = stage.containment
    if value is None:
        return DEFAULT_CONTAINMENT, [CONTAINMENT_DEFAULT]
    found = finite(value)
    if found is None or not 0.0 < found < 1.0:
        raise NoticePositionError(f"containment_probability {value!r:.40} is no probability")
    return found, []


def _axes(error: object) -> tuple[float | None, float | None, float]:
    """Return semi-major axis, semi-minor axis (None of a circle) and position angle [deg]."""
    if not isinstance(error, list):
        return _coordinate(error, "ra_dec_error"), None, 0.0
    if not 1 <= len(error) <= 3:
        raise NoticePositionError(f"ra_dec_error has {len(error)} values")
    values = [_coordinate(value, "ra_dec_error") for value in error]
    return values[0], values[1] if len(values) > 1 else None, (values[2] or 0.0) if len(values) > 2 else 0.0


def _box(corners: object, containment: float) -> Region:
    """Return the region of four corners: the ellipse inscribed in the rectangle, the rectangle's area beside it."""
    pairs = corners if isinstance(corners, list) else []
    points = [tuple(finite(value) for value in pair) for pair in pairs if isinstance(pair, list) and len(pair) == 2]
    flat = [(ra, dec) for ra, dec in points if ra is not None and dec is not None]
    if len(flat) != 4 or len(pairs) != 4:
        raise NoticePositionError("rectangular_error_corners are not four positions")
    try:
        shape = EllipseLocalization.from_corners(flat, containment)
    except SkyError as error:
        raise NoticePositionError(f"rectangular_error_corners: {error.message}") from error
    return Region(
        type="ellipse",
        ra_deg=shape.ra,
        dec_deg=shape.dec,
        radius_deg=max(shape.ahead_deg, shape.left_deg),
        containment=containment,
        systematic_included=False,
        area_50_deg2=shape.area(0.5),
        area_90_deg2=shape.area(0.9),
        box_area_deg2=shape.box_area(),
        record=shape.as_record(),
    )


def _coordinate(value: object, name: str) -> float | None:
    found = finite(value)
    if value is not None and found is None:
        raise NoticePositionError(f"{name} {value!r:.40} is not a finite number")
    return found


def _revision(alert: Mapping[str, Any], mission: Mission) -> int:
    member = None if mission.json is None else mission.json.revision
    count = None if member is None else finite(alert.get(member))
    return int(count) if count is not None and 0.0 <= count < 1e9 else 0


def _rate(value: object) -> float | None:
    found = finite(value)
    return found if found is not None and found >= 0.0 else None


def _probabilities(values: object) -> dict[str, float]:
    known = {str(name)[:60]: finite(value) for name, value in values.items()} if isinstance(values, dict) else {}
    return {name: value for name, value in known.items() if value is not None and 0.0 <= value <= 1.0}


def _classification(alert: Mapping[str, Any]) -> dict[str, float]:
    """Return the classes; where there are none, the probability that it is astrophysical, as the XML has it."""
    return _probabilities(alert.get("classification")) or _probabilities({"astrophysical": alert.get("p_astro")})


def _properties(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else is said of the source: its names, and the event of others it follows."""
    found: dict[str, Any] = dict(_probabilities(alert.get("properties")))
    names = [*_texts(alert.get("event_name")), *_texts(alert.get("id")), *_texts(alert.get("eventId"))]
    found |= {"names": list(dict.fromkeys(names))} if names else {}
    refers = {
        name: _text(alert.get(name))[:200] for name in ("ref_ID", "ref_type", "ref_instrument", "follow_up_event")
    }
    return found | {name: text for name, text in refers.items() if text}


def _more_flags(alert: Mapping[str, Any]) -> list[str]:
    return ["archival"] if alert.get("alert_tense") == "archival" else []


def _text(value: object) -> str:
    """Return text or an integer as text; empty for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    values = value[:_MAX_TEXTS] if isinstance(value, list) else [value]
    return [text[:200] for one in values if (text := _text(one))]
