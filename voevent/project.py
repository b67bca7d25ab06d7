"""From the journal to the graph: one function for the Spark stream, ``voevent project`` and ``voevent replay``.

Idempotent and independent of order: notices are keyed by their bytes, events are derived from the set of their notices
(`asterism.voevent.lifecycle`) inside the transaction that adds them (`asterism.graph.events`), sky maps are files named
by their content. There is no bookmark to lose: a delivery the graph knows is recognised by its key and skipped, so
projecting the whole journal again costs a hash each. A notice that cannot be understood becomes a node that carries its
code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from neo4j import Driver

from asterism.formats import replace_file
from asterism.graph.events import (
    MAP_KIND,
    DerivedEvent,
    NoticeRow,
    known_deliveries,
    map_path,
    write_notices,
)
from asterism.journal import Entry
from asterism.logs import get_logger
from asterism.settings import Settings
from asterism.sky.localization import Localization
from asterism.voevent.clock import mjd_tai
from asterism.voevent.errors import NoticeRefusedError
from asterism.voevent.intake import CHANNEL, RECEIVED
from asterism.voevent.lifecycle import EventState, event_state, relation_of
from asterism.voevent.notice import Notice, Reading, Region, notice_key
from asterism.voevent.read import read_payload

CHUNK = 50
"""Deliveries read and written at once; bounds memory to about 300 MB of LVK alerts."""
MAP_RANGES = 500
"""Most order-29 ranges stored for one credible level of a map: exact for every map met so far."""
CENTRED_RANGES = 128
"""The same for circles and mixtures: at most a tenth more area than the region, at half the time of 500."""

_log = get_logger("voevent.project")


@dataclass(frozen=True)
class Delivery:
    """One journalled delivery."""

    payload: bytes
    channel: str
    received_mjd_tai: float

    @classmethod
    def of(cls, entry: Entry) -> Delivery:
        """Return the delivery a journal entry records."""
        return cls(entry.payload, entry.headers[CHANNEL], mjd_tai(entry.headers[RECEIVED]))


@dataclass(frozen=True)
class Projection:
    """What a projection did."""

    read: int = 0
    """Deliveries read."""
    created: int = 0
    """Notices that were not in the graph."""
    known: int = 0
    """Deliveries the graph knew already."""
    refused: int = 0
    """Deliveries that could not be understood, among those read now."""
    events: tuple[str, ...] = ()
    """Events brought up to date, sorted."""

    def __add__(self, other: Projection) -> Projection:
        return Projection(
            self.read + other.read,
            self.created + other.created,
            self.known + other.known,
            self.refused + other.refused,
            tuple(sorted({*self.events, *other.events})),
        )


def project(
    deliveries: Iterable[Delivery], driver: Driver, *, database: str, maps: Path, again: bool = False
) -> Projection:
    """Bring deliveries into the graph.

    Parameters
    ----------
    deliveries : iterable of Delivery
        In any order, repeated at will.
    driver : neo4j.Driver
        Open driver.
    database : str
        Name of the database, initialised.
    maps : Path
        The lake's folder of sky maps.
    again : bool
        Write what the graph knows already once more, as a replay does.

    Raises
    ------
    GraphError
        If Neo4j does not take them. What was written stays; projecting again is harmless.
    """
    total = Projection()
    pending = iter(deliveries)
    while chunk := list(islice(pending, CHUNK)):
        total += _project_chunk(chunk, driver, database, maps, again)
    return total


def _project_chunk(chunk: list[Delivery], driver: Driver, database: str, maps: Path, again: bool) -> Projection:
    keyed = [(notice_key(delivery.payload), delivery) for delivery in chunk]
    known = {} if again else known_deliveries(driver, [key for key, _ in keyed], database=database)
    new = [
        (key, delivery)
        for key, delivery in keyed
        if key not in known or delivery.channel not in known[key][0] or delivery.received_mjd_tai < known[key][1]
    ]
    rows = [_row(key, delivery, maps) for key, delivery in new]
    counts = write_notices(driver, rows, derive, database=database) if rows else None
    return Projection(
        read=len(chunk),
        created=counts.notices_created if counts else 0,
        known=len(chunk) - len(new),
        refused=sum(row.event_key is None for row in rows),
        events=counts.events if counts else (),
    )


def _row(key: str, delivery: Delivery, maps: Path) -> NoticeRow:
    channels, received = (delivery.channel,), delivery.received_mjd_tai
    try:
        reading = read_payload(delivery.payload)
    except NoticeRefusedError as error:
        _log.warning("notice refused", notice_key=key, code=error.code, reason=error.message)
        reason = {"refusedCode": error.code, "refusedMessage": error.message}
        return NoticeRow(key, None, reason, channels, received)
    notice = reading.notice
    if reading.sky_map is not None and notice.region is not None and notice.region.map_sha256 is not None:
        store_map(maps, notice.region.map_sha256, reading.sky_map)
    elsewhere = tuple(
        (citation.ivorn, relation_of(citation))
        for citation, event in zip(notice.citations, notice.cited_events, strict=True)
        if event != notice.event_key
    )
    return NoticeRow(
        key=key,
        event_key=notice.event_key,
        properties=notice_properties(notice),
        channels=channels,
        received_mjd_tai=received,
        ivorn=notice.ivorn,
        cited_elsewhere=elsewhere,
        localization=localization_properties(reading),
    )


def maps_folder(settings: Settings) -> Path:
    """Return the lake's folder of sky maps."""
    return settings.maps_path


def store_map(maps: Path, sha256: str, content: bytes) -> Path:
    """Write a sky map under the name its content gives it; return the file."""
    path = map_path(maps, sha256)
    if not path.exists():
        maps.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    return path


def notice_properties(notice: Notice) -> dict[str, Any]:
    """Return the properties of a notice's node that never change; unknown values are None."""
    region = notice.region
    return {
        "mission": notice.mission,
        "kind": notice.kind,
        "stage": notice.stage,
        "role": notice.role,
        "standing": notice.standing,
        "isRetraction": notice.is_retraction,
        "rank": notice.rank,
        "revision": notice.revision,
        "issuedMjdTai": notice.issued_mjd_tai,
        "t0MjdTai": notice.t0_mjd_tai,
        "observationTimeRaw": notice.observation_time_raw,
        "timeScale": notice.time_scale,
        "ra": None if region is None else region.ra_deg,
        "dec": None if region is None else region.dec_deg,
        "farHz": notice.far_hz,
        "classification": _json(notice.classification),
        "properties": _json(notice.properties),
        "mapUrl": notice.map_url,
        "flags": list(notice.flags),
        "verifiedAgainstSample": notice.verified_against_sample,
        "record": _json(notice.as_record()),
    }


def localization_properties(reading: Reading) -> dict[str, Any] | None:
    """Return the properties of a notice's localization that never change; None if it has no region."""
    region, shape = reading.notice.region, reading.localization
    if region is None or shape is None:
        return None
    record = _stored_record(region, shape)
    values = {
        "kind": region.type,
        "eventKey": reading.notice.event_key,
        "ra": region.ra_deg,
        "dec": region.dec_deg,
        "radiusDeg": region.radius_deg,
        "containment": region.containment,
        "systematicIncluded": region.systematic_included,
        "systematic": region.systematic,
        "radius50Deg": region.radius_50_deg,
        "area50": region.area_50_deg2,
        "area90": region.area_90_deg2,
        "distanceMpc": region.distance_mpc,
        "distanceSigmaMpc": region.distance_sigma_mpc,
        "mapSha256": region.map_sha256,
        "record": _json(record),
    }
    for percent in (50, 90):
        most = MAP_RANGES if region.type == MAP_KIND else CENTRED_RANGES
        ranges = shape.ranges(percent / 100.0, max_ranges=most)
        values |= {f"ranges{percent}Lo": ranges.lo.tolist(), f"ranges{percent}Hi": ranges.hi.tolist()}
    return values


def _stored_record(region: Region, shape: Localization) -> dict[str, Any]:
    if region.type == MAP_KIND:
        return {"kind": MAP_KIND, "mapSha256": region.map_sha256}
    return shape.as_record()


def derive(event_key: str, records: Sequence[str]) -> DerivedEvent:
    """Return what the stored records of an event's notices say together."""
    state = event_state(Notice.from_record(json.loads(record)) for record in records)
    current = next((interval for interval in state.intervals if interval.current), None)
    return DerivedEvent(
        key=event_key,
        properties=_event_properties(state, None if current is None else f"{current.notice_key}:0"),
        validity=tuple((i.notice_key, i.valid_from, i.valid_to, i.current) for i in state.intervals),
        links=tuple((link.from_key, link.to_key, link.relation, link.implied) for link in state.links),
        conflicts=state.conflicts,
    )


def _event_properties(state: EventState, current: str | None) -> dict[str, Any]:
    return {
        "authority": state.authority,
        "name": state.name,
        "kind": state.kind,
        "standing": state.standing,
        "state": state.state,
        "version": state.version,
        "t0MjdTai": state.t0_mjd_tai,
        "farHz": state.far_hz,
        "classification": _json(state.classification),
        "properties": _json(state.properties),
        "flags": list(state.flags),
        "currentLocalization": current,
        "latestStage": state.latest_stage,
        "firstIssuedMjdTai": state.first_issued_mjd_tai,
        "lastIssuedMjdTai": state.last_issued_mjd_tai,
        "retractedMjdTai": state.retracted_mjd_tai,
    }


def _json(value: Any) -> str | None:
    """Return a value as JSON with sorted names; None for nothing."""
    return json.dumps(dict(value), sort_keys=True, allow_nan=False) if value else None
