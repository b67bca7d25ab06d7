"""The product of two localizations, against the product of their densities on all pixels of the sphere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.errors import SkyError
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import SKY_DEG2, order_ipix_to_uniq, pixel_centers
from asterism.sky.localization import Localization
from asterism.sky.product import pixelised, product
from asterism.sky.skymap import SkyMapLocalization

FINEST = 4


def drawn_map(seed: int) -> SkyMapLocalization:
    """Return a map of pixels of orders 1 to 4 that covers the sphere."""
    rng = np.random.default_rng(seed)
    order, rows = 1, []
    ipix = np.arange(48)
    while order < FINEST:
        stays = rng.random(ipix.size) < 0.5
        rows.append(order_ipix_to_uniq(np.full(stays.sum(), order), ipix[stays]))
        ipix = (4 * ipix[~stays, None] + np.arange(4)).ravel()
        order += 1
    rows.append(order_ipix_to_uniq(np.full(ipix.size, order), ipix))
    uniq = np.concatenate(rows)
    area = SKY_DEG2 / 12.0 * 0.25 ** (np.floor(np.log2(uniq / 4) / 2))
    probability = rng.dirichlet(np.full(uniq.size, 0.3))
    return SkyMapLocalization(uniq, probability / area)


def on_all_pixels(one: Localization, two: Localization, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ra, dec = pixel_centers(order, np.arange(12 * 4**order))
    density = one.density(ra, dec) * two.density(ra, dec)
    return ra, dec, density / (density.sum() * SKY_DEG2 / density.size)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_product_of_two_maps_is_exact(one: int, two: int) -> None:
    first, second = drawn_map(one), drawn_map(two)
    ra, dec, expected = on_all_pixels(first, second, FINEST)
    assert product(first, second).density(ra, dec) == pytest.approx(expected, rel=1e-9)
    assert product(second, first).density(ra, dec) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.9, 50.0), (40.0, 89.9), (40.0, -90.0)])
def test_the_product_of_circles_is_the_circle_between_them(ra: float, dec: float) -> None:
    """Two equal circles: their product is one of twice the concentration, half way."""
    circle = CircleLocalization(ra, dec, 5.0, 0.9)
    joint = product(circle, circle)
    assert joint.area(0.9) == pytest.approx(circle.area(0.9) / 2.0, rel=0.02)
    assert float(joint.density(ra, dec)) == pytest.approx(2.0 * float(circle.density(ra, dec)), rel=0.02)


def test_a_map_of_large_pixels_is_cut_where_a_circle_is_small() -> None:
    circle = CircleLocalization(45.0, 42.0, 0.05, 0.9)
    joint = product(drawn_map(1), circle)
    assert joint.area(0.9) == pytest.approx(circle.area(0.9), rel=0.02)


def test_a_circle_on_pixels_is_the_circle() -> None:
    circle = CircleLocalization(10.0, -89.0, 2.0, 0.68)
    assert pixelised(circle).area(0.68) == pytest.approx(circle.area(0.68), rel=0.01)


def test_localizations_that_exclude_each_other_have_no_product() -> None:
    with pytest.raises(SkyError):
        product(
            SkyMapLocalization(np.array([4]), np.array([12 / SKY_DEG2])), CircleLocalization(225.0, -60.0, 0.1, 0.9)
        )
