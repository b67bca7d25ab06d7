"""`asterism.voevent.missions.table`."""

from __future__ import annotations

import pytest

from asterism.voevent.errors import MissionTableError
from asterism.voevent.missions.table import GENERIC, mission_of, missions, read_mission

MINIMAL = 'authority = "x"\nname = "X"\nkind = "grb"\nivorn = "ivo://x/"\n'


def test_the_tables_that_ship_are_read() -> None:
    assert {mission.authority for mission in missions()} == {"gbm", "swift", "icecube", "integral", "lvk"}
    for mission in missions():
        assert mission.stages
        packets = [packet for stage in mission.stages for packet in stage.packets]
        assert len(set(packets)) == len(packets)


@pytest.mark.parametrize(
    ("ivorn", "authority"),
    [
        ("ivo://nasa.gsfc.gcn/Fermi#GBM_Fin_Pos2023-10-18T12:30:10.66_719325015_0-208", "gbm"),
        ("ivo://nasa.gsfc.gcn/Fermi#LAT_GRB_Pos_Upd_1", "voevent"),
        ("ivo://nasa.gsfc.gcn/SWIFT#XRT_Pos_1208389-303", "swift"),
        ("ivo://nasa.gsfc.gcn/AMON#ICECUBE_GOLD_Event_1_2_0", "icecube"),
        ("ivo://nasa.gsfc.gcn/AMON#AMON_NU_EM_1", "voevent"),
        ("ivo://gwnet/LVC#S190814bv-5-Update", "lvk"),
        ("ivo://elsewhere/x#ivo://gwnet/LVC#S190814bv-5-Update", "voevent"),
    ],
)
def test_a_mission_is_recognised_by_the_start_of_its_ivorns(ivorn: str, authority: str) -> None:
    assert mission_of(ivorn).authority == authority


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
        MINIMAL + '[[systematic]]\nmodel = "unheard_of"',
    ],
)
def test_a_malformed_table_is_refused(text: str) -> None:
    with pytest.raises(MissionTableError):
        read_mission("x.toml", text)
