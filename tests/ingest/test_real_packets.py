"""Real ZTF and LSST packets through real Kafka, Spark and Neo4j, against a count made with plain fastavro."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer
from neo4j import Driver
from pyspark.sql import SparkSession

from asterism.graph.digest import digest
from asterism.ingest.reconcile import reconcile
from asterism.ingest.stream import start_alert_query
from asterism.lake import Lake
from asterism.settings import Settings

pytestmark = [pytest.mark.services, pytest.mark.spark, pytest.mark.realdata]

FOLDERS = [
    "ztf/v3_2_20181129",
    "ztf/v4_02_20231018",
    "ztf/doctored",
    "ztf/single",
    "lsst/fink_v9_0_20250906",
    "lsst/fink_v7_4_20250411",
    "lsst/confluent",
]


def packets(data: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of every real packet; the tarball is opened by the standard library alone."""
    for folder in FOLDERS:
        for path in sorted((data / folder).glob("*.avro")):
            yield f"{folder}/{path.name}", path.read_bytes()
    for archive in sorted((data / "ztf/archive").glob("*.tar.gz")):
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive.read_bytes()))) as members:
            for member in members:
                if (stream := members.extractfile(member)) is not None:
                    yield f"{archive.name}/{member.name}", stream.read()


@dataclass
class Expected:
    """What plain fastavro says must be in the graph."""

    schemas: dict[int, Any]
    alerts: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)
    edges: set[tuple[str, str]] = field(default_factory=set)
    usable: int = 0
    unusable: int = 0

    def add(self, payload: bytes) -> None:
        if payload[:1] == b"\x00":
            schema = self.schemas[int.from_bytes(payload[1:5], "big")]
            record: Any = fastavro.schemaless_reader(io.BytesIO(payload[5:]), schema, None)
        else:
            record = next(fastavro.reader(io.BytesIO(payload)))
        if "diaSource" in record:
            alert, owner = f"lsst:{record['diaSource']['diaSourceId']}", record["diaSource"]["diaObjectId"]
            owner = f"lsst:{owner}" if owner else None
        elif "objectId" in record:
            alert, owner = f"ztf:{record['candid']}", f"ztf:{record['objectId']}"
        else:
            self.unusable += 1
            return
        self.usable += 1
        self.alerts.add(alert)
        if owner:
            self.objects.add(owner)
            self.edges.add((owner, alert))


def lsst_schema(data: Path) -> Any:
    folder = data / "lsst/schema/9/0"
    return fastavro.schema.load_schema(folder / "lsst.v9_0.alert.avsc")


BROKEN = {
    "ingest.empty": lambda _: b"",
    "ingest.truncated": lambda packet: packet[: len(packet) // 2],
    "ingest.wrong_magic": lambda packet: b"PK\x03\x04" + packet[4:],
    "ingest.schema_unknown": lambda packet: b"\x00\x00\x00\x27\x0f" + packet[5:],
}


@pytest.mark.timeout(400)
def test_real_packets_end_where_plain_fastavro_says(
    test_data: Path,
    spark: SparkSession,
    installation: Callable[..., Settings],
    empty_graph: Driver,
    kafka_topic: Callable[..., str],
) -> None:
    topic = kafka_topic("real", partitions=2)
    settings = installation(kafka_topics=(topic,)).model_copy(update={"schema_folder": test_data / "lsst/schema"})
    expected, sent = Expected({900: lsst_schema(test_data)}), 0
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "message.max.bytes": 4_000_000})
    for name, payload in packets(test_data):
        expected.add(payload)
        producer.produce(topic, payload, key=name)
        producer.poll(0)
        sent += 1
    for damage in BROKEN.values():
        producer.produce(topic, damage(payload), key="broken")
    assert producer.flush(60) == 0

    start_alert_query(spark, settings, until_caught_up=True).awaitTermination()
    with empty_graph.session() as session:
        alerts = {r["key"] for r in session.run("MATCH (a:Alert) RETURN a.key AS key")}
        objects = {r["key"] for r in session.run("MATCH (o:Object) RETURN o.key AS key")}
        edges = {
            (r["o"], r["a"]) for r in session.run("MATCH (o:Object)-[:HAS_ALERT]->(a) RETURN o.key AS o, a.key AS a")
        }
    assert alerts == expected.alerts
    assert objects == expected.objects
    assert edges == expected.edges

    lake = Lake(settings.lake_path)
    balance = reconcile(lake, len(alerts))
    assert balance.packets_in == sent + len(BROKEN)
    assert balance.duplicates == expected.usable - len(expected.alerts)
    assert balance.duplicates >= 2 + 30, "two doctored packets and the 30 of the tarball come twice"
    assert balance.by_code == dict.fromkeys(BROKEN, 1) | {"ingest.no_object": expected.unusable}
    assert expected.unusable == 1
    assert balance.reconciled

    before = digest(empty_graph, "neo4j").hex
    again = settings.model_copy(update={"home": settings.home.parent / "again"})
    again.home.mkdir()
    (again.home / "stack.toml").write_bytes((settings.home / "stack.toml").read_bytes())
    start_alert_query(spark, again, until_caught_up=True).awaitTermination()
    assert reconcile(Lake(again.lake_path), len(alerts)) == balance
    assert digest(empty_graph, "neo4j").hex == before
