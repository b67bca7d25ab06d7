"""Detections in a real graph: idempotent, order-safe, exact."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.audit import audit
from asterism.graph.digest import digest
from asterism.graph.errors import DetectionTableError
from asterism.graph.schema import initialise
from asterism.graph.writer import ALERT_PROPERTIES, OBJECT_PROPERTIES, WriteCounts, write_detections
from asterism.records import DETECTION

pytestmark = pytest.mark.services

Row = dict[str, Any]
Make = Callable[..., Row]
Table = Callable[..., pa.Table]
Ask = Callable[..., list[list[Any]]]


def write(driver: Driver, table: pa.Table) -> WriteCounts:
    return write_detections(driver, table, database="neo4j")


def start_afresh(driver: Driver) -> None:
    with driver.session() as session:
        session.run("MATCH (n) DETACH DELETE n").consume()
    initialise(driver, "neo4j")


def a_small_night(detection: Make) -> list[Row]:
    """Alerts of few objects with everything that could make the order matter."""
    chance = random.Random(4)
    rows = [
        detection(
            chance.randrange(2**62),
            f"ZTF18{chance.randrange(6)}",
            mjdTai=chance.choice([59000.0, 59000.5, 59001.25]),
            ra=chance.uniform(0, 360),
            dec=chance.uniform(-90, 90),
            band=chance.choice(["g", "r", None]),
            mag=chance.choice([17.5, 20.25, None]),
            flux=chance.choice([-3.5, 1e3, None]),
            isPositive=chance.choice([True, False]),
            public=chance.random() < 0.6,
            nDetections=chance.choice([None, 3, 12]),
            firstMjdTai=chance.choice([None, 58000.0, 58500.0]),
        )
        for _ in range(40)
    ]
    altered = [row | {"mag": 18.0, "mjdTai": row["mjdTai"] + 0.1} for row in rows[:8]]
    moved = [row | {"objectKey": "ztf:ZTF18x", "objectId": "ZTF18x"} for row in rows[8:11]]
    lost = [row | {"objectKey": None, "objectId": None} for row in rows[11:13]]
    restricted = [row | {"public": not row["public"]} for row in rows[13:16]]
    solar_system = [detection(5000 + n, None, "lsst", ssObjectId="8268570668335894776") for n in range(3)]
    return rows + altered + moved + lost + restricted + solar_system


def test_every_column_arrives_with_its_exact_value(graph: Driver, detection: Make, detections: Table, ask: Ask) -> None:
    row = detection(2**53 + 1, 2**63 - 1, "lsst")
    for field in DETECTION:
        if row[field.name] is None and field.name != "publishedMs":
            values = {pa.string(): "x", pa.int32(): 3, pa.bool_(): False, pa.float64(): 0.1 + 0.2}
            row[field.name] = values[field.type]
    counts = write(graph, detections(row))
    assert counts == WriteCounts(alerts=1, alerts_created=1, objects_created=1, objects_changed=1, edges_created=1)
    ((alert, objekt),) = ask("MATCH (o:Object)-[:HAS_ALERT]->(a:Alert) RETURN properties(a), properties(o)")
    assert alert.pop("key") == "lsst:9007199254740993"
    assert len(alert.pop("contentHash")) == 16
    assert alert == {name: row[name] for name in ALERT_PROPERTIES}
    assert objekt["key"] == "lsst:9223372036854775807"
    assert objekt["objectId"] == "9223372036854775807"
    assert objekt["lastAlertKey"] == "lsst:9007199254740993"
    assert objekt.keys() == {"key", "survey", "objectId", *OBJECT_PROPERTIES}


def test_an_unknown_value_is_absent(graph: Driver, detection: Make, detections: Table, ask: Ask) -> None:
    write(graph, detections(detection(1, mag=None, flux=float("nan"), band=None)))
    ((alert,), (objekt,)) = ask("MATCH (n:Alert) RETURN keys(n) UNION ALL MATCH (n:Object) RETURN keys(n)")
    assert not {"mag", "flux", "band", "rb"} & set(alert)
    assert not {"lastMag", "lastFlux", "lastBand", "nDetections"} & set(objekt)


def test_writing_again_changes_nothing(graph: Driver, detection: Make, detections: Table) -> None:
    table = detections(*a_small_night(detection))
    write(graph, table)
    before = digest(graph, "neo4j")
    assert write(graph, table) == WriteCounts(alerts=table.num_rows)
    assert digest(graph, "neo4j") == before


def test_shuffled_late_and_duplicated_delivery_end_in_the_same_digest(
    graph: Driver, detection: Make, detections: Table
) -> None:
    rows = a_small_night(detection)
    digests = set()
    for seed in range(5):
        start_afresh(graph)
        chance = random.Random(seed)
        delivered = rows + chance.choices(rows, k=20)
        chance.shuffle(delivered)
        cuts = sorted(chance.sample(range(len(delivered)), 3))
        for start, stop in zip([0, *cuts], [*cuts, None], strict=True):
            write(graph, detections(*delivered[start:stop]))
        digests.add(digest(graph, "neo4j").hex)
    assert len(digests) == 1


def test_two_concurrent_writers_of_the_same_objects_end_in_the_same_digest(
    graph: Driver, detection: Make, detections: Table
) -> None:
    rows = a_small_night(detection) * 3
    write(graph, detections(*rows))
    expected = digest(graph, "neo4j")
    for seed in range(3):
        start_afresh(graph)
        chance = random.Random(seed)
        parts: list[list[Row]] = [[], []]
        for row in rows:
            chance.choice(parts).append(row)
        slices = [part[start : start + 9] for part in parts for start in range(0, len(part), 9)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda part: write(graph, detections(*part)), slices))
        assert digest(graph, "neo4j") == expected


def test_a_writer_waits_for_another_that_holds_the_object_and_then_sees_its_state(
    graph: Driver, detection: Make, detections: Table, ask: Ask
) -> None:
    write(graph, detections(detection(1, mjdTai=59000.0)))
    with graph.session() as session, ThreadPoolExecutor(1) as pool:
        holder = session.begin_transaction()
        holder.run("MATCH (o:Object) SET o.lastMjdTai = 59009.0, o.lastOrder = 'z'").consume()
        late = pool.submit(write, graph, detections(detection(2, mjdTai=59005.0)))
        with pytest.raises(TimeoutError):
            late.result(timeout=0.5)
        holder.commit()
        late.result(timeout=30)
    assert ask("MATCH (o:Object) RETURN o.lastMjdTai") == [[59009.0]]


def test_of_two_packets_of_one_alert_the_same_one_stays_whichever_comes_first(
    graph: Driver, detection: Make, detections: Table, ask: Ask
) -> None:
    one, two = detection(1, "A"), detection(1, "B", mag=10.0)
    found = []
    for order in ((one, two), (two, one)):
        start_afresh(graph)
        for row in order:
            write(graph, detections(row))
        found.append(ask("MATCH (o:Object)-[:HAS_ALERT]->(a:Alert) RETURN o.key, a.objectKey, a.mag"))
    assert found[0] == found[1]
    assert len(found[0]) == 1
    assert found[0][0][0] == found[0][0][1]


def test_an_object_shows_nothing_of_its_restricted_alerts_once_it_is_public(
    graph: Driver, detection: Make, detections: Table, ask: Ask
) -> None:
    restricted = detection(1, mjdTai=58000.0, ra=10.0, mag=12.0, public=False, nDetections=99, firstMjdTai=57000.0)
    write(graph, detections(restricted))
    assert ask("MATCH (o:Object) RETURN o.public, o.ra") == [[False, 10.0]]
    write(graph, detections(detection(2, mjdTai=59000.0, ra=10.001, mag=20.0)))
    write(graph, detections(restricted | {"alertKey": "ztf:3", "sourceId": "3", "mjdTai": 60000.0}))
    ((properties,),) = ask("MATCH (o:Object) RETURN properties(o)")
    assert properties["public"] is True
    assert (properties["ra"], properties["brightestMag"]) == (10.001, 20.0)
    assert properties["firstMjdTai"] == properties["lastMjdTai"] == 59000.0
    assert properties["lastAlertKey"] == "ztf:2"
    assert "nDetections" not in properties


def test_the_first_detection_is_provisional_until_the_survey_says(
    graph: Driver, detection: Make, detections: Table, ask: Ask
) -> None:
    write(graph, detections(detection(1, mjdTai=59000.0)))
    assert ask("MATCH (o:Object) RETURN o.firstMjdTai, o.provisional") == [[59000.0, True]]
    write(graph, detections(detection(2, mjdTai=59001.0, firstMjdTai=58321.5)))
    assert ask("MATCH (o:Object) RETURN o.firstMjdTai, o.provisional") == [[58321.5, False]]


def test_an_alert_of_a_solar_system_object_stands_alone(
    graph: Driver, detection: Make, detections: Table, ask: Ask
) -> None:
    counts = write(graph, detections(detection(1, None, "lsst", ssObjectId="123")))
    assert (counts.alerts_created, counts.objects_created, counts.edges_created) == (1, 0, 0)
    assert ask("MATCH (a:Alert) RETURN a.ssObjectId, a.objectKey") == [["123", None]]


def test_more_rows_than_a_batch_holds_are_all_written(graph: Driver, detection: Make, detections: Table) -> None:
    counts = write(graph, detections(*(detection(n, f"ZTF{n % 700}") for n in range(2100))))
    assert (counts.alerts_created, counts.objects_created, counts.edges_created) == (2100, 700, 2100)
    assert audit(graph, "neo4j").violations == []


def test_an_empty_table_writes_nothing(graph: Driver, detections: Table) -> None:
    assert write(graph, detections()) == WriteCounts()


@pytest.mark.parametrize("name", ["ra", "mjdTai"])
def test_a_required_number_that_is_not_finite_is_refused(
    graph: Driver, detection: Make, detections: Table, name: str
) -> None:
    table = detections(detection(1, hpx29=5, **{name: float("nan")}))
    with pytest.raises(DetectionTableError, match=name):
        write(graph, table)


def test_a_table_that_lacks_a_column_is_refused(graph: Driver, detection: Make, detections: Table) -> None:
    with pytest.raises(DetectionTableError, match="public"):
        write(graph, detections(detection(1)).drop_columns(["public"]))
