"""Overlap integrals against sums over all pixels of the sphere."""

from __future__ import annotations

import astropy_healpix
import numpy as np
import pytest
from astropy import units
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.sky.circle import CircleLocalization
from asterism.sky.ellipse import EllipseLocalization
from asterism.sky.healpix import SKY_DEG2, pixel_area_deg2, pixel_centers
from asterism.sky.localization import Localization
from asterism.sky.mixture import GBM_ROBOBA_LONG, with_systematic
from asterism.sky.skymap import SkyMapLocalization

ORDER = 8


@pytest.fixture(scope="module")
def grid() -> tuple[np.ndarray, np.ndarray]:
    lon, lat = astropy_healpix.healpix_to_lonlat(np.arange(12 * 4**ORDER), 2**ORDER, order="nested")
    return lon.to_value(units.deg), lat.to_value(units.deg)


def brute(one: Localization, two: Localization, grid: tuple[np.ndarray, np.ndarray]) -> float:
    return float(SKY_DEG2 * (one.density(*grid) * two.density(*grid)).sum() * SKY_DEG2 / grid[0].size)


def as_map(smooth: Localization, order: int) -> SkyMapLocalization:
    """The same density on equal pixels."""
    ipix = np.arange(12 * 4**order)
    density = smooth.density(*pixel_centers(order, ipix))
    return SkyMapLocalization(ipix + 4 ** (order + 1), density / (density.sum() * pixel_area_deg2(order)))


CIRCLE = st.builds(
    CircleLocalization, st.floats(0, 360), st.floats(-90, 90), st.floats(6.0, 60.0), st.sampled_from([0.68, 0.9])
)


@given(CIRCLE, CIRCLE)
@settings(max_examples=10, deadline=None)
def test_two_circles_equal_the_sum_over_the_sphere(
    grid: tuple[np.ndarray, np.ndarray], one: CircleLocalization, two: CircleLocalization
) -> None:
    assert one.overlap(two) == pytest.approx(brute(one, two, grid), rel=1e-3, abs=1e-9)
    assert one.overlap(two) == pytest.approx(two.overlap(one), rel=1e-12)


@given(st.floats(-7.0, 1.0), st.floats(-7.0, 1.0), st.floats(0.0, 3.0))
@settings(deadline=None)
def test_tiny_circles_follow_the_flat_limit(log_r1: float, log_r2: float, pull: float) -> None:
    one = CircleLocalization(10.0, 0.0, 10.0**log_r1 * 1e-2, 0.9)
    two = CircleLocalization(10.0, 0.0, 10.0**log_r2 * 1e-2, 0.9)
    variance = 1 / one.kappa + 1 / two.kappa
    apart = pull * np.sqrt(variance)
    moved = CircleLocalization(10.0, np.degrees(apart), two.radius_deg, 0.9)
    assert one.overlap(moved) == pytest.approx(2 / variance * np.exp(-(pull**2) / 2), rel=1e-4)


def test_one_means_no_information_and_zero_disjoint() -> None:
    isotropic = CircleLocalization(0.0, 90.0, 90.0, 0.5)
    point = CircleLocalization(10.0, 20.0, 0.001, 0.9)
    assert isotropic.overlap(point) == pytest.approx(1.0, rel=1e-9)
    assert point.overlap(CircleLocalization(190.0, -20.0, 0.001, 0.9)) == 0.0
    assert as_map(isotropic, 2).overlap(point) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("dec", [-85.0, 0.0, 41.8])
def test_every_pair_of_kinds_equals_the_sum_over_the_sphere(grid: tuple[np.ndarray, np.ndarray], dec: float) -> None:
    ra = 358.0
    circle = CircleLocalization(ra, dec, 8.0, 0.9)
    mixture = with_systematic(ra + 5, dec + 3, 6.0, GBM_ROBOBA_LONG)
    ellipse = EllipseLocalization(ra - 3, dec - 2, 12.0, 9.0, 7.0, 15.0, 0.9, 30.0)
    fine, coarse = as_map(ellipse, 7), as_map(circle, 4)
    for one, two, tolerance in [
        (circle, mixture, 1e-3),
        (circle, ellipse, 1e-3),
        (ellipse, mixture, 1e-3),
        (ellipse, EllipseLocalization.symmetric(ra + 2, dec, 14.0, 6.0, -60.0, 0.9), 3e-3),
        (fine, circle, 3e-3),
        (fine, mixture, 3e-3),
        (coarse, circle, 1e-2),
        (fine, coarse, 1e-9),
    ]:
        assert one.overlap(two) == pytest.approx(brute(one, two, grid), rel=tolerance)
        assert two.overlap(one) == pytest.approx(one.overlap(two), rel=1e-9)


def test_a_point_like_circle_in_a_map_sees_the_density_of_its_pixel() -> None:
    sky_map = as_map(CircleLocalization(40.0, 30.0, 10.0, 0.9), 5)
    ra, dec = pixel_centers(5, np.arange(12 * 4**5))
    inside = np.argmax(sky_map.density(ra, dec) > 0.003)
    point = CircleLocalization(ra[inside], dec[inside], 0.01, 0.9)
    assert sky_map.overlap(point) == pytest.approx(SKY_DEG2 * sky_map.density(ra[inside], dec[inside]), rel=1e-9)


def test_a_map_of_one_tiny_pixel_in_a_wide_circle_is_not_missed() -> None:
    inside = 12 * 4**12 // 7
    ra, dec = pixel_centers(12, inside)
    tiny = SkyMapLocalization(np.array([inside + 4**13]), np.array([1 / pixel_area_deg2(12)]))
    wide = CircleLocalization(float(ra) + 3.0, float(dec), 20.0, 0.9)
    assert wide.overlap(tiny) == pytest.approx(SKY_DEG2 * wide.density(ra, dec), rel=1e-6)
