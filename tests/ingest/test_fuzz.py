"""Corrupted packets by the thousand: none stops a batch, each is kept with its reason, and is ingested after a mend.

Every packet is damaged in a way that makes it unreadable, so that what becomes of it is known: a dead letter of a
certain code at its own offset. Two mends follow: a schema that was missing is given, then a decoder that can read what
the damage did, as a corrected decoder would. In the end nothing is refused and the graph is that of undamaged packets.
"""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np
import pytest
from confluent_kafka import Producer
from neo4j import Driver
from pyspark.sql import SparkSession

from asterism.graph.digest import digest
from asterism.graph.schema import initialise
from asterism.graph.writer import write_detections
from asterism.ingest import deadletters
from asterism.ingest.container import read_header
from asterism.ingest.deadletters import chosen, replay
from asterism.ingest.decode import Decoded, Decoder
from asterism.ingest.packets import Position
from asterism.ingest.reconcile import current_balance
from asterism.ingest.schemas import SchemaSource
from asterism.ingest.stream import start_alert_query
from asterism.lake import Lake
from asterism.settings import Settings
from asterism.simulate.packets import LSST_SCHEMA, LSST_SCHEMA_ID, SimulatedDetection, lsst_packet, ztf_packet

pytestmark = [pytest.mark.fuzz, pytest.mark.services, pytest.mark.spark]

UNKNOWN_ID = LSST_SCHEMA_ID + 7777
WHOLE = 10
"""One packet in so many is left whole."""
LSST = fastavro.parse_schema(LSST_SCHEMA)

Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A packet as it should be, as it is sent, and the code under which it is refused; None if it is not."""

    original: bytes
    sent: bytes
    code: str | None


class Ztf:
    """Makes small ZTF packets that differ in object, id and place, and damages them."""

    def __init__(self) -> None:
        seen = SimulatedDetection("ZTF25aaaaaab", 10**17, 150.1, 2.2, 61000.3, "r", 2.5e4, 1.2e3)
        reader = fastavro.reader(io.BytesIO(ztf_packet(seen)))
        self.record: Record = next(reader)  # type: ignore[assignment]
        self.schema: Any = reader.writer_schema
        for name in ("cutoutScience", "cutoutTemplate", "cutoutDifference"):
            self.record[name] = {**self.record[name], "stampData": b"stamp"}

    def packet(self, number: int, records: int = 1, **candidate: Any) -> bytes:
        values = {**self.record["candidate"], "candid": 10**17 + number, "ra": number * 0.01 % 360.0, **candidate}
        record = {**self.record, "candid": values["candid"], "objectId": f"ZTF25f{number // 3:06}", "candidate": values}
        stream = io.BytesIO()
        fastavro.writer(stream, self.schema, [record] * records, sync_marker=b"asterism-fuzzing")
        return stream.getvalue()

    def damaged(self, number: int, kind: str, rng: np.random.Generator) -> tuple[bytes, str]:
        whole = self.packet(number)
        header = read_header(whole).end
        match kind:
            case "empty":
                return b"", "ingest.empty"
            case "no record":
                return whole[:header], "ingest.empty"
            case "cut in the header":
                return whole[: int(rng.integers(5, header))], "ingest.truncated"
            case "cut in the record":
                return whole[: int(rng.integers(header + 4, len(whole)))], "ingest.truncated"
            case "another magic":
                return bytes([int(rng.integers(1, 79))]) + whole[1:], "ingest.wrong_magic"
            case "noise":
                return b"\xff" + rng.bytes(int(rng.integers(1, 3000))), "ingest.wrong_magic"
            case "a codec nobody has":
                return whole.replace(b"\x08null", b"\x08zzzz", 1), "ingest.codec_unknown"
            case "no schema":
                return whole.replace(b'"fields"', b'"feilds"'), "ingest.schema_invalid"
            case "two records":
                return self.packet(number, records=2), "ingest.multiple_records"
            case "another time":
                return self.packet(number, jd=float(rng.choice([np.nan, -1.0, 61000.0]))), "ingest.bad_time"
            case "off the sky":
                return self.packet(number, dec=float(rng.uniform(90.01, 1e9))), "ingest.bad_position"
            case _:
                return self.packet(number, candid=-int(rng.integers(1, 10**15))), "ingest.bad_id"


class Lsst:
    """The same for LSST."""

    def __init__(self) -> None:
        seen = SimulatedDetection("7", 8, 53.2, -27.8, 61002.27, "i", -940.0, 150.0)
        found = fastavro.schemaless_reader(io.BytesIO(lsst_packet(seen)[5:]), LSST, None)
        stamps = {name: None for name, value in found.items() if isinstance(value, bytes)}  # type: ignore[union-attr]
        self.record: Record = {**found, **stamps}  # type: ignore[dict-item]

    def packet(self, number: int, **source: Any) -> bytes:
        ids = {"diaSourceId": 2 * 10**17 + number, "diaObjectId": 3 * 10**17 + number // 3}
        stream = io.BytesIO(b"\0" + struct.pack(">I", LSST_SCHEMA_ID))
        stream.seek(5)
        seen = {**self.record["diaSource"], **ids, "dec": -number * 0.001 % 80.0, **source}
        fastavro.schemaless_writer(stream, LSST, {**self.record, "diaSource": seen})
        return stream.getvalue()

    def damaged(self, number: int, kind: str, rng: np.random.Generator) -> tuple[bytes, str]:
        whole = self.packet(number)
        match kind:
            case "unknown schema":
                return b"\0" + struct.pack(">I", UNKNOWN_ID) + whole[5:], "ingest.schema_unknown"
            case "cut":
                return whole[: int(rng.integers(1, 60))], "ingest.truncated"
            case "no time":
                return self.packet(number, midpointMjdTai=float("nan")), "ingest.bad_time"
            case _:
                return self.packet(number, ra=float(rng.uniform(360.0, 1e6))), "ingest.bad_position"


ZTF_KINDS = (
    "empty",
    "no record",
    "cut in the header",
    "cut in the record",
    "another magic",
    "noise",
    "a codec nobody has",
    "no schema",
    "two records",
    "another time",
    "off the sky",
    "a negative id",
)
LSST_KINDS = ("unknown schema", "unknown schema", "cut", "no time", "off the sky")


def cases(count: int) -> Iterator[Case]:
    """Yield damaged packets, and whole ones between them."""
    rng, ztf, lsst = np.random.default_rng(20), Ztf(), Lsst()
    for number in range(count):
        maker, kinds = (lsst, LSST_KINDS) if number % 3 == 0 else (ztf, ZTF_KINDS)
        original = maker.packet(number)
        yield Case(original, *maker.damaged(number, kinds[int(rng.integers(len(kinds)))], rng))
        if number % WHOLE == 0:
            more = ztf.packet(count + number)
            yield Case(more, more, None)


def published(made: Sequence[Case], bootstrap: str, topic: str) -> None:
    """Send the packets to a topic of one partition: the offset is the index."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for case in made:
        producer.produce(topic, case.sent)
        producer.poll(0)
    assert producer.flush(120) == 0


class Mended(Decoder):
    """A decoder that can read what the damage hid."""

    made: Sequence[Case] = ()

    def decode(self, payloads: Sequence[bytes], positions: Sequence[Position]) -> Decoded:
        del payloads
        return super().decode([self.made[position.offset].original for position in positions], positions)


def nothing(count: int, note: str = "") -> None:
    del count, note


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", [1_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_corrupted_packets_stop_no_batch_are_kept_with_their_reason_and_are_ingested_after_a_mend(
    spark: SparkSession,
    installation: Callable[..., Settings],
    empty_graph: Driver,
    kafka_topic: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    count: int,
) -> None:
    made = list(cases(count))
    whole = sum(case.code is None for case in made)
    topic = kafka_topic("fuzz")
    settings = installation(kafka_topics=(topic,), max_packets_per_batch=1000)
    published(made, settings.kafka_bootstrap, topic)
    start_alert_query(spark, settings, until_caught_up=True).awaitTermination()

    lake = Lake(settings.lake_path)
    letters = chosen(lake, None).drop_columns(["payload"]).to_pylist()
    wanted = {offset: case.code for offset, case in enumerate(made) if case.code is not None}
    assert {row["offset"]: row["code"] for row in letters} == wanted
    assert all(row["message"] for row in letters)
    refused = current_balance(settings)
    assert (refused.packets_in, refused.alerts, refused.dead_letters, refused.reconciled) == (
        len(made),
        whole,
        count,
        True,
    )

    known = (settings.schema_folder or settings.home) / f"{LSST_SCHEMA_ID}.avsc"
    known.with_name(f"{UNKNOWN_ID}.avsc").write_bytes(known.read_bytes())
    done = replay(settings, chosen(lake, None), nothing)
    unknown = sum(code == "ingest.schema_unknown" for code in wanted.values())
    assert (done.tried, done.accepted) == (count, unknown)
    assert done.refused == Counter(code for code in wanted.values() if code != "ingest.schema_unknown")

    monkeypatch.setattr(Mended, "made", made)
    monkeypatch.setattr(deadletters, "Decoder", Mended)
    assert replay(settings, chosen(lake, None), nothing).accepted == count - unknown
    mended = current_balance(settings)
    assert (mended.packets_in, mended.alerts, mended.dead_letters) == (len(made), len(made), 0)
    assert mended.reconciled
    after = digest(empty_graph, "neo4j")

    with empty_graph.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    initialise(empty_graph, "neo4j")
    places = [Position(topic, 0, offset) for offset in range(len(made))]
    sound = Decoder(SchemaSource.of(settings)).decode([case.original for case in made], places)
    assert sound.dead_letters.num_rows == 0
    write_detections(empty_graph, sound.detections, database="neo4j")
    assert digest(empty_graph, "neo4j") == after
    with capsys.disabled():
        codes = ", ".join(f"{code} {n:,}" for code, n in sorted(refused.by_code.items()))
        print(f"\n{count:,} corrupted packets refused ({codes}); {unknown:,} ingested with the schema, the rest mended")
