"""A night can be written into a folder and played to Kafka; both deliver what its truth says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer

from asterism.simulate.commands import simulate
from asterism.simulate.errors import OutputExistsError
from asterism.simulate.events import TimedNotice
from asterism.simulate.night import AlertMessage, Night
from asterism.simulate.replay import publish_night, write_night


@pytest.fixture(scope="module")
def folder(small_night: Night, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("night") / "out"
    write_night(small_night, path)
    return path


def test_a_folder_holds_every_alert_and_notice_in_the_order_of_the_night(folder: Path, small_night: Night) -> None:
    lines = [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
    for line, item in zip(lines, small_night.timeline(), strict=True):
        expected = item.message.payload if isinstance(item, AlertMessage) else item.payload
        assert (folder / line["file"]).read_bytes() == expected
        assert line["available_mjd_tai"] == item.available_mjd_tai
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "ztf",
        "lsst",
        "notices",
        "schemas",
        "timeline.jsonl",
        "truth.json",
        "catalogue.parquet",
        "objects.parquet",
    }


def test_truth_and_tables_are_those_of_the_night(folder: Path, small_night: Night) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    assert truth.items() >= json.loads(json.dumps(small_night.truth)).items()
    counts = small_night.counts()
    assert truth["alerts"]["alerts"] == counts["ztf"] + counts["lsst"] == sum(truth["alerts_by_kind"].values())
    assert pq.read_table(folder / "objects.parquet").equals(small_night.objects)
    assert pq.read_table(folder / "catalogue.parquet").equals(small_night.catalogue)


def test_two_nights_are_not_mixed(folder: Path, small_night: Night) -> None:
    with pytest.raises(OutputExistsError):
        write_night(small_night, folder)


def test_the_command_writes_a_night(tmp_path: Path) -> None:
    few = ["night", "--scenario", "neutrino", "--seed", "3", "--ztf", "0", "--lsst", "0"]
    result = CliRunner().invoke(simulate, [*few, "--out", str(tmp_path / "n"), "--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed == json.loads((tmp_path / "n" / "truth.json").read_text())
    text = CliRunner().invoke(simulate, [*few, "--out", str(tmp_path / "m")])
    assert printed["events"][0]["true_objects"][0] in text.stdout


@pytest.mark.parametrize(
    "wrong", [[], ["--publish", "--out", "x"], ["--out", "x", "--speed", "2"], ["--scenario", "x"]]
)
def test_wrong_usage_is_refused(wrong: list[str]) -> None:
    assert CliRunner().invoke(simulate, ["night", *wrong]).exit_code == 2


@pytest.mark.services
def test_kafka_gets_the_alerts_and_the_hook_the_notices_in_between(
    small_night: Night, kafka_topic: Callable[..., str], stack: object
) -> None:
    prefix = kafka_topic("night") + "-"
    bootstrap = stack.kafka_bootstrap  # type: ignore[attr-defined]
    sent: list[TimedNotice] = []
    truth = publish_night(small_night, bootstrap, sent.append, prefix=prefix, partitions=1)
    counts = small_night.counts()
    assert truth.alerts == counts["ztf"] + counts["lsst"]
    assert [notice.name for notice in sent] == [n.name for event in small_night.events for n in event.notices]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": prefix, "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([prefix + "lsst"])
        received = [consumer.poll(20.0) for _ in range(counts["lsst"])]
    finally:
        consumer.close()
    expected = [i.message for i in small_night.timeline() if isinstance(i, AlertMessage) and i.message.topic == "lsst"]
    assert [m.value() for m in received if m] == [message.payload for message in expected]
