"""`asterism.voevent.unified`: GCN's JSON, by the missions' tables and without."""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from asterism.sky.mixture import MixtureLocalization
from asterism.voevent.document import Document, Param, compose
from asterism.voevent.errors import (
    NoticePositionError,
    NoticeRefusedError,
    NoticeTimeError,
    NoticeUnknownError,
)
from asterism.voevent.lifecycle import event_state
from asterism.voevent.notice import Notice, Reading
from asterism.voevent.read import read_notice, read_payload

SCHEMA = "https://example.org/schema/main/gcn/notices/{}.schema.json"


def alert(schema: str | None = "maxi/gsc.unknown", **values: Any) -> bytes:
    """Return a notice; members given as None are left out."""
    known: dict[str, Any] = {
        "$schema": None if schema is None else SCHEMA.format(schema),
        "trigger_time": "2024-05-08T07:38:01.151Z",
        "alert_datetime": "2024-05-08T07:40:00Z",
        "ra": 150.0,
        "dec": 20.0,
        "ra_dec_error": 0.5,
    }
    return json.dumps({name: value for name, value in (known | values).items() if value is not None}).encode()


def read(schema: str | None = "maxi/gsc.unknown", **values: Any) -> Notice:
    return read_notice(alert(schema, **values))


def level_at(reading: Reading, ra: float, dec: float) -> float:
    assert reading.localization is not None
    return float(reading.localization.credible_level(ra, dec))


def test_xml_and_json_of_one_icecube_event_are_one_event_and_rates_agree() -> None:
    xml = Document(
        "ivo://nasa.gsfc.gcn/AMON#ICECUBE_GOLD_Event_2023-04-16T05:22:26.15_137840_057034692_0",
        "observation",
        date="2023-04-16T05:23:00",
        params=(
            Param("Packet_Type", "173"),
            Param("run_id", "137840"),
            Param("event_id", "57034692"),
            Param("FAR", "2.5338", unit="yr^-1"),
            Param("signalness", "0.34", ucd="stat.probability"),
        ),
        coord_system="UTC-FK5-GEO",
        iso_time="2023-04-16T05:22:26.15",
        position_unit="deg",
        c1="345.8",
        c2="9.0",
        error2radius="0.9",
    )
    told = {"id": ["137840_57034692"], "pipeline": "Gold Track Alert", "far": 8.029e-8, "record_number": 1}
    told |= {"p_astro": 0.34, "containment_probability": 0.9, "alert_datetime": "2023-04-16T09:00:00Z"}
    one, two = read_notice(compose(xml)), read("icecube/single_neutrino_alerts", **told)
    assert one.event_key == two.event_key == "icecube:137840_57034692"
    assert one.far_hz == pytest.approx(two.far_hz, rel=1e-3)
    assert one.classification == two.classification == {"astrophysical": 0.34}
    for order in permutations([one, two]):
        assert event_state(order).current_notice == two.key


def test_xml_and_json_of_one_gbm_trigger_are_one_event_and_stages_outrank_formats(samples: Any) -> None:
    final = read_notice(samples.gbm_xml(trigger=745121685, stage="final", date="2023-03-08T00:10:00"))
    later = {"subtype": "FLIGHT_POSITION", "record_number": 9, "alert_datetime": "2023-03-08T00:20:00"}
    flight = read("fermi/gbm/trigger", id=["bn240812094", "745121685"], containment_probability=0.68, **later)
    assert flight.event_key == final.event_key == "gbm:745121685"
    assert event_state([flight, final]).current_notice == final.key


def test_svom_json_and_xml_share_the_burst_and_a_retraction_needs_no_citation() -> None:
    xml = Document("ivo://org.svom/fsc#sb26021102_retraction", "observation", params=(Param("Packet_Type", "219"),))
    retraction, wakeup = read_notice(compose(xml)), read("svom/trigger", id=["sb26021102"], instrument="ECLAIRs")
    assert retraction.event_key == wakeup.event_key == "svom:sb26021102"
    assert event_state([retraction]).state == event_state([wakeup, retraction]).state == "retracted"


@pytest.mark.parametrize(
    ("told", "model"),
    [
        ({"duration_class": "LONG", "systematic_included": False}, "gbm_roboba_long"),
        ({"duration_class": "SHORT"}, "gbm_roboba_short"),
        ({"trigger_time": "2018-12-31T23:59:59Z"}, "gbm_pre_2019"),
        ({"systematic_included": True}, None),
    ],
)
def test_the_systematic_error_of_gbm_is_added_unless_the_document_says_it_is_in(
    told: dict[str, Any], model: str | None
) -> None:
    reading = read_payload(alert("fermi/gbm/trigger", id="1", subtype="FINAL_POSITION", ra_dec_error=2.0, **told))
    region = reading.notice.region
    assert region is not None
    assert (region.systematic, region.radius_deg, region.containment) == (model, 2.0, 0.68)
    assert isinstance(reading.localization, MixtureLocalization) == (model is not None)
    assert (level_at(reading, 150.0, 22.0) < 0.67) == (model is not None)


def test_a_track_of_km3net_keeps_both_its_radii() -> None:
    told = {"id": "1", "event_name": "KM3-260101A", "alert_topology": "Track", "src_error_50": 0.2}
    reading = read_payload(alert("km3net/alert", **told))
    assert reading.notice.event_key == "km3net:KM3-260101A"
    assert [level_at(reading, 150.0, 20.0 + r) for r in (0.2, 0.5)] == pytest.approx([0.5, 0.9], abs=1e-3)


def test_an_error_list_is_an_ellipse_at_the_containment_the_document_states() -> None:
    reading = read_payload(alert(id="1", ra_dec_error=[0.8, 0.4, 90.0], containment_probability=0.95))
    region = reading.notice.region
    assert region is not None
    assert (region.type, region.radius_deg, region.containment) == ("ellipse", 0.8, 0.95)
    assert level_at(reading, 150.0, 20.4) == pytest.approx(0.95, abs=1e-6)
    assert level_at(reading, 150.0 + 0.8 / math.cos(math.radians(20.0)), 20.0) == pytest.approx(0.95, abs=1e-3)
    assert read(id="1", ra_dec_error=[0.8]) != read(id="1", ra_dec_error=[0.8, 0.4])


def test_four_corners_are_the_inscribed_ellipse_with_the_area_of_their_box_beside_it() -> None:
    corners = [[150.2, 10.1], [149.8, 9.9], [150.2, 9.9], [149.8, 10.1]]
    reading = read_payload(alert(id="1", ra_dec_error=None, rectangular_error_corners=corners))
    region = reading.notice.region
    assert region is not None
    assert (region.ra_deg, region.dec_deg) == pytest.approx((150.0, 10.0), abs=1e-3)
    assert region.box_area_deg2 == pytest.approx(0.4 * math.cos(math.radians(10)) * 0.2, rel=1e-3)
    assert region.area_90_deg2 == pytest.approx(math.pi / 4 * (region.box_area_deg2 or 0.0), rel=1e-9)


@pytest.mark.parametrize("error", [0, 0.0, -1.0, [0.5, 0.0], [-0.5]])
def test_a_radius_of_zero_or_less_is_unknown(error: object) -> None:
    notice = read(id="1", ra_dec_error=error)
    assert notice.region is not None
    assert (notice.region.type, notice.region.radius_deg) == ("point", None)
    assert "radius_unknown" in notice.flags


def map_file(unit: str, content: int = 100) -> str:
    """Return a flat map of order 3 in base64, most of it in one pixel, as density in a unit."""
    values = np.full(768, 1e-3)
    values[content] = 10.0
    area = (180 / math.pi) ** 2 if unit == "deg-2" else 1.0
    values /= values.sum() * 4 * math.pi / 768 * area
    table = fits.BinTableHDU.from_columns([fits.Column("PROBDENSITY", "D", unit=unit, array=values)])
    table.header["ORDERING"], table.header["NSIDE"] = "NESTED", 8
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return base64.b64encode(gzip.compress(stream.getvalue(), mtime=0)).decode()


@pytest.mark.parametrize("unit", ["deg-2", "sr-1"])
def test_a_map_inside_is_read_in_the_unit_it_names_and_outranks_the_circle(unit: str) -> None:
    told = {"id": "1", "event_name": "KM3-260101A", "alert_topology": "Track", "healpix_file": map_file(unit)}
    reading = read_payload(alert("km3net/alert", **told))
    region = reading.notice.region
    assert region is not None
    assert (region.type, region.radius_deg, region.containment) == ("skymap", 0.5, 0.9)
    assert region.area_90_deg2 == pytest.approx(41252.96 / 768, rel=1e-3)
    assert region.map_sha256 is not None
    assert reading.sky_map is not None


@pytest.mark.parametrize("file", ["stuff", "", "QUJD", 5, ["x"]])
def test_a_map_that_cannot_be_read_is_flagged_and_the_circle_stays(file: object) -> None:
    notice = read(id="1", healpix_file=file)
    assert notice.region is not None
    assert (notice.region.type, "map_unreadable" in notice.flags) == ("circle", True)


@pytest.mark.parametrize(
    ("tense", "standing", "key"),
    [
        ("current", "real", "guano:7"),
        ("archival", "real", "guano:7"),
        ("test", "test", "guano_test:7"),
        ("injection", "injection", "guano_injection:7"),
        ("planned", "prediction", "guano_prediction:7"),
        ("commanded", "utility", "guano_utility:7"),
    ],
)
def test_what_is_not_about_the_sky_is_kept_apart(tense: str, standing: str, key: str) -> None:
    notice = read("swift/bat/guano", id=["7"], alert_tense=tense)
    assert (notice.standing, notice.event_key) == (standing, key)


def test_without_an_id_instrument_instant_and_position_name_the_event() -> None:
    told = {"schema": "einstein_probe/wxt/alert", "instrument": "WXT"}
    one = read(**told)
    again = read(**told, alert_datetime="2024-05-08T09:00:00Z", ra=150.00000001, image_snr=3.0)
    assert one.event_key == again.event_key == "ep:WXT_20240508T073801.151000Z_150.0000+20.0000"
    others = [{"ra": 151.0}, {"dec": -20.0}, {"trigger_time": "2024-05-08T07:38:02.151Z"}]
    keys = {read(**told, **other).event_key for other in others}
    assert len(keys | {one.event_key}) == 4
    assert "event_key_derived" in one.flags
    assert read(**told, id=["01709"]).event_key == "ep:01709"


def test_without_anything_that_names_it_the_content_names_the_event_whatever_its_order() -> None:
    one = json.dumps({"$schema": SCHEMA.format("core/Spectral"), "flux": 1.0, "alpha": 2}).encode()
    two = json.dumps({"alpha": 2, "flux": 1.0, "$schema": SCHEMA.format("core/Spectral")}).encode()
    assert read_notice(one).event_key == read_notice(two).event_key
    assert read_notice(one).key != read_notice(two).key


def test_an_unknown_mission_keeps_position_time_and_text_and_is_never_associated() -> None:
    notice = read(None, mission="New Eyes", id="a/b c", nested={"deep": ["text"]})
    assert notice.event_key.startswith("gcn:new_eyes")
    assert (notice.kind, notice.verified_against_sample) == ("unknown", False)
    assert notice.region is not None
    assert notice.t0_mjd_tai is not None
    assert notice.raw["nested"] == {"deep": ["text"]}
    assert read(None, mission="New Eyes", id="a/b-c").event_key != notice.event_key


def test_flares_are_a_source_and_a_day() -> None:
    told = {"instrument": "LAT", "ra_dec_error": None, "trigger_time": None, "event_name": "OQ 334"}
    days = [read("fermi/lat/flare", **told, observation_start=f"2025-11-{day}T00:00:00") for day in (20, 21)]
    assert days[0].event_key != days[1].event_key
    assert {(notice.mission, notice.kind, notice.t0_mjd_tai) for notice in days} == {("lat", "unknown", None)}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"ra": 725.0}, NoticePositionError),
        ({"ra": -1.0}, NoticePositionError),
        ({"dec": 91}, NoticePositionError),
        ({"ra": 10**400}, NoticePositionError),
        ({"ra": True}, NoticePositionError),
        ({"ra": "east"}, NoticePositionError),
        ({"dec": [1.0]}, NoticePositionError),
        ({"ra_dec_error": {}}, NoticePositionError),
        ({"ra_dec_error": [1, 2, 3, 4]}, NoticePositionError),
        ({"ra_dec_error": []}, NoticePositionError),
        ({"ra_dec_error": [1.0, "wide"]}, NoticePositionError),
        ({"containment_probability": 1.5}, NoticePositionError),
        ({"ra_dec_error": None, "rectangular_error_corners": [[1, 2]]}, NoticePositionError),
        ({"ra_dec_error": None, "rectangular_error_corners": [[1, 2]] * 4}, NoticePositionError),
        ({"trigger_time": "yesterday"}, NoticeTimeError),
        ({"trigger_time": 5}, NoticeTimeError),
    ],
)
def test_impossible_values_are_refused_with_a_code(changes: dict[str, Any], error: type[NoticeRefusedError]) -> None:
    with pytest.raises(error) as refused:
        read(id="1", **changes)
    assert type(refused.value) is error


@pytest.mark.parametrize("document", [{}, {"id": 5}, {"a": 1, "b": 2}, {"$schema": "https://example.org/other"}])
def test_json_that_is_no_notice_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(NoticeUnknownError):
        read_notice(json.dumps(document).encode())


MEMBERS = [
    *("id", "event_name", "trigger_time", "ra", "dec", "ra_dec_error", "containment_probability", "far", "mission"),
    *("alert_tense", "alert_type", "record_number", "classification", "p_astro", "healpix_file", "createdOn"),
    *("systematic_included", "rectangular_error_corners", "instrument", "alert_datetime", "observation_start"),
]
JUNK = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.floats(), max_size=5)


@given(
    st.dictionaries(
        st.sampled_from(MEMBERS),
        JUNK,
    ),
    st.sampled_from(["fermi/gbm/trigger", "km3net/alert", "svom/trigger", "einstein_probe/wxt/alert", "x/y"]),
)
def test_any_values_are_read_or_refused_with_a_code(values: dict[str, Any], schema: str) -> None:
    payload = json.dumps(values | {"$schema": SCHEMA.format(schema)}).encode()
    try:
        notice = read_notice(payload)
    except NoticeRefusedError:
        return
    assert Notice.from_record(json.loads(json.dumps(notice.as_record(), allow_nan=False))) == notice
