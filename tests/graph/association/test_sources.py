"""Objects of one source on a real graph: counted once, and old news if any of them is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
from asterism.graph.writer import write_detections
from asterism.lake import Lake
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import hpx29

pytestmark = pytest.mark.services

T0 = 61000.0
CIRCLE = CircleLocalization(150.0, 2.0, 4.0, 0.68)
LINKS = (
    "MATCH (o:Object)-[c:CANDIDATE_FOR]->(e:Event) WHERE c.open "
    "RETURN o.key AS key, c.logL AS logL, c.delayDays AS delay, e.logSumL AS sum ORDER BY key"
)


def detection(number: int, survey: str, object_id: str, mjd: float, ra: float) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(DETECTION.names) | {"alertKey": f"{survey}:{number}", "survey": survey}
    row |= {"sourceId": str(number), "objectId": object_id, "objectKey": f"{survey}:{object_id}", "mjdTai": mjd}
    row |= {"ra": ra, "dec": 2.0, "hpx29": int(hpx29(ra, 2.0)), "night": 20251130, "band": "r", "mag": 20.0}
    return row | {"magErr": 0.1, "isPositive": True, "public": True, "topic": "t", "partition": 0, "offset": number}


def judged(driver: Driver, settings: Settings, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write alerts and an event, judge, and return the open links."""
    table = pa.Table.from_pylist(rows, schema=DETECTION)
    Lake(settings.lake_path).write_detections(table)
    write_detections(driver, table, database="neo4j")
    with driver.session() as session:
        session.run(
            "MERGE (l:Localization {key: 'n:0'}) SET l.record = $record MERGE (e:Event {key: 'gbm:1'}) SET "
            "e.kind = 'grb', e.standing = 'real', e.state = 'active', e.t0MjdTai = $t0, e.currentLocalization = 'n:0'",
            record=json.dumps(CIRCLE.as_record()),
            t0=T0,
        ).consume()
        for source, *members in (("lsst:1", "lsst:1", "ztf:a"), ("lsst:2", "lsst:2", "ztf:b")):
            session.run(
                "MERGE (s:Source {key: $source}) WITH s MATCH (o:Object) WHERE o.key IN $members "
                "MERGE (o)-[:SAME_AS]->(s)",
                source=source,
                members=members,
            ).consume()
        Associator(driver, settings, load_rules()).round()
        return [dict(record) for record in session.run(LINKS)]


def test_a_source_counts_once_and_is_as_old_as_its_oldest_object(
    installation: Callable[..., Settings], empty_graph: Driver
) -> None:
    rows = [
        detection(1, "ztf", "a", T0 + 0.3, 150.0),
        detection(2, "lsst", "1", T0 + 0.8, 150.0),
        detection(3, "ztf", "b", T0 - 5.0, 150.5),
        detection(4, "lsst", "2", T0 + 0.8, 150.5),
        detection(5, "ztf", "c", T0 + 0.5, 151.0),
    ]
    links = judged(empty_graph, installation(), rows)
    assert [link["key"] for link in links] == ["lsst:1", "ztf:a", "ztf:c"]
    assert [link["delay"] for link in links] == pytest.approx([0.3, 0.3, 0.5])
    assert links[0]["logL"] == pytest.approx(links[1]["logL"])
    assert links[0]["sum"] == pytest.approx(math.log(math.exp(links[0]["logL"]) + math.exp(links[2]["logL"])))
