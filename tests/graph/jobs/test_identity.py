"""The identity job on a real Neo4j and a real Spark."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from neo4j import Driver
from pyspark.sql import SparkSession

from asterism.graph.digest import digest
from asterism.graph.errors import GraphNotInitialisedError
from asterism.graph.jobs.commands import job
from asterism.graph.jobs.errors import GraphJobError
from asterism.graph.jobs.identity import IdentityReport, identify
from asterism.graph.schema import initialise

pytestmark = [pytest.mark.services, pytest.mark.spark]

DATABASE = "neo4j"
ARCSEC = 1 / 3600


@pytest.fixture
def graph(empty_graph: Driver) -> Driver:
    initialise(empty_graph, DATABASE)
    return empty_graph


def put(graph: Driver, *objects: tuple[str, float, float], public: bool = True) -> None:
    """Store objects given as (key, ra, dec); an object that is there already moves."""
    graph.execute_query(
        "UNWIND $rows AS row MERGE (o:Object {key: row[0]})"
        " SET o.survey = split(row[0], ':')[0], o.ra = row[1], o.dec = row[2], o.public = $public",
        rows=[list(row) for row in objects],
        public=public,
    )


def links(graph: Driver) -> dict[str, tuple[str, float]]:
    """Return Source and separation [arcsec] by object key; fail if an object belongs to two Sources."""
    records = graph.execute_query(
        "MATCH (o:Object)-[same:SAME_AS]->(s:Source) RETURN o.key, s.key, same.separationArcsec"
    ).records
    found = {key: (source, separation) for key, source, separation in records}
    assert len(found) == len(records)
    return found


def merged(graph: Driver) -> dict[str, str | None]:
    return dict(
        record.values() for record in graph.execute_query("MATCH (s:Source) RETURN s.key, s.mergedInto").records
    )


def written(report: IdentityReport) -> tuple[int, int]:
    return report.sources_written, report.links_written


PLANTED = [
    ("lsst:1", 10.0, 5.0),
    ("ztf:ZTF18a", 10.0, 5.0 + 0.6 * ARCSEC),  # one source
    ("lsst:2", 200.0, -30.0),
    ("ztf:ZTF18b", 200.0, -30.0 + 1.2 * ARCSEC),  # too far
    ("lsst:3", 0.0, 60.0),
    ("ztf:ZTF18c", 360.0 - 0.8 * ARCSEC, 60.0),  # 0.4 arcsec, across RA 0
    ("ztf:ZTF18d", 80.0, 20.0),
    ("ztf:ZTF18e", 80.0, 20.0 + 0.2 * ARCSEC),  # same survey
]


def test_planted_pairs_are_found_and_no_others(graph: Driver, spark: SparkSession) -> None:
    put(graph, *PLANTED)
    report = identify(graph, DATABASE, spark)
    [run] = graph.execute_query("MATCH (r:Run) RETURN r").records
    assert run["r"]["kind"] == "identity"
    assert run["r"]["startedMjdTai"] < run["r"]["endedMjdTai"]
    assert links(graph) == {
        "lsst:1": ("lsst:1", 0.0),
        "ztf:ZTF18a": ("lsst:1", pytest.approx(0.6, rel=1e-6)),
        "lsst:3": ("lsst:3", 0.0),
        "ztf:ZTF18c": ("lsst:3", pytest.approx(0.4, rel=1e-6)),
    }
    assert (report.objects, report.pairs, report.sources, report.identified, report.largest) == (
        8,
        2,
        2,
        4,
        2,
    )
    assert written(report) == (2, 4)
    (edge,) = graph.execute_query("MATCH (:Object {key: 'lsst:1'})-[s:SAME_AS]->() RETURN properties(s) AS p").records
    assert edge["p"] == {"separationArcsec": 0.0, "radiusArcsec": 1.0, "method": "mutual-nearest"}
    (node,) = graph.execute_query("MATCH (s:Source {key: 'lsst:3'}) RETURN properties(s) AS p").records
    assert node["p"] == {"key": "lsst:3", "ra": 0.0, "dec": 60.0}


def test_a_second_run_writes_nothing_and_leaves_the_digest(graph: Driver, spark: SparkSession) -> None:
    put(graph, *PLANTED)
    identify(graph, DATABASE, spark)
    before = digest(graph, DATABASE)
    assert written(identify(graph, DATABASE, spark)) == (0, 0)
    assert digest(graph, DATABASE) == before


def test_the_order_in_which_objects_arrived_makes_no_difference(graph: Driver, spark: SparkSession) -> None:
    put(graph, *PLANTED)
    identify(graph, DATABASE, spark)
    before = digest(graph, DATABASE)
    graph.execute_query("MATCH (n:Object|Source) DETACH DELETE n")
    put(graph, *reversed(PLANTED))
    identify(graph, DATABASE, spark)
    assert digest(graph, DATABASE) == before


def test_sources_grow_merge_and_split_without_losing_their_names(graph: Driver, spark: SparkSession) -> None:
    put(graph, ("lsst:5", 10.0, 5.0), ("ztf:b", 10.0, 5.0 + 0.9 * ARCSEC))
    put(graph, ("gaia:7", 10.0, 5.0 + 3.0 * ARCSEC), ("wise:x", 10.0, 5.0 + 3.5 * ARCSEC))
    identify(graph, DATABASE, spark)
    assert merged(graph) == {"lsst:5": None, "gaia:7": None}

    put(graph, ("atlas:3", 10.0, 5.0 + 0.3 * ARCSEC))  # a new member, smaller than all
    assert written(identify(graph, DATABASE, spark)) == (1, 3)  # position and separations follow it
    assert {source for source, _ in links(graph).values()} == {"lsst:5", "gaia:7"}
    assert links(graph)["atlas:3"] == ("lsst:5", 0.0)

    put(graph, ("gaia:7", 10.0, 5.0 + 0.6 * ARCSEC), ("wise:x", 10.0, 5.0 + 0.7 * ARCSEC))  # they move together
    identify(graph, DATABASE, spark)
    assert merged(graph) == {"gaia:7": None, "lsst:5": "gaia:7"}
    assert {source for source, _ in links(graph).values()} == {"gaia:7"}
    assert len(links(graph)) == 5

    put(graph, ("gaia:7", 10.0, 5.0 + 3.0 * ARCSEC), ("wise:x", 10.0, 5.0 + 3.5 * ARCSEC))  # and apart again
    identify(graph, DATABASE, spark)
    assert merged(graph) == {"lsst:5": None, "gaia:7": None}
    assert links(graph)["ztf:b"][0] == "lsst:5"
    assert links(graph)["wise:x"][0] == "gaia:7"

    put(graph, ("wise:x", 10.0, 6.0))
    identify(graph, DATABASE, spark)
    assert links(graph).keys() == {"lsst:5", "ztf:b", "atlas:3"}
    assert merged(graph) == {"lsst:5": None, "gaia:7": None}


def test_a_run_that_died_half_way_is_finished_by_the_next(graph: Driver, spark: SparkSession) -> None:
    put(graph, *PLANTED)
    identify(graph, DATABASE, spark)
    before = digest(graph, DATABASE)
    graph.execute_query("MATCH (:Object {key: 'ztf:ZTF18a'})-[same:SAME_AS]->() DELETE same")
    graph.execute_query(
        "MATCH (o:Object {key: 'ztf:ZTF18c'}), (s:Source {key: 'lsst:1'})"
        " CREATE (o)-[:SAME_AS {separationArcsec: 9.0}]->(s)"
    )
    assert written(identify(graph, DATABASE, spark)) == (0, 2)
    assert digest(graph, DATABASE) == before


def test_a_restricted_object_lends_neither_name_nor_position_to_a_source(graph: Driver, spark: SparkSession) -> None:
    put(graph, ("lsst:1", 10.0, 5.0), public=False)
    put(graph, ("ztf:ZTF18a", 10.0, 5.0 + 0.5 * ARCSEC))
    identify(graph, DATABASE, spark)
    (node,) = graph.execute_query("MATCH (s:Source) RETURN s.key, s.dec").records
    assert node.values() == ["ztf:ZTF18a", 5.0 + 0.5 * ARCSEC]


def test_more_objects_than_one_page_or_transaction_holds(
    graph: Driver, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asterism.graph.jobs.identity_store._PAGE", 7)
    monkeypatch.setattr("asterism.graph.jobs.identity_store._BATCH", 4)
    pairs = [(n * 3.0, n * 2.0 - 60.0) for n in range(50)]
    put(graph, *[(f"lsst:{n}", ra, dec) for n, (ra, dec) in enumerate(pairs)])
    put(graph, *[(f"ztf:{n}", ra, dec + 0.1 * ARCSEC) for n, (ra, dec) in enumerate(pairs)])
    assert written(identify(graph, DATABASE, spark)) == (50, 100)
    assert {key: source for key, (source, _) in links(graph).items()} == {
        f"{survey}:{n}": f"lsst:{n}" for survey in ("lsst", "ztf") for n in range(50)
    }


def test_a_graph_without_objects_is_no_error(graph: Driver, spark: SparkSession) -> None:
    report = identify(graph, DATABASE, spark)
    assert (report.objects, report.sources, report.largest) == (0, 0, 0)


def test_a_database_that_is_not_ours_is_left_alone(empty_graph: Driver, spark: SparkSession) -> None:
    put(empty_graph, *PLANTED)
    with pytest.raises(GraphNotInitialisedError):
        identify(empty_graph, DATABASE, spark)


def test_a_radius_out_of_bounds_is_refused(graph: Driver, spark: SparkSession) -> None:
    with pytest.raises(GraphJobError, match="61"):
        identify(graph, DATABASE, spark, radius_arcsec=61)
    assert CliRunner().invoke(job, ["identity", "--radius-arcsec", "0"]).exit_code == 2


@pytest.fixture
def command_stack(graph: Driver, stack: Any, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command find the test's Neo4j, and not stop the session that the other tests share."""
    monkeypatch.setenv("ASTERISM_NEO4J_URI", stack.neo4j_uri)
    monkeypatch.setenv("ASTERISM_NEO4J_PASSWORD", stack.neo4j_password)
    monkeypatch.setattr("pyspark.sql.SparkSession.stop", lambda _: None)
    put(graph, *PLANTED)
    del spark


@pytest.mark.usefixtures("command_stack")
def test_the_command_reports_in_json_and_in_words() -> None:
    result = CliRunner().invoke(job, ["identity", "--json"], catch_exceptions=False)
    report = json.loads(result.stdout)
    assert (report["objects"], report["sources"], report["links_written"]) == (8, 2, 4)
    assert report["engine"].startswith(("plain Spark DataFrames", "GraphFrames"))
    result = CliRunner().invoke(job, ["identity", "--radius-arcsec", "2"], catch_exceptions=False)
    assert "6 of 8 objects belong to 3 sources, at most 2 to one; 0 sources merged into others" in result.stdout
