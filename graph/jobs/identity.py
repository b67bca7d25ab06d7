"""Cross-survey identity: which objects of different surveys are one source of the sky.

Objects -> pairs by position (`asterism.graph.jobs.pairs`) -> connected components -> one `Source` a group, to
which each member points with ``SAME_AS`` (`asterism.graph.jobs.sources`). A star for each source, never a
clique. The result depends on the objects and on the Sources there are, not on time or order: a second run
writes nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from neo4j import Driver
from pyspark.sql import SparkSession

from asterism.graph.jobs import DEFAULT_RADIUS_ARCSEC
from asterism.graph.jobs.engine import GraphEngine, choose_engine
from asterism.graph.jobs.identity_store import read_state, write_assignment
from asterism.graph.jobs.inputs import spark_errors
from asterism.graph.jobs.pairs import cross_survey_pairs
from asterism.graph.jobs.sources import Member, assign
from asterism.graph.runs import IDENTITY, begin_run, end_run, new_run
from asterism.graph.schema import check_format


@dataclass(frozen=True)
class IdentityReport:
    """What a run found and did.

    Parameters
    ----------
    radius_arcsec : float
        Largest separation of a pair [arcsec].
    objects, pairs : int
        Objects read, and pairs among them.
    sources, identified : int
        Sources that have members now, and objects that are members.
    largest : int
        Members of the largest Source: more than the number of surveys means that the field is too crowded for
        the radius.
    merged : int
        Sources that point to another one.
    sources_written, links_written : int
        Nodes and links made, changed or removed.
    engine : str
        Which engine ran, and why.
    elapsed_s : float
        Duration [s].
    """

    radius_arcsec: float
    objects: int
    pairs: int
    sources: int
    identified: int
    largest: int
    merged: int
    sources_written: int
    links_written: int
    engine: str
    elapsed_s: float


def identify(
    driver: Driver, database: str, spark: SparkSession, radius_arcsec: float = DEFAULT_RADIUS_ARCSEC
) -> IdentityReport:
    """Bring ``Source`` and ``SAME_AS`` up to date with the objects in the graph.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    database : str
        Name of the database.
    spark : SparkSession
        Where pairs and components are computed.
    radius_arcsec : float
        Largest separation of a pair [arcsec].

    Raises
    ------
    GraphError
        If the graph is not initialised, the radius is out of bounds, or Neo4j or Spark fails.
    """
    start = time.monotonic()
    check_format(driver, database)
    state = read_state(driver, database)
    engine, reason = choose_engine(spark)
    groups, pairs = same_source_groups(spark, engine, state.members, radius_arcsec)
    wanted = assign(groups, state.sources)
    run = new_run()
    with driver.session(database=database) as session:
        begin_run(session, run, IDENTITY)
        written = write_assignment(driver, database, state, wanted, radius_arcsec)
        end_run(session, run)
    return IdentityReport(
        radius_arcsec=radius_arcsec,
        objects=len(state.members),
        pairs=pairs,
        sources=len(groups),
        identified=len(wanted.links),
        largest=max(map(len, groups), default=0),
        merged=sum(source.merged_into is not None for source in wanted.sources.values()),
        sources_written=written.sources,
        links_written=written.links,
        engine=reason,
        elapsed_s=time.monotonic() - start,
    )


def same_source_groups(
    spark: SparkSession, engine: GraphEngine, members: Sequence[Member], radius_arcsec: float
) -> tuple[list[list[Member]], int]:
    """Return the groups of two or more objects that are one source, and the number of pairs that join them.

    Parameters
    ----------
    spark : SparkSession
        Where to compute.
    engine : GraphEngine
        Finds the components.
    members : sequence of Member
        All objects in ascending order of their keys; their places become the vertex ids.
    radius_arcsec : float
        Largest separation of a pair [arcsec].

    Raises
    ------
    GraphJobError
        If the radius is out of bounds.
    GraphEngineError
        If Spark fails.
    """
    with spark_errors("finding objects that are the same"):
        objects = spark.createDataFrame(_positions(members)).persist()
        pairs = cross_survey_pairs(objects, radius_arcsec).persist()
        try:
            count = pairs.count()
            labels = engine.connected_components(objects.select("id"), pairs)
        finally:
            pairs.unpersist()
            objects.unpersist()
        joined = labels.where("id != component").toArrow()
        labels.unpersist()
    groups: defaultdict[int, list[Member]] = defaultdict(list)
    for place, first in zip(joined["id"].to_pylist(), joined["component"].to_pylist(), strict=True):
        groups[first].append(members[place])
    return [[members[first], *others] for first, others in sorted(groups.items())], count


def _positions(members: Sequence[Member]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(np.arange(len(members))),
            "survey": pa.array([member.survey for member in members], pa.string()),
            "ra": pa.array([member.ra for member in members], pa.float64()),
            "dec": pa.array([member.dec for member in members], pa.float64()),
        }
    )
