"""The last non-detection of an object equals a search through all exposures."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from asterism.graph.association.exposures import CELL_ORDER, Exposures

CELL = 1 << 2 * (29 - CELL_ORDER)
EXPOSURE = st.tuples(st.integers(0, 3), st.integers(0, 20), st.none() | st.floats(15, 24))


def table(rows: list[tuple[int, int, float | None]]) -> pa.Table:
    return pa.table(
        {
            "hpx29": pa.array([cell * CELL + 5 for cell, _, _ in rows], pa.int64()),
            "survey": pa.array(["ztf"] * len(rows), pa.string()),
            "mjdTai": pa.array([61000.0 + t / 8 for _, t, _ in rows], pa.float64()),
            "limitMag": pa.array([limit for _, _, limit in rows], pa.float64()),
        }
    )


@given(st.lists(EXPOSURE, max_size=30), st.lists(EXPOSURE, max_size=10), st.integers(0, 3), st.integers(0, 22))
def test_the_last_exposure_of_the_cell_before_the_first_detection(
    one: list[tuple[int, int, float | None]], two: list[tuple[int, int, float | None]], cell: int, first: int
) -> None:
    both = Exposures.of(table(one)) + Exposures.of(table(two))
    found = both.last_misses(np.array([cell * CELL + 9]), np.array([61000.0 + first / 8]))
    before = [(t, limit) for c, t, limit in one + two if c == cell and t < first]
    if not before:
        assert np.isnan(found.mjd_tai[0])
        return
    last = max(t for t, _ in before)
    limits = [limit for t, limit in before if t == last and limit is not None]
    assert found.mjd_tai[0] == 61000.0 + last / 8
    assert (np.isnan(found.limit_mag[0]) and not limits) or found.limit_mag[0] == max(limits)


@given(st.lists(EXPOSURE, max_size=30), st.integers(0, 30))
def test_what_was_observed_does_not_depend_on_how_alerts_were_cut_into_batches(
    rows: list[tuple[int, int, float | None]], cut: int
) -> None:
    whole = Exposures.of(table(rows)).observed
    parts = (Exposures.of(table(rows[cut:])) + Exposures.of(table(rows[:cut]))).observed
    for name in ("cell", "survey", "mjd", "depth"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
