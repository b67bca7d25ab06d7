"""Drawn maps say of a position what was drawn, and come back from their FITS file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from asterism.simulate.skymaps import Arc, draw_map, map_fits
from asterism.sky.fits import read_skymap


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0.0, 359.0),
    st.floats(-60.0, 60.0),
    st.floats(0.0, 360.0),
    st.floats(-2.0, 2.0),
    st.floats(-2.0, 2.0),
)
def test_a_position_has_the_credible_level_of_its_offset(
    ra: float, dec: float, direction: float, across: float, along: float
) -> None:
    drawn = draw_map(Arc.around(ra, dec, direction, (1.3, 6.0), (across, along), 65.0), None)
    expected = 1.0 - np.exp(-0.5 * (across**2 + along**2))
    assert float(drawn.credible_level(ra, dec)) == pytest.approx(expected, abs=0.05)
    assert drawn.area(0.9) == pytest.approx(2.0 * np.pi * np.log(10.0) * 1.3 * 6.0, rel=0.05)


def test_levels_of_positions_drawn_from_the_map_are_uniform() -> None:
    rng = np.random.default_rng(5)
    offsets = rng.normal(0.0, 1.0, (120, 2))
    levels = [
        float(draw_map(Arc.around(150.0, -10.0, 30.0, (1.4, 7.0), (a, b), 60.0), None).credible_level(150.0, -10.0))
        for a, b in offsets.tolist()
    ]
    assert kstest(levels, "uniform").pvalue > 0.01


def test_a_map_comes_back_from_its_file_with_its_distance() -> None:
    drawn = draw_map(Arc.around(150.0, -10.0, 30.0, (1.4, 7.0), (0.5, 0.5), 60.0), (120.0, 30.0))
    content = map_fits(drawn, "S260321ab", "2026-03-21T05:00:00Z")
    assert content == map_fits(drawn, "S260321ab", "2026-03-21T05:00:00Z")
    back = read_skymap(content)
    assert np.array_equal(back.uniq, drawn.uniq)
    assert np.allclose(back.density_deg2, drawn.density_deg2, rtol=1e-12)
    assert back.distance_moments() == pytest.approx(drawn.distance_moments())
    layers = back.distance(150.0, -10.0)
    assert layers is not None
    r = np.linspace(0.01, 500.0, 20_000)
    assert float(np.trapezoid(layers.pdf(r), r)) == pytest.approx(1.0, abs=1e-4)
    with fits.open(io.BytesIO(content)) as file:
        header = file[1].header
        assert (header["OBJECT"], header["ORDERING"], header["COORDSYS"]) == ("S260321ab", "NUNIQ", "C")
