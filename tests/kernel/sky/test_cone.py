"""Separations against exact constructions, cones against brute force and mocpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import Latitude, Longitude, SkyCoord
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mocpy import MOC
from numpy.typing import NDArray

from asterism.errors import SkyError
from asterism.sky.cone import (
    cone_ranges,
    haversine,
    offset,
    pixel_radius_deg,
    position_angle_deg,
    separation_deg,
)
from asterism.sky.healpix import SKY_DEG2, Ranges, hpx29

MILLIARCSEC = 1e-3 / 3600
RADIUS = st.one_of(st.floats(MILLIARCSEC, 1 / 3600), st.floats(1 / 3600, 1.0), st.floats(1.0, 180.0))
RA = st.one_of(st.floats(0.0, 360.0), st.floats(0.0, 1e-6), st.floats(359.999999, 360.0))
DEC = st.one_of(
    st.floats(-90.0, 90.0),
    st.floats(0.0, 1e-4).map(lambda d: 90.0 - d),
    st.floats(0.0, 1e-4).map(lambda d: d - 90.0),
)


def points_around(
    ra: float, dec: float, distance: NDArray[np.float64], angle: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotate the pole's cone to the centre: vectors, not the formulas under test."""
    s, phi, a, d = np.radians(distance), angle, math.radians(ra), math.radians(dec)
    centre = np.array([math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)])
    north = np.array([-math.sin(d) * math.cos(a), -math.sin(d) * math.sin(a), math.cos(d)])
    east = np.array([-math.sin(a), math.cos(a), 0.0])
    xyz = np.cos(s)[:, None] * centre + np.sin(s)[:, None] * (
        np.cos(phi)[:, None] * north + np.sin(phi)[:, None] * east
    )
    polar = np.hypot(xyz[:, 0], xyz[:, 1])
    return np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])) % 360.0, np.degrees(np.arctan2(xyz[:, 2], polar))


@given(RA, DEC, RADIUS, st.integers(0, 2**32 - 1), st.sampled_from([1, 8, 64, 256]))
@example(0.0, 90.0, 1.0, 0, 64)
@example(0.0, -90.0, MILLIARCSEC, 0, 64)
@example(360.0, 0.0, 180.0, 0, 64)
@settings(max_examples=150, deadline=None)
def test_every_position_in_a_cone_is_in_its_ranges(ra: float, dec: float, radius: float, seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    distance = np.concatenate([radius * np.sqrt(rng.uniform(0, 1, 60)), np.full(60, radius), [0.0]])
    points = points_around(ra, dec, distance, rng.uniform(0, 2 * np.pi, distance.size))
    within = separation_deg(ra, dec, *points) <= radius
    region = cone_ranges(ra, dec, radius, max_ranges=most)
    assert within.sum() >= 50
    assert len(region) <= most
    assert region.contains(hpx29(points[0][within], points[1][within])).all()


@given(RA, DEC, st.floats(0.01, 179.0))
@settings(max_examples=40, deadline=None)
def test_a_cone_covers_what_mocpy_says_lies_wholly_inside_it(ra: float, dec: float, radius: float) -> None:
    order = min(29, max(2, round(math.log2(58.6 / radius)) + 4))
    edge = pixel_radius_deg(order)
    if radius <= 2.1 * edge:
        return
    inner = MOC.from_cone(
        lon=Longitude((ra % 360.0) * units.deg),
        lat=Latitude(dec * units.deg),
        radius=(radius - 2.1 * edge) * units.deg,
        max_depth=order,
    ).to_depth29_ranges.astype(np.int64)
    assert len(inner)
    covered = Ranges(inner[:, 0], inner[:, 1])
    # mocpy 0.21 gives the whole base cell, 3,438 deg2, for some cones around its centre: (0, 0), 26 deg is one.
    assume(covered.area_deg2 <= SKY_DEG2 * (1 - math.cos(math.radians(radius))) / 2)
    assert not len(covered.difference(cone_ranges(ra, dec, radius)))


@given(RA, DEC, st.floats(1 / 3600, 90.0))
@settings(max_examples=60, deadline=None)
def test_sixty_four_ranges_waste_less_than_the_area_of_the_cone(ra: float, dec: float, radius: float) -> None:
    cap = 4 * math.pi * math.sin(math.radians(radius) / 2) ** 2 * math.degrees(1) ** 2
    assert cap <= cone_ranges(ra, dec, radius).area_deg2 < 2.0 * cap


def test_the_cone_of_the_whole_sphere_is_one_range_and_radius_zero_is_tiny() -> None:
    everything = cone_ranges(10.0, 20.0, 180.0)
    assert len(everything) == 1
    assert everything.area_deg2 == pytest.approx(SKY_DEG2)
    point = cone_ranges(10.0, 20.0, 0.0)
    assert point.contains(hpx29(10.0, 20.0))
    assert point.area_deg2 < (MILLIARCSEC * 3) ** 2


@pytest.mark.parametrize("radius", [-1.0, 181.0, float("nan"), float("inf")])
def test_an_impossible_radius_is_refused(radius: float) -> None:
    with pytest.raises(SkyError):
        cone_ranges(10.0, 20.0, radius)


@given(RA, st.floats(-89.0, 89.0), st.floats(-12.0, -4.0))
@settings(max_examples=100, deadline=None)
def test_tiny_separations_keep_their_digits(ra: float, dec: float, exponent: float) -> None:
    step = 10.0**exponent
    moved = dec + step
    assert separation_deg(ra, dec, ra, moved) == pytest.approx(moved - dec, rel=1e-12)
    moved = ra + step
    along = abs(moved - ra) * math.cos(math.radians(dec))
    assert separation_deg(ra, dec, moved, dec) == pytest.approx(along, rel=1e-9)


@given(RA, DEC, st.floats(0.0, 180.0), st.floats(0.0, 6.28))
@settings(max_examples=100, deadline=None)
def test_separations_and_haversines_equal_the_angle_the_point_was_placed_at(
    ra: float, dec: float, distance: float, angle: float
) -> None:
    points = points_around(ra, dec, np.array([distance]), np.array([angle]))
    assert separation_deg(ra, dec, *points) == pytest.approx(distance, abs=1e-12)
    assert haversine(ra, dec, *points) == pytest.approx(math.sin(math.radians(distance) / 2) ** 2, abs=1e-14)


@given(RA, st.floats(-90.0, 90.0), st.floats(0.0, 1e-6))
@settings(max_examples=100, deadline=None)
def test_antipodes_are_half_a_turn_apart(ra: float, dec: float, off: float) -> None:
    assert separation_deg(ra, dec, ra + 180.0, -dec) == pytest.approx(180.0, abs=1e-12)
    if abs(dec) < 89:
        assert separation_deg(ra, dec, ra + 180.0, -dec + off) == pytest.approx(180.0 - ((-dec + off) + dec), abs=1e-12)


@given(RA, st.floats(-89.9, 89.9), st.floats(1e-6, 179.0), st.floats(0.0, 360.0))
@settings(max_examples=60, deadline=None)
def test_offsets_and_position_angles_are_astropys(ra: float, dec: float, distance: float, angle: float) -> None:
    centre = SkyCoord(ra, dec, unit="deg")
    expected = centre.directional_offset_by(angle * units.deg, distance * units.deg)
    moved = offset(ra, dec, distance, angle)
    assert separation_deg(*moved, expected.ra.deg, expected.dec.deg) == pytest.approx(0.0, abs=1e-9)
    assert separation_deg(ra, dec, *moved) == pytest.approx(distance, abs=1e-11)
    turn = position_angle_deg(ra, dec, *moved) - centre.position_angle(SkyCoord(*moved, unit="deg")).deg
    assert math.sin(math.radians(float(turn)) / 2) * math.sin(math.radians(distance)) == pytest.approx(0.0, abs=1e-9)
