"""`asterism.voevent.identity`: what names an event."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.ids import split_key
from asterism.voevent.document import Document, Param, compose
from asterism.voevent.identity import cited_event
from asterism.voevent.normalise import normalise
from asterism.voevent.read import read_notice

GCN = "ivo://nasa.gsfc.gcn/"


def key_of(ivorn: str, role: str = "observation", **params: str) -> str:
    document = Document(ivorn, role, params=tuple(Param(name, value) for name, value in params.items()))
    return normalise(document, "0" * 64).event_key


@pytest.mark.parametrize(
    ("ivorn", "params", "key"),
    [
        ("INTEGRAL#Wakeup_Pos_010042-0-941", {"TrigID": "10042"}, "integral:10042"),
        ("INTEGRAL#Refined_Pos_010042-1-942", {"TrigID": "75578"}, "integral:10042"),
        ("INTEGRAL#Refined_Pos_010042-1-942", {}, "integral:10042"),
        (
            "AMON#ICECUBE_BRONZE_Event2022_25_136918_045252263_0",
            {"run_id": "136918", "event_id": "45252263"},
            "icecube:136918_45252263",
        ),
        ("AMON#ICECUBE_BRONZE_Event2022_25_136918_045252263_0", {}, "icecube:136918_45252263"),
        ("Fermi#GBM_Fin_Pos2022-07-29T10:17:31.51_680782656_0-655", {}, "gbm:680782656"),
        ("SWIFT#XRT_Pos_1208389-303", {"TrigID": "1208389"}, "swift:1208389"),
    ],
)
def test_the_mission_names_its_event(ivorn: str, params: dict[str, str], key: str) -> None:
    assert key_of(GCN + ivorn, **params) == key


def test_superevents_match_exactly_or_not_at_all(samples: Any) -> None:
    keys = {read_notice(samples.alert_json(name=name)).event_key for name in ("S190814b", "S190814bv", "MS190814b")}
    assert keys == {"lvk:S190814b", "lvk:S190814bv", "lvk:MS190814b"}


def test_one_superevent_has_one_key_in_xml_and_json(samples: Any) -> None:
    xml = key_of("ivo://gwnet/LVC#S230308a-2-Initial", GraceID="S230308a")
    assert xml == read_notice(samples.alert_json(name="S230308a")).event_key
    assert cited_event("ivo://gwnet/LVC#S230308a-1-Preliminary", "real") == xml


def test_notices_that_are_not_of_the_real_sky_cannot_touch_a_real_event(samples: Any) -> None:
    real = read_notice(samples.gbm_xml())
    by_flag, by_role = read_notice(samples.gbm_xml(test="true")), read_notice(compose(samples.gbm(role="test")))
    assert (real.standing, real.event_key) == ("real", "gbm:700000001")
    for apart in (by_flag, by_role):
        assert (apart.standing, apart.event_key) == ("test", "gbm_test:700000001")
    prediction = read_notice(compose(samples.gbm(role="prediction")))
    assert (prediction.standing, prediction.event_key) == ("prediction", "gbm_prediction:700000001")


def test_mock_and_test_superevents_say_so_by_their_name(samples: Any) -> None:
    mock = read_notice(samples.alert_json(name="MS230308a", search="MDC"))
    assert (mock.standing, mock.event_key) == ("mock", "lvk:MS230308a")
    retraction = read_notice(samples.alert_json(name="MS230308a", alert_type="RETRACTION"))
    assert (retraction.standing, retraction.event_key) == ("mock", "lvk:MS230308a")
    assert read_notice(samples.alert_json(name="TS230308a")).standing == "test"


def test_a_hardware_injection_is_kept_apart() -> None:
    assert key_of("ivo://gwnet/LVC#S230308a-1-Initial", GraceID="S230308a", HardwareInj="1") == "lvk_injection:S230308a"


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1, max_size=300))
def test_any_ivorn_makes_a_valid_key(local: str) -> None:
    split_key(key_of(f"ivo://a/b#{local}"))
    split_key(cited_event(f"ivo://a/b#{local}", "real"))


def test_what_had_to_be_changed_for_a_key_stays_different() -> None:
    assert len({key_of("ivo://a/b#" + local) for local in ("x:y", "x_y", "x y", "x;y", "x" * 150, "x" * 151)}) == 6


def test_a_generic_notice_joins_the_event_of_the_notice_it_replaces() -> None:
    def key(local: str, *cites: tuple[str, str]) -> str:
        from asterism.voevent.document import Citation

        document = Document(f"ivo://a/b#{local}", "observation", citations=tuple(Citation(i, c) for i, c in cites))
        return normalise(document, "0" * 64).event_key

    first = key("one")
    assert key("two", ("ivo://a/b#one", "supersedes")) == first
    assert key("three", ("ivo://a/b#two", "retraction"), ("ivo://a/b#one", "retraction")) == first
    assert key("four", ("ivo://a/b#one", "followup")) != first
    assert key("five", ("ivo://a/other#one", "supersedes")) != key("one")
