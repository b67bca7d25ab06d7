"""Time priors are densities."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from asterism.graph.association.prior import ONSET_DAYS, time_density
from asterism.graph.association.rules import TimeComponent, load_rules


@pytest.mark.parametrize("index", [-2.0, -1.0, -0.5, 0.0, 1.0])
@pytest.mark.parametrize(("start", "end"), [(0.0, 20.0), (-150.0, 0.0), (-0.007, 0.0)])
def test_a_component_integrates_to_its_weight(index: float, start: float, end: float) -> None:
    term = (TimeComponent(0.4, start, end, index),)
    middle = start + min(10 * ONSET_DAYS, (end - start) / 2)
    parts = [
        quad(lambda t: float(time_density(t, term)), a, b, epsabs=1e-12) for a, b in ((start, middle), (middle, end))
    ]
    assert sum(value for value, _ in parts) == pytest.approx(0.4, rel=1e-6)


@pytest.mark.parametrize("kind", ["gw", "grb", "neutrino"])
def test_the_priors_of_the_rule_set_are_densities(kind: str) -> None:
    rules = load_rules().kinds[kind]
    edges = np.unique([t for c in rules.time for t in (c.start, c.start + 0.05, c.start + 1.0, c.end) if t <= c.end])
    total = sum(quad(lambda t: float(time_density(t, rules.time)), a, b)[0] for a, b in pairwise(edges))
    assert total == pytest.approx(1.0, rel=1e-5)


def test_outside_every_component_the_density_is_zero() -> None:
    term = (TimeComponent(1.0, 0.0, 2.0, -1.0),)
    assert time_density([-0.001, 2.001], term).tolist() == [0.0, 0.0]
    assert time_density(np.zeros((2, 3)), term).shape == (2, 3)
