"""The bulk route makes the graph that the order-safe writer makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph import bulk
from asterism.graph.audit import audit
from asterism.graph.bulk import create_detections, holds_detections
from asterism.graph.digest import digest
from asterism.graph.errors import GraphQueryError
from asterism.graph.schema import initialise
from asterism.graph.writer import write_detections

pytestmark = pytest.mark.services


def nothing(rows: int) -> None:
    del rows


@pytest.fixture
def tables(detection: Callable[..., Any], detections: Callable[..., pa.Table]) -> list[pa.Table]:
    """Three nights: objects seen in several, restricted alerts, moving ones, copies, and packets that contradict."""
    rng = np.random.default_rng(5)
    rows = [
        detection(
            n,
            None if n % 11 == 0 else f"ZTF{rng.integers(40)}",
            mjdTai=59000.25 + float(rng.integers(3)),
            ra=float(rng.uniform(0, 360)),
            mag=float(rng.uniform(17, 21)) if n % 5 else None,
            public=bool(n % 4),
            nDetections=int(rng.integers(1, 9)),
        )
        for n in range(200)
    ]
    rows += (
        rows[:10] + [row | {"mag": 15.0} for row in rows[10:20]] + [row | {"objectKey": None} for row in rows[30:32]]
    )
    whole = detections(*rows)
    return [whole.slice(0, 90), whole.slice(90, 70), whole.slice(160)]


def test_both_routes_end_in_the_same_graph(
    graph: Driver, tables: list[pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH_ROWS", 17)
    assert not holds_detections(graph, database="neo4j")
    assert create_detections(graph, lambda: tables, database="neo4j", advance=nothing) == 222
    assert holds_detections(graph, database="neo4j")
    created = digest(graph, "neo4j")
    assert audit(graph, "neo4j").violations == []
    with graph.session() as session:
        session.run("MATCH (n) DETACH DELETE n").consume()
    initialise(graph, "neo4j")
    for table in reversed(tables):
        write_detections(graph, table, database="neo4j")
    assert digest(graph, "neo4j") == created


def test_what_a_killed_bulk_write_left_is_finished_by_the_writer(
    graph: Driver, tables: list[pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH_ROWS", 50)
    create_detections(graph, lambda: tables, database="neo4j", advance=nothing)
    whole = digest(graph, "neo4j")
    with graph.session() as session:
        session.run("MATCH (a:Alert) WHERE a.mjdTai > 59001 DETACH DELETE a").consume()
    for table in tables:
        write_detections(graph, table, database="neo4j")
    assert digest(graph, "neo4j") == whole


def test_a_writer_beside_it_is_noticed(graph: Driver, tables: list[pa.Table]) -> None:
    write_detections(graph, tables[0], database="neo4j")
    with pytest.raises(GraphQueryError):
        create_detections(graph, lambda: tables, database="neo4j", advance=nothing)
