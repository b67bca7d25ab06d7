"""`asterism.graph.events`: what it promises to any rule, here one of the test's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from neo4j import Driver

from asterism.errors import SkyError
from asterism.graph.events import (
    DerivedEvent,
    NoticeRow,
    known_deliveries,
    load_localization,
    localization_key,
    map_path,
    write_notices,
)
from asterism.graph.schema import initialise
from asterism.sky.circle import CircleLocalization


@pytest.fixture
def graph(empty_graph: Driver) -> Driver:
    initialise(empty_graph, "neo4j")
    return empty_graph


def row(
    number: int,
    event: str | None = "test:1",
    channels: tuple[str, ...] = ("a",),
    received: float = 60000.0,
    **values: Any,
) -> NoticeRow:
    key = f"{number:064x}"
    return NoticeRow(key, event, {"record": json.dumps(number)}, channels, received, **values)


def count_all(key: str, records: Sequence[str]) -> DerivedEvent:
    """Derive the simplest thing that depends on every notice: how many there are, and that the largest holds."""
    numbers = sorted(json.loads(record) for record in records)
    validity = tuple((f"{number:064x}", None, None, number == numbers[-1]) for number in numbers)
    links = tuple((f"{b:064x}", f"{a:064x}", "SUPERSEDES", True) for a, b in pairwise(numbers))
    return DerivedEvent(key, {"version": len(numbers), "state": "active"}, validity, links)


def values(driver: Driver, query: str, **parameters: Any) -> list[Any]:
    with driver.session() as session:
        return [record[0] for record in session.run(query, **parameters)]


@pytest.mark.services
def test_an_event_is_derived_from_all_its_notices_not_only_the_new_ones(graph: Driver) -> None:
    for number in (3, 1, 2, 3):
        write_notices(graph, [row(number, localization={"kind": "circle"})], count_all, database="neo4j")
    assert values(graph, "MATCH (e:Event) RETURN e.version") == [3]
    assert values(graph, "MATCH (l:Localization {current: true}) RETURN l.key") == [localization_key(f"{3:064x}")]


@pytest.mark.services
def test_links_that_no_longer_follow_are_removed(graph: Driver) -> None:
    pairs = (
        "MATCH (a:Notice)-[:SUPERSEDES]->(b:Notice) RETURN [toInteger(a.record), toInteger(b.record)] AS p ORDER BY p"
    )
    write_notices(graph, [row(1), row(3)], count_all, database="neo4j")
    assert values(graph, pairs) == [[3, 1]]
    write_notices(graph, [row(2)], count_all, database="neo4j")
    assert values(graph, pairs) == [[2, 1], [3, 2]]


@pytest.mark.services
def test_writers_of_one_event_wait_for_each_other_and_lose_nothing(graph: Driver) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: write_notices(graph, [row(n)], count_all, database="neo4j"), range(24)))
    assert values(graph, "MATCH (e:Event) RETURN e.version") == [24]
    assert values(graph, "MATCH (:Notice)-[r:SUPERSEDES]->(:Notice) RETURN count(r)") == [23]


@pytest.mark.services
def test_properties_of_other_parts_on_an_event_are_left_alone(graph: Driver) -> None:
    write_notices(graph, [row(1)], count_all, database="neo4j")
    values(graph, "MATCH (e:Event) SET e.sumL = 1.5, e.farHz = 1.0 RETURN 1")
    write_notices(graph, [row(2)], count_all, database="neo4j")
    (event,) = values(graph, "MATCH (e:Event) RETURN properties(e)")
    assert event.pop("changed") > 0
    assert event == {"key": "test:1", "version": 2, "state": "active", "sumL": 1.5}


@pytest.mark.services
def test_a_failing_rule_leaves_nothing_half_written(graph: Driver) -> None:
    def fail(key: str, records: Sequence[str]) -> DerivedEvent:
        raise ZeroDivisionError(key, records)

    with pytest.raises(ZeroDivisionError):
        write_notices(graph, [row(1)], fail, database="neo4j")
    assert values(graph, "MATCH (n) WHERE n:Notice OR n:Event RETURN n") == []


@pytest.mark.services
def test_deliveries_of_one_notice_add_up(graph: Driver) -> None:
    counts = write_notices(
        graph,
        [row(1, channels=("b",), received=60002.0), row(1, channels=("a",), received=60001.0)],
        count_all,
        database="neo4j",
    )
    assert (counts.notices_created, counts.events) == (1, ("test:1",))
    write_notices(graph, [row(1, channels=("c",), received=60003.0)], count_all, database="neo4j")
    key = f"{1:064x}"
    assert known_deliveries(graph, [key, "f" * 64], database="neo4j") == {key: ({"a", "b", "c"}, 60001.0)}


def test_a_record_gives_the_localization_back(tmp_path: Path) -> None:
    circle = CircleLocalization(10.0, 20.0, 1.5, 0.9)
    assert load_localization(json.dumps(circle.as_record()), tmp_path) == circle


def test_a_missing_map_says_how_to_get_it_back(tmp_path: Path) -> None:
    with pytest.raises(SkyError) as missing:
        load_localization(json.dumps({"kind": "skymap", "mapSha256": "0" * 64}), tmp_path)
    assert "replay" in missing.value.advice


@pytest.mark.parametrize("name", ["", "../x", "0" * 63, "G" * 64, "0" * 63 + "/"])
def test_a_map_is_named_by_a_hash_and_nothing_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(SkyError):
        map_path(tmp_path, name)
