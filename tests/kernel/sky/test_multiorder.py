"""Flat maps to rows and back: nothing is lost by merging, no probability by thinning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asterism.sky.healpix import ipix_to_range29, order_ipix_to_uniq, uniq_to_order_ipix
from asterism.sky.multiorder import Rows, merge_equal, thin

ORDER = 4


def spread(rows: Rows, column: int = 0) -> NDArray[np.float64]:
    """Write rows out on the pixels of one order."""
    flat = np.full(12 * 4**ORDER, -1.0)
    order, ipix = uniq_to_order_ipix(rows.uniq)
    for k, i, value in zip(order.tolist(), ipix.tolist(), rows.columns[:, column].tolist(), strict=True):
        width = 4 ** (ORDER - k)
        flat[i * width : (i + 1) * width] = value
    return flat


def patchy(seed: int, columns: int = 1) -> NDArray[np.float64]:
    """A flat map that repeats over blocks of several sizes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 3, (12 * 4, columns)).astype(float)
    values = np.repeat(coarse, 4 ** (ORDER - 1), axis=0)
    fine = rng.random(len(values)) < 0.02
    values[fine] = rng.random((fine.sum(), columns))
    return values


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_merging_equal_siblings_loses_nothing_and_leaves_none(seed: int, columns: int) -> None:
    flat = patchy(seed, columns)
    rows = merge_equal(ORDER, 0, flat)
    assert len(rows) < len(flat)
    for column in range(columns):
        assert spread(rows, column).tolist() == flat[:, column].tolist()
    lo, hi = ipix_to_range29(*uniq_to_order_ipix(rows.uniq))
    assert (lo[1:] == hi[:-1]).all()
    families: dict[int, list[bytes]] = {}
    for uniq, values in zip(rows.uniq.tolist(), rows.columns, strict=True):
        if uniq >= 16:
            families.setdefault(uniq >> 2, []).append(values.tobytes())
    assert not any(len(family) == 4 and len(set(family)) == 1 for family in families.values())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_blocks_merged_one_by_one_hold_the_same_map(seed: int) -> None:
    flat = patchy(seed)
    size = 4**3
    pieces = [merge_equal(ORDER, first, flat[first : first + size]) for first in range(0, len(flat), size)]
    assert spread(Rows.concatenate(pieces)).tolist() == flat[:, 0].tolist()


def test_unknown_equals_unknown_when_siblings_are_compared() -> None:
    flat = np.full((12 * 4**ORDER, 2), np.nan)
    flat[:, 0] = 1.0
    assert len(merge_equal(ORDER, 0, flat)) == 12


@given(st.integers(0, 2**32 - 1), st.integers(12, 3072))
@settings(max_examples=40, deadline=None)
def test_thinning_keeps_the_probability_and_the_densest_pixels(seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    flat = rng.exponential(1.0, (12 * 4**ORDER, 2))
    peak = 4 * rng.integers(0, 3 * 4**ORDER)
    flat[peak : peak + 4, 0] += 100.0
    rows = thin(Rows(order_ipix_to_uniq(ORDER, np.arange(len(flat))), flat), most)
    assert len(rows) <= most
    thinned = spread(rows)
    assert thinned.min() >= 0.0
    assert thinned.sum() == pytest.approx(flat[:, 0].sum(), rel=1e-12)
    if most >= 200:
        assert thinned[peak : peak + 4].tolist() == flat[peak : peak + 4, 0].tolist()
    assert set(rows.columns[:, 1].tolist()) <= set(flat[:, 1].tolist())


def test_rows_without_their_siblings_are_left_alone() -> None:
    uniq = order_ipix_to_uniq(np.array([2, 2, 2, 3, 3]), np.array([0, 1, 2, 12, 13]))
    rows = Rows(uniq, np.ones((5, 1)))
    assert thin(rows, 1) is rows


def test_nested_families_are_not_taken_for_siblings() -> None:
    order = np.array([2, 3, 3, 2])  # pixels 0 and 3 with parts of 1 and 2 between them
    rows = Rows(order_ipix_to_uniq(order, np.array([0, 4, 8, 3])), np.ones((4, 1)))
    assert len(thin(rows, 1)) == 4
