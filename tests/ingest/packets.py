"""Generated packets, as they are and rewritten, and what the decoder makes of them."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro

from asterism.ingest.container import read_header
from asterism.ingest.decode import Decoded, Decoder
from asterism.ingest.packets import Position
from asterism.records import DEAD_LETTER, DETECTION
from asterism.simulate.packets import ForcedFlux, History, SimulatedDetection, UpperLimit, ztf_packet
from tests.ingest.reading import Record, plain

ZTF_ONE = SimulatedDetection("ZTF25aaaaaab", 3_246_300_000_115_000_001, 150.1, 2.2, 61000.3, "r", 2.5e4, 1.2e3)
LSST_ONE = SimulatedDetection("170032882292621441", 170032882292621313, 53.2, -27.8, 61002.27, "i", -940.0, 150.0)
PAST = History(
    detections=tuple(
        SimulatedDetection("ZTF25aaaaaab", 3_246_300_000_115_000_001 - n, 150.1, 2.2, 61000.3 - n, "g", 2e4, 1e3)
        for n in range(1, 12)
    ),
    limits=tuple(UpperLimit(60990.0 - n, "r", 20.5) for n in range(10)),
    forced=tuple(ForcedFlux(60990.0 - n, "g", -5.0 * n, 100.0) for n in range(10)),
)
LSST_PAST = History(
    detections=tuple(
        SimulatedDetection("170032882292621441", 170032882292621313 - n, 53.2, -27.8, 61002.27 - n, "i", 900.0, 90.0)
        for n in range(1, 9)
    ),
    forced=tuple(ForcedFlux(60990.0 - n, "g", -5.0 * n, 100.0) for n in range(10)),
)


def positions(count: int) -> list[Position]:
    return [Position("topic", 3, 100 + index, 1_700_000_000_000 + index) for index in range(count)]


def decode(decoder: Decoder, *payloads: bytes) -> Decoded:
    decoded = decoder.decode(payloads, positions(len(payloads)))
    assert decoded.detections.schema.equals(DETECTION)
    assert decoded.dead_letters.schema.equals(DEAD_LETTER)
    offsets = decoded.detections["offset"].to_pylist() + decoded.dead_letters["offset"].to_pylist()
    assert sorted(offsets) == [100 + index for index in range(len(payloads))]
    decoded.detections.validate(full=True)
    return decoded


def one(decoder: Decoder, payload: bytes) -> Record:
    decoded = decode(decoder, payload)
    assert decoded.dead_letters.num_rows == 0, decoded.dead_letters["message"].to_pylist()
    return dict(decoded.detections.to_pylist()[0])


def code(decoder: Decoder, payload: bytes) -> str:
    decoded = decode(decoder, payload)
    assert decoded.detections.num_rows == 0
    letter = decoded.dead_letters.to_pylist()[0]
    assert letter["payload"] == payload
    assert letter["publishedMs"] == 1_700_000_000_000
    return str(letter["code"])


def container(schema: Record, record: Record, codec: str = "null", count: int = 1) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, schema, [record] * count, codec=codec)
    return out.getvalue()


ZTF_RECORD, ZTF_SCHEMA = plain(ztf_packet(ZTF_ONE, PAST))


def ztf_schema() -> Record:
    text = read_header(ztf_packet(ZTF_ONE)).schema
    schema = json.loads(text)
    assert isinstance(schema, dict)
    return schema


def candidate_fields(schema: Record) -> list[Record]:
    fields = next(field for field in schema["fields"] if field["name"] == "candidate")["type"]["fields"]
    assert isinstance(fields, list)
    return fields


def changed(**candidate: Any) -> bytes:
    """A generated ZTF packet with some of its fields replaced."""
    return container(ztf_schema(), {**ZTF_RECORD, "candidate": {**ZTF_RECORD["candidate"], **candidate}})


def retyped(name: str, kind: Any, value: Any) -> bytes:
    schema = ztf_schema()
    field = next(field for field in candidate_fields(schema) if field["name"] == name)
    field.clear()
    field.update(name=name, type=kind)
    return container(schema, {**ZTF_RECORD, "candidate": {**ZTF_RECORD["candidate"], name: value}})
