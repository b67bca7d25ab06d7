"""Acts as ``Annotation`` nodes: idempotent, and the same whatever the order.

An annotation hangs on its object and its event by ``ABOUT``. The last act on one subject, by (time, key), is *current*;
tags and watches before it are withdrawn since its time; the ``vetting`` of an open link is the state of the current act
on its object and event, under every localization and rule set.

Two writers could each miss what the other has not committed. So all take one lock, that of the format stamp, before
they decide what is current, and the writer of links takes that of its event, as this one does. The order is the same
everywhere: events, objects, stamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neo4j import Driver, ManagedTransaction

from asterism.graph.changes import mark_changed
from asterism.graph.connection import write
from asterism.graph.curation.acts import Act, Kind

_BATCH = 500

_SAID = "{vetting: a.state, vettedBy: a.author, vettedBecause: a.text, vettedMjdTai: a.createdMjdTai}"
"""Properties of a link that a vetting ``a`` gives it."""

_UNTOLD = (
    "MATCH (e:Event {key: $event})<-[:ABOUT]-(a:Annotation {kind: $kind, current: true})-[:ABOUT]->(o:Object) "
    "MATCH (o)-[c:CANDIDATE_FOR]->(e) WHERE c.open "
    "AND (c.vetting <> a.state OR coalesce(c.vettedMjdTai <> a.createdMjdTai, true))"
)
"""The open links ``c`` of an event that do not carry the current vetting ``a`` of their object ``o``."""


def write_acts(driver: Driver, acts: Sequence[Act], *, database: str) -> None:
    """Write acts, new or known.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    acts : sequence of Act
        In any order. What an act is about need not be in the graph yet; writing it again then links it.
    database : str
        Name of the database, initialised.

    Raises
    ------
    GraphError
        If Neo4j does not take it; acts written so far stay.
    """
    with driver.session(database=database) as session:
        for start in range(0, len(acts), _BATCH):
            write(session, _write, acts[start : start + _BATCH])


def lock_event(tx: ManagedTransaction, event: str) -> None:
    """Let one transaction at a time decide on an event's links and their vetting."""
    tx.run("MATCH (e:Event {key: $event}) SET e.key = e.key", event=event).consume()


def vetted(tx: ManagedTransaction, event: str) -> dict[str, dict[str, Any]]:
    """Return, by object, what people said last of each candidate of an event, as properties of its links."""
    found = tx.run(
        "MATCH (:Event {key: $event})<-[:ABOUT]-(a:Annotation {kind: $kind, current: true})-[:ABOUT]->(o:Object) "
        f"RETURN o.key AS object, {_SAID} AS said",
        event=event,
        kind=Kind.VETTING,
    )
    return {record["object"]: record["said"] for record in found}


def take_vetting(tx: ManagedTransaction, event: str) -> None:
    """Turn the page of the open links of an event that do not carry what people said last of their objects.

    Each is closed (because ``vetting``) and goes on as a new one: what was believed before stays a query. A link that
    was opened after the act, by a writer that did not see it yet, takes it over as if it had.
    """
    tx.run(
        f"{_UNTOLD} AND a.createdMjdTai <= c.openedMjdTai WITH c, {_SAID} AS said SET c += said",
        event=event,
        kind=Kind.VETTING,
    ).consume()
    tx.run(
        f"{_UNTOLD} WITH o, e, c, {_SAID} AS said, a.createdMjdTai AS turn "
        "CREATE (o)-[new:CANDIDATE_FOR]->(e) SET new = properties(c), new += said, new.openedMjdTai = turn "
        "SET c.open = false, c.closedMjdTai = turn, c.closedBecause = 'vetting'",
        event=event,
        kind=Kind.VETTING,
    ).consume()


def _write(tx: ManagedTransaction, acts: Sequence[Act]) -> None:
    rows = [row for act in acts for row in act.annotations()]
    _lock(tx, rows)
    tx.run("UNWIND $rows AS r MERGE (a:Annotation {key: r.key}) SET a += r", rows=rows).consume()
    for label, name in (("Object", "objectKey"), ("Event", "eventKey")):
        _hang(tx, label, [{"key": row["key"], "about": row[name]} for row in rows if row[name] is not None])
    tx.run(
        "UNWIND $subjects AS subject MATCH (a:Annotation {subject: subject}) "
        "WITH subject, a ORDER BY a.createdMjdTai, a.key WITH subject, collect(a) AS acts "
        "UNWIND range(0, size(acts) - 1) AS i WITH acts[i] AS a, acts[i + 1] AS next "
        "SET a.current = next IS NULL, "
        "a.withdrawnMjdTai = CASE WHEN a.kind IN $replaced THEN next.createdMjdTai END",
        replaced=[Kind.TAG, Kind.WATCH],
        subjects=sorted({row["subject"] for row in rows}),
    ).consume()
    for event in sorted({row["eventKey"] for row in rows if row["kind"] == Kind.VETTING}):
        take_vetting(tx, event)
    mark_changed(tx, (row["eventKey"] for row in rows if row["eventKey"] is not None))


def _lock(tx: ManagedTransaction, rows: list[dict[str, Any]]) -> None:
    for event in sorted({row["eventKey"] for row in rows if row["eventKey"] is not None}):
        lock_event(tx, event)
    objects = sorted({row["objectKey"] for row in rows if row["objectKey"] is not None})
    tx.run("UNWIND $keys AS key MATCH (o:Object {key: key}) SET o.key = o.key", keys=objects).consume()
    tx.run("MATCH (f:Asterism {key: 'format'}) SET f.key = f.key").consume()


def _hang(tx: ManagedTransaction, label: str, pairs: list[dict[str, Any]]) -> None:
    tx.run(
        f"UNWIND $pairs AS p MATCH (a:Annotation {{key: p.key}}), (n:{label} {{key: p.about}}) MERGE (a)-[:ABOUT]->(n)",
        pairs=pairs,
    ).consume()
