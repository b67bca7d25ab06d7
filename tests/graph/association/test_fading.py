"""The fade term: ratios of densities, power laws tied to the time of the event, a background that is measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from asterism.fade import fade_rates
from asterism.graph.association.fading import KERNEL, FadeRates, fade_term, unit_slope
from asterism.graph.association.rules import Fade, FadeLaw

LINE = Fade((FadeLaw(1.0, "line", 0.6, 0.5),), -0.02, 0.12)
POWER = Fade((FadeLaw(0.9, "power", 1.0, 0.3), FadeLaw(0.1, "line", 0.5, 0.7)), -0.02, 0.12)


def rates(rate: float, error: float = 0.05, age: float = 1.0, spread: float = 0.3) -> FadeRates:
    return FadeRates.of([rate], [error], [age], [spread])


@given(st.floats(-3, 3), st.floats(0.01, 2.0))
def test_a_line_gives_the_ratio_of_two_widened_normals(rate: float, error: float) -> None:
    signal = norm.logpdf(rate, 0.6, np.hypot(0.5, error))
    background = norm.logpdf(rate, -0.02, np.hypot(0.12, error))
    assert fade_term(rates(rate, error), LINE) == pytest.approx([signal - background])


@given(st.floats(0.2, 10.0), st.floats(0.1, 5.0))
def test_a_power_law_is_expected_at_the_rate_of_its_age(age: float, rate: float) -> None:
    """Against the same mixture written down anew; a short span has the slope of the tangent, 2.5 / (t ln 10)."""
    unit = 2.5 / np.log(10.0) / age
    densities = [0.9 * norm.pdf(rate, unit, np.hypot(0.3 * unit, 0.05)), 0.1 * norm.pdf(rate, 0.5, np.hypot(0.7, 0.05))]
    expected = np.log(sum(densities)) - norm.logpdf(rate, -0.02, np.hypot(0.12, 0.05))
    assert fade_term(rates(rate, 0.05, age, 1e-3 * age), POWER) == pytest.approx([expected], rel=1e-3, abs=1e-3)


def test_what_fades_too_slowly_for_its_age_is_no_afterglow() -> None:
    at_half_a_day, at_five_days = (fade_term(rates(0.2, 0.02, age, 0.2), POWER)[0] for age in (0.5, 5.0))
    assert at_five_days > at_half_a_day + 2.0


def test_before_the_event_only_laws_without_an_age_apply() -> None:
    alone = Fade((FadeLaw(1.0, "line", 0.5, 0.7),), -0.02, 0.12)
    early = rates(0.4, age=-0.1)
    assert fade_term(early, POWER) == pytest.approx(fade_term(early, alone))


@given(st.lists(st.floats(0.1, 6.0), min_size=3, max_size=12, unique=True), st.floats(0.6, 1.6))
def test_the_expected_rate_of_a_power_law_is_what_the_fit_finds(ages: list[float], alpha: float) -> None:
    """The fit itself, on the magnitudes of a power law; middle and spread from moments as in `sample`."""
    age = np.array(sorted(ages))
    if age[-1] - age[0] < 0.1 or age[-1] > 8.0 * age[0]:
        return
    owner, band, error = np.zeros(age.size, int), np.zeros(age.size, int), np.full(age.size, 0.05)

    def fit(values: np.ndarray) -> float:
        return float(fade_rates(owner, 1, band, age, values, error)[0][0])

    middle = fit(age**2) / 2
    spread = np.sqrt(max(fit(age**3) - 3 * middle**2, 0.0))
    expected = alpha * unit_slope(np.array([middle]), np.array([spread]))[0]
    assert fit(2.5 * alpha * np.log10(age)) == pytest.approx(expected, rel=0.12)


def test_with_too_few_off_source_objects_the_rule_sets_density_is_used() -> None:
    few = np.zeros(29), np.zeros(29)
    assert fade_term(rates(0.5), LINE, *few) == pytest.approx(fade_term(rates(0.5), LINE))


def test_the_measured_background_is_the_density_of_the_off_source_objects() -> None:
    rng = np.random.default_rng(3)
    sample = np.where(rng.random(20_000) < 0.9, rng.normal(0, 0.1, 20_000), rng.normal(0.5, 0.2, 20_000))
    rate, error = np.array([-0.1, 0.0, 0.3, 0.6]), 0.1
    found = FadeRates.of(rate, np.full(4, error), np.ones(4), np.ones(4))
    measured = fade_term(found, LINE, sample, np.full(20_000, 0.01))
    width = [np.hypot(np.hypot(sigma, error), KERNEL) for sigma in (0.1, 0.2)]
    truth = 0.9 * norm.pdf(rate, 0, width[0]) + 0.1 * norm.pdf(rate, 0.5, width[1])
    signal = norm.logpdf(rate, 0.6, np.hypot(0.5, error))
    assert measured == pytest.approx(signal - np.log(truth), abs=0.1)


def test_an_unknown_rate_has_no_term() -> None:
    assert np.isnan(fade_term(rates(np.nan, np.nan, np.nan, np.nan), POWER)).all()


@pytest.mark.parametrize("rate", [1.0, 3.0, 6.0, 12.0])
def test_a_rate_never_seen_before_does_not_decide_alone(rate: float) -> None:
    sample, error = np.random.default_rng(1).normal(0.0, 0.1, 1000), np.full(1000, 0.05)
    expected = Fade((FadeLaw(1.0, "line", rate, 0.4),), 0.0, 0.1)
    assert 0.0 < fade_term(rates(rate), expected, sample, error)[0] < 10.5
