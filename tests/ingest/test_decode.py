"""What the simulator writes is read as an independent reader reads it, in order, with nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.ingest.decode import Decoder
from asterism.ingest.packets import Position
from asterism.simulate.packets import LSST_SCHEMA_ID, SimulatedDetection, lsst_packet, ztf_packet
from tests.ingest.packets import LSST_ONE, LSST_PAST, PAST, ZTF_ONE, ZTF_RECORD, decode, one
from tests.ingest.reading import assert_same, expected, plain


def detections(survey: str) -> st.SearchStrategy[SimulatedDetection]:
    lsst = survey == "lsst"
    return st.builds(
        SimulatedDetection,
        object_id=st.integers(1, 2**63 - 1).map(str) if lsst else st.just("ZTF25aaaaaab"),
        source_id=st.integers(1, 2**63 - 1),
        ra=st.floats(0.0, 360.0, exclude_max=True),
        dec=st.floats(-90.0, 90.0),
        mjd_tai=st.floats(58000.0, 61700.0),
        band=st.sampled_from("ugrizy" if lsst else "gri"),
        flux=st.one_of(st.floats(10.0, 1e7), st.floats(-1e7, -10.0)),
        flux_err=st.floats(1.0, 1e4),
        program_id=st.sampled_from([1, 2, 3]),
        reliability=st.floats(0.0, 1.0),
        ss_object_id=st.none() | (st.integers(1, 2**63 - 1).map(str) if lsst else st.just("168446")),
        ss_distance=st.none() | st.floats(0.0, 30.0),
    )


@settings(max_examples=30, deadline=None)
@given(first=detections("ztf"), second=detections("lsst"))
def test_every_field_of_generated_packets_equals_an_independent_reading(
    decoder: Decoder, first: SimulatedDetection, second: SimulatedDetection
) -> None:
    payloads = [ztf_packet(first, PAST), lsst_packet(second, LSST_PAST)]
    schema = decoder._plan_of(LSST_SCHEMA_ID).writer.raw
    rows = decode(decoder, *payloads).detections.to_pylist()
    for row, payload in zip(rows, payloads, strict=True):
        assert_same(row, expected(*plain(payload, schema)))


def test_what_the_simulator_put_in_comes_out(decoder: Decoder) -> None:
    ztf, lsst = one(decoder, ztf_packet(ZTF_ONE, PAST)), one(decoder, lsst_packet(LSST_ONE, LSST_PAST))
    assert (ztf["alertKey"], ztf["objectKey"]) == ("ztf:3246300000115000001", "ztf:ZTF25aaaaaab")
    assert ztf["mjdTai"] == pytest.approx(61000.3, abs=1e-9)
    assert ztf["flux"] == pytest.approx(2.5e4, rel=1e-5)
    assert ztf["fluxErr"] == pytest.approx(1.2e3, rel=1e-5)
    assert (lsst["flux"], lsst["fluxErr"], lsst["isPositive"]) == (-940.0, 150.0, False)
    assert lsst["night"] == 20251122
    assert (lsst["topic"], lsst["partition"], lsst["offset"]) == ("topic", 3, 100)


def test_order_of_a_mixed_batch_is_kept(decoder: Decoder) -> None:
    payloads = [ztf_packet(ZTF_ONE), lsst_packet(LSST_ONE), b"", ztf_packet(ZTF_ONE), lsst_packet(LSST_ONE)]
    decoded = decode(decoder, *payloads)
    assert decoded.detections["survey"].to_pylist() == ["ztf", "lsst", "ztf", "lsst"]
    assert decoded.detections["offset"].to_pylist() == [100, 101, 103, 104]
    assert decoded.dead_letters["code"].to_pylist() == ["ingest.empty"]


def test_nothing_gives_nothing(decoder: Decoder) -> None:
    assert decode(decoder).detections.num_rows == 0


def test_batch_and_positions_must_have_one_length(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="1 packets with 0 positions"):
        decoder.decode([b""], [])


def test_time_of_publication_that_kafka_does_not_know_is_null(decoder: Decoder) -> None:
    table = decoder.decode([ztf_packet(ZTF_ONE)] * 2, [Position("t", 0, 0, -1), Position("t", 0, 1, None)]).detections
    assert table["publishedMs"].to_pylist() == [None, None]


@pytest.mark.parametrize("identifier", [1, 2**53 + 1, 2**63 - 1])
def test_64_bit_ids_survive(decoder: Decoder, identifier: int) -> None:
    lsst = SimulatedDetection(
        str(identifier), identifier, 10.0, 10.0, 61000.0, "g", 500.0, 10.0, ss_object_id=str(identifier)
    )
    row = one(decoder, lsst_packet(lsst))
    assert {row["sourceId"], row["objectId"], row["ssObjectId"]} == {str(identifier)}
    assert row["alertKey"] == row["objectKey"] == f"lsst:{identifier}"


def test_full_decode_gives_history_and_cutouts(decoder: Decoder) -> None:
    ztf, lsst = ztf_packet(ZTF_ONE, PAST), lsst_packet(LSST_ONE, LSST_PAST)
    assert decoder.decode_full(ztf) == ZTF_RECORD
    assert len(ZTF_RECORD["prv_candidates"]) == 21
    schema = decoder._plan_of(LSST_SCHEMA_ID).writer.raw
    assert repr(decoder.decode_full(lsst)) == repr(plain(lsst, schema)[0])
    assert len(decoder.decode_full(lsst)["prvDiaSources"]) == 8
