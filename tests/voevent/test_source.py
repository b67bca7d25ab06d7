"""`asterism.voevent.source` and `asterism.voevent.stream`: the journal as a stream of Spark."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows

from asterism.graph.digest import digest
from asterism.journal import Journal, Position
from asterism.voevent.intake import FILE, Intake
from asterism.voevent.project import Delivery, maps_folder, project
from asterism.voevent.source import NoticeStreamReader, Span, as_offset
from asterism.voevent.stream import start_notice_query


def payloads_of(reader: NoticeStreamReader, partitions: Any) -> list[bytes]:
    return [
        payload
        for partition in partitions
        for batch in reader.read(partition)
        for payload in batch.column("payload").to_pylist()
    ]


def test_batches_of_any_size_read_every_entry_once_and_in_order(tmp_path: Path, samples: Any) -> None:
    with Journal(tmp_path, segment_bytes=5000) as journal:
        intake = Intake(journal)
        expected = [samples.gbm_xml(trigger=700000000 + n) for n in range(12)]
        for payload in expected:
            intake.accept(payload, FILE)
    assert len(list(tmp_path.glob("*.journal"))) > 2
    for size in (1, 5, 100):
        reader, read = NoticeStreamReader(tmp_path), []
        start = reader.initialOffset()
        while (end := reader.latestOffset(start, ReadMaxRows(size))) != start:
            read += payloads_of(reader, reader.partitions(start, end))
            start = end
        assert read == expected
        assert reader.latestOffset(start, ReadAllAvailable()) == start


def test_an_empty_journal_has_nothing_to_read(tmp_path: Path) -> None:
    reader = NoticeStreamReader(tmp_path)
    assert reader.latestOffset(reader.initialOffset(), ReadMaxRows(10)) == reader.initialOffset()
    assert payloads_of(reader, [Span(Position(0, 0), Position(0, 0))]) == []


def test_catching_up_stops_at_what_was_there_when_asked(tmp_path: Path, samples: Any) -> None:
    with Journal(tmp_path) as journal:
        intake = Intake(journal)
        intake.accept(samples.gbm_xml(trigger=1), FILE)
        reader = NoticeStreamReader(tmp_path)
        reader.prepareForTriggerAvailableNow()
        target = reader.reportLatestOffset()
        intake.accept(samples.gbm_xml(trigger=2), FILE)
        assert reader.latestOffset(as_offset(Position(0, 0)), ReadMaxRows(10)) == target


def test_notices_are_handed_over_together_but_not_beyond_a_size(
    tmp_path: Path, samples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path) as journal:
        intake = Intake(journal)
        payloads = [samples.gbm_xml(trigger=700000000 + n) for n in range(7)]
        for payload in payloads:
            intake.accept(payload, FILE)
    reader = NoticeStreamReader(tmp_path)
    (span,) = reader.partitions(reader.initialOffset(), reader.reportLatestOffset())
    assert [batch.num_rows for batch in reader.read(span)] == [7]
    monkeypatch.setattr("asterism.voevent.source.MAX_TABLE_BYTES", 3 * len(payloads[0]))
    assert [batch.num_rows for batch in reader.read(span)] == [3, 3, 1]
    assert payloads_of(reader, [span]) == payloads


def test_the_reported_offset_follows_the_journal(tmp_path: Path, samples: Any) -> None:
    reader = NoticeStreamReader(tmp_path)
    with Journal(tmp_path, segment_bytes=3000) as journal:
        intake = Intake(journal)
        for trigger in range(5):
            intake.accept(samples.gbm_xml(trigger=trigger), FILE)
            assert reader.reportLatestOffset() == as_offset(journal.end())


@pytest.mark.spark
@pytest.mark.services
def test_the_stream_and_the_command_make_the_same_graph(
    spark: SparkSession, installation: Callable[..., Any], samples: Any, empty_graph: Any
) -> None:
    settings = installation()
    with Journal(settings.journal_path) as journal:
        intake = Intake(journal)
        intake.accept(samples.gbm_xml(), FILE)
        intake.accept(samples.alert_json(), FILE)
        start_notice_query(spark, settings, until_caught_up=True).awaitTermination()
        intake.accept(samples.gbm_xml(stage="final", date="2023-03-08T00:15:00"), FILE)
        start_notice_query(spark, settings, until_caught_up=True).awaitTermination()
    streamed = digest(empty_graph, "neo4j")
    assert streamed.nodes["Notice"] == 3
    with empty_graph.session() as session:
        session.run("MATCH (n) WHERE n:Notice OR n:Event OR n:Localization DETACH DELETE n").consume()
    deliveries = [Delivery.of(entry) for entry in Journal(settings.journal_path).read()]
    project(deliveries, empty_graph, database="neo4j", maps=maps_folder(settings))
    assert digest(empty_graph, "neo4j") == streamed


@pytest.mark.spark
@pytest.mark.services
def test_a_notice_waits_for_no_long_job_that_came_before_it(
    spark: SparkSession, installation: Callable[..., Any], samples: Any, empty_graph: Any, tmp_path: Path
) -> None:
    """First come, first served, it would run after all of them: a task a fifth of a second, 300 for two cores."""
    settings, tasks = installation(), 300
    (tmp_path / "done").mkdir()
    done = str(tmp_path / "done")

    def take_long(number: int) -> None:
        time.sleep(0.2)
        Path(done, str(number)).touch()

    def long_job() -> None:
        spark.sparkContext.setJobGroup("long", "many tasks", interruptOnCancel=True)
        with suppress(Exception):  # it is cancelled
            spark.sparkContext.parallelize(range(tasks), tasks).foreach(take_long)

    with Journal(settings.journal_path) as journal, ThreadPoolExecutor(2) as threads:
        long = threads.submit(long_job)
        while not any(Path(done).iterdir()):
            time.sleep(0.05)
        Intake(journal).accept(samples.gbm_xml(), FILE)
        threads.submit(lambda: start_notice_query(spark, settings, until_caught_up=True).awaitTermination()).result()
        finished = len(list(Path(done).iterdir()))
        spark.sparkContext.cancelJobGroup("long")
        long.result()
    assert digest(empty_graph, "neo4j").nodes["Notice"] == 1
    assert finished < 0.75 * tasks
