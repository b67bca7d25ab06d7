"""Every packet that cannot be trusted becomes a dead letter with a stable code; none stops a batch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asterism.ingest.container import read_header, wrap, write_varint
from asterism.ingest.decode import Decoder
from asterism.ingest.errors import PacketError, UndecodableError
from asterism.ingest.packets import MAX_PACKET_BYTES
from asterism.simulate.packets import lsst_packet, ztf_packet
from tests.ingest.packets import (
    LSST_ONE,
    LSST_PAST,
    PAST,
    ZTF_ONE,
    ZTF_RECORD,
    changed,
    code,
    container,
    decode,
    one,
    retyped,
    ztf_schema,
)
from tests.ingest.reading import Record


def without(name: str) -> bytes:
    schema = ztf_schema()
    schema["fields"] = [field for field in schema["fields"] if field["name"] != name]
    return container(schema, ZTF_RECORD)


def with_id(**top: Any) -> bytes:
    return container(ztf_schema(), {**ZTF_RECORD, **top})


REFUSED = {
    "empty": (b"", "ingest.empty"),
    "no block": (ztf_packet(ZTF_ONE)[: read_header(ztf_packet(ZTF_ONE)).end], "ingest.empty"),
    "start of magic": (b"Ob", "ingest.truncated"),
    "frame without record": (b"\0\0\0", "ingest.truncated"),
    "cut in header": (ztf_packet(ZTF_ONE)[:500], "ingest.truncated"),
    "cut in cutouts": (ztf_packet(ZTF_ONE)[:-1000], "ingest.truncated"),
    "json": (b'{"objectId": 1}', "ingest.wrong_magic"),
    "too large": (ztf_packet(ZTF_ONE) + bytes(MAX_PACKET_BYTES), "ingest.too_large"),
    "unknown id": (b"\0\xff\xff\xff\xff" + bytes(100), "ingest.schema_unknown"),
    "two records": (container(ztf_schema(), ZTF_RECORD, count=2), "ingest.multiple_records"),
    "two blocks": (
        ztf_packet(ZTF_ONE) + b"\2\0" + read_header(ztf_packet(ZTF_ONE)).sync,
        "ingest.multiple_records",
    ),
    "other codec": (ztf_packet(ZTF_ONE).replace(b"\x08null", b"\x08zzzz", 1), "ingest.codec_unknown"),
    "no schema": (b"Obj\1\0" + bytes(16), "ingest.schema_invalid"),
    "no object": (without("objectId"), "ingest.no_object"),
    "empty object": (with_id(objectId=""), "ingest.no_object"),
    "bad object": (with_id(objectId="a'; DROP"), "ingest.bad_id"),
    "negative id": (with_id(candid=-7), "ingest.bad_id"),
    "zero id": (with_id(candid=0), "ingest.bad_id"),
    "time not finite": (changed(jd=float("nan")), "ingest.bad_time"),
    "time in antiquity": (changed(jd=2458.0), "ingest.bad_time"),
    "time in MJD": (changed(jd=61000.0), "ingest.bad_time"),
    "ra not finite": (changed(ra=float("inf")), "ingest.bad_position"),
    "ra 360": (changed(ra=360.0), "ingest.bad_position"),
    "dec below the pole": (changed(dec=-90.001), "ingest.bad_position"),
    "ra of another type": (retyped("ra", "string", "12"), "ingest.schema_invalid"),
    "other survey": (
        container({"type": "record", "name": "x", "fields": [{"name": "candid", "type": "long"}]}, {"candid": 1}),
        "ingest.survey_unknown",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_packets_are_dead_letters_with_their_code(decoder: Decoder, case: str) -> None:
    payload, wanted = REFUSED[case]
    assert code(decoder, payload) == wanted


def test_one_bad_packet_of_each_kind_stops_no_batch(decoder: Decoder) -> None:
    good = ztf_packet(ZTF_ONE)
    payloads = [part for payload, _ in REFUSED.values() for part in (good, payload)]
    decoded = decode(decoder, *payloads)
    assert decoded.detections.num_rows == len(REFUSED)
    assert decoded.dead_letters["code"].to_pylist() == [wanted for _, wanted in REFUSED.values()]


def test_record_that_is_longer_than_its_block_is_refused(decoder: Decoder) -> None:
    whole = ztf_packet(ZTF_ONE)
    header = read_header(whole)
    assert code(decoder, wrap(header, whole[header.end + 3 : header.end + 100])) == "ingest.undecodable"


def test_deflate_bomb_is_refused_before_it_unpacks(decoder: Decoder) -> None:
    bomb = container(ztf_schema(), {**ZTF_RECORD, "publisher": "x" * (MAX_PACKET_BYTES + 1)}, "deflate")
    assert len(bomb) < MAX_PACKET_BYTES // 10
    assert code(decoder, bomb) == "ingest.too_large"


def as_container(schema: Record, body: bytes) -> bytes:
    text = json.dumps(schema).encode()
    head = b"Obj\1\2" + write_varint(11) + b"avro.schema" + write_varint(len(text)) + text + b"\0" + bytes(16)
    return head + b"\2" + write_varint(len(body)) + body + bytes(16)


def hostile(extra: Any) -> Record:
    schema = ztf_schema()
    schema["fields"].insert(0, {"name": "extra", "type": extra})
    return schema


ITSELF = {"type": "record", "name": "Self", "fields": [{"name": "a", "type": ["null", "Self"]}]}
NESTED: Any = "int"
for _ in range(400):
    NESTED = {"type": "array", "items": NESTED}


@pytest.mark.parametrize(
    ("extra", "body"),
    [
        pytest.param(ITSELF, b"\2" * 3_000_000, id="a record that contains itself would overflow the C stack"),
        pytest.param(NESTED, b"\2" * 500, id="deep nesting"),
        pytest.param({"type": "array", "items": "null"}, write_varint(2**60), id="2**60 items of no bytes"),
        pytest.param({"type": "record", "name": "E", "fields": []}, b"", id="a record of no bytes"),
        pytest.param({"type": "fixed", "name": "F", "size": 0}, b"", id="a fixed of no bytes"),
        pytest.param("NoSuchType", b"", id="a type nobody defines"),
        pytest.param({"type": []}, b"", id="a union of nothing"),
        pytest.param(7, b"", id="a number for a type"),
    ],
)
def test_hostile_schemas_are_refused(decoder: Decoder, extra: Any, body: bytes) -> None:
    assert code(decoder, as_container(hostile(extra), body)) == "ingest.schema_invalid"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(data=st.data())
def test_any_damage_gives_exactly_one_outcome(decoder: Decoder, data: st.DataObject) -> None:
    payload = bytearray(data.draw(st.sampled_from([ztf_packet(ZTF_ONE), lsst_packet(LSST_ONE)])))
    interesting = st.integers(0, 40) | st.integers(0, len(payload) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(interesting)
        payload[at % len(payload)] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | interesting)
    decode(decoder, bytes(payload[:cut]), ztf_packet(ZTF_ONE))


def test_packets_cut_anywhere_are_told_from_whole_ones(decoder: Decoder) -> None:
    ztf, lsst = ztf_packet(ZTF_ONE, PAST), lsst_packet(LSST_ONE, LSST_PAST)
    cuts = sorted({*range(0, 60), *range(60, len(ztf), 997), len(ztf) - 1})
    decoded = decode(decoder, *(ztf[:cut] for cut in cuts))
    assert decoded.detections.num_rows == 0
    assert set(decoded.dead_letters["code"].to_pylist()) == {"ingest.empty", "ingest.truncated"}
    # a framed message has no length: behind the wanted fields only the full decode finds the cut
    for cut in (1, 5, 6, 100, 200):
        assert code(decoder, lsst[:cut]) == "ingest.truncated"
    assert one(decoder, lsst[:-1])["survey"] == "lsst"
    with pytest.raises(PacketError, match="ends within its record"):
        decoder.decode_full(lsst[:-1])


def test_what_is_said_of_a_cut_packet_does_not_depend_on_what_was_decoded_before(decoder: Decoder) -> None:
    ztf = ztf_packet(ZTF_ONE)
    header = read_header(ztf)
    one(decoder, ztf)
    for cut in range(header.sync_start - 2, header.end + 3):
        assert code(decoder, ztf[:cut]) == code(Decoder(), ztf[:cut])
        one(decoder, ztf)
    assert code(decoder, ztf[: header.end - 1]) == "ingest.truncated"
    assert code(decoder, ztf[: header.end]) == "ingest.empty"


def test_bytes_behind_the_record_are_found_by_the_full_decode(decoder: Decoder) -> None:
    with pytest.raises(UndecodableError, match="the record ends at byte"):
        decoder.decode_full(lsst_packet(LSST_ONE) + b"x")


@pytest.mark.parametrize("case", [name for name, (_, wanted) in REFUSED.items() if wanted not in {
    "ingest.no_object", "ingest.bad_id", "ingest.bad_time", "ingest.bad_position"}])  # fmt: skip
def test_full_decode_refuses_with_the_same_codes(decoder: Decoder, case: str) -> None:
    payload, wanted = REFUSED[case]
    with pytest.raises(PacketError) as refusal:
        decoder.decode_full(payload)
    assert refusal.value.code == wanted
