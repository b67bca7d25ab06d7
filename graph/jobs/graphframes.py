"""Graph algorithms by GraphFrames: a Python wheel that calls a jar, which must be of the same release.

GraphFrames answers with arbitrary component ids and leaves tables cached; here both are put right, so that
the contract of `asterism.graph.jobs.engine.GraphEngine` holds. Its ``graphx`` algorithm is not offered:
releases were seen to stop silently after 31 rounds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from py4j.java_gateway import JavaObject  # type: ignore[import-untyped]
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from asterism.graph.jobs.errors import GraphEngineError
from asterism.graph.jobs.inputs import checked_graph, spark_errors

JAR_VARIABLE = "ASTERISM_GRAPHFRAMES_JAR"
"""Environment variable that names the jar; its GraphX companion lies beside it."""

_ARTIFACT = "graphframes-spark4_2.13"
_COMPANION = "graphframes-graphx-spark4_2.13"
_ENTRY_CLASSES = ("org.graphframes.GraphFramePythonAPI", "org.apache.spark.graphframes.graphx.Graph")

Algorithm = Literal["randomized_contraction", "two_phase"]


class GraphFramesEngine:
    """The `GraphEngine` that runs on GraphFrames.

    Parameters
    ----------
    algorithm : {"randomized_contraction", "two_phase"}
        How components are found. The first was the faster at every size measured.
    """

    name = "graphframes"

    def __init__(self, algorithm: Algorithm = "randomized_contraction") -> None:
        self._algorithm = algorithm

    def connected_components(self, vertices: DataFrame, edges: DataFrame) -> DataFrame:
        """Label vertices with the smallest id they are connected to; see `GraphEngine`."""
        from graphframes import GraphFrame

        ids, links = checked_graph(vertices, edges)
        context = ids.sparkSession.sparkContext
        try:
            with spark_errors("GraphFrames connected components"), _checkpoint_folder(context):
                raw = GraphFrame(ids, links).connectedComponents(
                    algorithm=self._algorithm,
                    broadcastThreshold=-1,  # adaptive execution deals with skew, several times faster
                    use_local_checkpoints=True,
                    checkpointInterval=1,  # plans of several rounds nest: their texts alone filled a heap of 1 GiB
                )
                result = _named_by_smallest(raw)
                raw.unpersist()
        finally:
            ids.unpersist()
            links.unpersist()
        return result


@contextmanager
def _checkpoint_folder(context: SparkContext) -> Iterator[None]:
    """Give randomized contraction a folder for its intermediate tables: the configured one, or a passing
    local one.

    Raises
    ------
    GraphEngineError
        If executors run elsewhere and no folder is configured: tables on separate discs would be read in
        part.
    """
    if context.getConf().contains("spark.checkpoint.dir"):
        yield
    elif str(context.master).startswith("local"):
        with TemporaryDirectory(prefix="asterism-components-") as folder:
            context.setCheckpointDir(folder)
            yield
    else:
        raise GraphEngineError(
            "GraphFrames needs a folder that all executors share",
            hint="set spark.checkpoint.dir in spark-defaults.conf",
        )


def _named_by_smallest(labelled: DataFrame) -> DataFrame:
    smallest = labelled.groupBy("component").agg(sf.min("id").alias("smallest"))
    result = labelled.join(smallest, "component").select("id", sf.col("smallest").alias("component")).persist()
    result.count()
    return result


def wheel_release() -> str:
    """Return the release of the installed ``graphframes-py``."""
    return version("graphframes-py")


def jar_release(spark: SparkSession) -> str | None:
    """Return the release of the GraphFrames jar that a session's JVM has loaded.

    It is read from the jar's manifest, else from its file name.

    Returns
    -------
    str or None
        None if the jar or its GraphX companion does not load.
    """
    jvm = spark.sparkContext._jvm
    assert jvm is not None  # noqa: S101 - a live session has its JVM
    loader = jvm.Thread.currentThread().getContextClassLoader()
    try:
        entry, _ = (loader.loadClass(name) for name in _ENTRY_CLASSES)
    except Py4JJavaError:
        return None
    return entry.getPackage().getImplementationVersion() or _release_in_name(entry)


def _release_in_name(entry: JavaObject) -> str:
    path = Path(entry.getProtectionDomain().getCodeSource().getLocation().getPath())
    match = re.search(r"-(\d[^-]*)\.jar$", path.name)
    return match[1] if match else f"unknown ({path.name})"


def graphframes_jars(cache: Path) -> tuple[Path, ...]:
    """Return the jars to start Spark with; empty if GraphFrames is not there.

    Parameters
    ----------
    cache : Path
        Cache folder (setting ``cache``); jars lie in its ``jars``. `JAR_VARIABLE` goes before it.

    Raises
    ------
    GraphEngineError
        If `JAR_VARIABLE` names no file.
    """
    named = os.environ.get(JAR_VARIABLE)
    jar = Path(named) if named else cache / "jars" / f"{_ARTIFACT}-{wheel_release()}.jar"
    if jar.is_file():
        return jar, *sorted(jar.parent.glob(f"{_COMPANION}-*.jar"))
    if named:
        raise GraphEngineError(f"{JAR_VARIABLE} names {jar}, which is no file")
    return ()
