"""The Spark query this part contributes to the one application: journalled notices to events."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from asterism.formats import ensure_format
from asterism.graph.connection import connect
from asterism.logs import get_logger
from asterism.settings import Settings
from asterism.voevent.project import Delivery, maps_folder, project
from asterism.voevent.source import NoticeSource

QUERY = "notices"
"""Name of the query, and of its checkpoint."""

TRIGGER_SECONDS = 0.1
"""Longest interval of the micro-batches [s]: notices are few and urgent, so they do not wait as alerts may. Looking in
vain costs a few milliseconds."""

_log = get_logger("voevent.stream")


def start_notice_query(spark: SparkSession, settings: Settings, *, until_caught_up: bool = False) -> StreamingQuery:
    """Start projecting the journal where the checkpoint says.

    Parameters
    ----------
    spark : SparkSession
        The application's session.
    settings : Settings
        Journal, lake, graph, and a trigger if it is shorter than ours.
    until_caught_up : bool
        Stop when everything journalled so far is in the graph; otherwise run until stopped.

    Raises
    ------
    FormatError
        If the checkpoint or the journal was written by another format version.
    """
    checkpoint = settings.checkpoint_path / QUERY
    ensure_format(checkpoint, "checkpoint")
    ensure_format(settings.journal_path, "journal")
    spark.dataSource.register(NoticeSource)

    def process(batch: DataFrame, batch_id: int) -> None:
        deliveries = [
            Delivery(bytes(row["payload"]), row["channel"], row["receivedMjdTai"])
            for row in batch.select("payload", "channel", "receivedMjdTai").toArrow().to_pylist()
        ]
        with connect(settings) as driver:
            done = project(deliveries, driver, database=settings.neo4j_database, maps=maps_folder(settings))
        _log.info("notices projected", batch_id=batch_id, read=done.read, created=done.created, refused=done.refused)

    spark.sparkContext.setLocalProperty("spark.scheduler.pool", QUERY)  # the query takes it over from this thread
    frame = spark.readStream.format(NoticeSource.name()).option("journal", str(settings.journal_path)).load()
    writer = frame.writeStream.queryName(QUERY).foreachBatch(process)
    writer = writer.option("checkpointLocation", str(checkpoint / "spark"))
    if until_caught_up:
        return writer.trigger(availableNow=True).start()
    interval = min(settings.trigger_seconds, TRIGGER_SECONDS)
    return writer.trigger(processingTime=f"{interval * 1000:.0f} milliseconds").start()
