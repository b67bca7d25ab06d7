"""What the status says is what lake, ledger, graph and Kafka hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from neo4j import Driver

from asterism.graph.sweep import sweep
from asterism.ingest.commands import ingest
from asterism.ingest.hot import LEDGER
from asterism.ingest.load import load_files
from asterism.ingest.status import current_status
from asterism.lake import Lake
from asterism.settings import Settings
from asterism.simulate.packets import SimulatedDetection, ztf_packet
from asterism.simulate.publish import publish
from asterism.simulate.stream import TOPICS, generate_stream

pytestmark = pytest.mark.services


def nothing(count: int, note: str = "") -> None:
    del count, note


def packets(folder: Path, nights: int) -> Path:
    """Write one packet a night and a copy of the first."""
    folder.mkdir()
    for n in [*range(nights), 0]:
        seen = SimulatedDetection("ZTF25aaaaaaa", 10**17 + n, 150.0, 2.0, 61000.3 + n, "r", 2.5e4, 1.2e3)
        name = len(list(folder.iterdir()))
        (folder / f"{name}.avro").write_bytes(ztf_packet(seen))
    return folder


def test_each_night_is_counted_at_each_stage(
    installation: Callable[..., Settings], neo4j_driver: Driver, tmp_path: Path
) -> None:
    settings = installation()
    load_files(settings, [packets(tmp_path / "packets", 3)], nothing)
    found = current_status(settings)
    assert [(n.survey, n.delivered, n.alerts, n.graph) for n in found.nights] == [
        ("ztf", 2, 1, 1),
        ("ztf", 1, 1, 1),
        ("ztf", 1, 1, 1),
    ]
    assert (found.balance.packets_in, found.balance.duplicates, found.batches) == (4, 1, 1)
    assert found.rate == pytest.approx(4 / 60.0)
    assert found.last_batch_seconds is not None
    assert found.newest_alert_age is not None
    sweep(neo4j_driver, Lake(settings.lake_path), database="neo4j", nights=1)
    swept = current_status(settings)
    assert [night.graph for night in swept.nights] == [0, 0, 1]
    assert (swept.balance.hot_alerts, swept.balance.graph_alerts, swept.balance.reconciled) == (1, 1, True)


def test_lag_is_what_no_finished_batch_has_read(
    installation: Callable[..., Settings], kafka_topic: Callable[..., str]
) -> None:
    prefix = kafka_topic("lag") + "-"
    settings = installation(kafka_topics=tuple(prefix + topic for topic in TOPICS))
    truth = publish(
        generate_stream(3, 8, 4), settings.kafka_bootstrap, topics=TOPICS, prefix=prefix, partitions=1, total=12
    )
    assert current_status(settings).lag == truth.packets == 12
    outcome = {"topic": f"{prefix}ztf", "partition": 0, "survey": "ztf", "night": 20250101, "code": None}
    entry = {"query": LEDGER, "packets": 5, "windows": [], "outcomes": [outcome | {"packets": 5, "start": 0, "end": 5}]}
    Lake(settings.lake_path).write_ledger(LEDGER, "one", entry)
    waiting = {part.topic: part.packets for part in current_status(settings).waiting or []}
    assert waiting == {f"{prefix}ztf": 3, f"{prefix}lsst": 4}


def test_lag_is_unknown_where_kafka_does_not_answer(
    installation: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asterism.ingest.status._KAFKA_SECONDS", 0.5)
    settings = installation(kafka_bootstrap="127.0.0.1:1")
    monkeypatch.setenv("ASTERISM_HOME", str(settings.home))
    monkeypatch.setenv("ASTERISM_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    answer = CliRunner().invoke(ingest, ["status", "--json"])
    assert answer.exit_code == 0
    found = json.loads(answer.stdout)
    assert found["lag"] is None
    assert (found["packets_in"], found["batches"], found["nights"], found["newest_alert_age_s"]) == (0, 0, [], None)
    assert "unknown" in current_status(settings).as_text()
