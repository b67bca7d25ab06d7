"""Graph algorithms on plain Spark DataFrames: no jar needed.

Connected components by alternating large-star and small-star (Kiveris et al. 2014, "Connected Components in
MapReduce and Beyond", SOCC '14): every round rewires each vertex to the smallest vertex it knows of, until
the graph is a set of stars. The number of rounds grows with the logarithm of the longest chain, not with its
length.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

from asterism.graph.jobs.inputs import checked_graph, release_checkpoint, spark_errors


class PlainEngine:
    """The `GraphEngine` that needs nothing but Spark."""

    name = "plain"

    def connected_components(self, vertices: DataFrame, edges: DataFrame) -> DataFrame:
        """Label vertices with the smallest id they are connected to; see `GraphEngine`."""
        ids, links = checked_graph(vertices, edges)
        try:
            with spark_errors("connected components on DataFrames"):
                stars = _stars(links)
                labels = stars.select(sf.col("src").alias("id"), sf.col("dst").alias("component"))
                labelled = ids.join(labels, "id", "left")
                result = labelled.select("id", sf.coalesce("component", "id").alias("component")).persist()
                result.count()
                release_checkpoint(stars)
        finally:
            ids.unpersist()
            links.unpersist()
        return result


def _stars(edges: DataFrame) -> DataFrame:
    """Return edges from each vertex to the smallest of its component; that one itself has none."""
    stars = edges.localCheckpoint()  # cuts the plan, which would otherwise grow with every round
    while not _are_stars(stars):
        rewired = _small_star(_large_star(stars)).localCheckpoint()
        release_checkpoint(stars)
        stars = rewired
    return stars


def _large_star(edges: DataFrame) -> DataFrame:
    """Link every larger neighbour of a vertex to the smallest of the vertex and its neighbours."""
    both = edges.union(edges.select(sf.col("dst").alias("src"), sf.col("src").alias("dst")))
    rooted = both.select("src", "dst", sf.least("src", _smallest_neighbour()).alias("root"))
    return rooted.where("dst > src").select(sf.col("dst").alias("src"), sf.col("root").alias("dst"))


def _small_star(edges: DataFrame) -> DataFrame:
    """Link a vertex and its smaller neighbours to the smallest of them; `edges` point downwards."""
    rooted = edges.select("src", "dst", _smallest_neighbour().alias("root"))
    down = rooted.select(sf.explode(sf.array("src", "dst")).alias("src"), sf.col("root").alias("dst"))
    return down.where("src != dst").distinct()


def _smallest_neighbour() -> Column:
    return sf.min("dst").over(Window.partitionBy("src"))


def _are_stars(edges: DataFrame) -> bool:
    """Whether every vertex has at most one edge downwards, and none that leads to a vertex with one."""
    up = sf.struct(sf.col("src").alias("id"), sf.lit(1).alias("up"))
    down = sf.struct(sf.col("dst").alias("id"), sf.lit(0).alias("up"))
    ends = edges.select(sf.inline(sf.array(up, down)))
    degrees = ends.groupBy("id").agg(sf.sum("up").alias("ups"), sf.count("*").alias("degree"))
    return not degrees.where("ups > 1 OR (ups = 1 AND degree > 1)").head(1)
