"""Events that coincide: odds and rates as published, floors that hold, chains, and a counterpart both share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.graph.association.coincidence import (
    SECONDS_PER_YEAR,
    Coincidence,
    chains,
    coincidence_term,
    find_coincidences,
    floored_far,
    joint_odds,
    joint_overlap,
    targeted_far,
    true_rate,
    untargeted_far,
    with_partners,
)
from asterism.graph.association.events import ActiveEvent, Partner
from asterism.graph.association.pair_rules import CoincidenceRule
from asterism.graph.association.rules import load_rules
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import SKY_DEG2, pixel_centers
from asterism.sky.localization import Localization
from asterism.sky.mixture import GBM_ROBOBA_LONG, with_systematic
from asterism.voevent.read import read_payload

_RULE = load_rules().coincidence
assert _RULE is not None
RULE: CoincidenceRule = _RULE
T0 = 61000.0
SECOND = 1.0 / 86400.0

rates = st.floats(1e-20, 1e-3)
"""False-alarm rates [Hz]."""


@given(rates, rates, st.sampled_from(["BNS", "NSBH", "BBH"]), st.floats(1e-3, 1e4))
def test_a_confident_event_does_not_make_a_coincidence_surer_than_its_class_is_frequent(
    far: float, smaller: float, name: str, overlap: float
) -> None:
    """S241125n: below the rate of true events, a smaller false-alarm rate changes nothing; above, it counts."""
    floor = true_rate("gw", {name: 0.9, "Terrestrial": 0.1}, RULE)
    found, raised = floored_far(far, floor)
    assert found == max(far, floor)
    assert raised is (far < floor)
    external = 305.0 / SECONDS_PER_YEAR
    least = untargeted_far(floor, external, 6.0, overlap)
    assert untargeted_far(found, external, 6.0, overlap) >= least
    if max(far, smaller) <= floor:
        assert untargeted_far(floored_far(smaller, floor)[0], external, 6.0, overlap) == least
    ours = targeted_far(found, 1e-4, 6.0, overlap, 1e-3)
    assert ours >= targeted_far(floor, 1e-4, 6.0, overlap, 1e-3) * (1.0 - 1e-12)


@given(st.floats(1e-12, 1e-6), st.floats(0.01, 100.0))
def test_the_targeted_rate_is_that_of_the_product_of_two_uniform_numbers(z: float, overlap: float) -> None:
    """Of two numbers uniform up to their thresholds the product is below z in z (1 + ln (1 / z)) of all: counted."""
    rng_points = (np.arange(4000) + 0.5) / 4000.0
    numeric = np.minimum(1.0, (z / 1e-6) / rng_points).mean()
    assert targeted_far(z, 1.0, 1.0, overlap, 1e-6) * overlap / 1e-6 == pytest.approx(numeric, rel=0.02, abs=5e-4)


def test_disjoint_events_never_coincide() -> None:
    assert untargeted_far(1e-9, 1e-5, 6.0, 0.0) == np.inf
    assert targeted_far(1e-9, 1e-5, 6.0, 0.0, 1e-3) == np.inf
    assert joint_odds(0.0, 6.0, 1e-5, 0.1) == 0.0


def test_odds_are_the_ratio_of_what_is_expected_under_both_hypotheses() -> None:
    """Counted: of a million windows at a high rate, how many partners are true when one is true in four."""
    rng = np.random.default_rng(3)
    windows, rate, window, p_joint = 1_000_000, 2e-3, 10.0, 0.25
    true = (rng.random(windows) < p_joint).sum()
    chance = rng.poisson(rate * window, windows).sum()
    assert joint_odds(1.0, window, rate, p_joint) == pytest.approx(true / chance, rel=0.02)


@pytest.mark.realdata
def test_swift_1208389_and_gbm_726773850_are_one_burst_by_the_systematic_error(
    test_data: Path, event: Callable[..., ActiveEvent], capsys: pytest.CaptureFixture[str]
) -> None:
    """The final GBM position lies 3.7 of its statistical radii away: by that alone the pair would be given up."""
    folder = test_data / "notices/voevent/fink_mm_raw_2024"
    readings = [read_payload(path.read_bytes()) for path in sorted(folder.glob("*.xml"))]
    of = {(r.notice.event_key, r.notice.stage): r for r in readings}
    swift, final = of["swift:1208389", "bat_position"], of["gbm:726773850", "final"]
    region = final.notice.region
    assert region is not None
    assert region.radius_deg is not None
    statistical = CircleLocalization(region.ra_deg, region.dec_deg, region.radius_deg, 0.68)
    assert swift.localization is not None
    assert final.localization is not None
    assert swift.notice.t0_mjd_tai is not None
    assert final.notice.t0_mjd_tai is not None
    one = event("swift:1208389", "grb", swift.notice.t0_mjd_tai, swift.localization)
    everything = replace(RULE, min_odds=0.0)

    def pair(shape: Localization) -> Coincidence:
        assert final.notice.t0_mjd_tai is not None
        other = event("gbm:726773850", "grb", final.notice.t0_mjd_tai, shape)
        (found,) = find_coincidences([one, other], everything)
        return found

    mixture, alone = pair(final.localization), pair(statistical)
    with capsys.disabled():
        print(f"\n  Swift 1208389 = GBM 726773850: odds {mixture.odds:.4g} (I {mixture.overlap:.3g}) with the", end=" ")
        print(f"systematic error, {alone.odds:.4g} (I {alone.overlap:.3g}) without", end="")
    assert abs(mixture.offset_s) == pytest.approx(0.15, abs=0.05)
    assert mixture.odds >= 100.0
    assert alone.odds < 1.0


CIRCLES = {
    "lvk:S1": CircleLocalization(150.0, 2.0, 6.0, 0.9),
    "gbm:1": with_systematic(152.0, 3.0, 3.0, GBM_ROBOBA_LONG),
    "swift:1": CircleLocalization(151.0, 2.5, 0.05, 0.9),
    "icecube:1_1": CircleLocalization(10.0, -60.0, 1.0, 0.9),
}


@pytest.fixture
def night(event: Callable[..., ActiveEvent]) -> dict[str, ActiveEvent]:
    kinds = {"lvk": "gw", "gbm": "grb", "swift": "grb", "icecube": "neutrino"}
    times = {"lvk:S1": T0, "gbm:1": T0 + 2 * SECOND, "swift:1": T0 + 3 * SECOND, "icecube:1_1": T0 + 40 * SECOND}
    classes = {"lvk:S1": {"BNS": 0.99, "Terrestrial": 0.01}}
    return {
        key: event(key, kinds[key.partition(":")[0]], times[key], shape, classes=classes.get(key, {}), far_hz=1e-15)
        for key, shape in CIRCLES.items()
    }


def test_three_events_of_one_source_are_a_chain_whatever_their_order(night: dict[str, ActiveEvent]) -> None:
    first = None
    for order in permutations(night.values()):
        pairs = find_coincidences(order, RULE)
        first = pairs if first is None else first
        assert pairs == first
    assert first is not None
    assert [(pair.first, pair.second) for pair in first] == [
        ("gbm:1", "swift:1"),
        ("lvk:S1", "gbm:1"),
        ("lvk:S1", "swift:1"),
    ]
    assert [pair.floored for pair in first] == [True, True, True]
    assert set(chains(first)) == {"gbm:1", "lvk:S1", "swift:1"}
    assert set(chains(first).values()) == {("gbm:1", "lvk:S1", "swift:1")}
    partners = with_partners(list(night.values()), first)
    assert {key: [p.key for p in ones] for key, ones in partners.items()}["icecube:1_1"] == []
    assert {p.key for p in partners["lvk:S1"]} == {"gbm:1", "swift:1"}


@pytest.mark.parametrize(("offset", "expected"), [(-1.5, 0), (-0.9, 1), (4.9, 1), (5.5, 0)])
def test_a_burst_outside_the_window_of_a_merger_does_not_coincide(
    event: Callable[..., ActiveEvent], offset: float, expected: int
) -> None:
    merger = event("lvk:S1", "gw", T0, CIRCLES["lvk:S1"], classes={"BNS": 1.0})
    burst = event("gbm:1", "grb", T0 + offset * SECOND, CIRCLES["gbm:1"])
    assert len(find_coincidences([merger, burst], RULE)) == expected


def test_two_triggers_of_one_mission_are_two_events(event: Callable[..., ActiveEvent]) -> None:
    pair = [event(f"gbm:{n}", "grb", T0 + n * SECOND, CIRCLES["gbm:1"]) for n in (1, 2)]
    assert find_coincidences(pair, RULE) == []


ORDER = 8


def brute_force(*shapes: Localization) -> tuple[float, np.ndarray]:
    """Return the joint overlap and the normalised product [deg^-2] on all pixels of the sphere."""
    ra, dec = pixel_centers(ORDER, np.arange(12 * 4**ORDER))
    product = np.prod([shape.density(ra, dec) for shape in shapes], axis=0)
    area = SKY_DEG2 / (12 * 4**ORDER)
    total = float(product.sum() * area)
    return SKY_DEG2 ** (len(shapes) - 1) * total, product / total


@pytest.mark.parametrize("dec", [2.0, 88.0, -89.5])
def test_a_shared_counterpart_is_scored_by_the_product_of_all_densities(dec: float) -> None:
    """At the equator and the poles, against all pixels; two sure partners."""
    own = CircleLocalization(359.0, dec, 8.0, 0.9)
    others = (
        CircleLocalization(4.0, min(dec + 1.0, 90.0), 9.0, 0.68),
        CircleLocalization(0.5, max(dec - 1.0, -90.0), 7.0, 0.68),
    )
    overlap, density = brute_force(own, *others)
    assert joint_overlap([own, *others]) == pytest.approx(overlap, rel=5e-3)
    ra, places = pixel_centers(ORDER, np.arange(12 * 4**ORDER))
    chosen = np.flatnonzero(density > 1e-4 * density.max())[::599]
    partners = [Partner(f"p{i}", f"p{i}:0", shape, 1.0) for i, shape in enumerate(others)]
    term = coincidence_term(own, partners, ra[chosen], places[chosen])
    joint = own.density(ra[chosen], places[chosen]) * np.exp(term)
    assert joint == pytest.approx(density[chosen], rel=1e-2)


@given(st.floats(0.0, 1.0), st.floats(0.0, 20.0))
def test_an_unsure_partner_leaves_the_density_normalised(probability: float, separation: float) -> None:
    own = CircleLocalization(100.0, 10.0, 6.0, 0.9)
    partner = Partner("p", "p:0", CircleLocalization(100.0 + separation, 10.0, 8.0, 0.68), probability)
    nodes = own.nodes()
    term = coincidence_term(own, [partner], nodes.ra, nodes.dec)
    assert float(np.sum(nodes.weight * np.exp(term))) == pytest.approx(1.0, abs=5e-3)
