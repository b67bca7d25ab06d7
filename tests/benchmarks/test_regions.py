"""What the benchmarks of regions measure with: maps of the size they say, and pairs that equal a test of each."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from asterism.sky.circle import CircleLocalization

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def region_maps(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    return importlib.import_module("benchmarks.region_maps")


@pytest.mark.parametrize("area", [30.0, 100.0, 1000.0])
def test_maps_have_the_tiles_of_bayestar_and_about_the_area_asked_for(region_maps: ModuleType, area: float) -> None:
    one = region_maps.arc_map(area, 1)
    assert len(one) == region_maps.TILES
    assert 0.7 * area < one.area(0.9) < 1.4 * area


def test_the_published_threshold_keeps_whole_tiles_up_to_ninety_per_cent(region_maps: ModuleType) -> None:
    pytest.importorskip("psycopg", reason="the benchmarks' PostgreSQL driver is not installed")
    b4 = importlib.import_module("benchmarks.b4")
    one = region_maps.arc_map(100.0, 2)
    share = one.density_deg2 * (one.hi - one.lo) * b4._CELL_DEG2
    order = np.argsort(-one.density_deg2, kind="stable")
    kept = one.density_deg2[order][np.cumsum(share[order]) <= 0.9].min()
    inside = one.credible_level_at(one.lo) < b4.published_level(one)
    assert np.array_equal(inside, one.density_deg2 >= kept)


def test_pairs_equal_a_test_of_each_alert_against_each_event(region_maps: ModuleType) -> None:
    pytest.importorskip("psycopg", reason="the benchmarks' PostgreSQL driver is not installed")
    b5 = importlib.import_module("benchmarks.b5")
    sky = region_maps.even_sky(2000, 3)
    where = [region_maps.arc_map(1000.0, 4), CircleLocalization(10.0, 20.0, 15.0, 0.68)]
    alert, event, density, level = b5.Events(where, [0.9, 0.9]).pairs(sky, np.full(len(sky), b5.NOW))
    for number, one in enumerate(where):
        mine = event == number
        inside = np.flatnonzero(one.ranges(0.9).contains(sky.hpx29))
        assert sorted(alert[mine].tolist()) == inside.tolist() != []
        np.testing.assert_allclose(density[mine], one.density(sky.ra, sky.dec)[alert[mine]])
        np.testing.assert_allclose(level[mine], one.credible_level(sky.ra, sky.dec)[alert[mine]])
