"""The Spark query this part contributes to the one application: alert packets from Kafka to lake and graph."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from asterism.formats import ensure_format
from asterism.ingest.hot import LEDGER, HotLane
from asterism.ingest.source import AlertSource
from asterism.settings import Settings


def start_alert_query(spark: SparkSession, settings: Settings, *, until_caught_up: bool = False) -> StreamingQuery:
    """Start reading alerts where the checkpoint says.

    Parameters
    ----------
    spark : SparkSession
        The application's session.
    settings : Settings
        Kafka, topics, trigger and limits.
    until_caught_up : bool
        Stop when everything published so far is in the graph; otherwise run until stopped.

    Raises
    ------
    FormatError
        If the checkpoint was written by another format version.
    """
    checkpoint = settings.checkpoint_path / LEDGER
    ensure_format(checkpoint, "checkpoint")
    ensure_format(settings.archive_path, "archive")
    spark.dataSource.register(AlertSource)
    options = {
        "bootstrap": settings.kafka_bootstrap,
        "topics": ",".join(settings.kafka_topics),
        "maxPackets": str(settings.max_packets_per_batch),
    }
    if settings.keep_packets:
        options["archive"] = str(settings.archive_path)
    if settings.schema_registry:
        options["schemaRegistry"] = settings.schema_registry
    if settings.schema_folder:
        options["schemaFolder"] = str(settings.schema_folder.absolute())
    lane = HotLane(home=settings.home, writers=spark.sparkContext.defaultParallelism)
    writer = spark.readStream.format(AlertSource.name()).options(**options).load().writeStream
    writer = writer.queryName(LEDGER).foreachBatch(lane.process).option("checkpointLocation", str(checkpoint / "spark"))
    if until_caught_up:
        return writer.trigger(availableNow=True).start()
    return writer.trigger(processingTime=f"{settings.trigger_seconds} seconds").start()
