"""`asterism.voevent.normalise`: what a mission's table makes of a VOEvent."""

from __future__ import annotations

from typing import Any

import pytest

from asterism.times import mjd_tai_to_iso
from asterism.voevent.clock import BARYCENTRIC
from asterism.voevent.document import Citation, Document, Param
from asterism.voevent.lifecycle import event_state
from asterism.voevent.normalise import normalise
from asterism.voevent.notice import Notice
from asterism.voevent.read import read_notice

GCN = "ivo://nasa.gsfc.gcn/"


def read(ivorn: str, *params: tuple[str, str], **values: Any) -> Notice:
    known: dict[str, Any] = {
        "coord_system": "UTC-FK5-GEO",
        "iso_time": "2026-02-26T10:38:18.84",
        "position_unit": "deg",
        "c1": "150.0",
        "c2": "20.0",
        "error2radius": "0.5",
        "params": tuple(Param(name, value) for name, value in params),
    }
    return normalise(Document(ivorn, "observation", **(known | values)), ivorn.encode().hex()[-64:])


def test_the_map_of_a_final_position_lies_beside_the_picture_the_document_names() -> None:
    picture = "http://127.0.0.1/bn231018/quicklook/glg_locplot_all_bn231018.png"
    notice = read(
        f"{GCN}Fermi#GBM_Fin_Pos_1_0-1", ("Packet_Type", "115"), ("TrigID", "1"), ("LocationMap_URL", picture)
    )
    assert notice.map_url == "http://127.0.0.1/bn231018/quicklook/glg_healpix_all_bn231018.fit"
    assert notice.raw["params"]["LocationMap_URL"] == picture


def test_a_monitored_source_is_an_event_of_its_own_without_trigger_time_or_kind() -> None:
    ivorn = f"{GCN}Fermi#LAT_Monitor_2022-07-10T12:00:00.00_1657551149-0-601"
    both = [
        read(ivorn, ("Packet_Type", "125"), ("TrigID", "1657551149"), ("SourceName", name), error2radius="0.0")
        for name in ("3C454.3", "4C+38.41")
    ]
    assert [notice.event_key for notice in both] == ["lat:3C454.3_1657551149", "lat:4C+38.41_1657551149"]
    assert {(notice.kind, notice.t0_mjd_tai, notice.verified_against_sample) for notice in both} == {
        ("unknown", None, False)
    }
    assert all("radius_unknown" in notice.flags for notice in both)


def test_the_containment_of_lat_is_not_claimed_to_be_known() -> None:
    notice = read(f"{GCN}Fermi#LAT_Offline_Pos_2026-02-26T10:38:18.84_793795080-0-190", ("Packet_Type", "127"))
    assert notice.region is not None
    assert (notice.event_key, notice.region.containment) == ("lat:793795080", None)
    assert "containment_assumed" in notice.flags


@pytest.mark.parametrize(
    ("ivorn", "packet", "stage"),
    [
        ("sb26021102_eclairs-wakeup", "202", "eclairs"),
        ("sb26021102_grm-trigger", "201", "grm"),
        ("sb26021102_mxt-initial_qf1", "209", "mxt"),
        ("sb26021102_slewing", "", "eclairs"),
    ],
)
def test_svom_names_its_burst_in_every_ivorn(ivorn: str, packet: str, stage: str) -> None:
    notice = read(f"ivo://org.svom/fsc#{ivorn}", ("Packet_Type", packet), coord_system="UTC-ICRS-GEO")
    assert (notice.event_key, notice.stage) == ("svom:sb26021102", stage)
    assert notice.region is not None
    assert (notice.region.containment, notice.region.systematic_included) == (0.9, False)


def test_a_negative_radius_of_grm_is_unknown_and_a_later_retraction_retracts() -> None:
    trigger = read("ivo://org.svom/fsc#sb26043009_grm-trigger", ("Packet_Type", "201"), error2radius="-1.0")
    assert trigger.region is not None
    assert (trigger.region.type, trigger.raw["error2radius"]) == ("point", "-1.0")
    cited = (Citation("ivo://org.svom/fsc#sb26043009_grm-trigger", "retraction"),)
    retraction = read("ivo://org.svom/fsc#sb26043009_retraction", ("Packet_Type", "219"), citations=cited)
    state = event_state([retraction, trigger])
    assert (state.state, [link.relation for link in state.links]) == ("retracted", ["RETRACTS"])


def test_xml_and_json_of_one_superevent_are_one_event(samples: Any) -> None:
    xml = read("ivo://gwnet/LVC#S230308a-3-Update", ("Packet_Type", "152"), ("GraceID", "S230308a"), c1=None, c2=None)
    json = read_notice(samples.alert_json(name="S230308a"))
    assert xml.event_key == json.event_key == "lvk:S230308a"
    assert event_state([xml, json]).current_notice == json.key  # only the JSON has a map


def test_barycentric_times_are_converted_from_tdb_and_flagged() -> None:
    notice = read("ivo://example.org/gaia#one", coord_system="TDB-ICRS-BARY", iso_time="2026-02-26T10:38:18.840")
    assert notice.t0_mjd_tai is not None
    assert mjd_tai_to_iso(notice.t0_mjd_tai)[:21] == "2026-02-26T10:37:09.6"  # TDB is 69.184 s ahead of UTC
    assert BARYCENTRIC in notice.flags
    assert (notice.observation_time_raw, notice.time_scale) == ("2026-02-26T10:38:18.840", "TDB")
