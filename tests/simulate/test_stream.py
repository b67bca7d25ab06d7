"""A stream is what its truth says, counted again from the bytes with plain fastavro."""

from __future__ import annotations

import io
import itertools
import struct
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, search_around_sky

from asterism.simulate.faults import UNKNOWN_SCHEMA_ID, Fault
from asterism.simulate.packets import LSST_SCHEMA, LSST_SCHEMA_ID
from asterism.simulate.stream import Message, generate_stream
from asterism.simulate.truth import Outcome, Truth

N_ZTF, N_LSST = 160, 200
PARSED = fastavro.parse_schema(LSST_SCHEMA)


@dataclass(frozen=True)
class Seen:
    """One readable packet as a reader knowing nothing of the simulator finds it."""

    survey: str
    source_id: int
    object_id: str | None
    ra: float
    dec: float
    mjd_tai: float
    record: dict[str, Any]


def read(message: Message) -> Seen:
    if message.topic == "ztf":
        (record,) = fastavro.reader(io.BytesIO(message.payload))
        assert isinstance(record, dict)
        row = record["candidate"]
        mjd = row["jd"] - 2400000.5 + 37.0 / 86400.0
        return Seen("ztf", record["candid"], record["objectId"], row["ra"], row["dec"], mjd, record)
    record = fastavro.schemaless_reader(io.BytesIO(message.payload[5:]), PARSED)
    assert isinstance(record, dict)
    row = record["diaSource"]
    object_id = str(row["diaObjectId"]) if record["diaObject"] else None
    return Seen("lsst", row["diaSourceId"], object_id, row["ra"], row["dec"], row["midpointMjdTai"], record)


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return list(generate_stream(11, N_ZTF, N_LSST, duplicates=0.1, corrupted=0.15))


@pytest.fixture(scope="module")
def seen(messages: list[Message]) -> list[Seen]:
    return [read(message) for message in messages if message.truth.outcome is Outcome.ALERT]


@pytest.fixture(scope="module")
def truth(messages: list[Message]) -> Truth:
    counted = Truth()
    for message in messages:
        counted.add(message.truth)
    return counted


def test_counts_agree_with_a_reading_of_the_bytes(messages: list[Message], seen: list[Seen], truth: Truth) -> None:
    assert truth.packets == len(messages) == N_ZTF + N_LSST + truth.duplicates + sum(truth.faults.values())
    assert truth.alerts == len({(alert.survey, alert.source_id) for alert in seen}) == N_ZTF + N_LSST
    owned = [f"{alert.survey}:{alert.object_id}" for alert in seen if alert.object_id]
    assert truth.edges == len(owned)
    assert truth.objects == set(owned)
    restricted = [a for a in seen if a.survey == "ztf" and a.record["candidate"]["programid"] != 1]
    assert truth.nonpublic_alerts == len(restricted) > 0
    assert truth.duplicates > 0
    assert truth.dead_letters == sum(truth.faults.values()) > 0


def test_pairs_are_the_only_objects_of_two_surveys_near_each_other(seen: list[Seen], truth: Truth) -> None:
    by_survey = {name: [a for a in seen if a.survey == name and a.object_id] for name in ("ztf", "lsst")}
    sky = {
        name: SkyCoord([a.ra for a in alerts], [a.dec for a in alerts], unit="deg")
        for name, alerts in by_survey.items()
    }
    near, far = (search_around_sky(sky["ztf"], sky["lsst"], radius) for radius in (0.3 * u.arcsec, 10 * u.arcsec))
    for found in (near, far):
        pairs = {
            (f"ztf:{by_survey['ztf'][i].object_id}", f"lsst:{by_survey['lsst'][j].object_id}")
            for i, j in zip(found[0], found[1], strict=True)
        }
        assert pairs == truth.pairs
    assert near[2].max() < 0.3 * u.arcsec
    lsst_objects = {a.object_id for a in by_survey["lsst"]}
    assert len(truth.pairs) / len(lsst_objects) == pytest.approx(0.3, abs=0.05)


def test_a_ztf_object_stays_in_place_and_is_seen_in_several_nights(seen: list[Seen]) -> None:
    nights = defaultdict(set)
    for alert in seen:
        if alert.object_id:
            nights[alert.object_id].add(int(alert.mjd_tai))
    assert np.median([len(n) for n in nights.values()]) >= 3


def test_the_stream_holds_what_ingest_must_cope_with(seen: list[Seen]) -> None:
    ztf = [a.record for a in seen if a.survey == "ztf"]
    lsst = [a.record for a in seen if a.survey == "lsst"]
    assert {record["candidate"]["programid"] for record in ztf} == {1, 2, 3}
    assert {record["candidate"]["isdiffpos"] for record in ztf} == {"t", "f"}
    assert {record["diaSource"]["isNegative"] for record in lsst} == {True, False}
    bodies = [record for record in lsst if record["ssSource"]]
    assert len(bodies) == round(0.05 * N_LSST)
    assert all(record["diaObject"] is None and record["diaSource"]["ssObjectId"] > 0 for record in bodies)
    assert min(a.source_id for a in seen) > 2**53


def test_every_detection_stands_well_above_its_noise(seen: list[Seen]) -> None:
    assert min(a.record["diaSource"]["snr"] for a in seen if a.survey == "lsst") >= 5.0
    assert max(a.record["candidate"]["sigmapsf"] for a in seen if a.survey == "ztf") <= 1.0857 / 5.0


def test_alerts_come_in_order_of_time_with_their_own_past(seen: list[Seen]) -> None:
    times = [alert.mjd_tai for alert in seen]
    assert all(earlier <= later + 1e-8 for earlier, later in itertools.pairwise(times))
    before: dict[str, list[int]] = defaultdict(list)
    for alert in seen:
        if alert.survey == "lsst" and alert.object_id:
            told = [row["diaSourceId"] for row in alert.record["prvDiaSources"] or ()]
            assert told == before[alert.object_id]
            assert alert.record["diaObject"]["nDiaSources"] == len(told) + 1
            assert int(alert.object_id) == [*told, alert.source_id][0]
            before[alert.object_id].append(alert.source_id)
        if alert.survey == "ztf":
            name = str(alert.object_id)
            rows = alert.record["prv_candidates"] or ()
            assert sorted(row["candid"] for row in rows if row["candid"]) == sorted(before[name])
            assert all(row["jd"] < alert.record["candidate"]["jd"] for row in rows)
            before[name].append(alert.source_id)


def test_messages_are_keyed_by_object(messages: list[Message]) -> None:
    keys = {m.truth.object_key: m.key.decode() for m in messages if m.truth.object_key}
    assert all(key.partition(":")[2] == name for key, name in keys.items())
    assert all(m.key for m in messages)


def test_a_duplicate_repeats_an_earlier_packet_byte_for_byte(messages: list[Message]) -> None:
    delivered: dict[str, bytes] = {}
    for message in messages:
        if message.truth.outcome is Outcome.ALERT:
            assert message.truth.alert_key not in delivered
            delivered[message.truth.alert_key] = message.payload
        elif message.truth.outcome is Outcome.DUPLICATE:
            assert delivered[message.truth.alert_key] == message.payload


def test_every_broken_packet_is_broken_as_it_says(messages: list[Message]) -> None:
    kinds = set()
    for message in messages:
        payload, fault = message.payload, message.truth.fault
        if fault is None:
            continue
        kinds.add((message.topic, fault))
        match fault:
            case Fault.EMPTY:
                assert payload == b""
            case Fault.WRONG_MAGIC:
                assert payload[:1] not in (b"\x00", b"O")
            case Fault.UNKNOWN_SCHEMA_ID:
                assert struct.unpack(">bI", payload[:5]) == (0, UNKNOWN_SCHEMA_ID)
            case Fault.TRUNCATED:
                with pytest.raises((EOFError, ValueError, IndexError)):
                    read(message)
    assert kinds == {(t, f) for t in ("ztf", "lsst") for f in Fault} - {("ztf", Fault.UNKNOWN_SCHEMA_ID)}


def test_a_seed_fixes_every_byte() -> None:
    first, second = (list(generate_stream(5, 12, 12, duplicates=0.2, corrupted=0.2)) for _ in range(2))
    assert first == second


def test_seeds_share_no_identifier() -> None:
    keys = [
        {key for m in generate_stream(seed, 12, 12) for key in (m.truth.alert_key, m.truth.object_key) if key}
        for seed in (5, 6)
    ]
    assert not keys[0] & keys[1]


def test_duplicates_and_broken_packets_do_not_change_the_alerts() -> None:
    plain = [m.payload for m in generate_stream(5, 12, 12)]
    noisy = [
        m.payload for m in generate_stream(5, 12, 12, duplicates=0.5, corrupted=0.5) if m.truth.outcome is Outcome.ALERT
    ]
    assert noisy == plain


@pytest.mark.parametrize(("n_ztf", "n_lsst"), [(0, 0), (1, 0), (0, 1), (3, 2), (0, 25)])
def test_small_streams_have_exactly_the_alerts_asked_for(n_ztf: int, n_lsst: int) -> None:
    topics = [message.topic for message in generate_stream(1, n_ztf, n_lsst)]
    assert (topics.count("ztf"), topics.count("lsst")) == (n_ztf, n_lsst)


def test_framed_packets_name_the_schema() -> None:
    framed = [m.payload[:5] for m in generate_stream(2, 0, 5)]
    assert set(framed) == {struct.pack(">bI", 0, LSST_SCHEMA_ID)}


def test_history_has_the_length_measured_on_the_stream() -> None:
    lengths = [len(read(m).record["prv_candidates"] or ()) for m in generate_stream(3, 200, 0)]
    assert 18 <= np.median(lengths) <= 25
    assert np.percentile(lengths, 90) < 45
