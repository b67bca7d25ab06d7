"""Objects summarised from their alerts, against loops over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.graph.association.rules import load_rules
from asterism.graph.association.sample import ALERTS, join_sources, objects_of

CUTS = load_rules().cuts


def alert(key: str, mjd: float, **values: Any) -> dict[str, Any]:
    plain = dict.fromkeys(ALERTS.names) | {"objectKey": key, "mjdTai": mjd, "ra": 10.0, "dec": -5.0, "hpx29": 7}
    return plain | {"band": "g", "mag": 20.0, "magErr": 0.1, "isPositive": True} | values


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=ALERTS)


ROW = st.builds(
    lambda key, mjd, first, score: alert(key, mjd, firstMjdTai=first, reliability=score, ra=mjd),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 50).map(float),
    st.one_of(st.none(), st.integers(-20, 60).map(float)),
    st.one_of(st.none(), st.floats(0, 1)),
)


@given(st.lists(ROW, min_size=1, max_size=25, unique_by=lambda row: (row["objectKey"], row["mjdTai"])))
def test_first_last_count_and_cuts_equal_a_loop(rows: list[dict[str, Any]]) -> None:
    sample = objects_of(table(*rows), CUTS)
    for i, key in enumerate(sample.key.tolist()):
        mine = sorted((r for r in rows if r["objectKey"] == key), key=lambda r: r["mjdTai"])
        known = [r["firstMjdTai"] for r in mine if r["firstMjdTai"] is not None]
        assert sample.first[i] == min([mine[0]["mjdTai"], *known])
        assert sample.last[i] == mine[-1]["mjdTai"]
        assert sample.ra[i] == mine[0]["ra"]
        assert sample.detections[i] == len(mine)
        newest = mine[-1]["reliability"]
        assert sample.passes[i] == (newest is None or newest >= CUTS.min_reliability)
    assert sorted({r["objectKey"] for r in rows}) == sample.key.tolist()


@pytest.mark.parametrize(
    ("values", "passes"),
    [
        ({}, True),
        ({"ssDistance": 4.9}, False),
        ({"ssDistance": 5.1}, True),
        ({"isPositive": False}, False),
        ({"isPositive": None}, True),
        ({"rb": 0.3}, False),
        ({"rb": 0.3, "reliability": 0.9}, True),
    ],
)
def test_the_newest_alert_decides_and_the_unknown_passes(values: dict[str, Any], passes: bool) -> None:
    rows = [alert("a", 1.0, ssDistance=1.0), alert("a", 2.0, **values)]
    assert objects_of(table(*rows), CUTS).passes.tolist() == [passes]


def test_one_detection_has_no_fade_rate_and_two_bands_are_combined() -> None:
    rows = [alert("single", 1.0)]
    rows += [
        alert("both", t, band=band, mag=zero + 0.5 * t)
        for t in (1.0, 2.0, 3.0)
        for band, zero in (("g", 19), ("r", 18))
    ]
    sample = objects_of(table(*rows), CUTS)
    assert sample.key.tolist() == ["both", "single"]
    assert sample.fade[0] == pytest.approx(0.5)
    assert np.isnan(sample.fade[1])
    assert np.isnan(sample.fade_err[1])


def test_an_empty_table_is_an_empty_sample() -> None:
    assert len(objects_of(ALERTS.empty_table(), CUTS)) == 0


def test_middle_and_spread_say_where_the_rate_was_measured() -> None:
    rows = [alert("a", t) for t in (2.0, 4.0)]
    sample = objects_of(table(*rows), CUTS)
    assert (sample.middle[0], sample.spread[0]) == pytest.approx((3.0, 1.0))


def test_objects_of_one_source_share_first_detection_and_fade() -> None:
    """The combined rate is that of all their detections together, as if one survey had seen them in more bands."""
    one = [alert("a", t, band="g", mag=20 + 0.5 * t + (t == 3)) for t in (1.0, 2.0, 3.0)]
    other = [alert("b", t, band="i", mag=19 + 0.2 * t) for t in (1.5, 4.0)]
    apart = objects_of(table(*one, *other, alert("c", 2.0)), CUTS)
    joined = join_sources(apart, {"a": ("a", 0.5), "b": ("a", 0.5)})
    together = objects_of(table(*one, *(row | {"objectKey": "a"} for row in other)), CUTS)
    assert joined.source.tolist() == ["a", "a", "c"]
    assert joined.first.tolist() == [0.5, 0.5, 2.0]
    assert joined.last.tolist() == [4.0, 4.0, 2.0]
    for name in ("fade", "fade_err", "middle", "spread"):
        shared = getattr(joined, name)
        assert shared[:2] == pytest.approx([getattr(together, name)[0]] * 2)
        assert np.isnan(shared[2])


def test_an_empty_sample_has_no_sources() -> None:
    assert len(join_sources(objects_of(ALERTS.empty_table(), CUTS), {})) == 0
