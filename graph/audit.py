"""What must be true of the graph at rest, counted, with examples of what is not.

Community Edition has no existence or type constraints, so this is where they are checked. Each rule is a query that
returns the keys that break it; positions are recomputed here. Everything is streamed: memory does not grow with the
graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from neo4j import Driver, ManagedTransaction, Session, unit_of_work

from asterism.errors import FormatError
from asterism.formats import check_stamp
from asterism.graph.connection import mapped_errors, read
from asterism.graph.schema import INDEXES, LABELS, RELATIONSHIP_INDEXES, constraint_name, read_stamp
from asterism.graph.writer import OBJECT_OPTIONAL, OBJECT_PROPERTIES
from asterism.records import SCIENCE
from asterism.sky.healpix import hpx29

EXAMPLES = 5
"""Keys reported per broken rule."""
RULE_SECONDS = 600.0
"""Longest time one rule may take [s]."""

_REQUIRED = {
    "Alert": ["contentHash", *(f.name for f in SCIENCE if not f.nullable and f.name != "alertKey")],
    "Object": ["survey", "objectId", *(n for n in OBJECT_PROPERTIES if n not in OBJECT_OPTIONAL)],
}


@dataclass(frozen=True)
class Violation:
    """A rule that does not hold.

    Parameters
    ----------
    rule : str
        Name of the rule.
    count : int
        How many nodes or relationships break it.
    examples : list of str
        The first keys among them.
    """

    rule: str
    count: int
    examples: list[str]


@dataclass(frozen=True)
class AuditReport:
    """The outcome of an audit.

    Parameters
    ----------
    rules : int
        Rules looked at.
    violations : list of Violation
        Those that do not hold.
    """

    rules: int
    violations: list[Violation]


def _missing(label: str) -> str:
    conditions = " OR ".join(f"n.{name} IS NULL" for name in _REQUIRED[label])
    return f"MATCH (n:{label}) WHERE {conditions} RETURN n.key"


_NOT_SWEPT = """
        AND NOT EXISTS { MATCH (w:Asterism {key: 'hot-window'}) WHERE o.lastMjdTai < w.fromMjdTai } RETURN o.key"""
"""Excuses objects whose alerts left the graph with their night (`asterism.graph.sweep`)."""

RULES: dict[str, str] = {
    "every node has a key": """
        MATCH (n) WHERE n.key IS NULL RETURN coalesce(head(labels(n)), 'a node without label')""",
    "an alert's key is its survey and source id": """
        MATCH (a:Alert) WHERE a.key <> a.survey + ':' + a.sourceId RETURN a.key""",
    "an object's key is its survey and object id": """
        MATCH (o:Object) WHERE o.key <> o.survey + ':' + o.objectId RETURN o.key""",
    "an alert has its required properties": _missing("Alert"),
    "an object has its required properties": _missing("Object"),
    "an alert with an object hangs on it": """
        MATCH (a:Alert) WHERE a.objectKey IS NOT NULL AND NOT EXISTS { (a)<-[:HAS_ALERT]-(:Object) } RETURN a.key""",
    "an alert hangs on no other object": """
        MATCH (o:Object)-[:HAS_ALERT]->(a:Alert) WHERE a.objectKey IS NULL OR a.objectKey <> o.key RETURN a.key""",
    "an alert hangs on its object once": """
        MATCH (a:Alert) WHERE COUNT { (a)<-[:HAS_ALERT]-() } > 1 RETURN a.key""",
    "an object has alerts": """
        MATCH (o:Object) WHERE NOT EXISTS { (o)-[:HAS_ALERT]->(:Alert) }"""
    + _NOT_SWEPT,
    "an object with a public alert is public": """
        MATCH (o:Object)-[:HAS_ALERT]->(a:Alert) WHERE a.public AND NOT o.public RETURN DISTINCT o.key""",
    "a public object has a public alert": """
        MATCH (o:Object) WHERE o.public AND NOT EXISTS { (o)-[:HAS_ALERT]->(a:Alert) WHERE a.public }"""
    + _NOT_SWEPT,
    "an object's times span its alerts": """
        MATCH (o:Object)-[:HAS_ALERT]->(a:Alert)
        WHERE a.public = o.public AND (a.mjdTai < o.firstMjdTai OR a.mjdTai > o.lastMjdTai)
        RETURN DISTINCT o.key""",
    "a source in use has two members or more": """
        MATCH (s:Source) WHERE s.mergedInto IS NULL AND COUNT { (s)<-[:SAME_AS]-(:Object) } = 1 RETURN s.key""",
    "a source merged into another has no members": """
        MATCH (s:Source)<-[:SAME_AS]-() WHERE s.mergedInto IS NOT NULL RETURN DISTINCT s.key""",
    "a source is merged into one that exists": """
        MATCH (s:Source) WHERE s.mergedInto IS NOT NULL AND NOT EXISTS { (:Source {key: s.mergedInto}) }
        RETURN s.key""",
    "an object belongs to one source at most": """
        MATCH (o:Object) WHERE COUNT { (o)-[:SAME_AS]->() } > 1 RETURN o.key""",
    "an annotation hangs on what it is about": """
        MATCH (a:Annotation)
        WHERE (a.objectKey IS NOT NULL AND NOT EXISTS { (a)-[:ABOUT]->(:Object {key: a.objectKey}) })
           OR (a.eventKey IS NOT NULL AND NOT EXISTS { (a)-[:ABOUT]->(:Event {key: a.eventKey}) })
        RETURN a.key""",
    "one annotation of a subject is current": """
        MATCH (a:Annotation) WITH a.subject AS subject, sum(CASE WHEN a.current THEN 1 ELSE 0 END) AS current
        WHERE current <> 1 RETURN subject""",
    "an open link's vetting is the last that was said of it": """
        MATCH (o:Object)<-[:ABOUT]-(a:Annotation {kind: 'vetting', current: true})-[:ABOUT]->(e:Event)
        MATCH (o)-[c:CANDIDATE_FOR]->(e) WHERE c.open AND c.vetting <> a.state RETURN o.key""",
}
"""Rules that a query decides: it returns the keys that break the rule."""

_POSITIONS = {
    f"the {label.lower()}'s hpx29 is that of its position": (
        f"MATCH (n:{label}) WHERE n.ra IS NOT NULL AND n.dec IS NOT NULL RETURN n.key, n.ra, n.dec, n.hpx29"
    )
    for label in ("Alert", "Object")
}
_CHUNK = 10_000


def audit(driver: Driver, database: str, advance: Callable[[], object] = lambda: None) -> AuditReport:
    """Check every rule.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    database : str
        Name of the database.
    advance : callable, optional
        Called after each rule.

    Raises
    ------
    GraphError
        If the graph cannot be read.
    """
    found: list[Violation] = []
    with driver.session(database=database) as session:
        for rule, broken in _outcomes(session):
            if broken.count:
                found.append(Violation(rule, broken.count, broken.examples))
            advance()
    return AuditReport(RULE_COUNT, found)


@dataclass(frozen=True)
class _Broken:
    count: int
    examples: list[str]


RULE_COUNT = 2 + len(RULES) + len(_POSITIONS)
"""How many rules there are."""


def _outcomes(session: Session) -> Iterator[tuple[str, _Broken]]:
    yield "the database carries the current format stamp", _counted(_stamp_problems(session))
    yield "constraints and indexes are in force", _counted(_schema_problems(session))
    for rule, query in RULES.items():
        yield rule, read(session, _broken_by_query, query)
    for rule, query in _POSITIONS.items():
        yield rule, read(session, _broken_positions, query)


def _counted(keys: Iterable[str | None]) -> _Broken:
    count, examples = 0, []
    for key in keys:
        count += 1
        if count <= EXAMPLES:
            examples.append(str(key))
    return _Broken(count, examples)


@unit_of_work(timeout=RULE_SECONDS)
def _broken_by_query(tx: ManagedTransaction, query: str) -> _Broken:
    return _counted(record[0] for record in tx.run(query))


@unit_of_work(timeout=RULE_SECONDS)
def _broken_positions(tx: ManagedTransaction, query: str) -> _Broken:
    return _counted(_misplaced(tx, query))


def _misplaced(tx: ManagedTransaction, query: str) -> Iterator[str]:
    result = tx.run(query)
    while rows := result.fetch(_CHUNK):
        keys, *positions, stored = zip(*(row.values() for row in rows), strict=True)
        ra, dec = np.asarray(positions, dtype=np.float64)
        possible = np.isfinite(ra) & (np.abs(dec) <= 90.0)
        expected = hpx29(np.where(possible, ra, 0.0), np.where(possible, dec, 0.0))
        for key, fits, cell, value in zip(keys, possible, expected.tolist(), stored, strict=True):
            if not fits or cell != value:
                yield key


def _stamp_problems(session: Session) -> Iterator[str]:
    stamp = read(session, read_stamp)
    try:
        check_stamp(stamp, "graph", "the database")
    except FormatError:
        yield f"found {stamp}"


def _schema_problems(session: Session) -> Iterator[str]:
    with mapped_errors("reading constraints and indexes"):
        constraints = {record["name"] for record in session.run("SHOW CONSTRAINTS YIELD name")}
        indexes = {r["name"] for r in session.run("SHOW INDEXES YIELD name, state WHERE state = 'ONLINE'")}
    yield from sorted({constraint_name(label) for label in LABELS} - constraints)
    yield from sorted((set(INDEXES) | set(RELATIONSHIP_INDEXES)) - indexes)
