"""Detections into the graph: idempotent, and the same whatever the order, repetition or number of writers.

- Nodes and edges are made by MERGE on a unique key; nothing is created blindly, incremented or counted.
- An object is locked, its stored state is read, joined with what the batch implies (`asterism.graph.merge`)
  and written only if that changed it. Locks are taken in the order of keys, objects before alerts, so that
  concurrent writers wait for each other instead of deadlocking; partitioning by object makes them not even
  wait.
- Two packets of one alert that differ leave the one with the smaller content hash, and only its edge.
- Property names are the column names of `asterism.records.SCIENCE`; unknown values are absent. Where the
  packet was read from is not stored: that depends on the delivery.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from neo4j import Driver, ManagedTransaction

from asterism.graph.connection import write
from asterism.graph.errors import DetectionTableError
from asterism.graph.merge import SCIENCE_NAMES, First, Last, ObjectState, content_hash
from asterism.graph.visibility import mark_restricted
from asterism.ids import split_key
from asterism.records import SCIENCE

BATCH_ROWS = 1000
"""Alerts per transaction."""

ALERT_PROPERTIES = tuple(
    name for name in SCIENCE_NAMES if name not in {"alertKey", "objectId", "nDetections", "firstMjdTai"}
)
"""Columns that become properties of an alert, beside ``key`` and ``contentHash``; the others describe its
object."""

_OBJECT_KEY = 2 + ALERT_PROPERTIES.index("objectKey")

OBJECT_PROPERTIES = (
    "public",
    "firstAlertMjdTai",
    "firstOrder",
    "ra",
    "dec",
    "hpx29",
    "lastMjdTai",
    "lastOrder",
    "lastAlertKey",
    "lastBand",
    "lastMag",
    "lastFlux",
    "firstMjdTai",
    "provisional",
    "nDetections",
    "brightestMag",
)
"""Properties of an object beside ``key``, ``survey`` and ``objectId``: an `ObjectState`, flattened."""

OBJECT_OPTIONAL = frozenset({"lastBand", "lastMag", "lastFlux", "nDetections", "brightestMag"})
"""Those among them that may be unknown."""

_LOCK_OBJECTS = f"""
UNWIND $keys AS key
MERGE (o:Object {{key: key}})
SET o.key = key
WITH o
RETURN [{", ".join(f"o.{name}" for name in OBJECT_PROPERTIES)}]
"""

_SET_OBJECTS = f"""
UNWIND $rows AS r
MATCH (o:Object {{key: r[0]}})
SET o.survey = r[1], o.objectId = r[2], {", ".join(f"o.{name} = r[{i}]" for i, name in enumerate(OBJECT_PROPERTIES, 3))}
"""

_SET_ALERTS = f"""
UNWIND $rows AS r
MERGE (a:Alert {{key: r[0]}})
SET a.key = r[0]
WITH a, r, a.contentHash AS stored
WHERE stored IS NULL OR r[1] < stored
SET a.contentHash = r[1], {", ".join(f"a.{name} = r[{i}]" for i, name in enumerate(ALERT_PROPERTIES, 2))}
"""

_EDGE = f"""
WITH a, r, stored
MATCH (o:Object {{key: r[{_OBJECT_KEY}]}})
MERGE (o)-[:HAS_ALERT]->(a)
"""

_REPLACED = "RETURN collect(CASE WHEN stored IS NOT NULL THEN r[0] END)"

_DROP_STALE_EDGES = """
UNWIND $keys AS key
MATCH (o:Object)-[edge:HAS_ALERT]->(a:Alert {key: key})
WHERE a.objectKey IS NULL OR o.key <> a.objectKey
DELETE edge
"""


@dataclass(frozen=True)
class WriteCounts:
    """What a write changed.

    Parameters
    ----------
    alerts : int
        Rows given.
    alerts_created, objects_created, edges_created : int
        Nodes and edges that did not exist before.
    alerts_replaced : int
        Alerts whose stored content gave way to another packet of the same key.
    objects_changed : int
        Objects, new ones included, whose state is another than before.
    """

    alerts: int = 0
    alerts_created: int = 0
    alerts_replaced: int = 0
    objects_created: int = 0
    objects_changed: int = 0
    edges_created: int = 0

    def __add__(self, other: WriteCounts) -> WriteCounts:
        return WriteCounts(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class _Batch:
    """What one transaction writes: each object and each alert once."""

    rows: int
    states: dict[str, ObjectState]
    alerts: list[list[Any]]
    loose_alerts: list[list[Any]]


def write_detections(driver: Driver, table: pa.Table, *, database: str) -> WriteCounts:
    """Write alerts, their objects and the edges between them.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver; one session is used.
    table : pyarrow.Table
        Schema `asterism.records.DETECTION`, any order, duplicates allowed. Columns of the position are not
        looked at.
    database : str
        Name of the database, initialised (`asterism.graph.schema.initialise`).

    Returns
    -------
    WriteCounts
        Zero everywhere but `alerts` when all was there already.

    Raises
    ------
    DetectionTableError
        If a column is missing or of another type, or a required value is null or not finite.
    GraphError
        If Neo4j does not take the rows; what was written before stays, and writing again is harmless.
    """
    counts = WriteCounts()
    cleaned = clean(table)
    with driver.session(database=database) as session:
        if not pc.all(cleaned["public"], min_count=0).as_py():
            write(session, mark_restricted)
        for batch in _batches(cleaned):
            counts += write(session, _write_batch, batch)
    return counts


def clean(table: pa.Table) -> pa.Table:
    """Return the science columns, sorted by object and alert, with optional floats finite or null."""
    columns = []
    for field in SCIENCE:
        if field.name not in table.schema.names or table.schema.field(field.name).type != field.type:
            raise DetectionTableError(f"column {field.name} of type {field.type} is missing")
        column = table[field.name]
        if pa.types.is_floating(field.type):
            # Adding zero turns -0.0 into 0.0: equal numbers must have one spelling.
            column = pc.if_else(pc.is_finite(column), pc.add(column, 0.0), None)
        if not field.nullable and column.null_count:
            raise DetectionTableError(f"{column.null_count} rows have no finite {field.name}")
        columns.append(column)
    science = pa.Table.from_arrays(columns, schema=pa.schema([pa.field(f.name, f.type) for f in SCIENCE]))
    return science.sort_by([("objectKey", "ascending"), ("alertKey", "ascending")])


def _batches(science: pa.Table) -> Iterator[_Batch]:
    for start in range(0, science.num_rows, BATCH_ROWS):
        states: dict[str, ObjectState] = {}
        alerts: dict[str, list[Any]] = {}
        rows = science.slice(start, BATCH_ROWS).to_pylist()
        for row in rows:
            content = content_hash(row.values())
            alert_key, object_key = row["alertKey"], row["objectKey"]
            if alert_key not in alerts or content < alerts[alert_key][1]:
                alerts[alert_key] = [alert_key, content, *(row[name] for name in ALERT_PROPERTIES)]
            if object_key is not None:
                state = ObjectState.of(row, content)
                states[object_key] = states[object_key].join(state) if object_key in states else state
        in_order = [alerts[key] for key in sorted(alerts)]
        bound = [alert for alert in in_order if alert[_OBJECT_KEY] is not None]
        loose = [alert for alert in in_order if alert[_OBJECT_KEY] is None]
        yield _Batch(len(rows), states, bound, loose)


def _write_batch(tx: ManagedTransaction, batch: _Batch) -> WriteCounts:
    objects_created, objects_changed = _write_objects(tx, batch.states)
    counts = WriteCounts(alerts=batch.rows, objects_created=objects_created, objects_changed=objects_changed)
    if batch.alerts:
        counts += _write_alerts(tx, batch.alerts, _SET_ALERTS + _EDGE + _REPLACED)
    if batch.loose_alerts:
        counts += _write_alerts(tx, batch.loose_alerts, _SET_ALERTS + _REPLACED)
    return counts


def _write_objects(tx: ManagedTransaction, states: dict[str, ObjectState]) -> tuple[int, int]:
    if not states:
        return 0, 0
    keys = sorted(states)
    result = tx.run(_LOCK_OBJECTS, keys=keys)
    stored = [record[0] for record in result]
    changed = []
    for key, values in zip(keys, stored, strict=True):
        before = _load_state(values)
        after = states[key] if before is None else before.join(states[key])
        if after != before:
            changed.append([key, *split_key(key), *dump_state(after)])
    if changed:
        tx.run(_SET_OBJECTS, rows=changed).consume()
    return result.consume().counters.nodes_created, len(changed)


def _write_alerts(tx: ManagedTransaction, rows: list[list[Any]], statement: str) -> WriteCounts:
    result = tx.run(statement, rows=rows)
    replaced: list[str] = result.single(strict=True)[0]
    if replaced:
        tx.run(_DROP_STALE_EDGES, keys=sorted(replaced)).consume()
    counters = result.consume().counters
    return WriteCounts(
        alerts_created=counters.nodes_created,
        alerts_replaced=len(replaced),
        edges_created=counters.relationships_created,
    )


def dump_state(state: ObjectState) -> list[Any]:
    """Return the values of `OBJECT_PROPERTIES`."""
    return [state.public, *state.first, *state.last, *state[3:]]


def _load_state(values: Sequence[Any]) -> ObjectState | None:
    """Return the state whose `OBJECT_PROPERTIES` are given; None for an object just made."""
    if values[0] is None:
        return None
    return ObjectState(values[0], First(*values[1:6]), Last(*values[6:12]), *values[12:])
