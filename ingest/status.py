"""How ingest is doing: how far behind, how fast, how fresh, and what each night holds at each stage.

Positions come from the ledger, what waits from Kafka; where Kafka does not answer the lag is unknown, which is not the
same as none. Rate and times are those of finished batches, by the clock of the machine that wrote them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, KafkaException, TopicPartition
from neo4j import ManagedTransaction

from asterism.graph.connection import connect, read
from asterism.ingest.hot import LEDGER
from asterism.ingest.reconcile import Reconciliation, current_balance
from asterism.lake import Lake
from asterism.ledger import finished_batches
from asterism.settings import Settings
from asterism.times import SECONDS_PER_DAY, now_mjd_tai

RATE_SECONDS = 60.0
"""Over how long the rate is taken [s]."""
_KAFKA_SECONDS = 5.0


@dataclass(frozen=True)
class Waiting:
    """What waits in a partition.

    Attributes
    ----------
    topic, partition : str, int
        Where.
    next_offset : int
        First offset that no finished batch has read.
    end_offset : int
        Offset the next packet will get.
    """

    topic: str
    partition: int
    next_offset: int
    end_offset: int

    @property
    def packets(self) -> int:
        """Packets that wait."""
        return max(0, self.end_offset - self.next_offset)


@dataclass(frozen=True)
class Night:
    """A night of a survey: distinct alerts at each stage."""

    survey: str
    night: int
    delivered: int
    """Decoded deliveries in the lake, duplicates included."""
    alerts: int
    """Distinct alerts in the lake."""
    graph: int
    """Alerts in the graph; less than `alerts` before the hot window."""


@dataclass(frozen=True)
class IngestStatus:
    """The state of an installation's ingest.

    Attributes
    ----------
    balance : Reconciliation
        Packets in against what became of them.
    waiting : list of Waiting or None
        Per partition; None if Kafka does not answer.
    rate : float
        Packets of batches that finished in the last minute, per second [1/s].
    batches : int
        Finished batches.
    last_batch : datetime or None
        When the last one finished, UTC.
    last_batch_seconds : float or None
        How long it took [s].
    newest_alert_age : float or None
        Time since the newest exposure in the lake [s].
    newest_packet_age : float or None
        Time since the newest packet in the lake was published [s].
    nights : list of Night
        By survey and night.
    """

    balance: Reconciliation
    waiting: list[Waiting] | None
    rate: float
    batches: int
    last_batch: datetime | None
    last_batch_seconds: float | None
    newest_alert_age: float | None
    newest_packet_age: float | None
    nights: list[Night]

    @property
    def lag(self) -> int | None:
        """Packets that wait in Kafka; None if it does not answer."""
        return None if self.waiting is None else sum(part.packets for part in self.waiting)

    def as_dict(self) -> dict[str, Any]:
        """Return the state as ``--json`` prints it; keys of the balance stand at the top."""
        return self.balance.as_dict() | {
            "lag": self.lag,
            "partitions": None if self.waiting is None else [asdict(p) | {"lag": p.packets} for p in self.waiting],
            "rate_per_s": round(self.rate, 3),
            "batches": self.batches,
            "last_batch_utc": None if self.last_batch is None else self.last_batch.isoformat(timespec="seconds"),
            "last_batch_s": self.last_batch_seconds,
            "newest_alert_age_s": self.newest_alert_age,
            "newest_packet_age_s": self.newest_packet_age,
            "nights": [asdict(night) for night in self.nights],
        }

    def as_text(self) -> str:
        """Return the state as people read it."""
        last = "none yet" if self.last_batch is None else f"{self.last_batch:%Y-%m-%d %H:%M:%S} UTC"
        lag = "unknown: Kafka does not answer" if self.lag is None else f"{self.lag:,} packets wait in Kafka"
        ages = [("newest exposure", self.newest_alert_age), ("newest packet", self.newest_packet_age)]
        lines = [
            self.balance.as_text(),
            f"{'lag':16}{lag}",
            f"{'rate':16}{self.rate:,.1f} packets/s over the last minute",
            f"{'batches':16}{self.batches:,}, last {last}",
            *(f"{name:16}{age:,.0f} s old" for name, age in ages if age is not None),
            f"{'survey':8}{'night':>10}{'delivered':>12}{'alerts':>12}{'in graph':>12}",
        ]
        lines += [f"{n.survey:8}{n.night:>10}{n.delivered:>12,}{n.alerts:>12,}{n.graph:>12,}" for n in self.nights]
        return "\n".join(lines)


def current_status(settings: Settings) -> IngestStatus:
    """Look at lake, ledger, graph and Kafka.

    Raises
    ------
    LakeError
        If the lake cannot be read.
    GraphError
        If Neo4j does not answer.
    """
    lake = Lake(settings.lake_path)
    rows = lake.detections(["alertKey", "survey", "night", "mjdTai", "publishedMs"])
    batches = list(_batches(lake))
    ended, seconds, _ = max(batches, default=(None, None, 0))
    since = time.time() - RATE_SECONDS
    exposed, published = pc.max(rows["mjdTai"]).as_py(), pc.max(rows["publishedMs"]).as_py()
    return IngestStatus(
        balance=current_balance(settings),
        waiting=_waiting(settings, _positions(lake)),
        rate=sum(packets for end, _, packets in batches if end >= since) / RATE_SECONDS,
        batches=len(batches),
        last_batch=None if ended is None else datetime.fromtimestamp(ended, UTC),
        last_batch_seconds=seconds,
        newest_alert_age=None if exposed is None else round((now_mjd_tai() - exposed) * SECONDS_PER_DAY, 1),
        newest_packet_age=None if published is None else round(time.time() - published / 1000, 1),
        nights=_nights(settings, rows),
    )


def _batches(lake: Lake) -> Iterator[tuple[float, float, int]]:
    """Yield when each batch ended (Unix time [s]), how long it took [s] and its packets."""
    for batch in finished_batches(lake.ledger_root):
        yield batch.finished_ns / 1e9, float(batch.entry.get("seconds", 0.0)), int(batch.entry["packets"])


def _positions(lake: Lake) -> dict[tuple[str, int], int]:
    """Return the first offset of each partition that no finished batch has read."""
    reached: dict[tuple[str, int], int] = {}
    for entry in lake.ledger():
        for row in entry["outcomes"] if entry["query"] == LEDGER else ():
            place = row["topic"], row["partition"]
            reached[place] = max(reached.get(place, 0), row["end"])
    return reached


def _waiting(settings: Settings, reached: dict[tuple[str, int], int]) -> list[Waiting] | None:
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": "asterism-status", "log_level": 0},
    )
    found = []
    try:
        known = consumer.list_topics(timeout=_KAFKA_SECONDS).topics
        for topic in sorted(settings.kafka_topics):
            for partition in sorted(known[topic].partitions) if topic in known else ():
                place = TopicPartition(topic, partition)
                first, end = consumer.get_watermark_offsets(place, timeout=_KAFKA_SECONDS)
                found.append(Waiting(topic, partition, max(first, reached.get((topic, partition), 0)), end))
    except KafkaException:
        return None
    finally:
        consumer.close()
    return found


def _nights(settings: Settings, rows: pa.Table) -> list[Night]:
    with connect(settings) as driver, driver.session(database=settings.neo4j_database) as session:
        in_graph = read(session, _graph_nights)
    counted = rows.group_by(["survey", "night"]).aggregate([("alertKey", "count"), ("alertKey", "count_distinct")])
    in_lake = {
        (row["survey"], row["night"]): (row["alertKey_count"], row["alertKey_count_distinct"])
        for row in counted.to_pylist()
    }
    found = []
    for survey, night in sorted(in_lake.keys() | in_graph.keys()):
        delivered, alerts = in_lake.get((survey, night), (0, 0))
        found.append(Night(survey, night, delivered, alerts, in_graph[survey, night]))
    return found


def _graph_nights(tx: ManagedTransaction) -> Counter[tuple[str, int]]:
    rows = tx.run("MATCH (a:Alert) RETURN a.survey AS survey, a.night AS night, count(*) AS n")
    return Counter({(row["survey"], row["night"]): row["n"] for row in rows})
