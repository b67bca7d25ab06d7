"""The Spark application as a real process, killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from neo4j import Driver
from pyspark.sql import SparkSession

from asterism.graph.digest import digest
from asterism.graph.schema import initialise
from asterism.ingest.reconcile import reconcile
from asterism.ingest.stream import start_alert_query
from asterism.lake import Lake
from asterism.settings import Settings
from asterism.simulate.publish import publish
from asterism.simulate.stream import TOPICS, generate_stream

pytestmark = [pytest.mark.services, pytest.mark.spark]

ALERTS = 900
TRIES = 5


def application(settings: Settings) -> subprocess.Popen[bytes]:
    """Start ``asterism run --until-caught-up`` in a process group of its own."""
    names = ("home", "schema_folder", "max_packets_per_batch")
    environment = os.environ | {f"ASTERISM_{name.upper()}": str(getattr(settings, name)) for name in names}
    environment["ASTERISM_KAFKA_TOPICS"] = '["' + '","'.join(settings.kafka_topics) + '"]'
    command = [sys.executable, "-m", "asterism", "run", "--until-caught-up"]
    with (settings.home / "run.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)


def alerts_in(driver: Driver) -> int:
    with driver.session() as session:
        return int(session.run("MATCH (a:Alert) RETURN count(a) AS n").single(strict=True)["n"])


def batches(settings: Settings, kind: str) -> set[str]:
    return {path.name for path in (settings.checkpoint_path / "alerts/spark" / kind).glob("[0-9]*")}


def kill_in_mid_batch(settings: Settings, driver: Driver) -> bool:
    """Start the application, SIGKILL it while a batch is being written; say whether it was hit there."""
    process = application(settings)
    try:
        while process.poll() is None:
            begun = batches(settings, "offsets") - batches(settings, "commits")
            if begun and 0 < alerts_in(driver) < ALERTS:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    unfinished = batches(settings, "offsets") - batches(settings, "commits")
    return bool(unfinished) and 0 < alerts_in(driver) < ALERTS


def other_home(settings: Settings, name: str) -> Settings:
    home = settings.home.parent / name
    home.mkdir()
    (home / "stack.toml").write_bytes((settings.home / "stack.toml").read_bytes())
    return settings.model_copy(update={"home": home})


def empty(driver: Driver) -> None:
    with driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    initialise(driver, "neo4j")


@pytest.mark.timeout(600)
def test_a_driver_killed_in_mid_batch_ends_in_the_graph_of_an_undisturbed_run(
    spark: SparkSession,
    installation: Callable[..., Settings],
    empty_graph: Driver,
    kafka_topic: Callable[..., str],
    record_property: Callable[[str, object], None],
) -> None:
    prefix = kafka_topic("kill") + "-"
    settings = installation(kafka_topics=tuple(prefix + topic for topic in TOPICS), max_packets_per_batch=300)
    messages = list(generate_stream(11, ALERTS * 2 // 3, ALERTS // 3, duplicates=0.05, corrupted=0.02))
    truth = publish(iter(messages), settings.kafka_bootstrap, topics=TOPICS, prefix=prefix, partitions=2)
    assert truth.alerts == ALERTS

    start_alert_query(spark, settings, until_caught_up=True).awaitTermination()
    undisturbed = digest(empty_graph, "neo4j").hex

    for attempt in range(1, TRIES + 1):
        empty(empty_graph)
        disturbed = other_home(settings, f"try-{attempt}")
        if kill_in_mid_batch(disturbed, empty_graph):
            break
    else:
        pytest.fail(f"the application could not be hit in mid-batch in {TRIES} tries")
    rows = alerts_in(empty_graph)
    record_property("killed_with_alerts", f"{rows} of {ALERTS}, attempt {attempt}")
    assert digest(empty_graph, "neo4j").hex != undisturbed

    assert application(disturbed).wait(300) == 0, (disturbed.home / "run.log").read_text()[-2000:]
    assert digest(empty_graph, "neo4j").hex == undisturbed
    balance = reconcile(Lake(disturbed.lake_path), alerts_in(empty_graph))
    assert balance.reconciled
    assert (balance.packets_in, balance.duplicates) == (truth.packets, truth.duplicates)


def test_a_folder_of_another_format_is_refused_by_name(installation: Callable[..., Settings], tmp_path: Path) -> None:
    settings = installation()
    (settings.home / "checkpoints/alerts").mkdir(parents=True)
    (settings.home / "checkpoints/alerts/FORMAT.json").write_text('{"kind": "checkpoint", "version": 0}')
    with (tmp_path / "out").open("wb") as out:
        command = [sys.executable, "-m", "asterism", "run", "--until-caught-up"]
        environment = os.environ | {"ASTERISM_HOME": str(settings.home)}
        assert subprocess.run(command, env=environment, stderr=out, check=False, timeout=100).returncode == 1
    assert "format.mismatch" in (tmp_path / "out").read_text()
