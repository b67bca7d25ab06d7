"""Every real notice against its expected table, every column; every other JSON against a plain reading of it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from asterism.times import mjd_tai_to_iso
from asterism.voevent.missions.table import missions
from asterism.voevent.notice import Notice
from asterism.voevent.read import read_notice, read_payload

pytestmark = pytest.mark.realdata

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


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_every_real_voevent_equals_every_column_of_its_table(test_data: Path) -> None:
    rows = table(test_data / "notices/expected_voevent.csv")
    assert len(rows) == 46
    for row in rows:
        notice = read_notice((test_data / row["file"]).read_bytes())
        raw = notice.raw
        found = {
            "file": row["file"],
            "ivorn": notice.ivorn,
            "role": notice.role,
            "version": raw["version"],
            "root_has_namespace": str(int(raw["root_has_namespace"])),
            "packet_type": raw["packet_type"] or "",
            "coord_system": raw["coord_system"],
            "isotime": notice.observation_time_raw,
            "c1": raw["c1"] or "",
            "c2": raw["c2"] or "",
            "error2radius": raw["error2radius"] or "",
            "n_citations": str(len(notice.citations)),
        }
        assert found == row
        check_meaning(notice, row)
    print(f"{len(rows)} VOEvents equal {len(rows[0])} columns of expected_voevent.csv")


def check_meaning(notice: Notice, row: dict[str, str]) -> None:
    assert ("no_namespace" in notice.flags) == (row["root_has_namespace"] == "0")
    assert notice.verified_against_sample == (notice.mission != "voevent")
    if notice.t0_mjd_tai is not None:
        assert datetime.fromisoformat(notice.as_cli()["t0_utc"]) == datetime.fromisoformat(row["isotime"] + "Z")
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


def test_the_29_voevents_that_lost_their_namespace_upstream_are_taken_and_flagged(test_data: Path) -> None:
    notices = [read_notice(path.read_bytes()) for path in (test_data / "notices/voevent").rglob("*.xml")]
    flagged = Counter("no_namespace" in notice.flags for notice in notices)
    print(f"{flagged[True]} VOEvents without namespace accepted and flagged, {flagged[False]} with one")
    assert flagged == {True: 29, False: 17}


def test_every_real_alert_of_lvk_equals_every_column_of_its_table(test_data: Path) -> None:
    rows = table(test_data / "notices/expected_igwn.csv")
    assert len(rows) == 8
    for row in rows:
        notice = read_notice((test_data / row["file"]).read_bytes())
        probabilities = {
            f"p_{name.lower()}": repr(notice.classification[name]) if name in notice.classification else ""
            for name in ("BNS", "NSBH", "BBH", "Terrestrial")
        }
        flags = {"significant": "True", "not_significant": "False"}
        assert notice.issued_mjd_tai is not None
        found = {
            "file": row["file"],
            "superevent_id": notice.event_key.removeprefix("lvk:"),
            "alert_type": notice.stage.upper(),
            "time_created": mjd_tai_to_iso(notice.issued_mjd_tai)[:19] + "Z",
            "event_time": notice.observation_time_raw or "",
            "far_hz": "" if notice.far_hz is None else repr(notice.far_hz),
            "significant": next((flags[flag] for flag in notice.flags if flag in flags), ""),
            "group": notice.properties.get("group", ""),
            "search": notice.properties.get("search", ""),
            **probabilities,
        }
        assert found == row
        assert notice.verified_against_sample
    print(f"{len(rows)} alerts of LVK equal {len(rows[0])} columns of expected_igwn.csv")


def test_real_maps_inside_notices_have_the_areas_and_distances_of_their_table(test_data: Path) -> None:
    rows = [row for row in table(test_data / "skymaps/expected_skymaps.csv") if ".json" in row["file"]]
    assert len(rows) >= 5
    for row in rows:
        path = next(iter((test_data / "notices/igwn").glob(Path(row["file"]).name)))
        region = read_notice(path.read_bytes()).region
        assert region is not None
        areas = [float(value) for name, value in row.items() if name.startswith("area") and value]
        print(f"{path.name}: areas {region.area_50_deg2:.2f} and {region.area_90_deg2:.2f} deg2, table {areas}")
        assert [region.area_50_deg2, region.area_90_deg2] == pytest.approx(areas, rel=1e-3)
        if not row["distmean_mpc"]:
            assert region.distance_mpc is None
            continue
        # The table has the headers' values, of the samples; ours are moments of the map's own layers.
        distance = [float(row[name]) for name in ("distmean_mpc", "diststd_mpc")]
        assert [region.distance_mpc, region.distance_sigma_mpc] == pytest.approx(distance, rel=2e-2)


def test_real_notices_of_one_event_share_its_key_and_nothing_else_does(test_data: Path) -> None:
    counts = Counter(notice.event_key for notice in real_notices(test_data))
    several = {key: number for key, number in counts.items() if number > 1}
    print(f"{counts.total()} notices of {len(counts)} events; of more than one notice: {several}")
    assert several == EVENTS


def real_notices(test_data: Path) -> Iterator[Notice]:
    """Yield the notices that authors sent, not the examples of schemas."""
    folder = test_data / "notices"
    for path in [*(folder / "voevent").rglob("*.xml"), *(folder / "igwn").glob("*.json")]:
        yield read_notice(path.read_bytes())


def test_stages_claim_a_real_sample_where_one_was_read_and_only_there(test_data: Path) -> None:
    read = {(notice.mission, notice.stage) for notice in real_notices(test_data)}
    stages = [(mission.authority, stage) for mission in missions() for stage in mission.stages]
    known = {(name, stage.name) for name, stage in stages}
    assert {(name, stage.name) for name, stage in stages if stage.verified_against_sample} == read & known
    unified = {
        (notice.mission, notice.stage)
        for path in (test_data / "notices/gcn_json").glob("*.json")
        for notice in [read_notice(path.read_bytes())]
    }
    assert {(name, stage.name) for name, stage in stages if stage.json_verified_against_sample} == unified


def unified_files(test_data: Path) -> list[Path]:
    folder = test_data / "notices"
    return [*sorted((folder / "gcn_json").glob("*.json")), *sorted((folder / "gcn_schema_examples").rglob("*.json"))]


def test_the_33_other_json_equal_a_plain_reading_value_by_value(test_data: Path) -> None:
    files = unified_files(test_data)
    assert len(files) == 33
    for path in files:
        plain = json.loads(path.read_text())
        reading = read_payload(path.read_bytes())
        notice = reading.notice
        assert json.loads(json.dumps(notice.raw)) == plain, path
        assert notice.verified_against_sample == (path.parent.name == "gcn_json"), path
        check_where(notice, plain, path)
        check_what(notice, plain, path)
    print(f"{len(files)} other JSON equal a plain reading")


def check_where(notice: Notice, plain: dict[str, Any], path: Path) -> None:
    region, error = notice.region, plain.get("ra_dec_error")
    if "ra" not in plain:
        assert region is None, path
        return
    assert region is not None
    assert (region.ra_deg, region.dec_deg) == (plain["ra"], plain["dec"]), path
    if error is None:
        assert (region.type, region.radius_deg) == ("point", None), path
        return
    assert region.radius_deg == (error[0] if isinstance(error, list) else error), path
    assert region.containment == plain.get("containment_probability", 0.9), path
    default = path.parent.name == "km3net"  # its radii include the systematic error, whatever the schema's default
    assert region.systematic_included == plain.get("systematic_included", default), path
    assert region.radius_50_deg == plain.get("src_error_50"), path
    if isinstance(error, list):
        assert region.record is not None
        assert (region.record["ahead_deg"], region.record["left_deg"]) == (error[0], error[1]), path
        assert region.record["position_angle_deg"] == (error[2] if len(error) > 2 else 0.0), path


def check_what(notice: Notice, plain: dict[str, Any], path: Path) -> None:
    trigger = plain.get("trigger_time")
    if trigger is None:
        assert notice.t0_mjd_tai is None, path
    else:
        assert notice.t0_mjd_tai is not None, path
        assert instant(mjd_tai_to_iso(notice.t0_mjd_tai)) == pytest.approx(instant(trigger), abs=2e-6), path
        assert notice.observation_time_raw == trigger, path
    if "alert_datetime" in plain:
        assert notice.issued_mjd_tai is not None, path
        written = instant(mjd_tai_to_iso(notice.issued_mjd_tai))
        assert written == pytest.approx(instant(plain["alert_datetime"]), abs=2e-6), path
    assert notice.far_hz == plain.get("far"), path
    classes = plain.get("classification") or ({"astrophysical": plain["p_astro"]} if "p_astro" in plain else {})
    assert dict(notice.classification) == classes, path
    assert notice.is_retraction == (plain.get("alert_type") == "retraction"), path
    assert notice.standing == ("test" if plain.get("alert_tense") == "test" else "real"), path
    assert notice.map_url == plain.get("healpix_url"), path
    ids = plain.get("id", [])
    for one in [ids] if isinstance(ids, str) else ids:
        assert one in notice.properties["names"], path


def instant(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else datetime.fromisoformat(text + "+00:00")).timestamp()
