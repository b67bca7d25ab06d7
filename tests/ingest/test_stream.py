"""Packets through real Kafka, Spark and Neo4j."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from neo4j import Driver
from prometheus_client import generate_latest
from pyspark.sql import SparkSession

from asterism.graph.digest import digest
from asterism.ingest.archive import read_packets
from asterism.ingest.reconcile import reconcile
from asterism.ingest.stream import start_alert_query
from asterism.lake import Lake
from asterism.metrics import REGISTRY
from asterism.settings import Settings
from asterism.simulate.publish import publish
from asterism.simulate.stream import TOPICS, generate_stream

pytestmark = [pytest.mark.services, pytest.mark.spark]

Installation = Callable[..., Settings]


def catch_up(spark: SparkSession, settings: Settings) -> None:
    start_alert_query(spark, settings, until_caught_up=True).awaitTermination()


def graph_counts(driver: Driver) -> dict[str, int]:
    query = """
        RETURN COUNT { (:Alert) } AS alerts, COUNT { (:Object) } AS objects,
               COUNT { (:Object)-[:HAS_ALERT]->(:Alert) } AS edges
    """
    with driver.session() as session:
        record = session.run(query).single(strict=True)
    return dict(record)


@pytest.mark.timeout(300)
def test_every_generated_packet_is_an_alert_a_duplicate_or_a_dead_letter(
    spark: SparkSession, installation: Installation, empty_graph: Driver, kafka_topic: Callable[..., str]
) -> None:
    prefix = kafka_topic("run") + "-"
    settings = installation(kafka_topics=tuple(prefix + t for t in TOPICS), max_packets_per_batch=150)
    messages = list(generate_stream(5, 200, 200, duplicates=0.1, corrupted=0.1))
    truth = publish(
        iter(messages),
        settings.kafka_bootstrap,
        topics=TOPICS,
        prefix=prefix,
        partitions=2,
        rate=None,
        total=len(messages),
    )
    catch_up(spark, settings)

    counts = graph_counts(empty_graph)
    balance = reconcile(Lake(settings.lake_path), counts["alerts"])
    assert balance.packets_in == truth.packets == len(messages)
    assert (balance.alerts, balance.duplicates, balance.dead_letters) == (
        truth.alerts,
        truth.duplicates,
        truth.dead_letters,
    )
    assert balance.reconciled
    assert counts == {"alerts": truth.alerts, "objects": len(truth.objects), "edges": truth.edges}
    archived = [
        payload
        for topic in settings.kafka_topics
        for p in (0, 1)
        for _, payload in read_packets(settings.archive_path, topic, p)
    ]
    assert sorted(archived) == sorted(m.payload for m in messages)

    shown = generate_latest(REGISTRY).decode()
    assert 'asterism_ingest_packets_total{outcome="alert",survey="lsst"}' in shown
    assert 'asterism_ingest_dead_letters_total{code="ingest.truncated"}' in shown

    before = digest(empty_graph, database="neo4j").hex
    catch_up(spark, settings.model_copy(update={"home": settings.home}))
    assert digest(empty_graph, database="neo4j").hex == before
