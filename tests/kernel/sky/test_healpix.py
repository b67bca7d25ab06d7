"""Order-29 keys and ranges against astropy-healpix's own round trips, mocpy's independent indexing, and
Python sets."""

from __future__ import annotations

import astropy_healpix
import numpy as np
import pytest
from astropy import units
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mocpy import MOC

from asterism.errors import SkyError
from asterism.sky.cone import pixel_radius_deg, separation_deg
from asterism.sky.healpix import (
    N_CELLS,
    SKY_DEG2,
    Ranges,
    centers,
    contains,
    hpx29,
    ipix_to_range29,
    merge_ranges,
    normalise_ra,
    order_ipix_to_uniq,
    pixel_area_deg2,
    pixel_centers,
    uniq_to_order_ipix,
)

RA = st.floats(-720.0, 720.0)
DEC = st.one_of(
    st.floats(-90.0, 90.0),
    st.floats(0.0, 1e-3).map(lambda d: 90.0 - d),
    st.floats(0.0, 1e-3).map(lambda d: d - 90.0),
)
PIXEL = st.integers(0, 29).flatmap(lambda k: st.tuples(st.just(k), st.integers(0, 12 * 4**k - 1)))
INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


def as_set(pairs: list[tuple[int, int]]) -> set[int]:
    return {cell for lo, hi in pairs for cell in range(lo, hi)}


def make_ranges(pairs: list[tuple[int, int]]) -> Ranges:
    return Ranges(np.array([lo for lo, _ in pairs], dtype=np.int64), np.array([hi for _, hi in pairs], dtype=np.int64))


@given(RA, DEC)
@example(0.0, 90.0)
@example(0.0, -90.0)
@example(360.0, 0.0)
@example(-1e-20, 41.810314895778596)
@settings(max_examples=200, deadline=None)
def test_a_position_lies_within_one_cell_radius_of_the_centre_of_its_cell(ra: float, dec: float) -> None:
    cell = hpx29(ra, dec)
    assert 0 <= cell < N_CELLS
    assert separation_deg(ra, dec, *centers(cell)) <= pixel_radius_deg(29) * (1 + 1e-6)


@given(PIXEL)
@example((29, 12 * 4**29 - 1))
@example((0, 11))
@settings(max_examples=200, deadline=None)
def test_a_pixel_of_any_order_is_found_again_from_its_centre_its_range_and_its_uniq(
    pixel: tuple[int, int],
) -> None:
    order, ipix = pixel
    lo, hi = ipix_to_range29(order, ipix)
    assert hi - lo == 4 ** (29 - order)
    assert lo <= hpx29(*pixel_centers(order, ipix)) < hi
    uniq = order_ipix_to_uniq(order, ipix)
    assert uniq == astropy_healpix.level_ipix_to_uniq(order, ipix)
    assert tuple(int(value) for value in uniq_to_order_ipix(uniq)) == pixel


@given(st.lists(st.tuples(st.floats(0.0, 360.0, exclude_max=True), DEC), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_mocpy_indexes_the_same_positions_into_the_same_cells_up_to_rounding(
    positions: list[tuple[float, float]],
) -> None:
    ra, dec = np.array(positions).T
    theirs = MOC.from_lonlat(ra * units.deg, dec * units.deg, max_norder=29).to_depth29_ranges
    cells = hpx29(ra, dec)
    near = np.abs(theirs.astype(np.int64).ravel()[:, None] - cells[None, :]).min(axis=0) <= 1
    if not near.all():  # the other side of an edge: then the two cells touch on the sky
        missing = np.flatnonzero(~near)
        start = theirs[:, 0].astype(np.int64)
        gap = separation_deg(*(c[:, None] for c in centers(start)), *centers(cells[missing]))
        assert (gap.min(axis=0) <= 2 * pixel_radius_deg(29)).all()


@given(st.lists(RA, min_size=1, max_size=10))
@example([-1e-300])
@example([360.0])
@settings(deadline=None)
def test_right_ascension_is_normalised_to_the_half_open_turn(ra: list[float]) -> None:
    values = normalise_ra(ra)
    assert ((values >= 0) & (values < 360)).all()
    assert np.allclose(np.cos(np.radians(values)), np.cos(np.radians(ra)), atol=1e-9)


@pytest.mark.parametrize(
    ("ra", "dec"), [(float("nan"), 0.0), (0.0, float("inf")), (0.0, 90.0001), (0.0, -91.0), ("x", 0.0)]
)
def test_an_impossible_position_is_refused(ra: object, dec: float) -> None:
    with pytest.raises(SkyError):
        hpx29(ra, dec)  # type: ignore[arg-type]


@pytest.mark.parametrize("uniq", [3, 0, -5, 16 * 4**29, 2**63 - 1])
def test_a_number_that_is_no_pixel_is_refused(uniq: int) -> None:
    with pytest.raises(SkyError):
        uniq_to_order_ipix(uniq)


@pytest.mark.parametrize(("order", "ipix"), [(30, 0), (-1, 0), (0, 12), (29, -1)])
def test_a_pixel_that_does_not_exist_is_refused(order: int, ipix: int) -> None:
    with pytest.raises(SkyError):
        ipix_to_range29(order, ipix)


def test_the_pixels_of_every_order_tile_the_sphere() -> None:
    for order in range(30):
        assert 12 * 4**order * pixel_area_deg2(order) == pytest.approx(41252.96124941928, rel=1e-12)
    assert Ranges(np.array([0]), np.array([N_CELLS])).area_deg2 == pytest.approx(SKY_DEG2, rel=1e-15)


@given(INTERVALS, st.lists(st.integers(0, 60), max_size=20))
@settings(max_examples=200, deadline=None)
def test_merged_ranges_hold_the_same_cells_as_a_set_of_integers(pairs: list[tuple[int, int]], cells: list[int]) -> None:
    lo, hi = merge_ranges([p[0] for p in pairs], [p[1] for p in pairs])
    assert (lo < hi).all()
    assert (lo[1:] > hi[:-1]).all()
    assert as_set(list(zip(lo.tolist(), hi.tolist(), strict=True))) == as_set(pairs)
    assert contains(lo, hi, cells).tolist() == [cell in as_set(pairs) for cell in cells]


@given(INTERVALS, INTERVALS, st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_unions_intersections_differences_equal_those_of_integer_sets(
    one: list[tuple[int, int]], two: list[tuple[int, int]], most: int
) -> None:
    a, b = make_ranges(one), make_ranges(two)
    cells = np.arange(61)
    for made, expected in [
        (a.union(b), as_set(one) | as_set(two)),
        (a.intersection(b), as_set(one) & as_set(two)),
        (a.difference(b), as_set(one) - as_set(two)),
    ]:
        assert set(cells[made.contains(cells)].tolist()) == expected
        assert made == make_ranges([(cell, cell + 1) for cell in expected])
    assert len(a.coarsened(most)) <= most
    assert not len(a.difference(a.coarsened(most)))


def test_ranges_off_the_sphere_or_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(SkyError):
        Ranges(np.array([0]), np.array([N_CELLS + 1]))
    with pytest.raises(SkyError):
        Ranges(np.array([-1]), np.array([5]))
    with pytest.raises(SkyError):
        Ranges(np.array([1, 2]), np.array([5]))
