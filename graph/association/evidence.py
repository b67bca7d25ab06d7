"""Reads what the graph holds of one candidate of one event, for `asterism.graph.association.explain` and its plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neo4j import ManagedTransaction, Session

from asterism.graph.association.explain import Case, Host
from asterism.graph.association.links import HELD
from asterism.graph.connection import read
from asterism.graph.errors import NoSuchLinkError
from asterism.graph.posterior import posterior
from asterism.graph.rows import AlertRow, EventRow, LinkRow, LocalizationRow, ObjectRow

CASE = f"""
MATCH (e:Event {{key: $event}})
MATCH (o:Object {{key: $object}})-[c:CANDIDATE_FOR]->(e)
WHERE (o.public OR $nonpublic) AND c.ruleSet = coalesce($ruleSet, e.ruleSet, c.ruleSet)
  AND ($asOf IS NULL OR {HELD})
WITH e, o, c ORDER BY c.open DESC, c.openedMjdTai DESC LIMIT 1
OPTIONAL MATCH (l:Localization {{key: c.localization}})
OPTIONAL MATCH (n:Notice)-[:LOCALIZES]->(l)
RETURN {EventRow.projection("e")} AS event, {LinkRow.projection("c")} AS link, {ObjectRow.projection("o")} AS object,
  CASE WHEN l IS NULL THEN null ELSE {LocalizationRow.projection("l")} END AS localization,
  n.mission AS mission, n.key AS notice, l.record AS record,
  COLLECT {{ MATCH (o)-[m:MATCHES]->(s:CatalogSource) WHERE m.public OR $nonpublic
    WITH s, m ORDER BY m.separationArcsec, s.key LIMIT 10
    RETURN [s.key, s.class, m.separationArcsec, s.distanceMpc, m.module, m.version] }} AS hosts
"""
"""The link of a pair that is open, else that was opened last, and all around it."""

PLACE = """
MATCH (o:Object)-[c:CANDIDATE_FOR]->(:Event {key: $event})
WHERE c.ruleSet = $ruleSet AND c.open AND (o.public OR $nonpublic)
RETURN count(c) AS candidates,
  sum(CASE WHEN c.logL > $logL OR (c.logL = $logL AND o.key < $object) THEN 1 ELSE 0 END) AS better
"""
"""How many open links an event has, and how many are better."""

NEIGHBOURS = f"""
MATCH (o:Object)-[c:CANDIDATE_FOR]->(:Event {{key: $event}})
WHERE c.ruleSet = $ruleSet AND c.open AND (o.public OR $nonpublic)
WITH o, c ORDER BY c.logL DESC, o.key LIMIT $first
RETURN {LinkRow.projection("c")} AS link, o.ra AS ra, o.dec AS dec, o.key AS key
"""
"""The best open links of an event."""

CURVE = f"""
MATCH (:Object {{key: $object}})-[:HAS_ALERT]->(a:Alert) WHERE a.public OR $nonpublic
RETURN {AlertRow.projection("a")} AS alert ORDER BY a.mjdTai, a.key
"""
"""The alerts of an object, oldest first."""


@dataclass(frozen=True)
class Neighbour:
    """Another candidate: where it is [deg] and how probable."""

    key: str
    ra: float
    dec: float
    probability: float


@dataclass(frozen=True)
class Evidence:
    """A case with what a picture of it needs.

    Attributes
    ----------
    case : Case
        What is explained.
    record : str or None
        The localization, as `asterism.graph.events.load_localization` reads it.
    neighbours : list of Neighbour
        The best candidates of the event.
    alerts : list of AlertRow
        Light curve, oldest first.
    """

    case: Case
    record: str | None
    neighbours: list[Neighbour]
    alerts: list[AlertRow]


def read_evidence(
    session: Session,
    object_key: str,
    event_key: str,
    *,
    rule_set: str | None = None,
    mjd_tai: float | None = None,
    show_nonpublic: bool = False,
    neighbours: int = 200,
) -> Evidence:
    """Read one candidate of one event.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    object_key, event_key : str
        The pair.
    rule_set : str, optional
        Under which it was scored; the event's own if not given.
    mjd_tai : float, optional
        The link that was held at this time, MJD TAI; by default the open one, or the last.
    show_nonpublic : bool
        Restricted objects and alerts, too.
    neighbours : int
        Most other candidates read.

    Raises
    ------
    NoSuchLinkError
        If there is no such link.
    """
    asked = {"event": event_key, "object": object_key, "ruleSet": rule_set, "asOf": mjd_tai}
    found = read(session, _read, asked | {"nonpublic": show_nonpublic, "first": neighbours})
    if found is None:
        when = "" if mjd_tai is None else " at that time"
        raise NoSuchLinkError(f"{object_key} is no candidate of {event_key}{when}, and was none")
    return found


def _read(tx: ManagedTransaction, asked: dict[str, Any]) -> Evidence | None:
    row = tx.run(CASE, asked).single()
    if row is None:
        return None
    event, link = EventRow.from_values(row["event"]), LinkRow.from_values(row["link"])
    asked = asked | {"ruleSet": link.rule_set, "logL": link.log_l}
    place = tx.run(PLACE, asked).single(strict=True)
    where = row["localization"]
    case = Case(
        event=event,
        link=link,
        target=ObjectRow.from_values(row["object"]),
        localization=None if where is None else LocalizationRow.from_values(where),
        mission=row["mission"],
        notice_key=row["notice"],
        rank=place["better"] + 1,
        candidates=place["candidates"],
        hosts=[Host(*values) for values in row["hosts"]],
    )
    others = [
        Neighbour(one["key"], one["ra"], one["dec"], _probability(event, LinkRow.from_values(one["link"])))
        for one in tx.run(NEIGHBOURS, asked)
    ]
    alerts = [AlertRow.from_values(one["alert"]) for one in tx.run(CURVE, asked)]
    return Evidence(case, row["record"], others, alerts)


def _probability(event: EventRow, link: LinkRow) -> float:
    belief = posterior(event, link)
    return 0.0 if belief is None else belief.value
