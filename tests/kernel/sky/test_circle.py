"""Circles against scipy's von Mises-Fisher distribution and numerical integration."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from asterism.errors import SkyError
from asterism.sky import vmf
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import SKY_DEG2, hpx29
from asterism.sky.localization import DEG2_PER_SR

RA, DEC = st.floats(0.0, 360.0), st.floats(-90.0, 90.0)
LOG_RADIUS = st.floats(-6.0, math.log10(170.0))
CONTAINMENT = st.floats(0.05, 0.999)


def make(ra: float, dec: float, log_radius: float, containment: float) -> CircleLocalization:
    radius = 10.0**log_radius
    assume(vmf.versine(radius) / 2.0 < containment * 0.999)
    return CircleLocalization(ra, dec, radius, containment)


def at(circle: CircleLocalization, distance_deg: float, angle_deg: float = 37.0) -> tuple[float, float]:
    point = SkyCoord(circle.ra, circle.dec, unit="deg").directional_offset_by(
        angle_deg * units.deg, distance_deg * units.deg
    )
    return float(point.ra.deg), float(point.dec.deg)


@given(DEC, LOG_RADIUS, CONTAINMENT)
@example(90.0, -6.0, 0.9)
@example(-90.0, 2.2, 0.999)
@settings(max_examples=60, deadline=None)
def test_a_circle_is_normalised_and_holds_its_containment(dec: float, log_radius: float, containment: float) -> None:
    circle = make(0.0, dec, log_radius, containment)

    def ring(s: float) -> float:
        return float(vmf.density_sr(circle.kappa, vmf.versine(math.degrees(s)))) * 2 * math.pi * math.sin(s)

    width = 1.0 / math.sqrt(circle.kappa) if circle.kappa else math.pi
    radius = math.radians(circle.radius_deg)
    ends = [0.0, *(k * width for k in (0.5, 1, 2, 4, 8, 12) if k * width < math.pi)]
    if 12 * width > math.pi:
        ends.append(math.pi)
    total = sum(integrate.quad(ring, a, b, epsabs=0, epsrel=1e-9)[0] for a, b in pairwise(ends))
    assert total == pytest.approx(1.0, abs=1e-8)
    inside = integrate.quad(ring, 0, radius, epsabs=0, epsrel=1e-9, limit=200)[0]
    assert inside == pytest.approx(containment, rel=1e-7)


@given(RA, DEC, st.floats(0.3, 2.2), CONTAINMENT, st.floats(0.0, 180.0))
@settings(max_examples=40, deadline=None)
def test_densities_are_those_of_scipys_von_mises_fisher(
    ra: float, dec: float, log_radius: float, containment: float, distance: float
) -> None:
    circle = make(ra, dec, log_radius, containment)
    assume(circle.kappa > 1e-3)
    point = SkyCoord(*at(circle, distance), unit="deg")
    centre = SkyCoord(ra, dec, unit="deg").cartesian.xyz.value
    expected = stats.vonmises_fisher(centre, circle.kappa).pdf(point.cartesian.xyz.value) / DEG2_PER_SR
    found = circle.density(point.ra.deg, point.dec.deg)
    assert found == pytest.approx(expected, rel=1e-8 * max(1.0, circle.kappa), abs=1e-300)


@given(RA, st.floats(-89.0, 89.0), LOG_RADIUS, CONTAINMENT, st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_the_edge_of_a_credible_region_has_its_level_and_its_area(
    ra: float, dec: float, log_radius: float, containment: float, level: float
) -> None:
    circle = make(ra, dec, log_radius, containment)
    radius = circle.radius(level)
    edge = at(circle, radius)
    close = 1e-6 if radius > 1e-3 else 1e-6 / radius * 1e-3
    assert circle.credible_level(*edge) == pytest.approx(level, abs=close)
    assert circle.searched_area(*edge) == pytest.approx(circle.area(level), rel=10 * close)
    assert circle.area(level) == pytest.approx(SKY_DEG2 * math.sin(math.radians(radius) / 2) ** 2, rel=1e-12)
    assert circle.radius(containment) == pytest.approx(circle.radius_deg, rel=1e-9)


@given(RA, DEC, st.floats(-3.0, 1.9), CONTAINMENT, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_ranges_hold_every_position_below_the_level(
    ra: float, dec: float, log_radius: float, containment: float, seed: int
) -> None:
    circle = make(ra, dec, log_radius, containment)
    rng = np.random.default_rng(seed)
    centre = SkyCoord(circle.ra, circle.dec, unit="deg")
    distance = np.minimum(circle.radius(0.9) * np.sqrt(rng.uniform(0, 1.2, 200)), 180.0)
    points = centre.directional_offset_by(rng.uniform(0, 360, 200) * units.deg, distance * units.deg)
    inside = circle.credible_level(points.ra.deg, points.dec.deg) < 0.9
    region = circle.ranges(0.9)
    assert inside.sum() > 50
    assert len(region) < 500
    assert region.contains(hpx29(points.ra.deg[inside], points.dec.deg[inside])).all()


def test_a_circle_with_no_more_than_its_share_of_the_sphere_is_isotropic() -> None:
    circle = CircleLocalization(10.0, -20.0, 60.0, vmf.versine(60.0) / 2.0)
    assert circle.density([0, 90, 200], [0, 45, -80]) * SKY_DEG2 == pytest.approx(np.ones(3))


def test_small_circles_have_the_textbook_ratios_of_radii() -> None:
    circle = CircleLocalization(10.0, -20.0, 1e-6, 0.9)
    sigma = math.degrees(1 / math.sqrt(circle.kappa))
    for level, ratio in [(0.5, 1.177), (0.68, 1.510), (0.9, 2.146), (0.95, 2.448), (0.99, 3.035)]:
        assert circle.radius(level) / sigma == pytest.approx(ratio, abs=5e-4)


def test_right_ascension_of_the_centre_is_normalised() -> None:
    assert CircleLocalization(725.0, 10.0, 1.0, 0.9) == CircleLocalization(5.0, 10.0, 1.0, 0.9)


@pytest.mark.parametrize(
    ("ra", "dec", "radius", "containment"),
    [
        (0.0, 91.0, 1.0, 0.9),
        (math.nan, 0.0, 1.0, 0.9),
        (0.0, 0.0, 0.0, 0.9),
        (0.0, 0.0, -1.0, 0.9),
        (0.0, 0.0, 181.0, 0.9),
        (0.0, 0.0, math.nan, 0.9),
        (0.0, 0.0, 1.0, 1.0),
        (0.0, 0.0, 1.0, 0.0),
        (0.0, 0.0, 1.0, math.nan),
        (0.0, 0.0, 170.0, 0.9),
    ],
)
def test_an_impossible_circle_is_refused(ra: float, dec: float, radius: float, containment: float) -> None:
    with pytest.raises(SkyError):
        CircleLocalization(ra, dec, radius, containment)


@pytest.mark.parametrize("level", [0.0, -0.1, 1.1, math.nan])
def test_an_impossible_level_is_refused(level: float) -> None:
    with pytest.raises(SkyError):
        CircleLocalization(0.0, 0.0, 1.0, 0.9).area(level)


def test_an_impossible_position_is_refused_by_every_question() -> None:
    circle = CircleLocalization(0.0, 0.0, 1.0, 0.9)
    for ask in (circle.density, circle.credible_level, circle.searched_area):
        with pytest.raises(SkyError):
            ask(0.0, math.nan)


def test_a_circle_has_no_distance() -> None:
    assert CircleLocalization(0.0, 0.0, 1.0, 0.9).distance(0.0, 0.0) is None
