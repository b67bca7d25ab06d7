"""Rows to write into a graph, and a graph to write them to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.schema import initialise
from asterism.ids import make_key
from asterism.records import DETECTION
from asterism.sky.healpix import hpx29

DATABASE = "neo4j"


def make_detection(
    source: int | str = 1, object_id: int | str | None = "ZTF18abcdefg", survey: str = "ztf", **values: Any
) -> dict[str, Any]:
    """Return a plausible row of DETECTION; optional columns that are not named are null."""
    row: dict[str, Any] = dict.fromkeys(DETECTION.names)
    row |= {
        "alertKey": make_key(survey, source),
        "survey": survey,
        "sourceId": str(source),
        "objectKey": None if object_id is None else make_key(survey, object_id),
        "objectId": None if object_id is None else str(object_id),
        "mjdTai": 59000.25,
        "night": 20200530,
        "ra": 150.1,
        "dec": 2.2,
        "band": "g",
        "isPositive": True,
        "flux": 3630.78,
        "mag": 22.5,
        "public": True,
        "topic": "test",
        "partition": 0,
        "offset": 0,
    }
    row |= values
    if row["hpx29"] is None:
        row["hpx29"] = int(hpx29(row["ra"], row["dec"]))
    return row


def make_detections(*rows: dict[str, Any]) -> pa.Table:
    """Return the rows as a table, as if delivered in this order."""
    return pa.Table.from_pylist([row | {"offset": offset} for offset, row in enumerate(rows)], schema=DETECTION)


@pytest.fixture
def detection() -> Callable[..., dict[str, Any]]:
    """Make a row: ``detection(source, object_id, survey, **columns)``."""
    return make_detection


@pytest.fixture
def detections() -> Callable[..., pa.Table]:
    """Make a table of rows: ``detections(row, ...)``."""
    return make_detections


@pytest.fixture
def graph(empty_graph: Driver) -> Driver:
    """A driver of a graph that is initialised and holds nothing but its format stamp."""
    initialise(empty_graph, DATABASE)
    return empty_graph


@pytest.fixture
def ask(graph: Driver) -> Callable[..., list[list[Any]]]:
    """Run any statement and return the values of its rows."""

    def run(statement: str, **parameters: Any) -> list[list[Any]]:
        with graph.session(database=DATABASE) as session:
            return session.run(statement, parameters).values()

    return run
