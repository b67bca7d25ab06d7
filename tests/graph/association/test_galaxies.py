"""Host weights: NGC 4993 comes first for GW170817; weights are shares, chance alignments counted."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.graph.association.galaxies import (
    COMPLETE_MPC,
    NINETY_MPC,
    chance_alignment,
    completeness,
    host_weights,
    position_weight,
)
from asterism.sky.circle import CircleLocalization
from asterism.sky.distance import Distances
from asterism.sky.skymap import SkyMapLocalization


@pytest.mark.realdata
def test_ngc_4993_is_the_likeliest_host_of_gw170817(test_data: Path, gw170817: SkyMapLocalization) -> None:
    """Luminosity in K stands for mass; of the 390 galaxies the table has, as for the published ranking."""
    with (test_data / "counterparts/GW170817_galaxies.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["RAJ2000"] and row["DEJ2000"] and row["Dist"]]
    ra, dec, distance = (np.array([float(row[name]) for row in rows]) for name in ("RAJ2000", "DEJ2000", "Dist"))
    mag = np.array([float(row["Kmag2"] or "nan") for row in rows])
    weights = host_weights(position_weight(gw170817, ra, dec, distance), distance**2 * 10.0 ** (-0.4 * mag))
    best = int(weights.argmax())
    assert (ra[best], dec[best]) == (pytest.approx(197.4488, abs=0.01), pytest.approx(-23.3839, abs=0.01))
    assert weights.sum() == pytest.approx(1.0)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1e12)), min_size=1, max_size=30), st.floats(1e-3, 1e3))
def test_host_weights_are_shares_that_no_unit_of_mass_changes(pairs: list[tuple[float, float]], unit: float) -> None:
    place, mass = (np.array(column) for column in zip(*pairs, strict=True))
    weights = host_weights(place, mass)
    assert weights.sum() == pytest.approx(1.0 if place.sum() > 0 else 0.0)
    assert host_weights(place, mass * unit) == pytest.approx(weights, rel=1e-9)


def test_position_and_mass_count_alike_and_an_unknown_mass_not_at_all() -> None:
    weights = host_weights([0.6, 0.4], [np.nan, 5.0])
    grades = np.array([0.6, 0.4 * (1.0 + 1.0 / (0.4 * 5.0) * 5.0)])
    assert weights == pytest.approx(grades / grades.sum())


def test_directions_without_a_distance_and_absurd_ones_weigh_nothing() -> None:
    mu = np.array([100.0, np.inf, -1e4, *np.full(9, 100.0)])
    layers = Distances(mu, np.full(12, 20.0), np.full(12, 1.0 / (100.0**2 + 20.0**2)))
    sky_map = SkyMapLocalization(np.arange(4, 16), np.full(12, np.pi / (4 * 180.0**2)), layers)
    ra, dec = np.array([45.0, 135.0, 225.0, 315.0]), np.full(4, 42.0)
    found = position_weight(sky_map, ra, dec, np.full(4, 100.0))
    assert found[0] > 0.0
    assert found[1:3].tolist() == [0.0, 0.0]
    assert position_weight(sky_map, 45.0, 42.0, 300.0) == 0.0
    circle = CircleLocalization(10.0, 0.0, 1.0, 0.9)
    assert position_weight(circle, [10.0, 20.0], [0.0, 0.0], [50.0, 50.0])[0] > 0.0


def test_completeness_only_falls() -> None:
    found = completeness([0.0, COMPLETE_MPC, NINETY_MPC, 2 * NINETY_MPC])
    assert found == pytest.approx([1.0, 1.0, 0.9, 0.225])
    assert (np.diff(completeness(np.linspace(0.0, 1000.0, 500))) <= 0.0).all()


def test_chance_alignments_are_those_of_galaxies_strewn_at_random() -> None:
    """Counted in drawn fields at magnitude 20, whose density the formula takes from Hogg et al."""
    rng = np.random.default_rng(1)
    per_arcsec2 = 10.0 ** (0.334 * (20.0 - 22.963) + 4.320) / (3600.0**2 * 0.334 * np.log(10.0))
    hits = sum(
        bool((np.hypot(*rng.uniform(-60.0, 60.0, (2, rng.poisson(per_arcsec2 * 14400.0)))) < 10.0).any())
        for _ in range(4000)
    )
    assert float(chance_alignment(10.0, 0.0, 20.0)) == pytest.approx(hits / 4000.0, abs=0.015)
    assert float(chance_alignment(0.0, 5.0, 20.0)) == pytest.approx(float(chance_alignment(10.0, 0.0, 20.0)))
