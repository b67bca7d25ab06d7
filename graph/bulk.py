"""Detections into a graph that holds none: the same graph as `asterism.graph.writer` makes, sooner.

Nothing has to be looked for or compared: the state of every object is joined in memory, then objects, alerts and edges
are created, each once, by two sessions while this process prepares the next rows. Alerts that were delivered more than
once are left to the writer, which knows which packet counts. The uniqueness constraints stay in force, so a writer
beside this one makes it fail instead of leaving anything twice. Memory grows with the number of objects, by about 1 kB
each. ``make bench NAME=rebuild`` compares the two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from neo4j import Driver, ManagedTransaction

from asterism.graph.connection import read, write
from asterism.graph.merge import ObjectState, content_hash
from asterism.graph.visibility import mark_restricted
from asterism.graph.writer import ALERT_PROPERTIES, OBJECT_PROPERTIES, clean, dump_state, write_detections
from asterism.ids import split_key

BATCH_ROWS = 4000
"""Nodes per transaction."""
_SESSIONS = 2
"""Transactions at the same time."""

_OBJECT_KEY = 2 + ALERT_PROPERTIES.index("objectKey")
_ALERT = "a:Alert {key: r[0], contentHash: r[1], " + ", ".join(
    f"{name}: r[{at}]" for at, name in enumerate(ALERT_PROPERTIES, 2)
)
_CREATE_OBJECTS = "UNWIND $rows AS r CREATE (:Object {key: r[0], survey: r[1], objectId: r[2], " + (
    ", ".join(f"{name}: r[{at}]" for at, name in enumerate(OBJECT_PROPERTIES, 3)) + "})"
)
_CREATE_ALERTS = f"UNWIND $rows AS r MATCH (o:Object {{key: r[{_OBJECT_KEY}]}}) CREATE (o)-[:HAS_ALERT]->({_ALERT}}})"
_CREATE_LOOSE_ALERTS = f"UNWIND $rows AS r CREATE ({_ALERT}}})"


def holds_detections(driver: Driver, *, database: str) -> bool:
    """Tell whether a graph has an object or an alert."""
    with driver.session(database=database) as session:
        return read(session, _any)


def create_detections(
    driver: Driver, nights: Callable[[], Iterable[pa.Table]], *, database: str, advance: Callable[[int], object]
) -> int:
    """Write detections into a graph that holds none; return the number of rows.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    nights : callable
        Gives tables (schema `asterism.records.DETECTION`), the same whenever called; it is called four times.
    database : str
        Name of the database, initialised.
    advance : callable
        Called with the number of rows finished.

    Raises
    ------
    DetectionTableError
        If a required value is missing.
    GraphError
        If Neo4j does not take the rows, as when somebody else writes them too. `write_detections` can finish what was
        begun.
    """
    repeated, total = _repeated(nights()), 0
    if not all(pc.all(table["public"], min_count=0).as_py() for table in nights()):
        with driver.session(database=database) as session:
            write(session, mark_restricted)
    _create(driver, database, _CREATE_OBJECTS, _objects(nights()))
    for table in nights():
        again = pc.is_in(table["alertKey"], repeated)
        once = table.filter(pc.invert(again))
        bound = pc.is_valid(once["objectKey"])
        _create(driver, database, _CREATE_ALERTS, _alerts(once.filter(bound)))
        _create(driver, database, _CREATE_LOOSE_ALERTS, _alerts(once.filter(pc.invert(bound))))
        write_detections(driver, table.filter(again), database=database)
        total += table.num_rows
        advance(table.num_rows)
    return total


def _any(tx: ManagedTransaction) -> bool:
    found = tx.run("RETURN EXISTS { (:Object) } OR EXISTS { (:Alert) } AS found").single(strict=True)
    return bool(found["found"])


def _repeated(tables: Iterable[pa.Table]) -> pa.Array:
    """Return the keys of alerts that occur more than once."""
    keys = pa.chunked_array([chunk for table in tables for chunk in table["alertKey"].chunks], pa.string())
    counts = pc.value_counts(keys)
    return counts.filter(pc.greater(counts.field("counts"), 1)).field("values")


def _objects(tables: Iterable[pa.Table]) -> Iterator[list[Any]]:
    states: dict[str, ObjectState] = {}
    for table in tables:
        for row in _rows(table.filter(pc.is_valid(table["objectKey"]))):
            key, state = row["objectKey"], ObjectState.of(row, content_hash(tuple(row.values())))
            states[key] = states[key].join(state) if key in states else state
    for key in sorted(states):
        yield [key, *split_key(key), *dump_state(states[key])]


def _alerts(table: pa.Table) -> Iterator[list[Any]]:
    for row in _rows(table):
        yield [row["alertKey"], content_hash(tuple(row.values())), *(row[name] for name in ALERT_PROPERTIES)]


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in clean(table).to_batches(max_chunksize=BATCH_ROWS):
        yield from batch.to_pylist()


def _create(driver: Driver, database: str, statement: str, rows: Iterator[list[Any]]) -> None:
    """Run a statement on all rows. Those of one object stand together, so that sessions hardly wait for each other."""

    def run(batch: list[list[Any]]) -> None:
        with driver.session(database=database) as session:
            write(session, _run, statement, batch)

    running: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_SESSIONS) as pool:
        while batch := list(islice(rows, BATCH_ROWS)):
            if len(running) == _SESSIONS:
                running.popleft().result()
            running.append(pool.submit(run, batch))
        for future in running:
            future.result()


def _run(tx: ManagedTransaction, statement: str, rows: list[list[Any]]) -> None:
    tx.run(statement, rows=rows).consume()
