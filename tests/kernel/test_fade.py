"""Fade rates are those of weighted straight lines, per object and band."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.fade import MAG_FLOOR, fade_rates

DETECTION = st.fixed_dictionaries(
    {
        "owner": st.integers(0, 3),
        "band": st.integers(0, 2),
        "mjd": st.integers(0, 400).map(lambda step: 60000.0 + step / 4),
        "mag": st.floats(14, 24) | st.just(np.nan),
        "mag_err": st.floats(0.001, 0.5) | st.just(np.nan),
    }
)


def columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: [row[name] for row in rows] for name in ("owner", "band", "mjd", "mag", "mag_err")}


def by_polyfit(rows: list[dict[str, Any]], owner: int) -> tuple[float, float]:
    """Fit band after band with numpy's own least squares, and combine."""
    slopes, weights = [], []
    for band in range(3):
        chosen = [
            (row["mjd"] - 60050.0, row["mag"], np.hypot(row["mag_err"], MAG_FLOOR))
            for row in rows
            if (row["owner"], row["band"]) == (owner, band) and np.isfinite(row["mag"]) and np.isfinite(row["mag_err"])
        ]
        t, m, sigma = (np.array(column) for column in zip(*chosen, strict=True)) if chosen else (np.empty(0),) * 3
        if np.unique(t).size < 2:
            continue
        fit, covariance = np.polyfit(t, m, 1, w=1 / sigma, cov="unscaled")
        slopes.append(fit[0])
        weights.append(1 / covariance[0, 0])
    if not slopes:
        return np.nan, np.nan
    return float(np.average(slopes, weights=weights)), float(np.sum(weights) ** -0.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(DETECTION, max_size=25))
def test_rates_and_errors_are_those_of_numpys_weighted_fits(rows: list[dict[str, Any]]) -> None:
    rate, error = fade_rates(objects=4, **columns(rows))
    expected = np.array([by_polyfit(rows, owner) for owner in range(4)])
    # A fit whose points nearly coincide after weighting is left out by us and meaningless in numpy.
    known = np.isfinite(rate)
    assert not np.any(known & np.isnan(expected[:, 0]))
    np.testing.assert_allclose(rate[known], expected[known, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(error[known], expected[known, 1], rtol=1e-6)


def test_a_colour_is_no_fade() -> None:
    rate, error = fade_rates([0, 0], 1, [0, 1], [60000.0, 60003.0], [18.0, 21.0], [0.1, 0.1])
    assert np.isnan(rate).all()
    assert np.isnan(error).all()


def test_two_detections_in_one_visit_give_no_rate() -> None:
    rate, _ = fade_rates([0, 0, 1, 1], 2, [0] * 4, [0.0, 0.01, 0.0, 0.03], [18.0, 18.1] * 2, [0.1] * 4)
    assert np.isnan(rate[0])
    assert rate[1] == pytest.approx(0.1 / 0.03)


def test_objects_without_detections_have_no_rate() -> None:
    rate, error = fade_rates([], 2, [], [], [], [])
    assert np.isnan([rate, error]).all()
    assert rate.shape == (2,)
