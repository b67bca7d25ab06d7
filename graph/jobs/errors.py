"""Errors of the graph jobs."""

from __future__ import annotations

from asterism.graph.errors import GraphError


class GraphJobError(GraphError):
    """A graph job was given data it cannot work on."""

    code = "graph.job_input"
    hint = "the graph was left as it was"


class GraphEngineError(GraphError):
    """Spark or GraphFrames failed while a graph algorithm ran, or GraphFrames does not load."""

    code = "graph.job_engine"
    hint = "without a GraphFrames jar (ASTERISM_GRAPHFRAMES_JAR, <cache>/jars) plain Spark DataFrames are used"
