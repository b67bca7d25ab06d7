"""`asterism.voevent.read`: bytes to `Notice`, against real notices and hostile ones."""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
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

CONTAINMENT = {"gbm": 0.68, "swift": 0.9, "icecube": 0.9, "integral": 0.9}
EVENTS = {
    "swift:1118357": 4,
    "swift:1208389": 5,
    "swift:1125809": 2,
    "gbm:719325015": 7,
    "gbm:726757170": 3,
    "gbm:726773850": 3,
    "gbm:728023845": 3,
    "gbm:726724682": 2,
    "integral:10042": 2,
    "gbm:719313583": 2,
    "lvk:S230518h": 2,
    "lvk:S240114aj": 2,
    "lvk:S240115k": 2,
    "lvk:MS260605l": 2,
}
"""Events of more than one notice, as the data's README lists them."""


def table(test_data: Path, name: str) -> list[dict[str, str]]:
    with (test_data / "notices" / name).open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.realdata
def test_every_real_voevent_means_what_its_text_says(test_data: Path) -> None:
    rows = table(test_data, "expected_voevent.csv")
    assert len(rows) == 46
    for row in rows:
        notice = read_notice((test_data / row["file"]).read_bytes())
        assert (notice.ivorn, notice.role) == (row["ivorn"], row["role"])
        assert notice.observation_time_raw == row["isotime"]
        raw = notice.raw
        assert (raw["version"], raw["packet_type"] or "", raw["coord_system"]) == (
            row["version"],
            row["packet_type"],
            row["coord_system"],
        )
        assert ("no_namespace" in notice.flags) == (row["root_has_namespace"] == "0")
        assert len(notice.citations) == int(row["n_citations"])
        if notice.t0_mjd_tai is not None:
            assert datetime.fromisoformat(notice.as_cli()["t0_utc"]) == datetime.fromisoformat(row["isotime"] + "Z")
        check_region(notice, row)


def check_region(notice: Notice, row: dict[str, str]) -> None:
    region = notice.region
    if not row["c1"]:
        assert region is None
        return
    assert region is not None
    assert (region.ra_deg, region.dec_deg) == (float(row["c1"]), float(row["c2"]))
    if float(row["error2radius"]) > 0:
        assert region.radius_deg == float(row["error2radius"])
        assert region.containment == CONTAINMENT[notice.mission]
        assert region.record is not None
    else:
        assert (region.type, region.radius_deg, region.record) == ("point", None, None)


@pytest.mark.realdata
def test_every_real_alert_of_lvk_reads_as_the_expected_table_says(test_data: Path) -> None:
    rows = table(test_data, "expected_igwn.csv")
    assert len(rows) == 8
    for row in rows:
        reading = read_payload((test_data / row["file"]).read_bytes())
        notice, values = reading.notice, reading.notice.as_cli()
        assert notice.event_key == f"lvk:{row['superevent_id']}"
        assert notice.stage == row["alert_type"].lower()
        assert datetime.fromisoformat(values["issued_utc"]) == datetime.fromisoformat(row["time_created"])
        assert (notice.observation_time_raw or "") == row["event_time"]
        assert ("" if notice.far_hz is None else repr(notice.far_hz)) == row["far_hz"]
        assert notice.properties.get("group", "") == row["group"]
        assert notice.properties.get("search", "") == row["search"]
        if row["significant"]:
            assert ("significant" in notice.flags) == (row["significant"] == "True")
        for name in ("BNS", "NSBH", "BBH", "Terrestrial"):
            expected = row[f"p_{name.lower()}"]
            assert notice.classification.get(name) == (float(expected) if expected else None)


@pytest.mark.realdata
def test_real_maps_have_the_areas_of_the_expected_table(test_data: Path) -> None:
    with (test_data / "skymaps/expected_skymaps.csv").open() as stream:
        rows = {row["file"]: row for row in csv.DictReader(stream)}
    checked = 0
    for path in sorted((test_data / "notices/igwn").glob("*.json")):
        row = next((row for name, row in rows.items() if path.name in name), None)
        region = read_notice(path.read_bytes()).region
        if row is None or region is None:
            continue
        areas = [float(value) for name, value in row.items() if re.fullmatch(r"area_?(50|90).*", name)]
        assert [region.area_50_deg2, region.area_90_deg2] == pytest.approx(areas, rel=1e-3)
        checked += 1
    assert checked >= 5


@pytest.mark.realdata
def test_real_notices_of_one_event_share_its_key_and_nothing_else_does(test_data: Path) -> None:
    folder = test_data / "notices"
    files = [*(folder / "voevent").rglob("*.xml"), *(folder / "igwn").glob("*.json")]
    counts = Counter(read_notice(path.read_bytes()).event_key for path in files)
    assert {key: number for key, number in counts.items() if number > 1} == EVENTS


@pytest.mark.realdata
def test_stages_claim_a_real_sample_only_where_one_was_read(test_data: Path) -> None:
    from asterism.voevent.missions.table import missions

    folder = test_data / "notices"
    files = [*(folder / "voevent").rglob("*.xml"), *(folder / "igwn").glob("*.json")]
    read = {(n.mission, n.stage) for n in (read_notice(path.read_bytes()) for path in files)}
    claimed = {(m.authority, s.name) for m in missions() for s in m.stages if s.verified_against_sample}
    assert claimed <= read
    assert {(m.authority, s.name) for m in missions() for s in m.stages} & read == claimed


@pytest.mark.realdata
def test_gbm_and_swift_agree_on_one_burst_only_with_the_systematic_error(test_data: Path) -> None:
    folder = test_data / "notices/voevent/fink_mm_raw_2024"
    notices = [read_payload(path.read_bytes()) for path in sorted(folder.glob("*.xml"))]
    swift = next(r for r in notices if r.notice.stage == "bat_position" and r.notice.event_key == "swift:1208389")
    overlap = {
        r.notice.stage: r.localization.overlap(swift.localization)
        for r in notices
        if r.notice.event_key == "gbm:726773850" and r.localization is not None and swift.localization is not None
    }
    assert overlap == pytest.approx({"flight": 172, "ground": 63, "final": 6.3}, rel=0.05)


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
