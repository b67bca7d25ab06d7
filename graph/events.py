"""Notices, events and localizations in the graph: idempotent, and the same whatever the order or repetition.

One transaction does it all for a set of events: it locks them in the order of their keys, adds the notices it
was given, reads *every* notice of these events back, lets the caller derive what they say together, and
writes that absolutely. So two writers wait for each other, a notice that comes late changes what it must and
nothing else, and writing twice changes nothing. This module knows no mission and no rule;
`asterism.voevent.lifecycle` is the rule.

A notice's own properties never change. What depends on other notices (which localization holds, conflicts,
links between notices) is set or removed each time. Deliveries add up: channels, and the earliest time of
receipt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neo4j import Driver, ManagedTransaction

from asterism.errors import SkyError
from asterism.graph.changes import mark_changed
from asterism.graph.connection import read, write
from asterism.sky.fits import read_skymap
from asterism.sky.kinds import localization_from_record
from asterism.sky.localization import Localization

MAP_KIND = "skymap"
"""Kind of a stored localization whose rows stand in the lake's folder of maps instead of the graph."""

RELATIONS = ("CITES", "SUPERSEDES", "RETRACTS")
"""Relationships between notices."""

EVENT_PROPERTIES = (
    "authority",
    "name",
    "kind",
    "standing",
    "state",
    "version",
    "t0MjdTai",
    "farHz",
    "classification",
    "properties",
    "flags",
    "currentLocalization",
    "latestStage",
    "firstIssuedMjdTai",
    "lastIssuedMjdTai",
    "retractedMjdTai",
)
"""Properties of an event beside ``key`` that follow from its notices: each is set, or removed where
unknown."""


@dataclass(frozen=True)
class NoticeRow:
    """A notice as the graph holds it."""

    key: str
    event_key: str | None
    """None for one that was refused: its bytes and the reason are kept, no event is touched."""
    properties: Mapping[str, Any]
    """What never changes, among it ``record``: JSON the caller can derive everything from."""
    channels: tuple[str, ...]
    """Channels it was delivered by."""
    received_mjd_tai: float
    """Time of the earliest delivery, MJD TAI."""
    ivorn: str | None = None
    cited_elsewhere: tuple[tuple[str, str], ...] = ()
    """(IVORN, relationship) of citations that lead out of its event."""
    localization: Mapping[str, Any] | None = None
    """Properties of its localization that never change."""


@dataclass(frozen=True)
class DerivedEvent:
    """What the notices of one event say together."""

    key: str
    properties: Mapping[str, Any]
    """Values of `EVENT_PROPERTIES`."""
    validity: tuple[tuple[str, float | None, float | None, bool], ...] = ()
    """(notice, valid from, valid to, current) of each localization, MJD TAI."""
    links: tuple[tuple[str, str, str, bool], ...] = ()
    """(from notice, to notice, relationship, implied)."""
    conflicts: tuple[str, ...] = ()
    """Notices that share an IVORN with other bytes."""


@dataclass(frozen=True)
class EventCounts:
    """What a write changed."""

    notices_created: int = 0
    events: tuple[str, ...] = field(default=())
    """Keys of the events whose notices changed, sorted."""


Derive = Callable[[str, Sequence[str]], DerivedEvent]
"""(event key, records of all its notices) -> what they say together."""


def localization_key(notice_key: str, index: int = 0) -> str:
    """Return the key of a notice's localization."""
    return f"{notice_key}:{index}"


def load_localization(record: str, maps: Path) -> Localization:
    """Return the localization a ``Localization`` node stands for.

    Parameters
    ----------
    record : str
        The node's property ``record``.
    maps : Path
        The lake's folder of maps.

    Raises
    ------
    SkyError
        If the record is damaged or its map is not there.
    """
    values = json.loads(record)
    if values.get("kind") != MAP_KIND:
        return localization_from_record(values)
    path = map_path(maps, str(values.get("mapSha256")))
    if not path.is_file():
        raise SkyError(f"sky map {path} is missing", hint="asterism voevent replay writes it again from the journal")
    return read_skymap(path)


def map_path(maps: Path, sha256: str) -> Path:
    """Return the file of a sky map in the lake.

    Raises
    ------
    SkyError
        If the name is no SHA-256.
    """
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise SkyError(f"{sha256!r:.80} is no SHA-256")
    return maps / f"{sha256}.fits"


def known_deliveries(driver: Driver, keys: Sequence[str], *, database: str) -> dict[str, tuple[set[str], float]]:
    """Return channels and earliest receipt of those notices that are in the graph already, by key.

    Raises
    ------
    GraphError
        If the graph cannot be read.
    """
    with driver.session(database=database) as session:
        return read(session, _deliveries, sorted(set(keys)))


def write_notices(driver: Driver, rows: Sequence[NoticeRow], derive: Derive, *, database: str) -> EventCounts:
    """Write notices and bring their events up to date, in one transaction.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    rows : sequence of NoticeRow
        In any order, repeated at will, new or known.
    derive : callable
        Given an event's key and the records of all its notices, returns what they say together. Pure: it may
        run again.
    database : str
        Name of the database, initialised.

    Raises
    ------
    GraphError
        If Neo4j does not take it; nothing is half written.
    """
    with driver.session(database=database) as session:
        return write(session, _write, _merged(rows), derive)


def _merged(rows: Sequence[NoticeRow]) -> list[NoticeRow]:
    """Return one row a notice, deliveries joined, by key."""
    merged: dict[str, NoticeRow] = {}
    for row in rows:
        seen = merged.get(row.key)
        channels = set(row.channels) | (set(seen.channels) if seen else set())
        received = min(row.received_mjd_tai, seen.received_mjd_tai) if seen else row.received_mjd_tai
        merged[row.key] = NoticeRow(
            key=row.key,
            event_key=row.event_key,
            properties=row.properties,
            channels=tuple(sorted(channels)),
            received_mjd_tai=received,
            ivorn=row.ivorn,
            cited_elsewhere=row.cited_elsewhere,
            localization=row.localization,
        )
    return [merged[key] for key in sorted(merged)]


def _write(tx: ManagedTransaction, rows: list[NoticeRow], derive: Derive) -> EventCounts:
    events = sorted({row.event_key for row in rows if row.event_key is not None})
    tx.run("UNWIND $keys AS key MERGE (e:Event {key: key}) SET e.key = key", keys=events).consume()
    created = _write_notices(tx, rows)
    _write_localizations(tx, rows)
    _write_derived(tx, [derive(key, records) for key, records in _records(tx, events)])
    _link_across(tx, rows)
    mark_changed(tx, events)
    return EventCounts(created, tuple(events))


def _write_notices(tx: ManagedTransaction, rows: list[NoticeRow]) -> int:
    known = _deliveries(tx, [row.key for row in rows])
    prepared = []
    for row in rows:
        channels, received = known.get(row.key, (set(), row.received_mjd_tai))
        deliveries = {
            "channels": sorted(channels | set(row.channels)),
            "receivedMjdTai": min(received, row.received_mjd_tai),
        }
        extra = {
            "ivorn": row.ivorn,
            "eventKey": row.event_key,
            "citesElsewhere": bool(row.cited_elsewhere) or None,
        }
        cited = [ivorn for ivorn, _ in row.cited_elsewhere] or None
        relations = [relation for _, relation in row.cited_elsewhere] or None
        values = {
            **row.properties,
            **deliveries,
            **extra,
            "citedElsewhere": cited,
            "citedElsewhereAs": relations,
        }
        prepared.append({"key": row.key, "event": row.event_key, "values": values})
    counters = (
        tx.run("UNWIND $rows AS r MERGE (n:Notice {key: r.key}) SET n += r.values", rows=prepared).consume().counters
    )
    tx.run(
        "UNWIND $rows AS r MATCH (n:Notice {key: r.key}), (e:Event {key: r.event}) MERGE (n)-[:REPORTS]->(e)",
        rows=[row for row in prepared if row["event"] is not None],
    ).consume()
    return counters.nodes_created


def _write_localizations(tx: ManagedTransaction, rows: list[NoticeRow]) -> None:
    prepared = [
        {"notice": row.key, "key": localization_key(row.key), "values": dict(row.localization)}
        for row in rows
        if row.localization is not None
    ]
    tx.run(
        "UNWIND $rows AS r MATCH (n:Notice {key: r.notice}) "
        "MERGE (l:Localization {key: r.key}) SET l += r.values MERGE (n)-[:LOCALIZES]->(l)",
        rows=prepared,
    ).consume()


def _deliveries(tx: ManagedTransaction, keys: Sequence[str]) -> dict[str, tuple[set[str], float]]:
    found = tx.run(
        "UNWIND $keys AS key MATCH (n:Notice {key: key}) "
        "RETURN key, n.channels AS channels, n.receivedMjdTai AS received",
        keys=list(keys),
    )
    return {record["key"]: (set(record["channels"]), record["received"]) for record in found}


def _records(tx: ManagedTransaction, events: list[str]) -> list[tuple[str, list[str]]]:
    """Return each event's key and the records of all its notices."""
    found = tx.run(
        "UNWIND $keys AS key MATCH (:Event {key: key})<-[:REPORTS]-(n:Notice) WITH key, n ORDER BY key, n.key "
        "RETURN key, collect(n.record) AS records",
        keys=events,
    )
    return [(record["key"], record["records"]) for record in found]


def _write_derived(tx: ManagedTransaction, events: list[DerivedEvent]) -> None:
    """Write what follows from the notices of events: a handful of statements, however many events there are."""
    keys = [event.key for event in events]
    values = [{name: event.properties.get(name) for name in EVENT_PROPERTIES} for event in events]
    tx.run(
        "UNWIND $rows AS r MATCH (e:Event {key: r.key}) SET e += r.values",
        rows=[{"key": key, "values": known} for key, known in zip(keys, values, strict=True)],
    ).consume()
    tx.run(
        "UNWIND $keys AS key MATCH (:Event {key: key})<-[:REPORTS]-(n:Notice) "
        "SET n.conflict = CASE WHEN n.key IN $conflicts THEN true END",
        keys=keys,
        conflicts=[notice for event in events for notice in event.conflicts],
    ).consume()
    tx.run(
        "UNWIND $rows AS r MATCH (l:Localization {key: r.key}) "
        "SET l.validFromMjdTai = r.start, l.validToMjdTai = r.end, l.current = r.current",
        rows=[
            {"key": localization_key(notice), "start": start, "end": end, "current": current}
            for event in events
            for notice, start, end, current in event.validity
        ],
    ).consume()
    tx.run(
        "UNWIND $keys AS key MATCH (e:Event {key: key})<-[:REPORTS]-(n:Notice)"
        "-[r:CITES|SUPERSEDES|RETRACTS]->(:Notice)-[:REPORTS]->(e) DELETE r",
        keys=keys,
    ).consume()
    _link(tx, [link for event in events for link in event.links])


def _link(tx: ManagedTransaction, links: Sequence[tuple[str, str, str, bool]]) -> None:
    """Make links between notices: (from, to, relationship, implied)."""
    for relation in RELATIONS:
        pairs = [{"from": a, "to": b, "implied": implied} for a, b, kind, implied in links if kind == relation]
        if pairs:
            tx.run(
                f"UNWIND $pairs AS p MATCH (a:Notice {{key: p.from}}), (b:Notice {{key: p.to}}) "
                f"MERGE (a)-[r:{relation}]->(b) SET r.implied = p.implied",
                pairs=pairs,
            ).consume()


def _link_across(tx: ManagedTransaction, rows: list[NoticeRow]) -> None:
    """Make the links that cross events: from the given notices, and to them from notices that came before."""
    ivorns = sorted({row.ivorn for row in rows if row.ivorn is not None})
    citing = [row.key for row in rows if row.cited_elsewhere]
    found = tx.run(
        "MATCH (n:Notice {citesElsewhere: true}) WHERE n.key IN $keys OR any(c IN n.citedElsewhere WHERE c IN $ivorns) "
        "UNWIND range(0, size(n.citedElsewhere) - 1) AS i "
        "MATCH (m:Notice {ivorn: n.citedElsewhere[i]}) WHERE m <> n "
        "RETURN DISTINCT n.key AS from, m.key AS to, n.citedElsewhereAs[i] AS relation",
        keys=citing,
        ivorns=ivorns,
    )
    _link(tx, [(record["from"], record["to"], record["relation"], False) for record in found])
