"""The state of an object is a join semilattice over its alerts."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asterism.graph.merge import SCIENCE_NAMES, ObjectState, content_hash
from asterism.records import DETECTION

Row = dict[str, Any]

few_numbers = st.sampled_from([0.5, 1.0, 2.0])
optional = st.none() | few_numbers
rows = st.builds(
    lambda source, **values: (
        dict.fromkeys(DETECTION.names) | values | {"sourceId": source, "alertKey": f"ztf:{source}"}
    ),
    source=st.sampled_from(["9", "10", "9007199254740993", "9223372036854775807"]),
    mjdTai=few_numbers,
    ra=few_numbers,
    dec=few_numbers,
    hpx29=st.integers(0, 3),
    public=st.booleans(),
    band=st.sampled_from(["g", "r", None]),
    mag=optional,
    flux=optional,
    isPositive=st.sampled_from([True, False, None]),
    firstMjdTai=optional,
    nDetections=st.none() | st.integers(1, 3),
)
states = rows.map(lambda row: ObjectState.of(row, content(row)))
joined = st.lists(states, min_size=1, max_size=4).map(lambda some: reduce(ObjectState.join, some))


def content(row: Row) -> str:
    return content_hash([row[name] for name in SCIENCE_NAMES])


@given(joined, joined)
def test_joining_two_states_does_not_depend_on_their_order(one: ObjectState, two: ObjectState) -> None:
    assert one.join(two) == two.join(one)


@given(joined, joined, joined)
def test_joining_three_states_does_not_depend_on_how_they_are_grouped(
    a: ObjectState, b: ObjectState, c: ObjectState
) -> None:
    assert a.join(b).join(c) == a.join(b.join(c))


@given(joined)
def test_joining_a_state_with_itself_changes_nothing(state: ObjectState) -> None:
    assert state.join(state) == state


def by_definition(alerts: list[Row]) -> dict[str, Any]:
    """The state of an object, written down from the set of its alerts without any merging."""
    seen = [row for row in alerts if row["public"]] or alerts
    in_order = sorted(seen, key=lambda row: (row["mjdTai"], int(row["sourceId"]), content(row)))
    survey_firsts = [row["firstMjdTai"] for row in seen if row["firstMjdTai"] is not None]
    return {
        "public": any(row["public"] for row in alerts),
        "position": tuple(in_order[0][name] for name in ("ra", "dec", "hpx29")),
        "latest": tuple(in_order[-1][name] for name in ("mjdTai", "alertKey", "band", "mag", "flux")),
        "first_mjd_tai": min([row["mjdTai"] for row in seen] + survey_firsts),
        "provisional": not survey_firsts,
        "n_detections": max((row["nDetections"] for row in seen if row["nDetections"] is not None), default=None),
        "brightest_mag": min(
            (row["mag"] for row in seen if row["isPositive"] and row["mag"] is not None), default=None
        ),
    }


@given(st.lists(rows, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_any_delivery_of_a_set_of_alerts_gives_the_state_their_definition_says(
    alerts: list[Row], shuffle: random.Random
) -> None:
    delivered = alerts + shuffle.choices(alerts, k=3)
    shuffle.shuffle(delivered)
    state = reduce(ObjectState.join, (ObjectState.of(row, content(row)) for row in delivered))
    assert by_definition(alerts) == {
        "public": state.public,
        "position": (state.first.ra, state.first.dec, state.first.hpx29),
        "latest": (state.last.mjd_tai, *state.last[2:]),
        "first_mjd_tai": state.first_mjd_tai,
        "provisional": state.provisional,
        "n_detections": state.n_detections,
        "brightest_mag": state.brightest_mag,
    }


def test_ids_are_ordered_as_numbers_at_equal_times(detection: Callable[..., Row]) -> None:
    nine, ten = detection("9"), detection("10")
    state = ObjectState.of(nine, content(nine)).join(ObjectState.of(ten, content(ten)))
    assert state.last.alert_key == "ztf:10"


def test_the_content_hash_sees_every_science_column_and_not_where_a_packet_was_read(
    detection: Callable[..., Row],
) -> None:
    row = detection(7)
    for name in SCIENCE_NAMES:
        assert content(row | {name: "something else"}) != content(row)
    assert content(row | {"topic": "another", "offset": 12}) == content(row)


def test_the_content_hash_is_the_same_on_every_machine(detection: Callable[..., Row]) -> None:
    assert content(detection(7)) == "0640f6ce84392299"
