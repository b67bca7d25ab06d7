"""Region sets: versions only grow, and matching equals testing every alert against every region."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.errors import LakeError
from asterism.graph.association.regions import EventRegion, RegionSet, latest_version, load_regions, publish_regions
from asterism.lake import Lake

SPAN = st.tuples(st.integers(0, 60), st.integers(1, 8))


def region(name: str, spans: list[tuple[int, int]], start: float = 0.0, end: float = 1.0) -> EventRegion:
    cells = sorted({cell for low, length in spans for cell in range(low, low + length)})
    lo = np.array([c for c in cells if c - 1 not in cells], dtype=np.int64)
    hi = np.array([c + 1 for c in cells if c + 1 not in cells], dtype=np.int64)
    return EventRegion(f"lvk:{name}", f"{name}:0", "gw", 0.5, start, end, lo, hi)


@given(
    st.lists(st.tuples(st.lists(SPAN, min_size=1, max_size=4), st.floats(0, 1), st.floats(0, 1)), max_size=6),
    st.lists(st.tuples(st.integers(0, 75), st.floats(0, 1)), max_size=30),
)
def test_matching_equals_testing_every_pair(
    shapes: list[tuple[list[tuple[int, int]], float, float]], alerts: list[tuple[int, float]]
) -> None:
    regions = tuple(region(str(i), spans, min(a, b), max(a, b)) for i, (spans, a, b) in enumerate(shapes))
    cell = np.array([c for c, _ in alerts], dtype=np.int64)
    mjd = np.array([t for _, t in alerts])
    found = set(zip(*(array.tolist() for array in RegionSet(1, regions).matches(cell, mjd)), strict=True))
    expected = {
        (a, r)
        for a, (c, t) in enumerate(alerts)
        for r, shape in enumerate(regions)
        if t <= shape.end and any(lo <= c < hi for lo, hi in zip(shape.lo, shape.hi, strict=True))
    }
    assert found == expected


def test_a_set_comes_back_as_published_and_only_a_change_makes_a_version(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert latest_version(lake) == 0
    assert load_regions(lake, 0).regions == ()
    first = publish_regions(lake, [region("b", [(3, 2)]), region("a", [(1, 1), (9, 4)])])
    assert publish_regions(lake, [region("a", [(1, 1), (9, 4)]), region("b", [(3, 2)])]).version == first.version == 1
    second = publish_regions(lake, [region("a", [(1, 1), (9, 4)])])
    assert second.version == latest_version(lake) == 2
    again = load_regions(lake, 1)
    assert [r.identity for r in again.regions] == [r.identity for r in first.regions]
    assert again.regions[0].lo.tolist() == [1, 9]
    assert again.regions[0].hi.tolist() == [2, 13]
    assert publish_regions(lake, []).version == 3


def test_two_writers_never_share_a_version(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    made: list[int] = []

    def publish(name: str) -> None:
        made.extend(publish_regions(lake, [region(f"{name}{i}", [(i, 1)])]).version for i in range(10))

    writers = [threading.Thread(target=publish, args=(name,)) for name in "xy"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(made) == list(range(1, 21))


def test_a_version_that_is_not_there_is_an_error_not_an_empty_set(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="000000007"):
        load_regions(Lake(tmp_path), 7)
