"""Likelihood ratios are pure numbers, posteriors are probabilities, chance counts count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from asterism.graph.association.rules import Fade, FadeLaw, Kind, TimeComponent
from asterism.graph.association.score import as_one_of, chance_counts, log_sum, posteriors, score, total

FADE = Fade((FadeLaw(1.0, "line", 0.6, 0.5),), -0.02, 0.12)
KIND = Kind(0.5, (TimeComponent(1.0, 0.0, 10.0, -1.0),), FADE, 0.85)


def scaled(kind: Kind, days: float) -> Kind:
    flat = tuple(TimeComponent(c.weight, c.start * days, c.end * days, 0.0) for c in kind.time)
    return Kind(kind.p_optical, flat, FADE, kind.p_again)


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
    known = score([0.1, 0.1], [1.0, 1.0], 0.5, KIND, {"fade": np.array([1.5, np.nan])})
    without = score([0.1], [1.0], 0.5, KIND)
    assert known.log_l[1] == pytest.approx(without.log_l[0])
    assert known.log_l[0] > known.log_l[1]
    assert total(known.terms, without="fade") == pytest.approx([without.log_l[0]] * 2)


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


def test_as_many_unrelated_objects_have_a_chance_count_up_to_a_number_as_it_says() -> None:
    """However few the background has: the counts of those that outdo all of it are not 0."""
    rng, background, unrelated, skies = np.random.default_rng(2), 19, 6, 20_000
    objects = rng.normal(size=(skies, background + unrelated))
    counts = np.array(
        [as_one_of(chance_counts(sky[background:], sky[:background], 6.0), 6.0, background) for sky in objects]
    )
    assert counts.min() == pytest.approx(6.0 / 20.0)
    for edge in 6.0 * np.array([1.0, 2.0, 5.0, 10.0, 20.0]) / 20.0:
        found = float((counts <= edge * (1.0 + 1e-9)).sum()) / skies
        assert found == pytest.approx(edge, rel=0.03)


def test_objects_of_one_source_count_once_in_the_sum() -> None:
    log_l = np.array([2.0, 1.0, 0.5, -np.inf])
    assert log_sum(log_l, np.array(["s", "s", "b", "c"])) == pytest.approx(np.log(np.exp(2.0) + np.exp(0.5)))
    assert log_sum(log_l, np.array(list("abcd"))) == pytest.approx(np.log(np.exp(log_l).sum()))
    assert log_sum([], np.empty(0, dtype=np.str_)) == -np.inf


def test_the_shape_of_the_background_stands_under_the_time_prior() -> None:
    """Where unrelated objects are first seen twice as often as in the mean, a candidate is worth half."""
    even, rare = (score([0.1], [1.0], 0.5, KIND, unevenness=shape) for shape in (1.0, 0.5))
    assert rare.log_l == pytest.approx(even.log_l + np.log(2.0))
    assert rare.terms["background"] == even.terms["background"]
