"""Maps against brute force over all pixels of one order, and against mocpy's coverage."""

from __future__ import annotations

import numpy as np
import pytest
from astropy_healpix import level_ipix_to_uniq
from hypothesis import given, settings
from hypothesis import strategies as st
from mocpy import MOC
from numpy.typing import NDArray

from asterism.errors import SkyError
from asterism.sky.distance import Distances
from asterism.sky.healpix import SKY_DEG2, hpx29, ipix_to_range29, pixel_area_deg2, pixel_centers
from asterism.sky.skymap import SkyMapLocalization

FINEST = 3


def random_map(seed: int, *, ties: bool = False, holes: bool = False, layers: bool = False) -> SkyMapLocalization:
    """Split base pixels at random down to order 3; densities at random, rows shuffled."""
    rng = np.random.default_rng(seed)
    pixels, rows = [(0, ipix) for ipix in range(12)], []
    while pixels:
        order, ipix = pixels.pop()
        if order < FINEST and rng.random() < 0.6:
            pixels += [(order + 1, 4 * ipix + child) for child in range(4)]
        elif not holes or rng.random() < 0.7 or not rows:
            rows.append((order, ipix))
    rng.shuffle(rows)
    order, ipix = np.array(rows).T
    density = rng.integers(0, 4, len(rows)).astype(float) if ties else rng.exponential(1.0, len(rows))
    density[0] += 1.0
    density /= (density * pixel_area_deg2(order)).sum()
    uniq = level_ipix_to_uniq(order, ipix)
    if not layers:
        return SkyMapLocalization(uniq, density)
    mu = np.where(rng.random(len(rows)) < 0.2, np.inf, rng.normal(100, 100, len(rows)))
    return SkyMapLocalization(
        uniq, density, Distances(mu, rng.uniform(5, 30, len(rows)), rng.uniform(1e-6, 1e-4, len(rows)))
    )


def flattened(sky_map: SkyMapLocalization) -> NDArray[np.float64]:
    """Density of every pixel of the finest order, by loops."""
    flat = np.zeros(12 * 4**FINEST)
    for uniq, density in zip(sky_map.uniq.tolist(), sky_map.density_deg2.tolist(), strict=True):
        order = (uniq.bit_length() - 3) // 2
        ipix, width = uniq - 4 ** (order + 1), 4 ** (FINEST - order)
        flat[ipix * width : (ipix + 1) * width] = density
    return flat


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_density_level_and_searched_area_equal_brute_force(seed: int, ties: bool, holes: bool) -> None:
    sky_map = random_map(seed, ties=ties, holes=holes)
    flat, area = flattened(sky_map), float(pixel_area_deg2(FINEST))
    ra, dec = pixel_centers(FINEST, np.arange(flat.size))
    denser = flat[None, :] > flat[:, None]
    assert sky_map.density(ra, dec).tolist() == flat.tolist()
    assert sky_map.credible_level(ra, dec) == pytest.approx((denser * flat).sum(axis=1) * area, abs=1e-12)
    assert sky_map.searched_area(ra, dec) == pytest.approx(denser.sum(axis=1) * area, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_ranges_are_exactly_the_pixels_inside_the_level(seed: int, ties: bool, holes: bool, level: float) -> None:
    sky_map = random_map(seed, ties=ties, holes=holes)
    ra, dec = pixel_centers(FINEST, np.arange(12 * 4**FINEST))
    inside = sky_map.credible_level(ra, dec) < level
    region = sky_map.ranges(level)
    assert region.contains(hpx29(ra, dec)).tolist() == inside.tolist()
    assert region.area_deg2 == pytest.approx(sky_map.area(level))
    assert (sky_map.density(ra, dec)[inside].sum() * pixel_area_deg2(FINEST)) >= level - 1e-12
    theirs = MOC.from_healpix_cells(np.flatnonzero(inside).astype(np.uint64), FINEST, max_depth=29)
    assert region.lo.tolist() == theirs.to_depth29_ranges[:, 0].tolist()
    assert region.hi.tolist() == theirs.to_depth29_ranges[:, 1].tolist()


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_coarser_or_fewer_ranges_lose_no_pixel(seed: int, order: int, most: int) -> None:
    sky_map = random_map(seed)
    exact = sky_map.ranges(0.9)
    coarse = sky_map.ranges(0.9, max_order=order)
    assert not len(exact.difference(coarse))
    assert not (coarse.lo % 4 ** (29 - order)).any()
    few = sky_map.ranges(0.9, max_ranges=most)
    assert len(few) <= most
    assert not len(exact.difference(few))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_first_pixel_of_a_map_is_inside_every_level(seed: int) -> None:
    sky_map = random_map(seed)
    assert sky_map.credible_level(*sky_map.mode()) == 0.0
    assert sky_map.ranges(1e-9).contains(hpx29(*sky_map.mode()))
    assert sky_map.area(1e-9) > 0


def test_what_no_pixel_covers_has_density_zero_and_level_one() -> None:
    sky_map = SkyMapLocalization(np.array([4]), np.array([12 / SKY_DEG2]))
    assert sky_map.density(225.0, -60.0) == 0.0
    assert sky_map.credible_level(225.0, -60.0) == 1.0
    assert sky_map.searched_area(225.0, -60.0) == pytest.approx(SKY_DEG2 / 12)
    assert sky_map.credible_level(45.0, 40.0) == 0.0
    assert sky_map.area(1.0) == pytest.approx(SKY_DEG2 / 12)


def test_probabilities_that_nearly_sum_to_one_are_normalised() -> None:
    sky_map = SkyMapLocalization(np.arange(4, 16), np.full(12, 1.004 / SKY_DEG2))
    assert sky_map.density(0.0, 0.0) == pytest.approx(1 / SKY_DEG2, rel=1e-12)


@pytest.mark.parametrize(
    ("uniq", "density"),
    [
        ([4, 4], [6 / SKY_DEG2, 6 / SKY_DEG2]),
        ([4, 16], [6 / SKY_DEG2, 24 / SKY_DEG2]),
        ([4], [11 / SKY_DEG2]),
        ([4], [12 / SKY_DEG2 * 3282.8]),
        ([4, 5], [np.nan, 12 / SKY_DEG2]),
        ([4, 5], [np.inf, 12 / SKY_DEG2]),
        ([4, 5], [-1 / SKY_DEG2, 13 / SKY_DEG2]),
        ([3], [12 / SKY_DEG2]),
        ([4, 5], [12 / SKY_DEG2]),
        ([], []),
    ],
)
def test_a_map_that_is_no_probability_distribution_is_refused(uniq: list[int], density: list[float]) -> None:
    with pytest.raises(SkyError):
        SkyMapLocalization(np.array(uniq, dtype=np.int64), np.array(density, dtype=np.float64))


def test_a_map_cannot_be_changed() -> None:
    sky_map = random_map(1)
    with pytest.raises(ValueError, match="read-only"):
        sky_map.density_deg2[0] = 1.0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_distances_are_looked_up_in_the_pixel_and_unknown_ones_are_nan(seed: int) -> None:
    sky_map = random_map(seed, layers=True)
    assert sky_map.distances is not None
    ra, dec = pixel_centers(FINEST, np.arange(12 * 4**FINEST))
    found = sky_map.distance(ra, dec)
    assert found is not None
    for row in range(0, len(sky_map), 7):
        lo, hi = sky_map.lo[row], sky_map.hi[row]
        start = ipix_to_range29(FINEST, np.arange(12 * 4**FINEST))[0]
        here = (start >= lo) & (start < hi)
        assert np.array_equal(found.mu[here], np.full(here.sum(), sky_map.distances.mu[row]), equal_nan=True)
        assert np.isnan(found.sigma[here]).tolist() == np.isnan(found.mu[here]).tolist()
    assert not np.isinf(found.mu).any()
    assert random_map(seed).distance(0.0, 0.0) is None


def test_the_distance_of_a_map_is_the_mixture_over_its_informed_pixels() -> None:
    mu, sigma = np.array([100.0, 200.0, np.inf]), np.array([1.0, 2.0, 1.0])
    sky_map = SkyMapLocalization(
        np.array([4, 5, 6]), np.array([3.0, 3.0, 6.0]) / SKY_DEG2, Distances(mu, sigma, np.array([1e-4, 1e-5, 0.0]))
    )
    found = sky_map.distance_moments()
    assert found is not None
    assert found[0] == pytest.approx(150.0, rel=1e-3)
    assert found[1] == pytest.approx(50.0, rel=1e-2)
    blind = SkyMapLocalization(np.array([4]), np.array([12 / SKY_DEG2]), Distances(*np.full((3, 1), np.inf)))
    assert blind.distance_moments() is None
