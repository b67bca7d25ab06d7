"""`asterism.voevent.read`: bytes to `Notice`, against hostile ones; real ones are in test_expected_tables.py."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.sky.kinds import localization_from_record
from asterism.voevent.document import compose
from asterism.voevent.errors import (
    NoticeHostileError,
    NoticeMapError,
    NoticeMarkupError,
    NoticePositionError,
    NoticeRefusedError,
    NoticeSchemaError,
    NoticeTimeError,
    NoticeTooLargeError,
    NoticeUnknownError,
)
from asterism.voevent.notice import Notice
from asterism.voevent.read import read_notice, read_payload


def test_the_command_line_keys_are_those_of_the_design(samples: Any) -> None:
    promised = {
        "event_key",
        "notice_key",
        "mission",
        "kind",
        "role",
        "t0_utc",
        "observation_time_raw",
        "time_scale",
        "localization",
        "far_hz",
        "classification",
        "citations",
        "verified_against_sample",
        "raw",
    }
    for payload in (samples.gbm_xml(), samples.alert_json(), samples.alert_json(alert_type="RETRACTION")):
        values = read_notice(payload).as_cli()
        assert promised <= values.keys()
        assert json.loads(json.dumps(values, allow_nan=False)) == values
    region = read_notice(samples.gbm_xml()).as_cli()["localization"]
    assert {"type", "ra_deg", "dec_deg", "radius_deg", "containment", "systematic_included"} <= region.keys()


def test_a_notice_survives_the_way_through_its_record(samples: Any) -> None:
    payloads = [
        samples.gbm_xml(),
        compose(samples.generic(cites=[("ivo://a/b#c", "followup")])),
        samples.alert_json(),
        samples.alert_json(alert_type="RETRACTION"),
    ]
    for payload in payloads:
        reading = read_payload(payload)
        record = json.loads(json.dumps(reading.notice.as_record(), allow_nan=False))
        assert Notice.from_record(record) == reading.notice
        region = reading.notice.region
        if region is not None and region.record is not None:
            assert localization_from_record(dict(region.record)) == reading.localization


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"c1": "725.0"}, NoticePositionError),
        ({"c1": "-10.0"}, NoticePositionError),
        ({"c2": "90.5"}, NoticePositionError),
        ({"c1": "nan"}, NoticePositionError),
        ({"c2": "inf"}, NoticePositionError),
        ({"c1": "1_0"}, NoticePositionError),
        ({"c1": ""}, NoticePositionError),
        ({"error2radius": "NaN"}, NoticePositionError),
        ({"error2radius": "1e999"}, NoticePositionError),
        ({"position_unit": "hourangle"}, NoticePositionError),
        ({"coord_system": "UTC-GAL-GEO"}, NoticePositionError),
        ({"coord_system": "XYZ-ICRS-GEO"}, NoticeTimeError),
        ({"iso_time": "yesterday"}, NoticeTimeError),
    ],
)
def test_impossible_values_are_refused_with_their_code(
    samples: Any, changes: dict[str, str], error: type[NoticeRefusedError]
) -> None:
    # Written by replacement: the schema would not let such documents be composed.
    original = samples.gbm()
    payload = compose(original)
    for name, value in changes.items():
        before = getattr(original, name)
        payload = payload.replace(f">{before}<".encode(), f">{value}<".encode())
        payload = payload.replace(f'"{before}"'.encode(), f'"{value}"'.encode())
    assert payload != compose(original)
    with pytest.raises(error) as refused:
        read_notice(payload)
    assert type(refused.value) is error


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", NoticeMarkupError),
        (b"  \n", NoticeMarkupError),
        (b"hello", NoticeMarkupError),
        (b"\x1f\x8b\x08\x00", NoticeMarkupError),
        (b"[]", NoticeMarkupError),
        (b"{", NoticeMarkupError),
        (b'{"a": NaN}', NoticeMarkupError),
        (b'{"a": Infinity}', NoticeMarkupError),
        (b'{"a": "\xff"}', NoticeMarkupError),
        (b'{"mission": "x", "id": "\\ud800"}', NoticeMarkupError),
        (b'{"mission": "x", "id": "1", "healpix_url": "\\uDFFF"}', NoticeMarkupError),
        (b'{"a": ' + b"1" * 5000 + b"}", NoticeMarkupError),
        (b'{"a":' * 100_000, NoticeTooLargeError),
        (b'{"a":' * 40 + b"1" + b"}" * 40, NoticeTooLargeError),
        (b'{"a": "' + b"x" * 6_000_000 + b'"}', NoticeTooLargeError),
        (b"{}", NoticeUnknownError),
        (b'{"superevent_id": 5, "alert_type": "UPDATE"}', NoticeUnknownError),
        (b'{"superevent_id": "../../x", "alert_type": "UPDATE"}', NoticeSchemaError),
        (b'{"superevent_id": "S230308a", "alert_type": "RUMOUR"}', NoticeSchemaError),
        (b'{"superevent_id": "S230308a", "alert_type": "UPDATE", "event": []}', NoticeSchemaError),
        (b'{"superevent_id": "S230308a", "alert_type": "RETRACTION", "event": null}', NoticeTimeError),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><VOEvent ivorn="ivo://a/b#c">&x;</VOEvent>', NoticeHostileError),
    ],
)
def test_hostile_and_broken_bytes_are_refused_with_their_code(payload: bytes, error: type[NoticeRefusedError]) -> None:
    started = time.process_time()
    with pytest.raises(error) as refused:
        read_notice(payload)
    assert type(refused.value) is error
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    "sky_map",
    ["not base64!", "", "QUJD", 5, ["x"]],
)
def test_a_map_that_cannot_be_read_is_refused(samples: Any, sky_map: object) -> None:
    alert = samples.alert()
    alert["event"]["skymap"] = sky_map
    with pytest.raises(NoticeMapError):
        read_notice(json.dumps(alert).encode())


def test_a_map_cut_short_is_refused(samples: Any) -> None:
    with pytest.raises(NoticeMapError):
        read_notice(samples.alert_json(sky_map=samples.sky_map()[:5000]))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_mutated_notices_are_read_or_refused_and_never_crash(samples: Any, data: st.DataObject) -> None:
    original = data.draw(st.sampled_from([samples.gbm_xml(), samples.alert_json(alert_type="RETRACTION")]))
    payload = bytearray(original)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(payload) - 1))
        cut = data.draw(st.integers(0, 12))
        payload[place : place + cut] = data.draw(st.binary(max_size=12))
        if not payload:
            break
    notice = read_or_none(bytes(payload))
    assert notice is None or Notice.from_record(notice.as_record()) == notice


def read_or_none(payload: bytes) -> Notice | None:
    """Return None for a coded refusal; any other exception is a failure of the test."""
    try:
        return read_notice(payload)
    except NoticeRefusedError:
        return None
