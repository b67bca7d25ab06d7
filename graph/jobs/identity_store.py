"""What the identity job reads from Neo4j and writes to it.

Objects come in pages in the order of their key, which the constraint's index gives for free: nothing is
sorted or held in the server. Only what differs is written, in short transactions, and an object's links are
replaced in one statement: a job that dies half-way leaves every object with its old or its new Source, and
the next run finishes the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from neo4j import Driver, ManagedTransaction

from asterism.graph.connection import read, write
from asterism.graph.jobs.sources import Assignment, Link, Member, SourceState

METHOD = "mutual-nearest"
"""How members of a Source were found: see `asterism.graph.jobs.pairs`."""

_PAGE = 20_000
_BATCH = 1_000

_OBJECTS = """
MATCH (o:Object) WHERE o.key > $after AND o.ra IS NOT NULL AND o.dec IS NOT NULL
WITH o ORDER BY o.key LIMIT $page
RETURN o.key, o.survey, o.ra, o.dec, coalesce(o.public, false),
       [(o)-[same:SAME_AS]->(s:Source) | [s.key, same.separationArcsec, same.radiusArcsec, same.method]]
ORDER BY o.key
"""

_SOURCES = """
MATCH (s:Source) WHERE s.key > $after
WITH s ORDER BY s.key LIMIT $page
RETURN s.key, s.ra, s.dec, s.mergedInto
ORDER BY s.key
"""

_WRITE_SOURCES = """
UNWIND $rows AS row
MERGE (s:Source {key: row[0]})
SET s.ra = row[1], s.dec = row[2], s.mergedInto = row[3]
"""

_WRITE_LINKS = """
UNWIND $rows AS row
MATCH (o:Object {key: row[0]})
CALL (o, row) {
  MATCH (o)-[former:SAME_AS]->(s:Source) WHERE row[1] IS NULL OR s.key <> row[1]
  DELETE former
}
CALL (o, row) {
  MATCH (s:Source {key: row[1]})
  MERGE (o)-[same:SAME_AS]->(s)
  SET same.separationArcsec = row[2], same.radiusArcsec = $radius, same.method = $method
}
"""


StoredLink = tuple[str, float | None, float | None, str | None]
"""Source key, separation [arcsec], radius of the job [arcsec] and method of a ``SAME_AS``."""


@dataclass(frozen=True)
class GraphState:
    """What the job found in the graph: objects in the order of their keys, links by object key, Sources by
    key."""

    members: Sequence[Member]
    links: dict[str, list[StoredLink]]
    sources: dict[str, SourceState]


@dataclass(frozen=True)
class Written:
    """How many nodes and links a run made, changed or removed; 0 and 0 if all was as it should be."""

    sources: int
    links: int


def read_state(driver: Driver, database: str) -> GraphState:
    """Return all objects that have a position, their links and all Sources.

    Raises
    ------
    GraphError
        If Neo4j does not answer.
    """
    members, links = [], {}
    for key, survey, ra, dec, public, stored in _pages(driver, database, _OBJECTS):
        members.append(Member(key, survey, ra, dec, public))
        if stored:
            links[key] = [tuple(link) for link in stored]
    members.sort(key=lambda member: member.key)
    sources = {key: SourceState(*state) for key, *state in _pages(driver, database, _SOURCES)}
    return GraphState(members, links, sources)


def write_assignment(
    driver: Driver, database: str, state: GraphState, wanted: Assignment, radius_arcsec: float
) -> Written:
    """Make Sources and links as they should be, touching only what differs.

    Raises
    ------
    GraphError
        If Neo4j does not do it; running again finishes the work.
    """
    sources = [
        [key, source.ra, source.dec, source.merged_into]
        for key, source in sorted(wanted.sources.items())
        if state.sources.get(key) != source
    ]
    links = [
        [key, link and link.source, link and link.separation_arcsec]
        for key in sorted(state.links.keys() | wanted.links.keys())
        if state.links.get(key, []) != _stored(link := wanted.links.get(key), radius_arcsec)
    ]
    with driver.session(database=database) as session:
        for rows in _batches(sources):
            write(session, _run, _WRITE_SOURCES, {"rows": rows})
        for rows in _batches(links):
            write(session, _run, _WRITE_LINKS, {"rows": rows, "radius": radius_arcsec, "method": METHOD})
    return Written(len(sources), len(links))


def _stored(link: Link | None, radius_arcsec: float) -> list[StoredLink]:
    return [] if link is None else [(link.source, link.separation_arcsec, radius_arcsec, METHOD)]


def _pages(driver: Driver, database: str, query: str) -> Iterator[list[Any]]:
    with driver.session(database=database) as session:
        after = ""
        while rows := read(session, _rows, query, {"after": after, "page": _PAGE}):
            yield from rows
            after = rows[-1][0]


def _batches(rows: list[list[Any]]) -> Iterator[list[list[Any]]]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]


def _rows(tx: ManagedTransaction, query: str, parameters: dict[str, Any]) -> list[list[Any]]:
    return tx.run(query, parameters).values()


def _run(tx: ManagedTransaction, query: str, parameters: dict[str, Any]) -> None:
    tx.run(query, parameters).consume()
