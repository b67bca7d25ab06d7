"""`asterism.voevent.missions.table`."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from asterism.voevent.errors import MissionTableError
from asterism.voevent.missions.table import GENERIC, mission_of, mission_of_json, missions, read_mission

AUTHORITIES = {
    *("gbm", "lat", "swift", "guano", "icecube", "integral", "lvk", "km3net", "svom", "ep"),
    "gcn",  # whatever else comes as JSON
}
MINIMAL = 'authority = "x"\nname = "X"\nkind = "grb"\nivorn = "ivo://x/"\n'


def test_the_tables_that_ship_are_read() -> None:
    assert {mission.authority for mission in missions()} == AUTHORITIES
    for mission in missions():
        assert mission.stages
        packets = [packet for stage in mission.stages for packet in stage.packets]
        assert len(set(packets)) == len(packets)


@pytest.mark.parametrize(
    ("ivorn", "authority"),
    [
        ("ivo://nasa.gsfc.gcn/Fermi#GBM_Fin_Pos2023-10-18T12:30:10.66_719325015_0-208", "gbm"),
        ("ivo://nasa.gsfc.gcn/Fermi#LAT_Monitor_2022-07-10T12:00:00.00_1657551149-0-601", "lat"),
        ("ivo://nasa.gsfc.gcn/Fermi#ELSE_1", "voevent"),
        ("ivo://org.svom/fsc#sb26021102_eclairs-wakeup", "svom"),
        ("ivo://nasa.gsfc.gcn/SWIFT#XRT_Pos_1208389-303", "swift"),
        ("ivo://nasa.gsfc.gcn/AMON#ICECUBE_GOLD_Event_1_2_0", "icecube"),
        ("ivo://nasa.gsfc.gcn/AMON#AMON_NU_EM_1", "voevent"),
        ("ivo://gwnet/LVC#S190814bv-5-Update", "lvk"),
        ("ivo://elsewhere/x#ivo://gwnet/LVC#S190814bv-5-Update", "voevent"),
    ],
)
def test_a_mission_is_recognised_by_the_start_of_its_ivorns(ivorn: str, authority: str) -> None:
    assert mission_of(ivorn).authority == authority


@pytest.mark.parametrize(
    ("schema", "mission", "instrument", "authority"),
    [
        ("fermi/gbm/trigger", "", "", "gbm"),
        ("fermi/lat/flare", "Fermi", "GBM", "lat"),
        ("swift/bat/guano", "", "", "guano"),
        ("swift/xrt/position", "Swift", "BAT-GUANO", "gcn"),
        ("icecube/single_neutrino_alerts", "", "", "icecube"),
        ("icecube/lvk_nu_track_search", "IceCube", "", "gcn"),
        ("", "fermi", "gbm", "gbm"),
        ("", "Fermi", "", "gcn"),
        ("", "Einstein Probe", "WXT", "ep"),
        ("", "", "", "gcn"),
    ],
)
def test_json_is_recognised_by_its_schema_and_without_one_by_mission_and_instrument(
    schema: str, mission: str, instrument: str, authority: str
) -> None:
    assert mission_of_json(schema, mission, instrument).authority == authority


def test_every_shipped_stage_says_whether_a_real_notice_of_it_was_read() -> None:
    for path in (files("asterism.voevent.missions")).iterdir():
        if path.name.endswith(".toml"):
            for stage in tomllib.loads(path.read_text(encoding="utf-8"))["stage"]:
                assert "verified_against_sample" in stage, (path.name, stage["name"])


def test_a_type_no_table_knows_is_unranked_and_unverified() -> None:
    stage = mission_of("ivo://nasa.gsfc.gcn/SWIFT#New_1-1").stage_of(9999, "ivo://nasa.gsfc.gcn/SWIFT#New_1-1")
    assert (stage.rank, stage.containment, stage.verified_against_sample) == (0, None, False)
    assert GENERIC.stage_of(None, "ivo://a/b#c").name == "other"


@pytest.mark.parametrize(
    "text",
    [
        "authority = ",
        'authority = "x"',
        MINIMAL + 'surprise = "y"',
        MINIMAL + '[[stage]]\nname = "a"\ncolour = "red"',
        MINIMAL + '[event]\nivorn = "("',
        MINIMAL + '[json]\nschema = "("',
        MINIMAL + '[json]\nmission = "x"',
        MINIMAL + '[[systematic]]\nmodel = "unheard_of"',
    ],
)
def test_a_malformed_table_is_refused(text: str) -> None:
    with pytest.raises(MissionTableError):
        read_mission("x.toml", text)
