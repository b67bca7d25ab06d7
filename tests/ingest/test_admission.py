"""No batch begins on a disk that is nearly full; the packets wait and are ingested when there is room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from asterism.ingest.admission import admit
from asterism.ingest.errors import DiskLowError
from asterism.ingest.reconcile import current_balance
from asterism.ingest.stream import start_alert_query
from asterism.settings import Settings, load_settings
from asterism.simulate.publish import publish
from asterism.simulate.stream import TOPICS, generate_stream


def test_a_batch_is_refused_where_less_is_free_than_wanted(tmp_path: Path) -> None:
    admit(load_settings(home=tmp_path, min_free_gib=0.0))
    with pytest.raises(DiskLowError, match="wanted 1e"):
        admit(load_settings(home=tmp_path, min_free_gib=1e9))


@pytest.mark.services
@pytest.mark.spark
@pytest.mark.timeout(300)
def test_packets_wait_until_there_is_room(
    spark: SparkSession,
    installation: Callable[..., Settings],
    kafka_topic: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prefix = kafka_topic("room") + "-"
    settings = installation(kafka_topics=tuple(prefix + topic for topic in TOPICS))
    publish(generate_stream(3, 20, 10), settings.kafka_bootstrap, topics=TOPICS, prefix=prefix, partitions=1, total=30)
    monkeypatch.setenv("ASTERISM_MIN_FREE_GIB", "1e9")
    with pytest.raises(StreamingQueryException, match=r"1e\+09 GiB"):
        start_alert_query(spark, settings, until_caught_up=True).awaitTermination()
    assert not list(settings.archive_path.rglob("*.arrow"))
    monkeypatch.delenv("ASTERISM_MIN_FREE_GIB")
    start_alert_query(spark, settings, until_caught_up=True).awaitTermination()
    balance = current_balance(settings)
    assert (balance.alerts, balance.reconciled) == (30, True)
