"""Objects of a region, from the graph: range seeks from ranges to objects, then their alerts up to the window's end.

What is seen later changes no verdict: a verdict does not depend on when it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from neo4j import ManagedTransaction, Session

from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import Cuts
from asterism.graph.association.sample import ALERTS, ObjectSample, join, join_sources, objects_of
from asterism.graph.connection import read

_COLUMNS = ", ".join(
    f"{'o' if name in {'firstMjdTai', 'ra', 'dec', 'hpx29'} else 'a'}.{name}"
    for name in ALERTS.names
    if name != "objectKey"
)
REGION_QUERY = (
    "UNWIND $ranges AS range MATCH (o:Object) WHERE o.hpx29 >= range[0] AND o.hpx29 < range[1] "
    "AND o.firstMjdTai >= $start AND o.firstMjdTai <= $end AND (o.public OR $nonpublic) "
    "AND NOT EXISTS { (o)-[:MATCHES]->(c:CatalogSource) WHERE c.class IN $classes } "
    "MATCH (o)-[:HAS_ALERT]->(a:Alert) WHERE (a.public OR $nonpublic) AND a.mjdTai <= $end "
    f"RETURN [o.key, {_COLUMNS}] AS row"
)
"""Alerts, up to the window's end, of the objects first seen in it inside the ranges; the plan seeks `Object(hpx29)`."""

CATALOGUED_QUERY = (
    "UNWIND $ranges AS range MATCH (o:Object) WHERE o.hpx29 >= range[0] AND o.hpx29 < range[1] "
    "AND (o.public OR $nonpublic) MATCH (o)-[:MATCHES]->(c:CatalogSource) WHERE c.class IN $classes "
    "WITH o, min(c.class) AS class MATCH (o)-[:HAS_ALERT]->(a:Alert) "
    "WHERE (a.public OR $nonpublic) AND a.mjdTai >= $start AND a.mjdTai <= $end "
    f"RETURN [o.key, {_COLUMNS}] AS row, class"
)
"""Alerts in the window of the objects inside the ranges that are known sources of some classes."""

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
    """
    where = {
        "ranges": [[int(lo), int(hi)] for lo, hi in zip(region.lo, region.hi, strict=True)],
        "start": region.start,
        "end": region.end,
        "nonpublic": show_nonpublic,
    }
    rows = read(session, _rows, REGION_QUERY, classes=list(cuts.catalogue_classes), **where)
    sample = objects_of(_alerts([row for row, _ in rows]), cuts)
    sample = sample.select(sample.passes)
    sources = read(session, _sources, sample.key.tolist(), show_nonpublic)
    sample = join_sources(sample, sources)
    sample = sample.select(sample.first >= region.start)
    if not catalogued:
        return sample
    rows = read(session, _rows, CATALOGUED_QUERY, classes=list(catalogued), **where)
    known = objects_of(_alerts([row for row, _ in rows]), cuts)
    class_of = {row[0]: name for row, name in rows}
    known = replace(known, known=np.array([class_of[key] for key in known.key.tolist()], dtype="U16"))
    return join(known.select(known.passes), sample)


def _alerts(rows: list[list[Any]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(ALERTS)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, ALERTS, strict=True)], schema=ALERTS)


def _sources(tx: ManagedTransaction, keys: list[str], nonpublic: bool) -> dict[str, tuple[str, float]]:
    found = tx.run(SOURCES_QUERY, keys=keys, nonpublic=nonpublic)
    return {record["key"]: (record["source"], record["first"]) for record in found}


def _rows(tx: ManagedTransaction, query: str, /, **parameters: Any) -> list[tuple[list[Any], str | None]]:
    return [(record["row"], record.get("class")) for record in tx.run(query, parameters)]
