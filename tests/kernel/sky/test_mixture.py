"""Mixtures against numerical integration and the figures published or computed for real events."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from asterism.errors import SkyError
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import SKY_DEG2
from asterism.sky.mixture import (
    GBM_PRE_2019,
    GBM_ROBOBA_LONG,
    GBM_ROBOBA_SHORT,
    Component,
    MixtureLocalization,
    from_two_radii,
    with_systematic,
)

COMPONENT = st.tuples(st.floats(0.05, 1.0), st.floats(0.01, 40.0), st.floats(0.3, 0.99))


@given(st.lists(COMPONENT, min_size=1, max_size=4), st.floats(-80.0, 80.0), st.floats(0.05, 0.95))
@settings(max_examples=25, deadline=None)
def test_level_and_area_equal_the_numerical_integral_of_the_density(
    parts: list[tuple[float, float, float]], dec: float, level: float
) -> None:
    total = sum(weight for weight, _, _ in parts)
    mixture = MixtureLocalization(15.0, dec, tuple(Component(w / total, r, c) for w, r, c in parts))

    def ring(s_deg: float) -> float:
        point_dec = dec + s_deg  # along the meridian, over the pole if need be
        ra, dec_folded = (15.0, point_dec) if point_dec <= 90 else (195.0, 180.0 - point_dec)
        return float(mixture.density(ra, dec_folded)) * 360.0 * math.sin(math.radians(s_deg))

    scales = sorted({min(k * r, 180.0 - dec if dec > 0 else 170.0) for _, r, _ in parts for k in (0.3, 1, 2, 4, 8)})
    radius = mixture.radius(level)
    inner = [0.0, *(s for s in scales if s < radius), radius]
    held = sum(integrate.quad(ring, a, b, epsrel=1e-7, limit=100)[0] for a, b in pairwise(inner))
    assert held == pytest.approx(level, abs=1e-4)
    assert mixture.area(level) == pytest.approx(SKY_DEG2 * math.sin(math.radians(radius) / 2) ** 2, rel=1e-9)


def test_a_mixture_of_one_is_the_circle() -> None:
    circle = CircleLocalization(10.0, 20.0, 3.0, 0.68)
    mixture = MixtureLocalization(10.0, 20.0, (Component(1.0, 3.0, 0.68),))
    ra, dec = np.meshgrid([0.0, 10.0, 14.0], [15.0, 20.0, 22.0])
    assert mixture.density(ra, dec) == pytest.approx(circle.density(ra, dec), rel=1e-14)
    assert mixture.area(0.9) == pytest.approx(circle.area(0.9), rel=1e-12)


@pytest.mark.parametrize("weights", [(), (0.5,), (1.5, -0.5), (0.5, 0.6), (math.nan, 1.0)])
def test_weights_that_are_no_probabilities_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(SkyError):
        MixtureLocalization(0.0, 0.0, tuple(Component(weight, 1.0, 0.9) for weight in weights))


def test_a_statistical_error_is_widened_in_quadrature_by_core_and_tail() -> None:
    mixture = with_systematic(0.0, 0.0, 3.0, GBM_ROBOBA_SHORT)
    assert [(part.weight, part.containment) for part in mixture.components] == [
        (0.39, 0.68),
        (pytest.approx(0.61), 0.68),
    ]
    assert [part.radius_deg for part in mixture.components] == pytest.approx([math.hypot(3, 2.6), math.hypot(3, 4.4)])
    with pytest.raises(SkyError):
        with_systematic(0.0, 0.0, -1.0, GBM_ROBOBA_SHORT)


def test_the_real_burst_of_swift_1208389_agrees_with_gbm_only_when_the_systematic_error_is_in() -> None:
    swift = CircleLocalization(270.6441, 24.4866, 0.05, 0.9)
    notices = [(269.4667, 27.7833, 7.9667), (264.02, 26.41, 3.03), (262.49, 29.15, 2.34)]
    with_it = [with_systematic(*notice, GBM_ROBOBA_LONG).overlap(swift) for notice in notices]
    without = [CircleLocalization(*notice, 0.68).overlap(swift) for notice in notices]
    assert with_it == pytest.approx([172, 63, 6.3], rel=0.05)
    assert without == pytest.approx([190, 12.2, 5e-4], rel=0.05)


def test_at2017gfo_is_far_out_in_the_first_gbm_centroid_but_not_excluded() -> None:
    gbm = with_systematic(176.8, -39.8, 11.6, GBM_PRE_2019)
    assert gbm.credible_level(197.450375, -23.3815) == pytest.approx(0.975, abs=1e-3)
    assert SKY_DEG2 * gbm.density(197.450375, -23.3815) == pytest.approx(1.81, abs=0.01)


@given(st.floats(1e-4, 5.0), st.floats(1.83, 20.0))
@settings(max_examples=60, deadline=None)
def test_both_radii_of_a_heavy_tail_are_kept(r50: float, ratio: float) -> None:
    track = from_two_radii(77.4, 5.7, r50, r50 * ratio)
    assert track.radius(0.5) == pytest.approx(r50, rel=1e-6)
    assert track.radius(0.9) == pytest.approx(r50 * ratio, rel=1e-6)
    assert np.isfinite(track.density(77.4, 5.7))


@pytest.mark.parametrize(("r50", "r90"), [(1.0, 1.8), (1.0, 0.5), (0.0, 1.0), (-1.0, 1.0)])
def test_radii_without_a_heavy_tail_are_refused(r50: float, r90: float) -> None:
    with pytest.raises(SkyError):
        from_two_radii(0.0, 0.0, r50, r90)
