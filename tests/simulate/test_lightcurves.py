"""Light curves rise, fade and redden as the things they stand for."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.simulate.gw170817 import PHOTOMETRY, T0_MJD_UTC
from asterism.simulate.lightcurves import BANDS, Kind, difference_flux

TRANSIENTS = (
    Kind.SUPERNOVA,
    Kind.KILONOVA,
    Kind.AFTERGLOW,
    Kind.OFF_AXIS_AFTERGLOW,
    Kind.TDE,
    Kind.NUCLEAR_FLARE,
    Kind.DWARF_NOVA,
)


def magnitude(kind: Kind, day: float, band: str, mag: float = 19.0, shape: float = 1.0) -> float:
    flux = difference_flux(
        kind, np.array([[day]]), np.array([[BANDS.index(band)]]), np.array([[mag]]), np.array([[shape]])
    )
    return float(31.4 - 2.5 * np.log10(flux[0, 0]))


@given(st.sampled_from(TRANSIENTS), st.sampled_from(BANDS), st.floats(0.8, 1.25))
def test_a_transient_is_not_there_before_it_begins_and_shines_afterwards(kind: Kind, band: str, shape: float) -> None:
    days = np.array([[-400.0, -5.0, -1e-3, 0.0, 0.5, 5.0, 60.0]])
    bands = np.full(days.shape, BANDS.index(band))
    flux = difference_flux(kind, days, bands, np.array([[19.0]]), np.array([[shape]]))[0]
    assert np.all(flux[:4] == 0.0)
    assert np.all(flux[4:] > 0.0)
    assert np.all(np.isfinite(flux))


def test_a_kilonova_fades_a_magnitude_a_day_and_reddens() -> None:
    fade = {band: (magnitude(Kind.KILONOVA, 2.9, band) - magnitude(Kind.KILONOVA, 0.9, band)) / 2.0 for band in "griz"}
    assert 0.7 < fade["r"] < 1.3
    assert fade["g"] > fade["r"] > fade["i"] > fade["z"] > 0.3
    assert magnitude(Kind.KILONOVA, 1.0, "r", 18.2) == pytest.approx(18.2)


@given(st.floats(0.8, 1.4), st.floats(0.01, 30.0), st.sampled_from(BANDS))
def test_an_afterglow_follows_its_power_law(index: float, day: float, band: str) -> None:
    faded = magnitude(Kind.AFTERGLOW, 2.0 * day, band, shape=index) - magnitude(Kind.AFTERGLOW, day, band, shape=index)
    assert faded == pytest.approx(2.5 * index * np.log10(2.0))


def test_slow_transients_are_slow() -> None:
    for kind, start in ((Kind.SUPERNOVA, 20.0), (Kind.TDE, 40.0), (Kind.NUCLEAR_FLARE, 60.0)):
        fade = (magnitude(kind, start + 10.0, "r") - magnitude(kind, start, "r")) / 10.0
        assert 0.005 < fade < 0.06
    assert magnitude(Kind.SUPERNOVA, 3.0, "r") > magnitude(Kind.SUPERNOVA, 16.0, "r") + 0.8
    assert magnitude(Kind.SUPERNOVA, 16.0, "r") == pytest.approx(19.0)


def test_variables_go_both_ways_and_faded_stars_only_down() -> None:
    days, band = np.linspace(0.0, 300.0, 2000)[None, :], np.full((1, 2000), 2)
    flux = {
        kind: difference_flux(kind, days, band, np.array([[18.0]]), np.array([[0.4]]))
        for kind in (Kind.AGN, Kind.VARIABLE_STAR, Kind.FADED_STAR)
    }
    for kind in (Kind.AGN, Kind.VARIABLE_STAR):
        assert (flux[kind] > 0).mean() == pytest.approx(0.5, abs=0.25)
    assert np.all(flux[Kind.FADED_STAR] < 0.0)


@pytest.mark.realdata
def test_the_table_of_at2017gfo_is_the_published_photometry(test_data: Path) -> None:
    off = []
    with (test_data / "counterparts" / "AT2017gfo_optical.csv").open() as stream:
        for row in csv.DictReader(stream):
            band, day = row["filter"].removeprefix("ps1::"), float(row["mjd"]) - T0_MJD_UTC
            if row["flux"] and band in "griz" and 0.5 < day < 8.0:
                published = float(row["zp"]) - 2.5 * np.log10(float(row["flux"]))
                off.append(float(np.interp(day, *np.array(PHOTOMETRY[band]).T)) - published)
    assert len(off) > 30
    assert abs(float(np.median(off))) < 0.1
    assert float(np.percentile(np.abs(off), 90)) < 0.35
