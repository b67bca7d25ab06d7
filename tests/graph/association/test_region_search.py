"""Searches of a region equal a test of every object, whatever the map's shape."""

from __future__ import annotations

import numpy as np
import pytest
from neo4j import Driver

from asterism.graph.association.region_search import all_in_region, count_in_region, densest_in_region
from asterism.graph.association.regions import inside
from asterism.graph.schema import initialise
from asterism.simulate.skymaps import Arc, draw_map
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import hpx29
from asterism.sky.localization import Localization

ARC = draw_map(Arc(40.0, 20.0, 70.0, 100.0, 3.0, 20.0), None)
CIRCLE = CircleLocalization(0.5, 88.0, 6.0, 0.68)


def test_sorted_cells_in_ranges_are_those_a_test_of_each_finds() -> None:
    rng = np.random.default_rng(1)
    cells = np.sort(hpx29(rng.uniform(0, 360, 5000), rng.uniform(-90, 90, 5000)))
    ranges = ARC.ranges(0.9)
    found = inside(cells, ranges.lo, ranges.hi)
    assert found.tolist() == np.flatnonzero(ranges.contains(cells)).tolist() != []
    assert inside(cells, ranges.lo[:0], ranges.hi[:0]).size == 0


@pytest.mark.services
@pytest.mark.parametrize("where", [ARC, CIRCLE], ids=["arc", "circle at the pole"])
def test_counts_all_and_the_densest_equal_a_test_of_every_object(empty_graph: Driver, where: Localization) -> None:
    initialise(empty_graph, "neo4j")
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(0, 360, 6000), np.degrees(np.arcsin(rng.uniform(-1, 1, 6000)))
    dec[:2000] = np.degrees(np.arcsin(rng.uniform(0.98, 1, 2000)))
    cell = hpx29(ra, dec)
    rows = [[f"o{i}", int(c), bool(i % 7)] for i, c in enumerate(cell)]
    with empty_graph.session() as session:
        statement = "UNWIND $rows AS r CREATE (:Object {key: r[0], hpx29: r[1], public: r[2]})"
        session.run(statement, rows=rows).consume()
        shown = all_in_region(session, where, 0.9)
        level = where.credible_level(ra, dec)
        expected = {f"o{i}" for i in np.flatnonzero(level < 0.9) if i % 7}
        assert set(shown.key) == expected != set()
        assert count_in_region(session, where, 0.9) >= len(expected)
        assert count_in_region(session, where, 0.9, show_nonpublic=True) > len(expected)
        for most in (1, len(expected) // 2, 10**6):
            best = densest_in_region(session, where, 0.9, most)
            assert best.key == shown.key[:most]
            assert best.density.tolist() == sorted(best.density.tolist(), reverse=True)
