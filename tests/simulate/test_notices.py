"""Notices are written in the words of their missions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.simulate.notices import (
    GbmStage,
    Position,
    Track,
    gbm_notice,
    gbm_trigger,
    icecube_notice,
    lvk_alert,
    superevent_name,
    swift_notice,
)
from asterism.simulate.skymaps import Arc, draw_map, map_fits
from asterism.times import mjd_utc_to_tai
from asterism.voevent.document import Document, parse
from asterism.voevent.read import read_payload

T0 = float(mjd_utc_to_tai(61121.2500001))
WHERE = Position(180.5, -12.25, 4.5)
TRACK = Track(run=141121, event=4528763, gold=True, energy_tev=180.0, signalness=0.6, far_per_year=0.5)


def words(document: Document) -> set[tuple[str, str | None]]:
    return {(param.name, param.group) for param in document.params}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("sample", "payload"),
    [
        ("fermi/voevent_number=699.xml", gbm_notice("flight", 795846984, T0, T0, WHERE, 7)),
        ("fermi/voevent_number=9897.xml", gbm_notice("final", 795846984, T0, T0, WHERE, 7)),
        ("swift/voevent_number=392.xml", swift_notice(1300001, T0, T0, WHERE, 7)),
        ("icecube/voevent_number=3028.xml", icecube_notice(TRACK, 0, T0, T0, WHERE, 1.7)),
    ],
    ids=["flight", "final", "bat", "track"],
)
def test_parameters_groups_and_units_are_those_of_a_real_notice(sample: str, payload: bytes, test_data: Path) -> None:
    real = parse((test_data / "notices/voevent/fink_mm_vodb" / sample).read_bytes())
    ours = parse(payload)
    assert words(ours) <= words(real)
    assert {p.name: p.unit for p in ours.params}.items() <= {p.name: p.unit for p in real.params}.items()
    assert (ours.role, ours.coord_system, ours.observatory) == (real.role, real.coord_system, real.observatory)
    assert len(str(ours.iso_time)) == len(str(real.iso_time))
    assert ours.ivorn.partition("#")[2][:11] == real.ivorn.partition("#")[2][:11] or "BRONZE" in real.ivorn


@pytest.mark.realdata
def test_superevents_have_the_keys_and_types_of_a_real_alert(test_data: Path) -> None:
    def shape(value: Any) -> Any:
        return {name: shape(v) for name, v in value.items()} if isinstance(value, dict) else type(value)

    sky_map = map_fits(draw_map(Arc.around(1.0, 2.0, 3.0, (2.0, 4.0), (0.0, 0.0), 60.0), (100.0, 20.0)), "S1", "2026")
    ours = json.loads(lvk_alert("S260321ab", "PRELIMINARY", T0, t0=T0, sky_map=sky_map))
    withdrawn = json.loads(lvk_alert("S260321ab", "RETRACTION", T0, t0=T0, sky_map=None))
    for name, alert in (("PRELIMINARY", ours), ("RETRACTION", withdrawn)):
        real = json.loads((test_data / f"notices/igwn/MS260605l_{name}.json").read_text())
        assert shape(alert) == shape(real)


@given(
    stage=st.sampled_from(["flight", "ground", "final"]),
    ra=st.floats(0.0, 359.9999),
    dec=st.floats(-90.0, 90.0),
    radius=st.floats(0.01, 30.0),
    after=st.floats(0.0, 0.02),
)
def test_a_burst_reads_back_with_position_radius_and_containment(
    stage: GbmStage, ra: float, dec: float, radius: float, after: float
) -> None:
    where = Position(ra, dec, radius)
    notice = read_payload(gbm_notice(stage, gbm_trigger(T0), T0, T0 + after, where, 9)).notice
    assert (notice.event_key, notice.stage, notice.standing) == (f"gbm:{gbm_trigger(T0)}", stage, "real")
    region = notice.region
    assert region is not None
    assert (region.ra_deg, region.dec_deg) == pytest.approx((ra % 360.0, dec), abs=6e-5)
    assert region.radius_deg == pytest.approx(radius, abs=6e-5)
    assert (region.containment, region.systematic_included) == (0.68, False)


def test_a_revision_of_a_track_supersedes_the_one_before() -> None:
    first, second = (parse(icecube_notice(TRACK, revision, T0, T0, WHERE, 1.7)) for revision in (0, 1))
    assert first.citations == ()
    assert [(c.ivorn, c.cite) for c in second.citations] == [(first.ivorn, "supersedes")]


def test_no_simulated_notice_claims_to_be_from_a_real_author() -> None:
    for payload in (swift_notice(1, T0, T0, WHERE, 7), gbm_notice("final", 5, T0, T0, WHERE, 7)):
        assert parse(payload).ivorn.startswith("ivo://asterism.simulated/")
        assert b"nasa" not in payload


def test_trigger_numbers_are_seconds_since_2001() -> None:
    assert gbm_trigger(float(mjd_utc_to_tai(57982.0 + (12 * 3600 + 41 * 60 + 6.47) / 86400.0))) == 524666471


@pytest.mark.parametrize(("number", "name"), [(0, "a"), (25, "z"), (26, "aa"), (51, "az"), (701, "zz"), (702, "aaa")])
def test_superevents_count_in_letters(number: int, name: str) -> None:
    assert superevent_name(T0, number) == f"S260322{name}"
