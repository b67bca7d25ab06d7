"""The graph algorithms that jobs use, behind one protocol with two implementations.

GraphFrames runs wherever its jar is there in the release of the installed wheel; else the same is done on
plain Spark DataFrames. Both keep one contract, checked by one test suite against scipy, so that a graph does
not depend on which ran.
"""

from __future__ import annotations

from typing import Protocol

from pyspark.sql import DataFrame, SparkSession

from asterism.graph.jobs.graphframes import GraphFramesEngine, jar_release, wheel_release
from asterism.graph.jobs.plain import PlainEngine


class GraphEngine(Protocol):
    """Graph algorithms on Spark DataFrames."""

    @property
    def name(self) -> str:
        """``graphframes`` or ``plain``."""

    def connected_components(self, vertices: DataFrame, edges: DataFrame) -> DataFrame:
        """Label every vertex with the smallest id it is connected to, whatever the direction of the edges.

        The result is a function of the sets of vertices and edges: order, partitions, self-loops, duplicated
        and reversed edges and vertices given twice make no difference.

        Parameters
        ----------
        vertices : DataFrame
            Column ``id``, int64; other columns are ignored.
        edges : DataFrame
            Columns ``src`` and ``dst``, int64, ids of `vertices`; other columns are ignored.

        Returns
        -------
        DataFrame
            ``id`` and ``component``, both int64: every vertex once, those without edges too. It is persisted:
            the caller calls ``unpersist`` and does not read it after that. Nothing else stays cached beyond the next
            garbage collection of the JVM.

        Raises
        ------
        GraphJobError
            If ids are null or no integers, or an edge names an unknown vertex.
        GraphEngineError
            If Spark or GraphFrames fails.
        """


def choose_engine(spark: SparkSession) -> tuple[GraphEngine, str]:
    """Return the engine to use in a session, and one sentence that says which and why.

    GraphFrames is taken if its jar loads in the session's JVM and has the release of the installed wheel:
    other pairs were seen to fail, and some algorithms to be silently wrong.
    """
    jar, wheel = jar_release(spark), wheel_release()
    if jar is None:
        return (
            PlainEngine(),
            f"plain Spark DataFrames: the jar of GraphFrames {wheel} is not on the class path",
        )
    if jar != wheel:
        return (
            PlainEngine(),
            f"plain Spark DataFrames: the GraphFrames jar is {jar}, the wheel {wheel}; they must be equal",
        )
    return GraphFramesEngine(), f"GraphFrames {wheel}: jar and wheel are of the same release"
