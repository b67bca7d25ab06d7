from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.graph.posterior import PRIOR_FACTOR, is_scored, least_log_l, p_none, posterior
from asterism.graph.rows import EventRow, LinkRow

LOCALIZATION, RULES = "a:0", "asterism-1"


def event(log_l: list[float], q: float | None = 0.3, **values: Any) -> EventRow:
    """Return an active event scored with these candidates."""
    total = sum(map(math.exp, log_l))
    known: dict[str, Any] = {
        "key": "lvk:S1",
        "state": "active",
        "standing": "real",
        "scored_localization": LOCALIZATION,
        "rule_set": RULES,
        "log_sum_l": math.log(total) if total else None,
        "q": q,
    }
    return EventRow(**dict.fromkeys(EventRow.__slots__) | known | values)  # type: ignore[arg-type]


def link(log_l: float, **values: Any) -> LinkRow:
    known = {"localization": LOCALIZATION, "rule_set": RULES, "open": True, "log_l": log_l}
    return LinkRow(**dict.fromkeys(LinkRow.__slots__) | known | values)  # type: ignore[arg-type]


scores = st.lists(st.floats(-20, 20), max_size=12)
priors = st.floats(1e-6, 1 - 1e-6)


@given(scores, priors)
def test_all_candidates_and_none_are_certain_together(log_l: list[float], q: float) -> None:
    judged = event(log_l, q)
    found = [posterior(judged, link(value)) for value in log_l]
    none = p_none(judged)
    assert none is not None
    assert sum(one.value for one in found if one is not None) + none == pytest.approx(1.0, abs=1e-9)


@given(scores.filter(len), priors, st.integers(0, 11))
def test_the_bound_on_log_l_keeps_all_that_are_probable_enough_and_few_others(
    log_l: list[float], q: float, chosen: int
) -> None:
    judged = event(log_l, q)
    found = {value: posterior(judged, link(value)) for value in log_l}
    probable = {value: one.value for value, one in found.items() if one is not None}
    least = probable[log_l[chosen % len(log_l)]]
    bound = least_log_l(judged, least)
    assert bound is not None
    kept = {value for value in log_l if value >= bound}
    assert kept >= {value for value, p in probable.items() if p >= least}
    assert all(probable[value] >= least * (1 - 1e-6) for value in kept)


@given(scores.filter(len), priors)
def test_a_larger_prior_gives_a_larger_probability(log_l: list[float], q: float) -> None:
    found = posterior(event(log_l, q), link(log_l[0]))
    assert found is not None
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_the_prior_is_taken_a_factor_lower_and_higher() -> None:
    found = posterior(event([1.0, 2.0], 0.03), link(1.0))
    assert found is not None
    for value, q in ((found.low, 0.03 / PRIOR_FACTOR), (found.high, 0.03 * PRIOR_FACTOR)):
        assert value == pytest.approx(q * math.e / (1 - q + q * (math.e + math.e**2)))


def test_everything_is_kept_by_a_least_probability_of_0_and_nothing_of_1() -> None:
    judged = event([1.0, 2.0])
    assert least_log_l(judged, 0.0) == -math.inf
    bound = least_log_l(judged, 1.0)
    assert bound is not None
    assert bound > 2.0


def test_an_event_without_candidates_has_none_for_certain() -> None:
    assert p_none(event([])) == 1.0


@pytest.mark.parametrize(
    "unjudged",
    [{"state": "retracted"}, {"standing": "mock"}, {"q": None}, {"scored_localization": None}],
)
def test_probabilities_mean_nothing_unless_event_and_link_speak_of_the_same(unjudged: dict[str, Any]) -> None:
    judged = event([1.0])
    other = replace(judged, **unjudged)
    assert is_scored(judged)
    assert not is_scored(other)
    assert posterior(other, link(1.0)) is p_none(other) is least_log_l(other, 0.5) is None
    for stale in ({"open": False}, {"localization": "b:0"}, {"rule_set": "paper-2020"}):
        assert posterior(judged, link(1.0, **stale)) is None


def test_a_link_ahead_of_its_events_sum_is_not_more_than_certain() -> None:
    found = posterior(event([1.0]), link(9.0))
    assert found is not None
    assert 0.99 < found.value <= 1.0
