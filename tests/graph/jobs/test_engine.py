"""The contract of `GraphEngine`, kept by both engines and checked against scipy."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from asterism.graph.jobs.engine import GraphEngine, choose_engine
from asterism.graph.jobs.errors import GraphEngineError, GraphJobError
from asterism.graph.jobs.graphframes import (
    JAR_VARIABLE,
    GraphFramesEngine,
    graphframes_jars,
    jar_release,
    wheel_release,
)
from asterism.graph.jobs.plain import PlainEngine
from asterism.settings import load_settings

pytestmark = pytest.mark.spark

Ids = NDArray[np.int64]
ENGINES: dict[str, Callable[[], GraphEngine]] = {
    "plain": PlainEngine,
    "graphframes-randomized_contraction": GraphFramesEngine,
    "graphframes-two_phase": lambda: GraphFramesEngine("two_phase"),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, spark: SparkSession) -> GraphEngine:
    if request.param != "plain" and jar_release(spark) is None:
        pytest.skip(f"GraphFrames jar {wheel_release()} not found (set {JAR_VARIABLE})")
    return ENGINES[request.param]()


def labels(spark: SparkSession, engine: GraphEngine, ids: Any, src: Any, dst: Any) -> dict[int, int]:
    """Run the engine and return the component of every vertex; fail if a vertex comes out twice."""
    result = engine.connected_components(table(spark, id=ids), table(spark, src=src, dst=dst))
    rows = result.toArrow()
    result.unpersist()
    assert [(f.name, f.type) for f in rows.schema] == [("id", pa.int64()), ("component", pa.int64())]
    found = dict(zip(rows["id"].to_pylist(), rows["component"].to_pylist(), strict=True))
    assert len(found) == rows.num_rows
    return found


def table(spark: SparkSession, **columns: Any) -> Any:
    return spark.createDataFrame(pa.table({name: pa.array(np.asarray(c, np.int64)) for name, c in columns.items()}))


def expected(ids: Any, src: Any, dst: Any) -> dict[int, int]:
    """Return the smallest member of each vertex's component, by scipy."""
    names = np.unique(np.asarray(ids, np.int64))
    ends = (
        np.searchsorted(names, np.asarray(src, np.int64)),
        np.searchsorted(names, np.asarray(dst, np.int64)),
    )
    matrix = coo_array((np.ones(len(ends[0])), ends), shape=(len(names), len(names)))
    label = connected_components(matrix, directed=False)[1]
    first = np.unique(label, return_index=True)[1]  # names are sorted, so the first member is the smallest
    return dict(zip(names.tolist(), names[first][label].tolist(), strict=True))


def chain(length: int, seed: int) -> tuple[Ids, Ids, Ids]:
    ids = np.random.default_rng(seed).permutation(length)
    return ids, ids[:-1], ids[1:]


def clump(size: int) -> tuple[Ids, Ids, Ids]:
    src, dst = np.triu_indices(size, 1)
    return np.arange(size), src, dst


def random_graph(vertices: int, edges: int, seed: int, scale: int = 1) -> tuple[Ids, Ids, Ids]:
    """Return a graph with self-loops, duplicated and reversed edges; ids spread over vertices * scale."""
    rng = np.random.default_rng(seed)
    ids = np.unique(rng.integers(0, vertices * scale, vertices))
    src, dst = rng.choice(ids, edges), rng.choice(ids, edges)
    again = rng.integers(0, edges, edges // 5)
    return ids, np.concatenate([src, dst[again], src[again]]), np.concatenate([dst, src[again], dst[again]])


GRAPHS = {
    "nothing": ([], [], []),
    "vertices without edges": ([5, 3, 9], [], []),
    "one self-loop": ([7], [7], [7]),
    "self-loops beside an edge": ([1, 2, 3], [1, 2, 3, 3], [1, 2, 3, 1]),
    "duplicated and reversed edges": ([1, 2, 3, 4], [4, 2, 4, 2, 4], [2, 4, 2, 4, 2]),
    "a vertex given twice": ([1, 2, 2, 3, 3, 3], [3], [2]),
    "ids around 2^53 that float64 confuses": ([2**53 - 1, 2**53, 2**53 + 1], [2**53 + 1], [2**53]),
    "ids up to 2^62 and below zero": (
        [2**62, 2**62 - 1, -(2**62), 0],
        [2**62, 2**62 - 1],
        [2**62 - 1, -(2**62)],
    ),
    "sparse random": random_graph(1500, 700, 1),
    "critical random": random_graph(1500, 900, 2),
    "dense random with large ids": random_graph(300, 2000, 3, scale=2**50),
    "chain of 2,000 in random order": chain(2000, 4),
    "clump in which all of 300 are paired": clump(300),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_vertex_gets_the_smallest_id_of_its_component(
    spark: SparkSession, engine: GraphEngine, graph: str
) -> None:
    ids, src, dst = GRAPHS[graph]
    assert labels(spark, engine, ids, src, dst) == expected(ids, src, dst)


def test_order_partitions_and_direction_make_no_difference(spark: SparkSession, engine: GraphEngine) -> None:
    ids, src, dst = random_graph(200, 120, 5)
    shuffled = np.random.default_rng(6).permutation(len(src))
    vertices, edges = table(spark, id=ids[::-1]), table(spark, src=dst[shuffled], dst=src[shuffled])
    result = engine.connected_components(vertices.repartition(3), edges.repartition(7))
    assert {row.id: row.component for row in result.collect()} == labels(spark, engine, ids, src, dst)
    result.unpersist()


def test_nothing_stays_cached_once_the_caller_has_unpersisted(spark: SparkSession, engine: GraphEngine) -> None:
    """What GraphFrames checkpoints inside goes when the JVM collects it; only what nobody holds any more does."""

    def cached() -> set[int]:
        return set(spark.sparkContext._jsc.getPersistentRDDs().keySet())

    before = cached()
    labels(spark, engine, *chain(50, 7))
    if engine.name == "plain":
        assert cached() <= before
    deadline = time.monotonic() + 60
    while not cached() <= before and time.monotonic() < deadline:
        gc.collect()
        spark.sparkContext._jvm.java.lang.System.gc()
        time.sleep(0.2)
    assert cached() <= before


@pytest.mark.parametrize(
    ("ids", "src", "dst", "complaint"),
    [
        ([1, 2], [1], [3], "names vertex 3"),
        ([1, 2], [3], [1], "names vertex 3"),
        ([1, None], [1], [1], "a vertex has no id"),
        ([1, 2], [1], [None], "names vertex None"),
    ],
)
def test_a_graph_with_a_hole_is_refused(
    spark: SparkSession,
    engine: GraphEngine,
    ids: list[int | None],
    src: list[int],
    dst: list[int],
    complaint: str,
) -> None:
    vertices = spark.createDataFrame(pa.table({"id": pa.array(ids, pa.int64())}))
    edges = spark.createDataFrame(pa.table({"src": pa.array(src, pa.int64()), "dst": pa.array(dst, pa.int64())}))
    before = spark.sparkContext._jsc.getPersistentRDDs().size()
    with pytest.raises(GraphJobError, match=complaint):
        engine.connected_components(vertices, edges)
    assert spark.sparkContext._jsc.getPersistentRDDs().size() == before


def test_string_ids_are_refused(spark: SparkSession, engine: GraphEngine) -> None:
    vertices = spark.createDataFrame(pa.table({"id": ["a"]}))
    with pytest.raises(GraphJobError, match="'id' must hold 64-bit integers"):
        engine.connected_components(vertices, table(spark, src=[], dst=[]))


def test_a_failure_of_spark_is_one_of_ours(spark: SparkSession, engine: GraphEngine) -> None:
    broken = (
        table(spark, id=[0, 1]).selectExpr("raise_error('disk gone') AS x", "id").selectExpr("id + length(x) AS id")
    )
    with pytest.raises(GraphEngineError, match="disk gone"):
        engine.connected_components(broken, table(spark, src=[0], dst=[1]))


def test_the_choice_of_the_engine_is_explained(spark: SparkSession) -> None:
    engine, reason = choose_engine(spark)
    if jar_release(spark) == wheel_release():
        assert engine.name == "graphframes"
        assert reason == f"GraphFrames {wheel_release()}: jar and wheel are of the same release"
    else:
        assert engine.name == "plain"
        assert reason.startswith("plain Spark DataFrames: ")
        assert wheel_release() in reason


def test_a_jar_of_another_release_is_not_used(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asterism.graph.jobs.engine.jar_release", lambda _: "0.11.0")
    engine, reason = choose_engine(spark)
    assert engine.name == "plain"
    assert "the GraphFrames jar is 0.11.0" in reason


def test_the_jar_is_found_in_the_cache_with_its_companion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(JAR_VARIABLE, raising=False)
    release = wheel_release()
    folder = tmp_path / "jars"
    folder.mkdir()
    assert graphframes_jars(tmp_path) == ()
    jar, companion = (folder / f"{name}-spark4_2.13-{release}.jar" for name in ("graphframes", "graphframes-graphx"))
    jar.touch()
    companion.touch()
    (folder / "graphframes-spark4_2.13-0.1.0.jar").touch()
    assert graphframes_jars(tmp_path) == (jar, companion)


def test_a_named_jar_goes_before_the_cache_and_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "mine.jar"
    monkeypatch.setenv(JAR_VARIABLE, str(named))
    with pytest.raises(GraphEngineError, match="which is no file"):
        graphframes_jars(tmp_path)
    named.touch()
    assert graphframes_jars(load_settings(cache=tmp_path).cache) == (named,)
