"""MOCs are what mocpy, an independent implementation, reads as the same region."""

from __future__ import annotations

import io
import json

import mocpy
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import MAX_ORDER, N_CELLS, Ranges
from asterism.sky.moc import moc_fits, moc_json, pixels_of

pixels = st.integers(0, 5).flatmap(lambda k: st.tuples(st.just(k), st.integers(0, 12 * 4**k - 1)))
cells = st.integers(0, N_CELLS - 1)
regions = st.builds(
    lambda some, fine: Ranges(
        np.array([p << 2 * (MAX_ORDER - k) for k, p in some] + fine, dtype=np.int64),
        np.array([p + 1 << 2 * (MAX_ORDER - k) for k, p in some] + [c + 1 for c in fine], dtype=np.int64),
    ),
    st.lists(pixels, max_size=20),
    st.lists(cells, max_size=5),
)


def as_ranges(moc: mocpy.MOC) -> list[list[int]]:
    found: list[list[int]] = moc.to_depth29_ranges.tolist()
    return found


def expected(region: Ranges) -> list[list[int]]:
    return [list(pair) for pair in zip(region.lo.tolist(), region.hi.tolist(), strict=True)]


@given(regions)
def test_the_fits_form_is_the_same_region_to_mocpy(region: Ranges) -> None:
    assert as_ranges(mocpy.MOC.from_fits(io.BytesIO(moc_fits(region)))) == expected(region)


@given(regions)
def test_the_json_form_is_the_same_region_to_mocpy(region: Ranges) -> None:
    assert as_ranges(mocpy.MOC.from_json(json.loads(moc_json(region)))) == expected(region)


@given(regions)
def test_no_fewer_pixels_are_the_region(region: Ranges) -> None:
    order, ipix = pixels_of(region)
    theirs = mocpy.MOC.from_json(json.loads(moc_json(region))).to_string(format="json") if len(region) else "{}"
    count = sum(len(found) for found in json.loads(theirs).values())
    assert order.size == ipix.size == count


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.99])
def test_a_circle_covers_its_disc_and_little_more(level: float) -> None:
    circle = CircleLocalization(359.9, -61.5, 3.0, 0.68)
    moc = mocpy.MOC.from_fits(io.BytesIO(moc_fits(circle.ranges(level, max_ranges=5000))))
    assert moc.sky_fraction * 41252.96 == pytest.approx(circle.area(level), rel=0.01)


def test_the_header_says_what_kind_of_moc_it_is() -> None:
    with fits.open(io.BytesIO(moc_fits(CircleLocalization(10.0, 10.0, 1.0, 0.9).ranges(0.9)))) as hdus:
        header = hdus[1].header
        hdus.verify("exception")
    assert [header[name] for name in ("MOCDIM", "ORDERING", "COORDSYS", "TTYPE1")] == ["SPACE", "NUNIQ", "C", "UNIQ"]
