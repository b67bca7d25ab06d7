"""What every graph engine does around its algorithm: check the graph, map errors, free what it cached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import IntegerType, LongType

from asterism.graph.jobs.errors import GraphEngineError, GraphJobError


@contextmanager
def spark_errors(doing: str) -> Iterator[None]:
    """Turn any error of Spark raised in the block into a `GraphEngineError`.

    Parameters
    ----------
    doing : str
        What was being done, for the message.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise GraphEngineError(f"{doing}: {str(error).splitlines()[0]}") from error


def checked_graph(vertices: DataFrame, edges: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Return the graph without repetition, after making sure that it is one.

    Parameters
    ----------
    vertices : DataFrame
        Column ``id``, an integer; an id given twice counts once.
    edges : DataFrame
        Columns ``src`` and ``dst``, integers. Self-loops, duplicates and reversed edges are allowed.

    Returns
    -------
    vertices : DataFrame
        ``id`` (int64), distinct, persisted.
    edges : DataFrame
        ``src`` > ``dst`` (int64), distinct, persisted: each undirected edge once, without self-loops.

    Raises
    ------
    GraphJobError
        If a column is missing or no integer, or an id is null, or an edge names a vertex that is not given.
    GraphEngineError
        If Spark fails.
    """
    with spark_errors("reading the graph to work on"):
        _require_integers(vertices, ("id",))
        _require_integers(edges, ("src", "dst"))
        ids = vertices.select(sf.col("id").cast("long")).distinct().persist()
        links = edges.select(sf.col("src").cast("long"), sf.col("dst").cast("long")).persist()
        try:
            _require_known(ids, links)
            ordered = links.where("src != dst").select(
                sf.greatest("src", "dst").alias("src"), sf.least("src", "dst").alias("dst")
            )
            distinct = ordered.distinct().persist()
            distinct.count()
        except BaseException:
            ids.unpersist()
            raise
        finally:
            links.unpersist()
    return ids, distinct


def _require_integers(table: DataFrame, names: Iterable[str]) -> None:
    for name in names:
        if name not in table.columns or not isinstance(table.schema[name].dataType, LongType | IntegerType):
            raise GraphJobError(
                f"column {name!r} must hold 64-bit integers; the table is {table.schema.simpleString()}"
            )


def _require_known(ids: DataFrame, links: DataFrame) -> None:
    if ids.where("id IS NULL").head(1):
        raise GraphJobError("a vertex has no id")
    ends = links.select(sf.explode(sf.array("src", "dst")).alias("id"))
    unknown = ends.join(ids, "id", "left_anti").head(1)
    if unknown:
        raise GraphJobError(f"an edge names vertex {unknown[0]['id']}, which is not among the vertices")


def release_checkpoint(table: DataFrame) -> None:
    """Free the blocks of a locally checkpointed table, which `DataFrame.unpersist` does not reach.

    The table, and what was derived from it but not computed, cannot be read any more.
    """
    table._jdf.queryExecution().logical().rdd().unpersist(False)
