"""Packets decode with plain fastavro to what was put in, under the surveys' schemas, and have real sizes."""

from __future__ import annotations

import gzip
import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from fastavro.schema import load_schema, to_parsing_canonical_form
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.simulate.packets import (
    LSST_SCHEMA,
    LSST_SCHEMA_ID,
    ForcedFlux,
    History,
    SimulatedDetection,
    UpperLimit,
    lsst_packet,
    write_schemas,
    ztf_packet,
)
from asterism.simulate.schema_ztf import ZTF_SCHEMA

FLUX = st.floats(100.0, 1e7) | st.floats(-1e7, -100.0)


def detections(bands: str) -> st.SearchStrategy[SimulatedDetection]:
    return st.builds(
        SimulatedDetection,
        object_id=st.integers(1, 2**63 - 1).map(str),
        source_id=st.integers(2**53 + 1, 2**63 - 1),
        ra=st.floats(0.0, 360.0, exclude_max=True),
        dec=st.floats(-90.0, 90.0),
        mjd_tai=st.floats(60000.0, 62000.0),
        band=st.sampled_from(bands),
        flux=FLUX,
        flux_err=st.floats(50.0, 1e5),
        program_id=st.integers(1, 3),
        reliability=st.floats(0.0, 1.0),
    )


def detection(**changes: Any) -> SimulatedDetection:
    values = {
        "object_id": "170000000000000001",
        "source_id": 170_000_000_000_000_011,
        "ra": 150.1,
        "dec": 2.2,
    }
    values |= {"mjd_tai": 61000.3, "band": "r", "flux": 2.5e4, "flux_err": 1.2e3}
    return SimulatedDetection(**(values | changes))


def read_ztf(packet: bytes) -> dict[str, Any]:
    (record,) = fastavro.reader(io.BytesIO(packet))
    assert isinstance(record, dict)
    return record


def read_lsst(packet: bytes, schema: Any = None) -> dict[str, Any]:
    magic, schema_id = struct.unpack(">bI", packet[:5])
    assert (magic, schema_id) == (0, LSST_SCHEMA_ID)
    stream = io.BytesIO(packet[5:])
    record = fastavro.schemaless_reader(stream, schema or fastavro.parse_schema(LSST_SCHEMA))
    assert stream.read() == b""
    assert isinstance(record, dict)
    return record


@given(detections("gri"))
@settings(max_examples=60, deadline=None)
def test_a_ztf_packet_says_what_was_detected(given: SimulatedDetection) -> None:
    alert = read_ztf(ztf_packet(given))
    candidate = alert["candidate"]
    assert (alert["objectId"], alert["candid"], candidate["candid"]) == (
        given.object_id,
        given.source_id,
        given.source_id,
    )
    assert (candidate["ra"], candidate["dec"]) == (given.ra, given.dec)
    assert candidate["programid"] == given.program_id
    assert candidate["isdiffpos"] == ("t" if given.flux > 0 else "f")
    assert "_gri"[candidate["fid"]] == given.band
    assert 10 ** (-0.4 * (candidate["magpsf"] - 31.4)) == pytest.approx(abs(given.flux), rel=1e-5)
    assert Time(candidate["jd"], format="jd", scale="utc").tai.mjd == pytest.approx(given.mjd_tai, abs=1e-9)
    assert candidate["drb"] == np.float32(given.reliability)
    assert alert["prv_candidates"] is None
    assert alert["fp_hists"] is None


@given(detections("ugrizy"))
@settings(max_examples=60, deadline=None)
def test_an_lsst_packet_says_what_was_detected(given: SimulatedDetection) -> None:
    alert = read_lsst(lsst_packet(given))
    source = alert["diaSource"]
    assert alert["diaSourceId"] == source["diaSourceId"] == given.source_id
    assert str(source["diaObjectId"]) == str(alert["diaObject"]["diaObjectId"]) == given.object_id
    assert (source["ra"], source["dec"], source["band"]) == (given.ra, given.dec, given.band)
    assert source["midpointMjdTai"] == given.mjd_tai
    assert source["psfFlux"] == np.float32(given.flux)
    assert source["isNegative"] == (given.flux < 0)
    assert source["snr"] == pytest.approx(abs(given.flux) / given.flux_err, rel=1e-6)
    assert source["ssObjectId"] == 0
    assert alert["ssSource"] is None


def test_history_is_written_in_each_survey_s_own_way() -> None:
    first = detection(source_id=170_000_000_000_000_010, mjd_tai=60990.2, flux=-1e4)
    past = History((first,), (UpperLimit(60995.2, "g", 20.5),), (ForcedFlux(60992.2, "i", -120.0, 300.0),))
    ztf = read_ztf(ztf_packet(detection(), past))
    assert [row["candid"] for row in ztf["prv_candidates"]] == [first.source_id, None]
    assert [row["magpsf"] is None for row in ztf["prv_candidates"]] == [False, True]
    assert ztf["prv_candidates"][1]["diffmaglim"] == 20.5
    assert ztf["candidate"]["ndethist"] == 2
    assert ztf["candidate"]["jdstarthist"] == ztf["prv_candidates"][0]["jd"]
    assert ztf["fp_hists"][0]["forcediffimflux"] < 0
    lsst = read_lsst(lsst_packet(detection(), past))
    assert [row["diaSourceId"] for row in lsst["prvDiaSources"]] == [first.source_id]
    assert [row["psfFlux"] for row in lsst["prvDiaForcedSources"]] == [-120.0]
    assert lsst["diaObject"]["nDiaSources"] == 2
    assert lsst["diaObject"]["firstDiaSourceMjdTai"] == first.mjd_tai
    assert lsst["diaObject"]["r_psfFluxMean"] == pytest.approx(7500.0)
    assert math.isnan(lsst["diaObject"]["u_psfFluxMean"])


def test_a_source_s_line_in_a_later_history_repeats_its_own_packet() -> None:
    first, second = detection(mjd_tai=60990.2), detection(source_id=170_000_000_000_000_099)
    own = read_ztf(ztf_packet(first))["candidate"]
    (line,) = read_ztf(ztf_packet(second, History((first,))))["prv_candidates"]
    assert line == {name: own[name] for name in line}


def test_a_solar_system_alert_has_no_object_but_an_orbit() -> None:
    body = detection(object_id=None, ss_object_id="21163615805847120", ss_distance=0.2)
    alert = read_lsst(lsst_packet(body))
    assert alert["diaObject"] is None
    assert alert["diaSource"]["diaObjectId"] == 0
    assert alert["diaSource"]["ssObjectId"] == alert["ssSource"]["ssObjectId"] == 21163615805847120
    assert alert["mpc_orbits"]["designation"]


def test_a_ztf_alert_near_a_known_body_names_it_and_others_say_so_in_the_survey_s_way() -> None:
    near = read_ztf(ztf_packet(detection(ss_object_id="12345", ss_distance=0.4)))["candidate"]
    assert (near["ssnamenr"], near["ssdistnr"]) == ("12345", pytest.approx(0.4))
    alone = read_ztf(ztf_packet(detection()))["candidate"]
    assert (alone["ssnamenr"], alone["ssdistnr"]) == ("null", -999.0)


def test_packets_have_the_sizes_measured_on_the_streams() -> None:
    past = History(
        tuple(detection(source_id=n, mjd_tai=60990.0 + n / 10) for n in range(1, 9)),
        tuple(UpperLimit(60980.0 + n, "g", 20.5) for n in range(13)),
    )
    assert 55_000 < len(ztf_packet(detection(), past)) < 75_000
    assert 138_000 < len(lsst_packet(detection())) < 140_000
    prior = tuple(detection(source_id=n) for n in range(1, 101))
    forced = tuple(ForcedFlux(60900.0 + n / 5, "r", 10.0, 300.0) for n in range(200))
    assert 185_000 < len(lsst_packet(detection(), History(prior, (), forced))) < 200_000


def test_cutouts_are_images() -> None:
    ztf = read_ztf(ztf_packet(detection()))
    for name in ("cutoutScience", "cutoutTemplate", "cutoutDifference"):
        stamp = ztf[name]["stampData"]
        assert 12_000 < len(stamp) < 15_500
        with fits.open(io.BytesIO(gzip.decompress(stamp))) as images:
            assert images[0].data.shape == (63, 63)
    lsst = read_lsst(lsst_packet(detection()))
    sizes = [len(lsst[name]) for name in ("cutoutDifference", "cutoutScience", "cutoutTemplate")]
    assert sizes == [34_560, 34_560, 69_120]
    with fits.open(io.BytesIO(lsst["cutoutTemplate"])) as images:
        assert [image.data.shape for image in images] == [(30, 30), (30, 30), (77, 77)]


def test_equal_inputs_give_equal_bytes() -> None:
    assert ztf_packet(detection()) == ztf_packet(detection())
    assert lsst_packet(detection()) == lsst_packet(detection())


def test_the_schema_folder_holds_the_writer_schema_by_id(tmp_path: Path) -> None:
    path = write_schemas(tmp_path / "schemas")
    assert path.name == f"{LSST_SCHEMA_ID}.avsc"
    schema = fastavro.parse_schema(json.loads(path.read_text(encoding="utf-8")))
    assert read_lsst(lsst_packet(detection()), schema)["diaSourceId"] == detection().source_id


@pytest.mark.realdata
def test_lsst_packets_decode_under_the_survey_s_own_schema(test_data: Path) -> None:
    real = load_schema(str(test_data / "lsst/schema/11/0/lsst.v11_0.alert.avsc"))
    assert to_parsing_canonical_form(real) == to_parsing_canonical_form(LSST_SCHEMA)
    past = History((detection(source_id=5, mjd_tai=60990.2),), (), (ForcedFlux(60992.2, "i", -120.0, 300.0),))
    for packet in (lsst_packet(detection(), past), lsst_packet(detection(object_id=None, ss_object_id="7"))):
        assert repr(read_lsst(packet, real)) == repr(read_lsst(packet))


@pytest.mark.realdata
def test_ztf_packets_carry_the_survey_s_own_schema(test_data: Path) -> None:
    with (test_data / "ztf/single/2695378462115010012.avro").open("rb") as stream:
        real = json.loads(fastavro.reader(stream).metadata["avro.schema"])
    ours = json.loads(fastavro.reader(io.BytesIO(ztf_packet(detection()))).metadata["avro.schema"])
    assert ours == ZTF_SCHEMA
    assert to_parsing_canonical_form(real) == to_parsing_canonical_form(ours)
    assert [field["name"] for field in real["fields"]] == [field["name"] for field in ours["fields"]]
    assert real["version"] == ours["version"]
