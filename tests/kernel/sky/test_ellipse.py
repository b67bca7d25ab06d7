"""Ellipses against sums over all pixels of the sphere, against circles, and the boxes of real neutrinos."""

from __future__ import annotations

import math

import astropy_healpix
import numpy as np
import pytest
from astropy import units
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.errors import SkyError
from asterism.sky.circle import CircleLocalization
from asterism.sky.cone import offset, separation_deg
from asterism.sky.ellipse import EllipseLocalization
from asterism.sky.healpix import SKY_DEG2, hpx29

ORDER = 8
HALF = st.floats(10.0, 25.0)
ELLIPSES = st.builds(
    EllipseLocalization,
    st.floats(0.0, 360.0),
    st.floats(-90.0, 90.0),
    HALF,
    HALF,
    HALF,
    HALF,
    st.just(0.9),
    st.floats(-180.0, 180.0),
)


@pytest.fixture(scope="module")
def grid() -> tuple[np.ndarray, np.ndarray, float]:
    """All pixels of one order, from astropy-healpix itself: right ascension, declination, area [deg2]."""
    lon, lat = astropy_healpix.healpix_to_lonlat(np.arange(12 * 4**ORDER), 2**ORDER, order="nested")
    return lon.to_value(units.deg), lat.to_value(units.deg), SKY_DEG2 / (12 * 4**ORDER)


def brute_level(density: np.ndarray, area: float, value: float) -> tuple[float, float]:
    denser = density > value
    return float(density[denser].sum() * area), float(denser.sum() * area)


@given(ELLIPSES, st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None)
def test_norm_level_and_area_equal_sums_over_the_sphere(
    grid: tuple[np.ndarray, np.ndarray, float], ellipse: EllipseLocalization, seed: int
) -> None:
    ra, dec, pixel = grid
    density = ellipse.density(ra, dec)
    assert density.sum() * pixel == pytest.approx(1.0, abs=1e-3)
    levels = ellipse.credible_level(ra, dec)
    for index in np.random.default_rng(seed).choice(np.flatnonzero(levels < 0.99), 5):
        held, covered = brute_level(density, pixel, float(density[index]))
        assert levels[index] == pytest.approx(held, abs=2e-3)
        assert ellipse.searched_area(ra[index], dec[index]) == pytest.approx(covered, abs=0.01 * covered + 1.0)
    assert ellipse.area(0.9) == pytest.approx((levels < 0.9).sum() * pixel, rel=0.01)


@given(ELLIPSES)
@settings(max_examples=6, deadline=None)
def test_ranges_hold_every_pixel_centre_below_the_level(
    grid: tuple[np.ndarray, np.ndarray, float], ellipse: EllipseLocalization
) -> None:
    ra, dec, _ = grid
    inside = ellipse.credible_level(ra, dec) < 0.9
    region = ellipse.ranges(0.9)
    assert len(region) < 500
    assert region.contains(hpx29(ra[inside], dec[inside])).all()
    assert region.area_deg2 < 1.6 * ellipse.area(0.9)


@given(
    st.floats(0, 360),
    st.floats(-90, 90),
    st.floats(1e-5, 40.0),
    st.floats(0, 360),
    st.floats(0, 0.4),
    st.floats(0, 360),
)
@settings(max_examples=60, deadline=None)
def test_equal_axes_make_the_circle(
    ra: float, dec: float, radius: float, angle: float, far: float, turn: float
) -> None:
    ellipse = EllipseLocalization.symmetric(ra, dec, radius, radius, angle, 0.9)
    circle = CircleLocalization(ra, dec, radius, 0.9)
    point = (ra + far * radius * math.cos(turn), max(-90.0, min(90.0, dec + far * radius * math.sin(turn))))
    assert ellipse.density(*point) == pytest.approx(circle.density(*point), rel=1e-6)
    assert ellipse.credible_level(*point) == pytest.approx(circle.credible_level(*point), rel=1e-6, abs=1e-12)
    assert ellipse.area(0.5) == pytest.approx(circle.area(0.5), rel=1e-6)


def test_the_position_angle_turns_from_north_through_east() -> None:
    ellipse = EllipseLocalization.symmetric(180.0, 0.0, 10.0, 1.0, 90.0, 0.9)
    assert ellipse.credible_level(189.9, 0.0) < 0.9 < ellipse.credible_level(180.0, 5.0)
    slanted = EllipseLocalization.symmetric(180.0, 0.0, 10.0, 1.0, 45.0, 0.9)
    assert slanted.credible_level(186.0, 6.0) < 0.9 < slanted.credible_level(174.0, 6.0)


def test_each_half_axis_reaches_its_own_side() -> None:
    ellipse = EllipseLocalization(180.0, 0.0, 1.0, 2.0, 3.0, 4.0, 0.9)
    for point in [(180.0, 1.0), (180.0, -2.0), (183.0, 0.0), (176.0, 0.0)]:
        assert ellipse.credible_level(*point) == pytest.approx(0.9, abs=1e-9)


def test_the_contour_of_ic191001a_is_pi_quarters_of_its_box_and_holds_at2019dsg() -> None:
    neutrino = EllipseLocalization.from_box(314.08, 12.94, (6.56, 2.26), (1.50, 1.47), 0.9)
    assert neutrino.area(0.9) == pytest.approx(20.05, abs=0.005)
    assert neutrino.credible_level(314.26239, 14.20441) == pytest.approx(0.81, abs=0.005)


def test_txs_0506_is_near_the_centre_of_ic170922a() -> None:
    neutrino = EllipseLocalization.from_box(77.43, 5.72, (1.30, 0.80), (0.70, 0.40), 0.9)
    assert neutrino.credible_level(77.35819, 5.69315) == pytest.approx(0.03, abs=0.005)


@given(st.floats(0, 360), st.floats(-80, 80), st.floats(0, 180), st.permutations(range(4)))
def test_four_corners_in_any_order_are_the_ellipse_inscribed_in_their_rectangle(
    ra: float, dec: float, angle: float, order: list[int]
) -> None:
    along, across = 0.6, 0.2
    diagonal, turn = math.hypot(along, across), math.degrees(math.atan2(across, along))
    turns = [angle + turn, angle - turn, angle + 180.0 + turn, angle + 180.0 - turn]
    places = [offset(ra, dec, diagonal, turns[i]) for i in order]
    found = EllipseLocalization.from_corners([(float(x), float(y)) for x, y in places], 0.9)
    expected = EllipseLocalization.symmetric(ra, dec, along, across, angle, 0.9)
    assert float(separation_deg(ra, dec, found.ra, found.dec)) < 1e-3
    assert found.box_area() == pytest.approx(4 * along * across, rel=1e-3)
    for point in (offset(ra, dec, 0.5, angle), offset(ra, dec, 0.1, angle + 90.0), offset(ra, dec, 0.4, angle + 40.0)):
        assert float(found.credible_level(*point)) == pytest.approx(float(expected.credible_level(*point)), abs=5e-3)


@pytest.mark.parametrize(
    "half_axes", [(0.0, 1, 1, 1), (1, -1.0, 1, 1), (1, 1, math.nan, 1), (1, 1, 1, 60.0), (1, 1, 1, 200.0)]
)
def test_an_impossible_ellipse_is_refused(half_axes: tuple[float, float, float, float]) -> None:
    with pytest.raises(SkyError):
        EllipseLocalization(0.0, 0.0, *half_axes, 0.9)
