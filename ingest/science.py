"""Science modules at work: catalogue matches in the stream, light-curve classes behind it.

Modules are pure (`asterism.enrich`); this is where their results are written. A catalogue that cannot be read gives
rows with status ``failed``, which say so and are not mistaken for "no match". Classes need all alerts of an object and
are not urgent: they follow the ledger, for the objects that events may care about.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from neo4j import Driver, ManagedTransaction

from asterism.enrich.match import CatalogueMatch
from asterism.enrich.risefade import RiseFade
from asterism.graph.association.regions import REGION_MATCHES
from asterism.graph.connection import read
from asterism.graph.enrichment import write_classifications
from asterism.lake import Lake
from asterism.ledger import LedgerTail
from asterism.records import DETECTION
from asterism.settings import Settings

_OBJECTS = 1000
"""Objects classified at once."""

_IN_REGION = pa.schema([("objectKey", pa.string())])
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


class Classifier:
    """Classifies the objects that alerts in an event's region belong to, behind the stream.

    Its first round takes in the lake as it is, the others the windows of batches that finished since.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    settings : Settings
        Database and lake.
    """

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver = driver
        self._database = settings.neo4j_database
        self._lake = Lake(settings.lake_path)
        self._tail = LedgerTail(self._lake.ledger_root)
        self._watched: set[str] = set()
        self._waiting: set[str] = set()
        self._begun = False

    def round(self) -> int:
        """Classify what batches touched since the last round; return the number of objects.

        An object that was once seen in a region is classified again whenever it is seen, also outside the event's
        window: so its class follows from its alerts, not from how they were cut into batches. What an error left undone
        is done in the next round.
        """
        if not self._begun:
            self._begin()
        for window in self._tail.new_windows():
            rows = self._lake.side_table(REGION_MATCHES, window, ["objectKey"])
            self._watched.update([] if rows is None else rows["objectKey"].drop_null().to_pylist())
            if self._watched:
                seen = self._lake.detections_of(window, ["objectKey"])["objectKey"].drop_null()
                self._waiting.update(self._watched.intersection(seen.to_pylist()))
        done = sorted(self._waiting)
        for start in range(0, len(done), _OBJECTS):
            curves = _light_curves(self._driver, self._database, done[start : start + _OBJECTS])
            write_classifications(self._driver, RiseFade().run(curves), database=self._database)
        self._waiting.difference_update(done)
        return len(done)

    def _begin(self) -> None:
        """Take in the whole lake: every object that was in a region has alerts to be classified by."""
        self._tail.skip()
        rows = self._lake.side_rows(REGION_MATCHES, _IN_REGION)
        self._watched.update(rows["objectKey"].drop_null().to_pylist())
        self._waiting.update(self._watched)
        self._begun = True


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
