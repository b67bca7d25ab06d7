"""Events that coincide: odds and rates as published, floors that hold, chains, and a counterpart both share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.graph.association.coincidence import (
    SECONDS_PER_YEAR,
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
from asterism.graph.association.rules import CoincidenceRule, load_rules
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import SKY_DEG2, pixel_centers
from asterism.sky.localization import Localization
from asterism.sky.mixture import GBM_ROBOBA_LONG, with_systematic

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
    """Independently: of two rates uniform up to their thresholds the product is below z in z (1 + ln (1 / z)) of all."""
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
    from asterism.voevent.read import read_notice

    del test_data, read_notice
