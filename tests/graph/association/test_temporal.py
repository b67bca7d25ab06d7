"""Three temporal classes: pure numbers in any unit, and one formula where they meet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from asterism.graph.association.prior import time_density, time_share
from asterism.graph.association.rules import TimeComponent, load_rules
from asterism.graph.association.score import score, total
from asterism.graph.association.temporal import LONGEST_DAYS, active_source, activity, catalogued_source

DEG2 = (180.0 / np.pi) ** 2


@given(st.floats(1e-6, 1e3), st.floats(1e-4, 1e2), st.floats(0.01, 10.0))
def test_steradians_for_square_degrees_change_no_likelihood(density: float, sigma: float, g: float) -> None:
    for terms, scaled in (
        (active_source([density], [g], sigma), active_source([density * DEG2], [g], sigma * DEG2)),
        (catalogued_source([density], sigma), catalogued_source([density * DEG2], sigma * DEG2)),
    ):
        assert total(terms) == pytest.approx(total(scaled), abs=1e-9)


@given(st.floats(1.0, 400.0), st.floats(0.0, 1.0))
def test_activity_is_one_in_the_mean_over_the_flare(length: float, rise: float) -> None:
    times = np.linspace(100.0, 100.0 + length, 20_001)
    g = activity(times, 100.0, 100.0 + rise * length, 100.0 + length)
    assert np.trapezoid(g, times) / length == pytest.approx(1.0, rel=2e-3)
    assert (g > 0).all()


def test_a_flare_counts_between_onset_and_end_and_not_after_longest() -> None:
    assert activity([99.0, 301.0], 100.0, 150.0, 300.0).tolist() == [0.0, 0.0]
    assert activity(100.0 + LONGEST_DAYS + 1.0, 100.0, 150.0, 2000.0) == 0.0
    before, after = activity([100.0, 200.0], 100.0, 150.0, 300.0)
    assert 0.0 < before < after


def test_an_active_source_of_unknown_class_is_a_new_transient_with_a_flat_prior() -> None:
    """Sigma the integral of b over the activity, f flat over it: both formulas give one number."""
    rate, days = 0.02, 490.0
    kind = load_rules().kinds["neutrino"]
    flat = TimeComponent(1.0, -days, 0.0, 0.0)
    new = score([0.1], [-200.0], rate, type(kind)(0.1, (flat,)))
    active = total(active_source([0.1], [1.0], rate * days))
    assert new.log_l == pytest.approx(active, abs=1e-3)


def test_a_flare_factor_counts_only_where_it_was_measured() -> None:
    quiet, flaring = total(catalogued_source([0.3, 0.3], 0.09, [np.nan, 5.0]))
    assert quiet == pytest.approx(np.log(0.3 / 0.09))
    assert flaring == pytest.approx(quiet + np.log(5.0))


@pytest.mark.parametrize("kind", ["gw", "grb", "neutrino"])
def test_the_share_of_a_prior_that_has_passed_is_its_integral(kind: str) -> None:
    prior = load_rules().kinds[kind].time
    edges = sorted({t for c in prior for t in (c.start, c.start + 0.02, c.end)})
    for until in (-100.0, -0.001, 0.3, 1.1, 5.0, 30.0):
        points = [t for t in edges if t < until] + [until]
        parts = [quad(lambda t: float(time_density(t, prior)), a, b)[0] for a, b in pairwise(points)]
        assert float(time_share(until, prior)) == pytest.approx(sum(parts), abs=1e-6)
