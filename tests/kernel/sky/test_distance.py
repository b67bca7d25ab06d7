"""Moments of r**2 N(r; mu, sigma) against scipy's quadrature, far below and far above zero."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate

from asterism.sky.distance import Distances


def by_quadrature(z: float) -> tuple[float, float]:
    def weight(t: float) -> float:
        return float(t**2 * np.exp(-t * (t / 2 - z) if z < 0 else -((t - z) ** 2) / 2))

    scale = 1.0 / max(1.0, -z)
    ends = [max(0.0, z - 12), max(z, 0.0) + 3 * scale, max(z, 0.0) + 60 * scale]
    mass, first = (
        sum(
            integrate.quad(lambda t, k=k: weight(t) * t**k, a, b, epsabs=0, epsrel=1e-11, limit=200)[0]
            for a, b in pairwise(ends)
        )
        for k in (0, 1)
    )
    mean = first / mass
    second = sum(
        integrate.quad(lambda t: weight(t) * (t - mean) ** 2, a, b, epsabs=0, epsrel=1e-11, limit=200)[0]
        for a, b in pairwise(ends)
    )
    return mean, float(np.sqrt(second / mass))


@given(st.floats(-300.0, 300.0), st.floats(0.1, 1000.0))
@example(0.0, 1.0)
@example(-300.0, 1.0)
@settings(deadline=None)
def test_mean_and_spread_equal_quadrature(z: float, sigma: float) -> None:
    mean, std = Distances(np.array(z * sigma), np.array(sigma), np.array(1.0)).moments()
    expected = by_quadrature(z)
    assert mean == pytest.approx(expected[0] * sigma, rel=1e-7)
    assert std == pytest.approx(expected[1] * sigma, rel=1e-6)


@pytest.mark.parametrize(("mu", "sigma"), [(np.inf, 1.0), (-np.inf, 1.0), (np.nan, 1.0), (1.0, np.nan), (1.0, 0.0)])
def test_a_direction_without_distance_has_no_moments(mu: float, sigma: float) -> None:
    mean, std = Distances(np.array([mu, 50.0]), np.array([sigma, 1.0]), np.array([1.0, 1.0])).moments()
    assert np.isnan(mean).tolist() == np.isnan(std).tolist() == [True, False]


def test_the_density_of_a_known_direction_integrates_to_one_with_its_norm() -> None:
    mu, sigma = 36.4564, 7.4395
    norm = (
        1.0
        / integrate.quad(
            lambda r: r**2 * np.exp(-(((r - mu) / sigma) ** 2) / 2) / (np.sqrt(2 * np.pi) * sigma), 0, 200, points=[mu]
        )[0]
    )
    here = Distances(np.array(mu), np.array(sigma), np.array(norm))
    assert integrate.quad(lambda r: float(here.pdf(r)), 0, 200, points=[mu])[0] == pytest.approx(1.0, abs=1e-9)
