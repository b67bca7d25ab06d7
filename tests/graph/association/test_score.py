"""Likelihood ratios are pure numbers, posteriors are probabilities, chance counts count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from asterism.graph.association.rules import Fade, Kind, TimeComponent
from asterism.graph.association.score import (
    KERNEL,
    chance_counts,
    fade_term,
    measured_fade_term,
    posteriors,
    score,
    total,
)

FADE = Fade(0.6, 0.5, -0.02, 0.12)
KIND = Kind(0.5, (TimeComponent(1.0, 0.0, 10.0, -1.0),), FADE)


def scaled(kind: Kind, days: float) -> Kind:
    return Kind(
        kind.p_optical, tuple(TimeComponent(c.weight, c.start * days, c.end * days, 0.0) for c in kind.time), FADE
    )


@given(st.floats(1e-6, 1e3), st.floats(0.0, 10.0), st.floats(1e-4, 1e2))
def test_units_of_sky_and_time_cancel(density: float, delay: float, rate: float) -> None:
    """The same ratio in deg2 and days as in steradians and seconds."""
    flat = scaled(KIND, 1.0)
    deg2, seconds = (180 / np.pi) ** 2, 86400.0
    one = score([density], [delay], rate, flat).log_l
    other = score([density * deg2], [delay * seconds], rate * deg2 / seconds, scaled(KIND, seconds)).log_l
    assert one == pytest.approx(other, abs=1e-9)


@given(st.lists(st.floats(-30, 30), max_size=40), st.floats(1e-6, 1 - 1e-6))
def test_the_candidates_and_none_share_one_probability(log_l: list[float], q: float) -> None:
    each, none = posteriors(log_l, q)
    assert each.sum() + none == pytest.approx(1.0)
    assert none > 0
    expected = q * np.exp(log_l) / (1 - q + q * np.exp(log_l).sum())
    assert each == pytest.approx(expected)


def test_a_page_of_candidates_keeps_its_posteriors_when_the_whole_sum_is_given() -> None:
    log_l = np.array([3.0, 2.0, -1.0, 0.5])
    whole, none = posteriors(log_l, 0.3)
    page, same_none = posteriors(log_l[:2], 0.3, float(np.log(np.exp(log_l).sum())))
    assert page == pytest.approx(whole[:2])
    assert same_none == pytest.approx(none)


def test_without_candidates_none_is_certain() -> None:
    each, none = posteriors([], 0.9)
    assert each.size == 0
    assert none == pytest.approx(1.0)


def test_a_missing_fade_rate_neither_helps_nor_hurts() -> None:
    known = score([0.1, 0.1], [1.0, 1.0], 0.5, KIND, ([0.6, np.nan], [0.1, np.nan]))
    without = score([0.1], [1.0], 0.5, KIND)
    assert known.log_l[1] == pytest.approx(without.log_l[0])
    assert known.log_l[0] > known.log_l[1]
    assert total(known.terms, without="fade") == pytest.approx([without.log_l[0]] * 2)


@given(st.floats(-3, 3), st.floats(0.01, 2.0))
def test_the_fade_term_is_the_ratio_of_two_widened_normals(rate: float, error: float) -> None:
    signal = norm.logpdf(rate, FADE.signal_mean, np.hypot(FADE.signal_sigma, error))
    background = norm.logpdf(rate, FADE.background_mean, np.hypot(FADE.background_sigma, error))
    assert fade_term(rate, error, FADE) == pytest.approx(signal - background)


def test_an_object_seen_before_the_window_cannot_be_the_counterpart() -> None:
    assert score([0.5], [-1.0], 0.5, KIND).log_l.tolist() == [-np.inf]


def test_the_chance_count_of_the_best_background_object_is_one_of_its_kind() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=200_000)
    expected = 50.0
    counts = chance_counts([-np.inf, 0.0, 2.0, np.inf], drawn, expected)
    assert counts[[0, 3]].tolist() == [expected, 0.0]
    assert counts[1] == pytest.approx(expected * norm.sf(0.0), rel=0.02)
    assert counts[2] == pytest.approx(expected * norm.sf(2.0), rel=0.05)


def test_with_too_few_off_source_objects_the_rule_sets_density_is_used() -> None:
    few = np.zeros(29), np.zeros(29)
    assert measured_fade_term([0.5], [0.1], FADE, *few) == pytest.approx(fade_term([0.5], [0.1], FADE))


def test_the_measured_background_is_the_density_of_the_off_source_objects() -> None:
    rng = np.random.default_rng(3)
    sample = np.where(rng.random(20_000) < 0.9, rng.normal(0, 0.1, 20_000), rng.normal(0.5, 0.2, 20_000))
    rate, error = np.array([-0.1, 0.0, 0.3, 0.6]), 0.1
    measured = measured_fade_term(rate, np.full(4, error), FADE, sample, np.full(20_000, 0.01))
    width = [np.hypot(np.hypot(sigma, error), KERNEL) for sigma in (0.1, 0.2)]
    truth = 0.9 * norm.pdf(rate, 0, width[0]) + 0.1 * norm.pdf(rate, 0.5, width[1])
    signal = norm.logpdf(rate, FADE.signal_mean, np.hypot(FADE.signal_sigma, error))
    assert measured == pytest.approx(signal - np.log(truth), abs=0.1)
    assert np.isnan(measured_fade_term([np.nan], [np.nan], FADE, sample, np.full(20_000, 0.01)))[0]
