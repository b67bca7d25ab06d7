"""A database is stamped, indexed and, if it is not ours, left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from neo4j import Driver

from asterism.errors import FormatError
from asterism.graph.connection import mapped_errors
from asterism.graph.errors import GraphNotInitialisedError, GraphQueryError
from asterism.graph.schema import INDEXES, LABELS, check_format, constraint_name, initialise

pytestmark = pytest.mark.services

Ask = Callable[..., list[list[Any]]]


def test_initialising_makes_every_constraint_and_index_and_the_stamp(graph: Driver, ask: Ask) -> None:
    check_format(graph, "neo4j")
    assert {row[0] for row in ask("SHOW CONSTRAINTS YIELD name")} >= {constraint_name(label) for label in LABELS}
    assert {row[0] for row in ask("SHOW INDEXES YIELD name, state WHERE state = 'ONLINE' RETURN name")} >= set(INDEXES)


def test_initialising_twice_does_nothing_more(graph: Driver, ask: Ask) -> None:
    assert initialise(graph, "neo4j").created == 0
    assert ask("MATCH (n) RETURN count(n)") == [[1]]


def test_a_key_is_unique_within_its_label(ask: Ask) -> None:
    for label in LABELS:
        ask(f"CREATE (:{label} {{key: 'x'}})")
        with pytest.raises(GraphQueryError, match="already exists"), mapped_errors("test"):
            ask(f"CREATE (:{label} {{key: 'x'}})")


def test_a_database_without_stamp_is_refused_by_name(empty_graph: Driver) -> None:
    with pytest.raises(GraphNotInitialisedError) as caught:
        check_format(empty_graph, "neo4j")
    assert caught.value.code == "graph.not_initialised"
    assert "graph init" in caught.value.advice


def test_a_database_of_another_format_version_is_refused(graph: Driver, ask: Ask) -> None:
    ask("MATCH (f:Asterism) SET f.version = 999")
    with pytest.raises(FormatError, match="999"):
        check_format(graph, "neo4j")
    with pytest.raises(FormatError, match="999"):
        initialise(graph, "neo4j")


def test_a_database_with_somebody_elses_nodes_is_left_alone(empty_graph: Driver) -> None:
    with empty_graph.session() as session:
        session.run("CREATE (:Invoice {number: 1})").consume()
    with pytest.raises(FormatError, match="no Asterism format stamp"):
        initialise(empty_graph, "neo4j")


def test_cone_searches_seek_the_index_range_by_range(graph: Driver) -> None:
    query = "UNWIND $ranges AS r MATCH (o:Object) WHERE r[0] <= o.hpx29 < r[1] RETURN o.key"
    with graph.session() as session:
        plan = session.run(f"EXPLAIN {query}", ranges=[[0, 9]]).consume().plan
    assert "NodeIndexSeekByRange" in str(plan)
