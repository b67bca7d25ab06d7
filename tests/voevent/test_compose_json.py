"""`asterism.voevent.compose_json`: JSON notices as VOEvents, and back."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import voeventparse
from comet.utility import parse_ivoid
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from asterism.voevent.compose_json import (
    MAX_VTP_BYTES,
    Composed,
    Earlier,
    Signature,
    compose_notice,
    same_notice,
    source_key,
)
from asterism.voevent.document import parse
from asterism.voevent.errors import ComposeError, NoticeRefusedError, NoticeSchemaError
from asterism.voevent.igwn import read_json
from asterism.voevent.notice import notice_key
from asterism.voevent.read import read_payload

SIGNATURE = Signature("example.org", lambda sha256: f"http://127.0.0.1:8090/maps/{sha256}")

EP = {
    "$schema": "https://gcn.nasa.gov/schema/main/gcn/notices/einstein_probe/wxt/alert.schema.json",
    "instrument": "WXT",
    "trigger_time": "2024-05-08T07:38:01.151Z",
    "ra": 229.837999999,
    "dec": -29.746999999,
    "ra_dec_error": 0.05089517,
    "image_energy_range": [0.5, 4.0],
    "additional_info": "a rate\nof two lines & <signs>",
}
KM3NET = {
    "mission": "KM3NeT",
    "alert_type": "initial",
    "alert_datetime": "2024-09-01T12:01:00.00Z",
    "id": "1",
    "event_name": "KM3-240901A",
    "trigger_time": "2024-09-01T01:16:47.0Z",
    "ra": 10.82,
    "dec": 20.01,
    "ra_dec_error": 0.9,
    "src_error_50": 0.49,
    "far": 8.029e-8,
    "alert_topology": "Track",
    "event_details": [{"id": "km3.2", "cos_zenith": 0.01, "energy_measured": 120000}],
    "potential_counterpart": False,
}


MEMBERS = [*KM3NET, "time", "classification", "properties", "external_coinc", "superevent_id", "instruments", "search"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def composed(payload: bytes, earlier: tuple[Earlier, ...] = ()) -> Composed:
    return compose_notice(read_json(payload), read_payload(payload), SIGNATURE, earlier)


def assert_the_same(payload: bytes) -> Composed:
    """Check that a JSON notice survives; whether the document is valid is judged by voevent-parse."""
    result = composed(payload)
    assert voeventparse.valid_as_v2_0(voeventparse.loads(result.payload))
    assert len(result.payload) <= MAX_VTP_BYTES
    assert parse_ivoid(result.ivorn)[2]
    document = parse(result.payload)
    assert (document.ivorn, document.problems, source_key(document)) == (result.ivorn, (), notice_key(payload))
    before, after = read_payload(payload), read_payload(result.payload, result.files)
    assert after.notice.ivorn == result.ivorn
    assert same_notice(before.notice, after.notice)
    assert before.sky_map == after.sky_map
    return result


@pytest.mark.parametrize("alert_type", ["PRELIMINARY", "UPDATE", "RETRACTION"])
def test_an_lvk_alert_is_the_same_notice_after_its_way_through_a_voevent(samples: Any, alert_type: str) -> None:
    assert_the_same(samples.alert_json(alert_type=alert_type))


@pytest.mark.parametrize("alert", [EP, KM3NET, EP | {"alert_tense": "test"}, KM3NET | {"alert_type": "retraction"}])
def test_a_notice_in_the_unified_schema_is_the_same_after_its_way(alert: dict[str, Any]) -> None:
    assert_the_same(json.dumps(alert).encode())


@pytest.mark.realdata
def test_every_real_json_notice_is_the_same_after_its_way(test_data: Path) -> None:
    paths = sorted((test_data / "notices").rglob("*.json"))
    assert len(paths) == 41
    for path in paths:
        assert_the_same(path.read_bytes())


def test_the_same_json_gives_the_same_bytes_and_other_json_another_ivorn(samples: Any) -> None:
    one, other = samples.alert_json(), samples.alert_json(far=2e-9)
    assert composed(one) == composed(one)
    assert composed(one).ivorn != composed(other).ivorn


def test_scripts_for_lvks_old_voevents_find_what_they_look_for(samples: Any) -> None:
    sky_map = samples.sky_map()
    result = composed(samples.alert_json(alert_type="INITIAL", sky_map=sky_map))
    event = voeventparse.loads(result.payload)
    params = {param.get("name"): param.get("value") for param in event.iterfind(".//What/Param")}
    assert {name: params[name] for name in ("Packet_Type", "GraceID", "AlertType", "Instruments", "Group", "FAR")} == {
        "Packet_Type": "151",
        "GraceID": "S230308a",
        "AlertType": "Initial",
        "Instruments": "H1,L1",
        "Group": "CBC",
        "FAR": "1e-09",
    }
    groups = voeventparse.get_grouped_params(event)
    assert groups["Classification"]["BNS"]["value"] == "0.9"
    assert groups["Properties"]["HasRemnant"]["value"] == "0.5"
    (sha256,) = result.files
    assert result.files[sha256] == sky_map
    assert groups["GW_SKYMAP"]["skymap_fits"]["value"] == f"http://127.0.0.1:8090/maps/{sha256}"
    assert event.attrib["role"] == "observation"
    assert etree.XPath("//Param[@name='Area90' and @value > 1000]")(event)


def test_a_mock_alert_has_the_role_test(samples: Any) -> None:
    assert parse(composed(samples.alert_json(name="MS230308a")).payload).role == "test"


def test_a_position_stands_where_voevents_have_it() -> None:
    document = parse(composed(json.dumps(EP).encode()).payload)
    assert (document.iso_time, document.c1, document.c2) == (
        "2024-05-08T07:38:01.151000",
        "229.837999999",
        "-29.746999999",
    )
    assert float(document.error2radius or 0) == EP["ra_dec_error"]


def test_an_update_supersedes_what_was_composed_before_and_a_retraction_retracts_all_of_it(samples: Any) -> None:
    first = composed(samples.alert_json())
    before = (Earlier(first.ivorn, 2),)
    update = composed(samples.alert_json(alert_type="UPDATE"), before)
    assert [(c.ivorn, c.cite) for c in parse(update.payload).citations] == [(first.ivorn, "supersedes")]
    before += (Earlier(update.ivorn, 4),)
    late = composed(samples.alert_json(created="2023-03-08T00:06:00Z"), before)
    assert [c.cite for c in parse(late.payload).citations] == ["followup", "supersedes"]
    retraction = composed(samples.alert_json(alert_type="RETRACTION"), before)
    cited = parse(retraction.payload).citations
    assert [(c.ivorn, c.cite) for c in cited] == [(update.ivorn, "retraction"), (first.ivorn, "retraction")]
    notice = read_payload(retraction.payload).notice
    assert notice.is_retraction
    assert set(notice.cited_events) == {notice.event_key} == {"lvk:S230308a"}


def test_without_its_map_a_composed_notice_has_the_maps_address_instead_of_a_region(samples: Any) -> None:
    payload = samples.alert_json()
    result = composed(payload)
    notice = read_payload(result.payload).notice
    assert notice.region is None
    assert notice.map_url == SIGNATURE.file_url(next(iter(result.files)))
    assert notice.event_key == read_payload(payload).notice.event_key


def test_a_file_that_is_not_the_one_named_is_refused(samples: Any) -> None:
    result = composed(samples.alert_json())
    with pytest.raises(NoticeSchemaError):
        read_payload(result.payload, dict.fromkeys(result.files, b"another"))


def test_what_vtp_cannot_carry_is_a_coded_error() -> None:
    with pytest.raises(ComposeError, match="VTP carries 99999"):
        composed(json.dumps(EP | {"additional_info": "many words " * 10_000}).encode())
    with pytest.raises(ComposeError):
        composed(json.dumps(EP | {"additional_info": "\x00"}).encode())


@settings(max_examples=60)
@given(
    st.sampled_from(["ep", "km3net", "lvk"]),
    st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=5), JSON_VALUES, max_size=4),
    st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=5), JSON_VALUES, max_size=4),
)
def test_whatever_can_be_read_is_composed_and_stays_the_same_or_refused_with_a_code(
    samples: Any, base: str, members: dict[str, Any], of_event: dict[str, Any]
) -> None:
    alert: dict[str, Any] = {"ep": EP, "km3net": KM3NET, "lvk": samples.alert(alert_type="RETRACTION")}[base] | members
    if base == "lvk" and of_event:
        alert["event"] = of_event
    payload = json.dumps(alert).encode()
    try:
        before = read_payload(payload)
        result = composed(payload)
    except (NoticeRefusedError, ComposeError):
        return
    assert same_notice(before.notice, read_payload(result.payload, result.files).notice)


def test_a_notice_with_very_many_values_is_refused_before_it_costs_time() -> None:
    with pytest.raises(ComposeError, match="more than 2000 values"):
        composed(json.dumps(EP | {"light_curve": list(range(50_000))}).encode())


def test_long_text_is_no_file_unless_it_is_one() -> None:
    words = "these are words. " * 200
    assert composed(json.dumps(EP | {"additional_info": words}).encode()).files == {}
    inside = base64.b64encode(bytes(range(256)) * 12).decode()
    assert list(composed(json.dumps(EP | {"light_curve": inside}).encode()).files.values()) == [bytes(range(256)) * 12]
