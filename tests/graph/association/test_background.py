"""The background's shape in time: measured where no event is, one in the mean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from asterism.graph.association.background import UNSEEN_SHARE, Background, measure_background
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.observed import Observed
from asterism.graph.association.rules import load_rules
from asterism.graph.association.sample import ALERTS, ObjectSample, objects_of
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import hpx29

T0 = 61000.0
RULES = load_rules()
NOBODY = objects_of(ALERTS.empty_table(), RULES.cuts)


def background(delay: np.ndarray, span: tuple[float, float]) -> Background:
    return Background(0.1, True, delay.size, 1.0, span[1] - span[0], NOBODY, delay, span)


def test_what_is_even_is_nearly_even_up_to_the_ends() -> None:
    measured = background(np.linspace(0.0, 20.0, 4001), (0.0, 20.0))
    assert measured.unevenness(np.linspace(0.0, 20.0, 41)) == pytest.approx(1.0, abs=0.4)


def test_its_mean_over_the_time_seen_is_one() -> None:
    rng = np.random.default_rng(5)
    measured = background(-rng.exponential(20.0, 300).clip(0, 120), (-120.0, 6.0))
    at = np.linspace(-120.0, 6.0, 20_001)
    assert np.trapezoid(measured.unevenness(at), at) / 126.0 == pytest.approx(1.0, rel=0.01)


def test_where_nothing_unrelated_was_found_a_little_is_left() -> None:
    measured = background(np.full(100, -1.0), (-150.0, 5.0))
    assert measured.unevenness([-100.0]) == pytest.approx([UNSEEN_SHARE])
    assert measured.unevenness([-1.0])[0] > 10.0


def test_without_a_measurement_it_is_flat() -> None:
    assert Background(0.5, False, 3, 1.0, 9.0, None, np.empty(0)).unevenness([-3.0, 2.0]).tolist() == [1.0, 1.0]


def test_known_sources_are_not_counted_as_new_where_they_may_be_the_counterpart(
    objects: Callable[..., ObjectSample], event: Callable[..., ActiveEvent]
) -> None:
    rng = np.random.default_rng(11)
    ra, dec, first = rng.uniform(20, 60, 600), rng.uniform(-10, 10, 600), T0 + rng.uniform(0.0, 5.0, 600)
    seen = Observed.from_alerts(hpx29(ra, dec), np.full(600, "ztf"), first, np.full(600, 20.5))
    known = np.where(np.arange(600) < 200, "blazar", "")
    everything = objects(ra, dec, first, known=known)
    rate = {}
    for kind in ("neutrino", "gw"):
        region = event(f"{kind}:1", kind, T0, CircleLocalization(40.0, 0.0, 2.0, 0.9)).region(RULES)
        both = [measure_background(s, seen, region, RULES) for s in (everything, everything.select(known == ""))]
        assert all(one.measured for one in both)
        rate[kind] = both[0].rate / both[1].rate
    assert rate["neutrino"] == pytest.approx(1.0)
    assert rate["gw"] == pytest.approx(1.5, abs=0.05)
