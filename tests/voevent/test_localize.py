"""`asterism.voevent.localize`: what an error radius means."""

from __future__ import annotations

import math
from typing import Any

import pytest

from asterism.sky.circle import CircleLocalization
from asterism.sky.mixture import MixtureLocalization
from asterism.voevent.document import Document, Param
from asterism.voevent.normalise import normalise
from asterism.voevent.notice import Notice

GCN = "ivo://nasa.gsfc.gcn/"


def located(ivorn: str, radius: str, packet: int, time: str = "2023-03-08T00:00:00", **params: str) -> Notice:
    values = {"Packet_Type": str(packet), **params}
    document = Document(
        GCN + ivorn,
        "observation",
        params=tuple(Param(name, value) for name, value in values.items()),
        coord_system="UTC-FK5-GEO",
        iso_time=time,
        position_unit="deg",
        c1="150.0",
        c2="20.0",
        error2radius=radius,
    )
    return normalise(document, "0" * 64)


def shape(notice: Notice) -> Any:
    assert notice.region is not None
    record = dict(notice.region.record or {})
    kinds = {"circle": CircleLocalization, "mixture": MixtureLocalization}
    return kinds[record["kind"]].from_record(record)


@pytest.mark.parametrize(
    ("ivorn", "packet"),
    [("SWIFT#BAT_GRB_Pos_1-1", 61), ("SWIFT#XRT_Pos_1-1", 67), ("INTEGRAL#Weak_Pos_000001-0-1", 56)],
)
def test_swift_and_integral_radii_hold_ninety_percent(ivorn: str, packet: int) -> None:
    notice = located(ivorn, "0.05", packet, TrigID="1")
    assert notice.region is not None
    assert (notice.region.type, notice.region.containment) == ("circle", 0.9)
    assert float(shape(notice).credible_level(150.0, 20.05)) == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize(
    ("time", "duration", "model", "core", "fraction", "tail"),
    [
        ("2018-12-31T23:59:59", "Long", "gbm_pre_2019", 3.7, 0.9, 14.0),
        ("2019-01-01T00:00:00", "Long", "gbm_roboba_long", 1.9, 0.58, 4.1),
        ("2023-03-08T00:00:00", "Short", "gbm_roboba_short", 2.6, 0.39, 4.4),
        ("2023-03-08T00:00:00", "unknown", "gbm_roboba_long", 1.9, 0.58, 4.1),
    ],
)
def test_gbm_radii_are_widened_by_the_systematic_error_of_their_time_and_kind(
    time: str, duration: str, model: str, core: float, fraction: float, tail: float
) -> None:
    notice = located("Fermi#GBM_Fin_Pos_1_0-1", "3.0", 115, time, TrigID="1", Long_short=duration)
    region = notice.region
    assert region is not None
    assert (region.radius_deg, region.containment, region.systematic_included) == (3.0, 0.68, False)
    assert region.systematic == model
    parts = shape(notice).components
    assert [part.weight for part in parts] == pytest.approx([fraction, 1 - fraction])
    assert [part.radius_deg for part in parts] == pytest.approx([math.hypot(3, core), math.hypot(3, tail)])


def test_neutrino_tracks_keep_both_their_radii() -> None:
    notice = located("AMON#ICECUBE_BRONZE_1_1_1_0", "0.6521", 174, run_id="1", event_id="1", src_error_50="0.2348")
    assert notice.region is not None
    assert (notice.region.type, notice.region.radius_50_deg, notice.region.systematic_included) == (
        "mixture",
        0.2348,
        False,
    )
    level = shape(notice).credible_level
    assert float(level(150.0, 20.6521)) == pytest.approx(0.9, abs=1e-3)
    assert float(level(150.0, 20.2348)) == pytest.approx(0.5, abs=1e-3)


def test_cascades_are_gaussian_and_cover_the_systematic_error() -> None:
    notice = located("AMON#ICECUBE_Cascade_1_1_1_0", "12.8963", 176, run_id="1", event_id="1", src_error_50="7.0757")
    assert notice.region is not None
    assert (notice.region.type, notice.region.containment, notice.region.systematic_included) == ("circle", 0.9, True)


@pytest.mark.parametrize("radius", ["0.0", "0", "-1.0", "-0.0"])
def test_a_radius_of_zero_or_less_is_unknown_and_makes_no_region(radius: str) -> None:
    notice = located("SWIFT#FOM_Obs_1-1", radius, 65, TrigID="1")
    assert notice.region is not None
    assert (notice.region.type, notice.region.radius_deg, notice.region.record) == ("point", None, None)
    assert (notice.region.ra_deg, notice.region.dec_deg) == (150.0, 20.0)
    assert "radius_unknown" in notice.flags
    assert notice.raw["error2radius"] == radius


def test_only_a_documented_floor_raises_a_radius() -> None:
    uvot = located("SWIFT#UVOT_Pos_1-1", "0.0001", 81, TrigID="1")
    assert uvot.region is not None
    assert uvot.region.radius_deg == 0.0001
    assert shape(uvot).radius_deg == 0.000139
    assert "radius_raised_to_floor" in uvot.flags
    xrt = located("SWIFT#XRT_Pos_1-1", "0.0001", 67, TrigID="1")
    assert shape(xrt).radius_deg == 0.0001


def test_an_undocumented_containment_is_said_to_be_unknown() -> None:
    notice = located("HAWC#Burst_1-1", "1.0", 171)
    assert notice.region is not None
    assert (notice.region.containment, shape(notice).containment) == (None, 0.68)
    assert "containment_assumed" in notice.flags


def test_a_radius_that_says_nothing_makes_no_region() -> None:
    notice = located("SWIFT#BAT_GRB_Pos_1-1", "179.0", 61, TrigID="1")
    assert notice.region is not None
    assert (notice.region.type, notice.region.radius_deg) == ("point", 179.0)
    assert "radius_uninformative" in notice.flags


def test_positions_of_notices_that_only_say_when_are_not_believed() -> None:
    assert located("Fermi#GBM_Alert_1_1-1", "0.0", 110, TrigID="1").region is None


def test_times_of_follow_up_instruments_are_not_the_trigger() -> None:
    for ivorn, packet in (("SWIFT#XRT_Pos_1-1", 67), ("SWIFT#UVOT_Pos_1-1", 81)):
        notice = located(ivorn, "0.001", packet, TrigID="1")
        assert notice.t0_mjd_tai is None
        assert notice.observation_time_raw == "2023-03-08T00:00:00"


def test_rates_are_hertz_whatever_the_document_counts_in() -> None:
    ivorn = "AMON#ICECUBE_GOLD_1_1_1_0"
    per_year = Document(GCN + ivorn, "observation", params=(Param("FAR", "0.5", unit="yr^-1"),))
    in_hertz = Document(GCN + ivorn, "observation", params=(Param("FAR", "0.5", unit="Hz"),))
    strange = Document(GCN + ivorn, "observation", params=(Param("FAR", "0.5", unit="furlong"),))
    rates = [normalise(document, "0" * 64).far_hz for document in (per_year, in_hertz, strange)]
    assert rates == [pytest.approx(0.5 / (365.25 * 86400)), 0.5, None]
