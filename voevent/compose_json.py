"""A JSON notice as a VOEvent 2.0, and that VOEvent as the notice it was.

Every value of the JSON becomes a parameter that says where it came from (`asterism.voevent.json_params`), so reading
goes back through the JSON and ends in the same notice, whatever the mission. Names follow what scripts of the VTP age
expect: an LVK alert looks like the VOEvents that LVK sent until 2026. Files inside the JSON, such as sky maps in
base64, stay behind as an address and their SHA-256, because VTP as people run it carries 99,999 bytes.

Composing is a function of the JSON, the operator's name and address, and what was composed of the same event before:
no clock, no random number. The IVORN depends on the JSON and the name alone.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asterism.times import mjd_tai_to_iso
from asterism.voevent.clock import utc_text
from asterism.voevent.document import Citation, Document, Inference, Param, compose
from asterism.voevent.errors import ComposeError, NoticeSchemaError
from asterism.voevent.json_params import JsonPath, as_param, flatten, path_text, read_path, unflatten
from asterism.voevent.missions.table import missions
from asterism.voevent.notice import Notice, Reading

MAX_VTP_BYTES = 99_999
"""Longest document a stock Comet takes; it drops the connection at a longer one."""
SOURCE = "asterism:source-sha256"
"""Utype of the parameter with the SHA-256 of the JSON: what has it was composed here or by another Asterism."""

_FILE_URL, _FILE_SHA = "json-file:", "json-file-sha256:"
_SHORTEST_FILE = 2000
_MOST_PARAMS = 2000  # each has 50 bytes or more
_TOO_LONG_HINT = "the notice is in the journal and the graph; a subscriber of VTP cannot get it"
_SUMMARY = "Asterism"
_DESCRIPTION = "Composed by Asterism from a notice in JSON; its author did not send this document."

_ROLES = {"prediction": "prediction", "utility": "utility"}
"""Roles of standings; whatever else is not real is a test."""
_LVK_NAMES = {
    "superevent_id": "GraceID",
    "event/far": "FAR",
    "event/group": "Group",
    "event/pipeline": "Pipeline",
    "event/search": "Search",
    "event/significant": "Significant",
    "event/duration": "Duration",
    "event/central_frequency": "CentralFreq",
    "urls/gracedb": "EventPage",
    "event/skymap": "skymap_fits",
}
_LVK_GROUPS = {
    "event/classification": "Classification",
    "event/properties": "Properties",
    "event/skymap": "GW_SKYMAP",
}
_UNITS = {
    "ra": "deg",
    "dec": "deg",
    "ra_dec_error": "deg",
    "src_error_50": "deg",
    "far": "Hz",
    "duration": "s",
    "central_frequency": "Hz",
    "image_energy_range": "keV",
    "rate_energy_range": "keV",
}
_UCDS = {
    "ra": "pos.eq.ra",
    "dec": "pos.eq.dec",
    "far": "arith.rate;stat.falsealarm",
    "superevent_id": "meta.id",
    "id": "meta.id",
    "event_name": "meta.id",
    "trigger_time": "time.epoch",
}


@dataclass(frozen=True)
class Signature:
    """Who composes, and where the files are."""

    authority: str
    """IVOA authority, the first part of every IVORN."""
    file_url: Callable[[str], str]
    """Address of the file with a SHA-256."""


@dataclass(frozen=True)
class Earlier:
    """A document composed of the same event before."""

    ivorn: str
    rank: int


@dataclass(frozen=True)
class Composed:
    """A composed VOEvent."""

    ivorn: str
    payload: bytes
    files: Mapping[str, bytes]
    """What must be served, by SHA-256."""


def compose_notice(
    alert: Mapping[str, Any], reading: Reading, signature: Signature, earlier: Sequence[Earlier] = ()
) -> Composed:
    """Write a JSON notice as a VOEvent 2.0.

    Parameters
    ----------
    alert : mapping
        The JSON object.
    reading : Reading
        What was read of it.
    signature : Signature
        Who composes.
    earlier : sequence of Earlier
        What was composed of the same event before, oldest first; a retraction retracts it all, a localization that
        counts no less supersedes it.

    Raises
    ------
    ComposeError
        If the JSON holds what XML cannot (control characters, infinite numbers), or is longer than VTP carries.
    """
    notice, files = reading.notice, dict[str, bytes]()
    params = [*_leading(notice, alert, len(earlier))]
    for path, value in flatten(dict(alert)):
        if path:
            params += _carried(notice.mission, path, value, signature, files)
        if len(params) > _MOST_PARAMS:
            raise ComposeError(f"{notice.event_key} has more than {_MOST_PARAMS} values", hint=_TOO_LONG_HINT)
    params += _summary(reading)
    ivorn = _ivorn(notice, signature.authority)
    document = Document(
        ivorn=ivorn,
        role=notice.role if notice.standing == "real" else _ROLES.get(notice.standing, "test"),
        author_ivorn=f"ivo://{signature.authority}/bridge",
        author_name="Asterism bridge",
        date=None if notice.issued_mjd_tai is None else mjd_tai_to_iso(notice.issued_mjd_tai).partition(".")[0],
        params=tuple(params),
        coord_system="UTC-ICRS-GEO",
        iso_time=_iso_time(notice),
        inferences=tuple(Inference(probability=repr(p), name=name) for name, p in notice.classification.items()),
        citations=tuple(_citation(notice, one) for one in reversed(earlier)),
        references=tuple(signature.file_url(sha256) for sha256 in files),
        description=_DESCRIPTION,
        **_position(notice),
    )
    payload = compose(document)
    if len(payload) > MAX_VTP_BYTES:
        raise ComposeError(f"{ivorn} would have {len(payload)} bytes, VTP carries {MAX_VTP_BYTES}", hint=_TOO_LONG_HINT)
    return Composed(ivorn, payload, files)


def is_composed(document: Document) -> bool:
    """Return whether a document was composed from JSON, here or by another Asterism."""
    return source_key(document) is not None


def source_key(document: Document) -> str | None:
    """Return the key of the JSON notice a document was composed from; None if it was not."""
    return next((param.value for param in document.params if param.utype == SOURCE), None)


def json_of(document: Document, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the JSON object a document was composed from; a file not given is missing there.

    Parameters
    ----------
    document : Document
        A composed one.
    files : mapping of str to bytes
        Files by SHA-256.

    Raises
    ------
    NoticeSchemaError
        If its parameters are no JSON object.
    """
    inside: dict[JsonPath, str] = {}
    for param in document.params:
        content = files.get(param.value) if (param.utype or "").startswith(_FILE_SHA) else None
        if content is not None:
            if hashlib.sha256(content).hexdigest() != param.value:
                raise NoticeSchemaError(f"the file given as {param.value[:64]} is another one")
            place = read_path((param.utype or "").removeprefix(_FILE_SHA))
            inside[place] = base64.b64encode(content).decode("ascii")
    return unflatten(document.params, inside)


def as_delivered(reading: Reading, document: Document) -> Reading:
    """Return what was read of a document's JSON as what the document says: its IVORN, citations and addresses."""
    notice = reading.notice
    url = next((param.value for param in document.params if (param.utype or "").startswith(_FILE_URL)), None)
    changed = dataclasses.replace(
        notice,
        ivorn=document.ivorn,
        citations=document.citations,
        cited_events=(notice.event_key,) * len(document.citations),
        map_url=notice.map_url or (None if reading.sky_map is not None else url),
    )
    return dataclasses.replace(reading, notice=changed)


def same_notice(one: Notice, other: Notice) -> bool:
    """Return whether two notices say the same.

    Everything counts but what belongs to the document that said it: key, IVORN, citations and the raw text.
    """
    return one == dataclasses.replace(
        other, key=one.key, ivorn=one.ivorn, citations=one.citations, cited_events=one.cited_events
    )


def _ivorn(notice: Notice, authority: str) -> str:
    """Return an IVORN in the shape of LVK's own: stream, event, a number, stage; the number is the JSON's hash."""
    stream = "LVC" if notice.mission == "lvk" else notice.mission
    event = notice.event_key.partition(":")[2]
    stage = "".join(part.capitalize() for part in notice.stage.split("_"))
    return f"ivo://{authority}/{stream}#{event}-{int(notice.key[:12], 16)}-{stage}"


def _citation(notice: Notice, earlier: Earlier) -> Citation:
    if notice.is_retraction:
        return Citation(earlier.ivorn, "retraction")
    return Citation(earlier.ivorn, "supersedes" if notice.rank >= earlier.rank else "followup")


def _iso_time(notice: Notice) -> str | None:
    if notice.observation_time_raw is None:
        return None
    return utc_text(notice.observation_time_raw, notice.time_scale).removesuffix("Z")


def _position(notice: Notice) -> dict[str, Any]:
    """Return the position of a notice without a map; the schema wants a radius, and 0 is GCN's word for unknown."""
    region = notice.region
    if region is None or region.type == "skymap":
        return {}
    radius = 0.0 if region.radius_deg is None else region.radius_deg
    return {"position_unit": "deg", "c1": repr(region.ra_deg), "c2": repr(region.dec_deg), "error2radius": repr(radius)}


def _leading(notice: Notice, alert: Mapping[str, Any], count: int) -> list[Param]:
    """Return what scripts and filters look for first: packet type, serial number, kind of alert, instruments."""
    mission = next((mission for mission in missions() if mission.authority == notice.mission), None)
    stages = () if mission is None else mission.stages
    packets = next((stage.packets for stage in stages if stage.name == notice.stage), ())
    params = [Param("Packet_Type", str(packets[0]), data_type="int")] if packets else []
    params.append(Param("Pkt_Ser_Num", str(count + 1), data_type="int"))
    if notice.mission == "lvk":
        kind = "".join(part.capitalize() for part in notice.stage.split("_"))
        params.append(Param("AlertType", kind, ucd="meta.version", data_type="string"))
        event = alert.get("event")
        instruments = event.get("instruments") if isinstance(event, dict) else None
        if isinstance(instruments, list):
            names = ",".join(str(name) for name in instruments)
            params.append(Param("Instruments", names, ucd="meta.code", data_type="string"))
    return params


def _carried(mission: str, path: JsonPath, value: Any, signature: Signature, files: dict[str, bytes]) -> list[Param]:
    """Return the parameters for one value of the JSON; a file goes to `files`."""
    place, outside = path_text(path), path_text(_outside(path))
    name, group = place.removeprefix(f"{outside}/"), outside or None
    key = next(step for step in reversed(path) if isinstance(step, str))
    if mission == "lvk" and value is not None:
        name = _LVK_NAMES.get(place, name)
        group = _LVK_GROUPS.get(place) or _LVK_GROUPS.get(outside, None if place in _LVK_NAMES else group)
    content = _file(value)
    if content is None:
        unit, ucd = _UNITS.get(key), _UCDS.get(key)
        params = [as_param(path, value, name, unit, ucd)]
    else:
        sha256 = hashlib.sha256(content).hexdigest()
        files[sha256] = content
        params = [
            Param(name, signature.file_url(sha256), ucd="meta.ref.url", data_type="string", utype=_FILE_URL + place),
            Param(f"{name}_sha256", sha256, data_type="string", utype=_FILE_SHA + place),
        ]
    return [dataclasses.replace(param, group=group, group_type=group) for param in params]


def _outside(path: JsonPath) -> JsonPath:
    """Return the path of the object around a value: arrays of scalars stand beside scalars."""
    last = max(index for index, step in enumerate(path) if isinstance(step, str))
    return path[:last]


def _file(value: Any) -> bytes | None:
    """Return the content of a value that is a file in base64."""
    if not isinstance(value, str) or len(value) < _SHORTEST_FILE:
        return None
    try:
        return base64.b64decode("".join(value.splitlines()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _summary(reading: Reading) -> list[Param]:
    """Return what Asterism adds: where the document comes from, and what to filter maps by."""
    notice, region = reading.notice, reading.notice.region
    values: list[tuple[str, str | float | None, str | None]] = [
        ("EventKey", notice.event_key, None),
        ("Mission", notice.mission, None),
        ("Stage", notice.stage, None),
        ("Standing", notice.standing, None),
    ]
    if region is not None and region.type == "skymap":
        values += [
            ("PeakRA", region.ra_deg, "deg"),
            ("PeakDec", region.dec_deg, "deg"),
            ("Area50", region.area_50_deg2, "deg2"),
            ("Area90", region.area_90_deg2, "deg2"),
            ("DistanceMean", region.distance_mpc, "Mpc"),
            ("DistanceSigma", region.distance_sigma_mpc, "Mpc"),
        ]
    params = [
        Param(name, str(value), unit, data_type="string" if isinstance(value, str) else "float")
        for name, value, unit in values
        if value is not None
    ]
    params.append(Param("SourceSha256", notice.key, data_type="string", utype=SOURCE))
    return [dataclasses.replace(param, group=_SUMMARY, group_type=_SUMMARY) for param in params]
