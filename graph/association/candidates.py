"""Objects of a region: range seeks in the graph from ranges to objects, then their alerts up to the window's end, those
that have left the graph from the lake.

What is seen later changes no verdict: a verdict does not depend on when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from neo4j import ManagedTransaction, Session

from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import Cuts
from asterism.graph.association.sample import ALERTS, ObjectSample, join, join_sources, objects_of, with_classes
from asterism.graph.connection import read

RANGES_AT_ONCE = 32
"""Ranges of a region that are read by one query: a large region takes several, between which others may go first."""

_OBJECT = {"firstMjdTai", "ra", "dec", "hpx29"}
_OF_OBJECT = [name for name in ALERTS.names if name in _OBJECT]
_OF_ALERT = [name for name in ALERTS.names if name not in _OBJECT and name != "objectKey"]
_OBJECT_VALUES = f"o.key, {', '.join(f'o.{name}' for name in _OF_OBJECT)}"
_ALERT_VALUES = f"[{', '.join(f'a.{name}' for name in _OF_ALERT)}]"
_IN_RANGE = (
    "UNWIND $ranges AS range CALL (range) { MATCH (o:Object) WHERE o.hpx29 >= range[0] AND o.hpx29 < range[1] "
    "AND (o.public OR $nonpublic) "
)
REGION_QUERY = (
    f"{_IN_RANGE} AND o.firstMjdTai >= $start AND o.firstMjdTai <= $end "
    "AND NOT EXISTS { (o)-[:MATCHES]->(c:CatalogSource) WHERE c.class IN $classes } "
    "WITH o, COLLECT { MATCH (o)-[:HAS_ALERT]->(a:Alert) WHERE (a.public OR $nonpublic) AND a.mjdTai <= $end "
    f"RETURN {_ALERT_VALUES} }} AS alerts RETURN collect([{_OBJECT_VALUES}, alerts, null]) AS rows }} RETURN rows"
)
"""Objects first seen in the window inside the ranges, with their alerts up to its end; it seeks `Object(hpx29)`. What a
range holds travels as one row."""

CATALOGUED_QUERY = (
    f"{_IN_RANGE} MATCH (o)-[:MATCHES]->(c:CatalogSource) WHERE c.class IN $classes "
    "WITH o, min(c.class) AS class WITH o, class, COLLECT { MATCH (o)-[:HAS_ALERT]->(a:Alert) "
    "WHERE (a.public OR $nonpublic) AND a.mjdTai >= $start AND a.mjdTai <= $end "
    f"RETURN {_ALERT_VALUES} }} AS alerts RETURN collect([{_OBJECT_VALUES}, alerts, class]) AS rows }} RETURN rows"
)
"""Objects inside the ranges that are known sources of some classes, with their alerts in the window."""

SOURCES_QUERY = (
    "UNWIND $keys AS key MATCH (:Object {key: key})-[:SAME_AS]->(s:Source)<-[:SAME_AS]-(o:Object) "
    "WHERE (o.public OR $nonpublic) AND o.firstMjdTai IS NOT NULL "
    "RETURN key, s.key AS source, min(o.firstMjdTai) AS first"
)
"""Source of each object that belongs to one, and when any object of it was first seen."""


def region_objects(
    session: Session,
    region: EventRegion,
    cuts: Cuts,
    catalogued: Sequence[str] = (),
    *,
    show_nonpublic: bool = False,
    older: pa.Table | None = None,
    between: Callable[[], object] = lambda: None,
) -> ObjectSample:
    """Return the objects in a region's ranges that pass the cuts, with their sources first seen in its window.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    region : EventRegion
        Where and when.
    cuts : Cuts
        Which objects count.
    catalogued : sequence of str
        Classes of known sources that count whenever they were first seen, if they are seen in the window.
    show_nonpublic : bool
        Use restricted alerts too.
    older : pyarrow.Table, optional
        Alerts (schema `ALERTS`) that may have left the graph, whose objects never do.
    between : callable
        Called before each query; what it raises ends the search.
    """

    def rows_of(query: str, classes: Sequence[str]) -> list[list[Any]]:
        ranges = [[int(lo), int(hi)] for lo, hi in zip(region.lo, region.hi, strict=True)]
        where = {"start": region.start, "end": region.end, "nonpublic": show_nonpublic, "classes": list(classes)}
        found = []
        for at in range(0, len(ranges), RANGES_AT_ONCE):
            between()
            found += read(session, _rows, query, ranges=ranges[at : at + RANGES_AT_ONCE], **where)
        return found

    rows = rows_of(REGION_QUERY, cuts.catalogue_classes)
    sample = objects_of(_alerts(rows, older), cuts)
    sample = sample.select(sample.passes)
    between()
    sources = read(session, _sources, sample.key.tolist(), show_nonpublic)
    sample = join_sources(sample, sources)
    sample = sample.select(sample.first >= region.start)
    if not catalogued:
        return sample
    rows = rows_of(CATALOGUED_QUERY, catalogued)
    if older is not None:
        older = older.filter(pc.greater_equal(older["mjdTai"], region.start))
    known = objects_of(_alerts(rows, older), cuts)
    known = with_classes(known, {row[0]: row[-1] for row in rows})
    return join(known.select(known.passes), sample)


def _sources(tx: ManagedTransaction, keys: list[str], nonpublic: bool) -> dict[str, tuple[str, float]]:
    found = tx.run(SOURCES_QUERY, keys=keys, nonpublic=nonpublic)
    return {record["key"]: (record["source"], record["first"]) for record in found}


def _rows(tx: ManagedTransaction, query: str, /, **parameters: Any) -> list[list[Any]]:
    """Return key and properties of each object, its alerts, and its class."""
    return [row for record in tx.run(query, parameters) for row in record["rows"]]


def _alerts(rows: list[list[Any]], older: pa.Table | None) -> pa.Table:
    """Return one row per alert: of the graph, and of objects of the graph the older ones it no longer holds."""
    count = [len(row[-2]) for row in rows]
    of_object = list(zip(*(row[:-2] for row in rows), strict=True)) or [()] * (1 + len(_OF_OBJECT))
    of_alert = list(zip(*(alert for row in rows for alert in row[-2]), strict=True)) or [()] * len(_OF_ALERT)
    owner = pa.array(np.repeat(np.arange(len(rows)), count))
    objects = dict(zip(["objectKey", *_OF_OBJECT], of_object, strict=True))
    columns = {name: pa.array(values, ALERTS.field(name).type).take(owner) for name, values in objects.items()}
    columns |= {n: pa.array(v, ALERTS.field(n).type) for n, v in zip(_OF_ALERT, of_alert, strict=True)}
    alerts = pa.table({name: columns[name] for name in ALERTS.names}, schema=ALERTS)
    if older is None or not older.num_rows or not rows:
        return alerts
    place = pc.index_in(older["objectKey"], pa.array(objects["objectKey"], pa.string()))
    known = older.filter(pc.is_valid(place))
    at = pc.drop_null(place)
    for name in _OF_OBJECT:  # an object has one position, and the first detection that all its alerts tell
        values = pa.array(objects[name], ALERTS.field(name).type).take(at.combine_chunks())
        known = known.set_column(known.schema.get_field_index(name), ALERTS.field(name), values)
    return _distinct(pa.concat_tables([alerts, known]))


def _distinct(alerts: pa.Table) -> pa.Table:
    """Return rows that differ: what stands in graph and lake is one alert."""
    names = list(ALERTS.names)
    return alerts.group_by(names).aggregate([]).select(names).cast(ALERTS)
