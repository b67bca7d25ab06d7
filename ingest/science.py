"""Science modules in the stream: catalogue matches and light-curve classes of the objects a batch touched.

Modules are pure (`asterism.enrich`); this is where their results are written. A catalogue that cannot be read gives
rows with status ``failed``, which say so and are not mistaken for "no match".
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from neo4j import Driver, ManagedTransaction

from asterism.enrich.match import CatalogueMatch
from asterism.enrich.risefade import RiseFade
from asterism.graph.connection import read
from asterism.graph.enrichment import write_classifications, write_matches
from asterism.records import DETECTION
from asterism.settings import Settings

CATALOGUE_MATCHES = "catalogue_matches"
"""The lake's side table of matches (`asterism.records.CATALOGUE_MATCH`)."""

_CURVE = RiseFade.inputs
_ALERTS = (
    "UNWIND $keys AS key MATCH (:Object {key: key})-[:HAS_ALERT]->(a:Alert) "
    f"RETURN [key, {', '.join(f'a.{name}' for name in _CURVE.names if name != 'objectKey')}] AS row"
)


def catalogue_matches(settings: Settings, alerts: pa.Table) -> pa.Table | None:
    """Match alerts (schema `DETECTION`) that have an object with the catalogues of the settings; None without any."""
    owned = alerts.filter(pc.is_valid(alerts["objectKey"]))
    if not settings.catalogues or owned.num_rows == 0:
        return None
    return CatalogueMatch(settings.catalogues).run(owned)


def write_science(driver: Driver, settings: Settings, alerts: pa.Table) -> None:
    """Write matches and classes of the objects that `alerts` (schema `DETECTION`, already in the graph) belong to.

    Raises
    ------
    GraphError
        If Neo4j does not take them.
    """
    matches = catalogue_matches(settings, alerts)
    if matches is not None:
        write_matches(driver, matches, database=settings.neo4j_database)
    keys = [key for key in alerts["objectKey"].unique().to_pylist() if key is not None]
    if keys:
        curves = _light_curves(driver, settings.neo4j_database, keys)
        write_classifications(driver, RiseFade().run(curves), database=settings.neo4j_database)


def _light_curves(driver: Driver, database: str, keys: list[str]) -> pa.Table:
    """Return all alerts of some objects, as far as the classifier needs them."""
    with driver.session(database=database) as session:
        rows = read(session, _rows, sorted(keys))
    names = ["objectKey", *(name for name in _CURVE.names if name != "objectKey")]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    fields = [DETECTION.field(name) for name in names]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, fields, strict=True)], names=names)


def _rows(tx: ManagedTransaction, keys: list[str]) -> list[list[object]]:
    return [record["row"] for record in tx.run(_ALERTS, keys=keys)]
