"""What science modules found, as evidence on objects: idempotent, and the same whatever the order or repetition.

- Objects are matched, never made: whoever calls has written the detections first. Evidence on an unknown object is
  left out and counted.
- The same pair of object and source may be found from several alerts. One edge is kept, that of the highest module
  version, then of a public alert, then of the earliest: the alert an object has its position from. The edges
  together are the union over all alerts.
- The same classification may be computed with more or fewer alerts known. The one that saw most is kept.
- ``public`` tells on both whether restricted alerts were used. What is public comes first in all choices, so that
  it cannot be hidden by what may not be shown.
- Of an object's classifications by one module, exactly one is ``current``: that of the highest version, then of
  the newest alert. Which *older* ones exist depends on how alerts were batched; the digest leaves them out.
- Locks are taken in one order (objects, then sources or classifications, each by key), so that writers wait for
  each other instead of deadlocking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from neo4j import Driver, ManagedTransaction

from asterism.graph.connection import write
from asterism.graph.errors import EvidenceTableError
from asterism.records import CATALOGUE_MATCH, CLASSIFICATION, Status

BATCH_ROWS = 1000
"""Rows per transaction."""

Row = dict[str, Any]

SOURCE_REQUIRED = ("catalogue", "release", "id", "class", "ra", "dec", "hpx29")
SOURCE_PROPERTIES = (*SOURCE_REQUIRED, "type", "distanceMpc", "redshift", "mag")
"""Properties of a ``CatalogSource`` beside ``key``: they never change, for a release does not."""
MATCH_PROPERTIES = ("separationArcsec", "rank", "pChance", "module", "version", "public", "mjdTai", "alertKey")
"""Properties of ``MATCHES``."""
CLASSIFICATION_PROPERTIES = (
    "objectKey",
    "module",
    "version",
    "lastSourceId",
    "lastMjdTai",
    "public",
    "alerts",
    "detections",
    "class",
    "prob",
    "fadeRate",
    "fadeRateErr",
)
"""Properties of a ``Classification`` beside ``key`` and ``current``."""

_LOCK_OBJECTS = "UNWIND $keys AS key MATCH (o:Object {key: key}) SET o.key = key RETURN o.key AS key"
_SET_SOURCES = "UNWIND $rows AS r MERGE (c:CatalogSource {key: r.key}) SET c += r.values"
_STORED_MATCHES = (
    "UNWIND $pairs AS p MATCH (:Object {key: p[0]})-[m:MATCHES]->(:CatalogSource {key: p[1]}) "
    "RETURN p[0] AS one, p[1] AS two, properties(m) AS values"
)
_SET_MATCHES = (
    "UNWIND $rows AS r MATCH (o:Object {key: r.one}), (c:CatalogSource {key: r.two}) "
    "MERGE (o)-[m:MATCHES]->(c) SET m = r.values"
)
_STORED_CLASSIFICATIONS = (
    "UNWIND $pairs AS p MATCH (k:Classification {key: p[1]}) RETURN p[0] AS one, p[1] AS two, properties(k) AS values"
)
_SET_CLASSIFICATIONS = (
    "UNWIND $rows AS r MATCH (o:Object {key: r.one}) MERGE (k:Classification {key: r.two}) "
    "SET k += r.values MERGE (o)-[:CLASSIFIED_AS]->(k)"
)
_SET_CURRENT = (
    "UNWIND $keys AS key MATCH (:Object {key: key})-[:CLASSIFIED_AS]->(k:Classification) "
    "WITH key, k ORDER BY k.public DESC, k.version DESC, k.lastMjdTai DESC, "
    "size(k.lastSourceId) DESC, k.lastSourceId DESC "
    "WITH key, k.module AS module, collect(k) AS best UNWIND range(0, size(best) - 1) AS i "
    "WITH best[i] AS k, i = 0 AS current WHERE k.current IS NULL OR k.current <> current SET k.current = current"
)


@dataclass(frozen=True)
class EvidenceCounts:
    """What a write changed.

    Parameters
    ----------
    rows : int
        Pieces of evidence given, each once.
    nodes_created, edges_created : int
        Nodes and edges that did not exist before.
    changed : int
        Pieces that are new or gave way to better ones.
    unknown_objects : int
        Pieces left out because their object is not in the graph.
    """

    rows: int = 0
    nodes_created: int = 0
    edges_created: int = 0
    changed: int = 0
    unknown_objects: int = 0

    def __add__(self, other: EvidenceCounts) -> EvidenceCounts:
        return EvidenceCounts(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


def write_matches(driver: Driver, table: pa.Table, *, database: str) -> EvidenceCounts:
    """Write catalogued sources and the edges from objects to them; rows that found none are passed over.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver; one session is used.
    table : pyarrow.Table
        Schema `asterism.records.CATALOGUE_MATCH`, any order, repeated at will.
    database : str
        Name of the database, initialised.

    Raises
    ------
    EvidenceTableError
        If the table is of another schema.
    GraphError
        If Neo4j does not take the rows; what was written before stays, and writing again is harmless.
    """
    found = _checked(table, CATALOGUE_MATCH)
    found = found.filter(pc.equal(found["status"], Status.VALUE.value))
    for name in ("sourceKey", *SOURCE_REQUIRED, *MATCH_PROPERTIES):
        if found[name].null_count:
            raise EvidenceTableError(f"{found[name].null_count} matches have no {name}")
    rows = found.to_pylist()
    return _in_batches(driver, database, _best(rows, ("objectKey", "sourceKey"), _match_rank), _write_matches)


def write_classifications(driver: Driver, table: pa.Table, *, database: str) -> EvidenceCounts:
    """Write classifications and which of them are current; failed ones are passed over.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver; one session is used.
    table : pyarrow.Table
        Schema `asterism.records.CLASSIFICATION`, any order, repeated at will.
    database : str
        Name of the database, initialised.

    Raises
    ------
    EvidenceTableError
        If the table is of another schema.
    GraphError
        As for `write_matches`.
    """
    given = _checked(table, CLASSIFICATION)
    rows = given.filter(pc.not_equal(given["status"], Status.FAILED.value)).to_pylist()
    for row in rows:
        row["key"] = ":".join(str(row[name]) for name in ("objectKey", "module", "version", "lastSourceId"))
    return _in_batches(driver, database, _best(rows, ("objectKey", "key"), _classification_rank), _write_classes)


def _checked(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of `schema`, or raise if they are not there or hold what cannot be written."""
    try:
        chosen = table.select(schema.names)
    except KeyError as error:
        raise EvidenceTableError(f"there is not one column of each name: {error}") from error
    for field in schema:
        column = chosen[field.name]
        if column.type != field.type or (column.null_count and not field.nullable):
            raise EvidenceTableError(f"column {field.name} is {column.type} with {column.null_count} nulls")
        if pa.types.is_floating(field.type) and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise EvidenceTableError(f"column {field.name} holds numbers that are not finite")
    return chosen


def _best(rows: list[Row], names: tuple[str, str], rank: Callable[[Row], Any]) -> dict[tuple[str, str], Row]:
    """Return the best row of each pair, in the order of pairs."""
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        pair = row[names[0]], row[names[1]]
        if pair not in best or rank(row) < rank(best[pair]):
            best[pair] = row
    return dict(sorted(best.items()))


def _match_rank(row: Row) -> tuple[Any, ...]:
    """Return what decides between matches of one pair, smaller is better; equal only where all is equal."""
    when = (-row["version"], not row["public"], row["mjdTai"], row["alertKey"])
    return *when, row["separationArcsec"], row["rank"], row["pChance"], row["module"]


def _classification_rank(row: Row) -> tuple[Any, ...]:
    """Return what decides between classifications of one key, smaller is better; equal only where all is equal."""
    values = [row.get(name) for name in ("prob", "fadeRate", "fadeRateErr")]
    known = [(value is None, value or 0.0) for value in values]
    return not row["public"], -row["alerts"], -row["detections"], row["class"], *known, row["lastMjdTai"]


Work = Callable[[ManagedTransaction, dict[tuple[str, str], Row]], EvidenceCounts]


def _in_batches(driver: Driver, database: str, rows: dict[tuple[str, str], Row], work: Work) -> EvidenceCounts:
    counts = EvidenceCounts()
    if rows:
        with driver.session(database=database) as session:
            for batch in _batches(rows):
                counts += write(session, work, batch)
    return counts


def _batches(rows: dict[tuple[str, str], Row]) -> Iterator[dict[tuple[str, str], Row]]:
    pairs = list(rows)
    for start in range(0, len(pairs), BATCH_ROWS):
        yield {pair: rows[pair] for pair in pairs[start : start + BATCH_ROWS]}


def _write_matches(tx: ManagedTransaction, batch: dict[tuple[str, str], Row]) -> EvidenceCounts:
    known = _of_known_objects(tx, batch)
    better = _better(tx, known, _STORED_MATCHES, _match_rank)
    sources = {pair[1]: {name: row[name] for name in SOURCE_PROPERTIES} for pair, row in better.items()}
    rows = [{"key": key, "values": sources[key]} for key in sorted(sources)]
    made = tx.run(_SET_SOURCES, rows=rows).consume().counters.nodes_created
    edges = _set(tx, better, _SET_MATCHES, MATCH_PROPERTIES).relationships_created
    return EvidenceCounts(len(batch), made, edges, len(better), len(batch) - len(known))


def _write_classes(tx: ManagedTransaction, batch: dict[tuple[str, str], Row]) -> EvidenceCounts:
    known = _of_known_objects(tx, batch)
    better = _better(tx, known, _STORED_CLASSIFICATIONS, _classification_rank)
    counters = _set(tx, better, _SET_CLASSIFICATIONS, CLASSIFICATION_PROPERTIES)
    tx.run(_SET_CURRENT, keys=sorted({pair[0] for pair in better})).consume()
    made = counters.nodes_created, counters.relationships_created
    return EvidenceCounts(len(batch), *made, len(better), len(batch) - len(known))


def _of_known_objects(tx: ManagedTransaction, batch: dict[tuple[str, str], Row]) -> dict[tuple[str, str], Row]:
    """Lock the objects and return the rows of those there are."""
    there = {record["key"] for record in tx.run(_LOCK_OBJECTS, keys=sorted({pair[0] for pair in batch}))}
    return {pair: row for pair, row in batch.items() if pair[0] in there}


def _better(
    tx: ManagedTransaction, rows: dict[tuple[str, str], Row], stored: str, rank: Callable[[Row], Any]
) -> dict[tuple[str, str], Row]:
    """Return the rows that are new or rank before what is stored for the same pair."""
    found = tx.run(stored, pairs=[list(pair) for pair in rows])
    ranks = {(record["one"], record["two"]): rank(record["values"]) for record in found}
    return {pair: row for pair, row in rows.items() if pair not in ranks or rank(row) < ranks[pair]}


def _set(tx: ManagedTransaction, rows: dict[tuple[str, str], Row], statement: str, names: tuple[str, ...]) -> Any:
    values = [
        {"one": one, "two": two, "values": {name: row[name] for name in names}} for (one, two), row in rows.items()
    ]
    return tx.run(statement, rows=values).consume().counters
