"""Matches and classifications in a real graph: idempotent, order-safe, and never on objects of their own making."""

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
from asterism.graph.enrichment import EvidenceCounts, write_classifications, write_matches
from asterism.graph.errors import EvidenceTableError
from asterism.graph.schema import initialise
from asterism.graph.writer import write_detections
from asterism.records import CATALOGUE_MATCH, CLASSIFICATION
from asterism.sky.healpix import hpx29

pytestmark = pytest.mark.services

Row = dict[str, Any]
Make = Callable[..., Row]
Table = Callable[..., pa.Table]
Ask = Callable[..., list[list[Any]]]


def match(obj: int = 1, source: int = 1, **values: Any) -> Row:
    row: Row = dict.fromkeys(CATALOGUE_MATCH.names)
    row |= {
        "objectKey": f"ztf:ZTF{obj}",
        "alertKey": "ztf:1",
        "mjdTai": 59000.0,
        "public": True,
        "sourceKey": f"vsx:2024:{source}",
        "catalogue": "vsx",
        "release": "2024",
        "id": str(source),
        "class": "star",
        "ra": 10.0 + source,
        "dec": -20.0,
        "hpx29": int(hpx29(10.0 + source, -20.0)),
        "separationArcsec": 0.5,
        "rank": 1,
        "pChance": 0.001,
        "status": "value",
        "module": "catalogue-match",
        "version": 1,
    }
    return row | values


def nothing(obj: int, status: str) -> Row:
    row: Row = dict.fromkeys(CATALOGUE_MATCH.names)
    kept = ("objectKey", "alertKey", "mjdTai", "public", "module", "version")
    return row | {name: match(obj)[name] for name in kept} | {"status": status}


def classification(obj: int = 1, last: int = 10, **values: Any) -> Row:
    row: Row = dict.fromkeys(CLASSIFICATION.names)
    row |= {
        "objectKey": f"ztf:ZTF{obj}",
        "lastSourceId": str(last),
        "lastMjdTai": 59000.0 + last,
        "public": True,
        "alerts": 5,
        "detections": 4,
        "class": "fading",
        "prob": 0.75,
        "fadeRate": 0.5,
        "fadeRateErr": 0.125,
        "status": "value",
        "module": "rise-fade",
        "version": 1,
    }
    return row | values


def matches(*rows: Row) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=CATALOGUE_MATCH)


def classifications(*rows: Row) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=CLASSIFICATION)


@pytest.fixture
def objects(graph: Driver, detection: Make, detections: Table) -> Driver:
    """A graph with six objects."""
    make_objects(graph, detection, detections)
    return graph


def make_objects(driver: Driver, detection: Make, detections: Table) -> None:
    write_detections(driver, detections(*(detection(n, f"ZTF{n}") for n in range(6))), database="neo4j")


def test_a_match_arrives_with_its_source_and_every_value(objects: Driver, ask: Ask) -> None:
    row = match(distanceMpc=39.4, redshift=0.0098, mag=12.5, type="EA")
    counts = write_matches(objects, matches(row, nothing(2, "none"), nothing(3, "failed")), database="neo4j")
    assert counts == EvidenceCounts(rows=1, nodes_created=1, edges_created=1, changed=1)
    ((obj, edge, source),) = ask(
        "MATCH (o:Object)-[m:MATCHES]->(c:CatalogSource) RETURN o.key, properties(m), properties(c)"
    )
    assert obj == "ztf:ZTF1"
    assert edge == {
        name: row[name]
        for name in ("separationArcsec", "rank", "pChance", "module", "version", "public", "mjdTai", "alertKey")
    }
    assert source == {"key": "vsx:2024:1"} | {
        name: row[name]
        for name in (
            "catalogue",
            "release",
            "id",
            "class",
            "type",
            "ra",
            "dec",
            "hpx29",
            "distanceMpc",
            "redshift",
            "mag",
        )
    }
    assert audit(objects, "neo4j").violations == []


def test_writing_twice_changes_nothing(objects: Driver) -> None:
    tables = matches(match(), match(2), match(2, 2)), classifications(classification(), classification(last=11))
    write_matches(objects, tables[0], database="neo4j")
    write_classifications(objects, tables[1], database="neo4j")
    before = digest(objects, "neo4j")
    assert write_matches(objects, tables[0], database="neo4j") == EvidenceCounts(rows=3)
    assert write_classifications(objects, tables[1], database="neo4j") == EvidenceCounts(rows=2)
    assert digest(objects, "neo4j") == before


def test_evidence_on_an_unknown_object_makes_no_object(objects: Driver, ask: Ask) -> None:
    before = digest(objects, "neo4j")
    counts = write_matches(objects, matches(match(99)), database="neo4j")
    counts += write_classifications(objects, classifications(classification(99)), database="neo4j")
    assert counts == EvidenceCounts(rows=2, unknown_objects=2)
    assert digest(objects, "neo4j") == before
    assert ask("MATCH (n) WHERE n:CatalogSource OR n:Classification RETURN count(n)") == [[0]]


def a_night_of_evidence() -> tuple[list[Row], list[Row]]:
    """Matches from several alerts of each object, and classifications that saw more or less, all contradicting."""
    chance = random.Random(7)
    found = [
        match(
            chance.randrange(6),
            chance.randrange(4),
            alertKey=f"ztf:{alert}",
            mjdTai=59000.0 + alert // 2,
            public=chance.random() < 0.6,
            separationArcsec=chance.random(),
            rank=chance.choice([1, 2]),
            version=chance.choice([1, 1, 2]),
        )
        for alert in range(120)
    ]
    seen = [
        classification(
            chance.randrange(6),
            chance.choice([9, 10, 11, 100]),
            lastMjdTai=59000.0,
            public=chance.random() < 0.6,
            alerts=chance.choice([3, 4]),
            detections=2,
            version=chance.choice([1, 1, 10]),
            prob=chance.choice([None, 0.75]),
            fadeRate=chance.choice([None, 0.25, -0.25]),
            **chance.choice([{"class": "fading"}, {"class": "unknown", "status": "none"}]),
        )
        for _ in range(120)
    ]
    return found, seen


def test_any_order_batching_and_number_of_writers_end_in_the_same_graph(
    graph: Driver, detection: Make, detections: Table, ask: Ask
) -> None:
    found, seen = a_night_of_evidence()
    digests, states = set(), set()
    for seed in range(5):
        ask("MATCH (n) DETACH DELETE n")
        initialise(graph, "neo4j")
        make_objects(graph, detection, detections)
        chance = random.Random(seed)
        one, two = chance.sample(found, len(found)), chance.sample(seen, len(seen))
        size = (120, 17, 40, 5, 60)[seed]
        work: list[tuple[Callable[..., EvidenceCounts], pa.Table]] = [
            (write_matches, matches(*one[n : n + size])) for n in range(0, 120, size)
        ] + [(write_classifications, classifications(*two[n : n + size])) for n in range(0, 120, size)]
        with ThreadPoolExecutor(1 if seed < 3 else 4) as pool:
            list(pool.map(lambda item: item[0](graph, item[1], database="neo4j"), work))
        digests.add(digest(graph, "neo4j").hex)
        states.add(str(ask("MATCH (k:Classification) RETURN k.key, k.current ORDER BY k.key")))
    assert len(digests) == 1
    assert len(states) == 1


def test_of_a_pair_the_newest_version_then_the_public_then_the_earliest_alert_counts(objects: Driver, ask: Ask) -> None:
    def stored() -> list[Any]:
        return ask("MATCH ()-[m:MATCHES]->() RETURN m.version, m.public, m.mjdTai, m.separationArcsec")[0]

    steps: list[tuple[Row, list[Any]]] = [
        ({"mjdTai": 59005.0, "public": False}, [1, False, 59005.0, 0.5]),
        ({"mjdTai": 59006.0}, [1, True, 59006.0, 0.5]),
        ({"mjdTai": 59004.0, "separationArcsec": 0.25}, [1, True, 59004.0, 0.25]),
        ({"mjdTai": 59007.0}, [1, True, 59004.0, 0.25]),
        ({"mjdTai": 59008.0, "version": 2}, [2, True, 59008.0, 0.5]),
    ]
    for values, expected in steps:
        write_matches(objects, matches(match(**values)), database="neo4j")
        assert stored() == expected


def test_exactly_the_newest_classification_of_a_module_is_current(objects: Driver, ask: Ask) -> None:
    rows = [
        classification(last=9, lastMjdTai=59001.0),
        classification(last=100, lastMjdTai=59001.0),
        classification(last=7, lastMjdTai=59000.0),
        classification(last=500, lastMjdTai=59002.0, public=False),
        classification(last=100, lastMjdTai=59001.0, module="other"),
    ]
    for row in rows:
        write_classifications(objects, classifications(row), database="neo4j")
    keys = ask("MATCH (:Object)-[:CLASSIFIED_AS]->(k:Classification) WHERE k.current RETURN k.key ORDER BY k.key")
    assert keys == [["ztf:ZTF1:other:1:100"], ["ztf:ZTF1:rise-fade:1:100"]]
    assert ask("MATCH (k:Classification {current: false}) RETURN count(k)") == [[3]]


def test_batching_shows_in_the_history_only(graph: Driver, detection: Make, detections: Table, ask: Ask) -> None:
    """Alerts 9 and 10 classified one by one, or in one go."""
    digests = []
    for steps in ((9, 10), (10,)):
        ask("MATCH (n) DETACH DELETE n")
        initialise(graph, "neo4j")
        make_objects(graph, detection, detections)
        for last in steps:
            write_classifications(graph, classifications(classification(last=last)), database="neo4j")
        digests.append((digest(graph, "neo4j").hex, digest(graph, "neo4j", history=True).hex))
    assert digests[0][0] == digests[1][0]
    assert digests[0][1] != digests[1][1]


def test_of_one_classification_the_one_that_saw_most_alerts_counts(objects: Driver, ask: Ask) -> None:
    for alerts, rate in ((5, 0.5), (6, None), (5, 0.25)):
        row = classification(alerts=alerts, fadeRate=rate)
        write_classifications(objects, classifications(row), database="neo4j")
    ((values,),) = ask("MATCH (k:Classification) RETURN properties(k)")
    assert values["alerts"] == 6
    assert "fadeRate" not in values
    assert {"class", "prob", "fadeRateErr", "detections", "lastMjdTai", "current", "objectKey"} < values.keys()


def test_what_failed_is_not_written(objects: Driver) -> None:
    row = classification(status="failed")
    assert write_classifications(objects, classifications(row), database="neo4j") == EvidenceCounts()


@pytest.mark.parametrize(
    "table",
    [
        matches(match()).drop_columns(["rank"]),
        matches(match()).set_column(0, "objectKey", pa.array([1])),
        matches(match(separationArcsec=float("nan"))),
        matches(match(sourceKey=None)),
        matches(match(pChance=None)),
    ],
)
def test_a_table_that_is_not_of_the_schema_is_refused(objects: Driver, table: pa.Table) -> None:
    with pytest.raises(EvidenceTableError) as caught:
        write_matches(objects, table, database="neo4j")
    assert caught.value.code == "graph.bad_evidence"


def test_more_rows_than_a_transaction_holds_all_arrive(objects: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asterism.graph.enrichment.BATCH_ROWS", 3)
    rows = [match(n % 6, n) for n in range(20)]
    counts = write_matches(objects, matches(*rows), database="neo4j")
    assert counts == EvidenceCounts(rows=20, nodes_created=20, edges_created=20, changed=20)
