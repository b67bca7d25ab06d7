"""Old alerts leave the graph; nothing else does, and nothing that counts depends on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neo4j import Driver

from asterism import hotwindow
from asterism.graph.audit import audit
from asterism.graph.digest import digest
from asterism.graph.sweep import sweep
from asterism.graph.writer import write_detections
from asterism.hotwindow import first_night, nights_before
from asterism.lake import Lake

Ask = Callable[..., list[list[Any]]]
NIGHTS = (20231201, 20231231, 20240101, 20240130)
"""The first of the last 30 nights is 2024-01-01."""


@pytest.fixture
def table(detection: Callable[..., Any], detections: Callable[..., pa.Table]) -> pa.Table:
    """Two objects seen in each night, one only in the first, and a moving one."""
    rows = [
        detection(10 * at + n, f"ZTF{n}", night=night, mjdTai=hotwindow.mjd_of(night) + 0.3, nDetections=at + 1)
        for at, night in enumerate(NIGHTS)
        for n in range(3)
        if n < 2 or at == 0
    ]
    return detections(*rows, detection(99, None, night=NIGHTS[0], mjdTai=hotwindow.mjd_of(NIGHTS[0])))


@pytest.fixture
def lake(tmp_path: Path, table: pa.Table, graph: Driver) -> Lake:
    lake = Lake(tmp_path)
    lake.write_detections(table)
    write_detections(graph, table, database="neo4j")
    return lake


def alerts(ask: Ask) -> set[str]:
    return {key for (key,) in ask("MATCH (a:Alert) RETURN a.key")}


@given(st.dates().map(lambda day: int(f"{day:%Y%m%d}")).filter(lambda night: night > 20000000), st.integers(0, 400))
def test_nights_are_counted_by_the_calendar(night: int, count: int) -> None:
    earlier = nights_before(night, count)
    assert hotwindow.mjd_of(night) - hotwindow.mjd_of(earlier) == count


def test_the_date_of_a_night_has_the_published_mjd() -> None:
    assert hotwindow.mjd_of(20000101) == 51544.0


@pytest.mark.services
def test_only_alerts_before_the_window_go_and_objects_stay_as_they_were(graph: Driver, lake: Lake, ask: Ask) -> None:
    objects = ask("MATCH (o:Object) RETURN properties(o) ORDER BY o.key")
    done = sweep(graph, lake, database="neo4j")
    assert (done.first_night, done.alerts) == (20240101, 6)
    assert alerts(ask) == {"ztf:20", "ztf:21", "ztf:30", "ztf:31"}
    assert ask("MATCH (o:Object) RETURN properties(o) ORDER BY o.key") == objects
    assert audit(graph, "neo4j").violations == []
    assert sweep(graph, lake, database="neo4j").alerts == 0


@pytest.mark.services
def test_alerts_that_are_evidence_stay(graph: Driver, lake: Lake, ask: Ask) -> None:
    ask("MATCH (o:Object {key: 'ztf:ZTF0'}) CREATE (o)-[:CANDIDATE_FOR {open: false}]->(:Event {key: 'e:1'})")
    ask("MATCH (o:Object {key: 'ztf:ZTF2'}) CREATE (o)-[:CLASSIFIED_AS]->(:Classification {key: 'c:1'})")
    assert sweep(graph, lake, database="neo4j").alerts == 3
    assert {"ztf:0", "ztf:10", "ztf:2"} <= alerts(ask)


@pytest.mark.services
def test_the_window_never_moves_back(graph: Driver, lake: Lake) -> None:
    sweep(graph, lake, database="neo4j", nights=1)
    assert first_night(lake) == NIGHTS[-1]
    sweep(graph, lake, database="neo4j", nights=30)
    assert first_night(lake) == NIGHTS[-1]


@pytest.mark.services
def test_a_late_alert_of_an_old_night_changes_its_object_and_goes_with_the_next_sweep(
    graph: Driver, lake: Lake, table: pa.Table, ask: Ask
) -> None:
    sweep(graph, lake, database="neo4j")
    before = digest(graph, "neo4j")
    write_detections(graph, table, database="neo4j")
    assert len(alerts(ask)) == 10
    sweep(graph, lake, database="neo4j")
    assert digest(graph, "neo4j") == before


@pytest.mark.services
def test_the_audit_still_finds_an_object_of_the_window_without_alerts(graph: Driver, lake: Lake, ask: Ask) -> None:
    sweep(graph, lake, database="neo4j")
    ask("MATCH (a:Alert) WHERE a.objectKey = 'ztf:ZTF1' DETACH DELETE a")
    found = {item.rule: item.examples for item in audit(graph, "neo4j").violations}
    rules = ("an object has alerts", "a public object has a public alert")
    assert found == {rule: ["ztf:ZTF1"] for rule in rules}


@pytest.mark.services
def test_an_empty_lake_sweeps_nothing(graph: Driver, tmp_path: Path) -> None:
    assert sweep(graph, Lake(tmp_path), database="neo4j").first_night is None
