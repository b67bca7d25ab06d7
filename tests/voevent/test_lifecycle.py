"""`asterism.voevent.lifecycle`: an event is a function of the set of its notices."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.voevent.document import Citation, compose
from asterism.voevent.lifecycle import EventState, event_state
from asterism.voevent.notice import Notice, Region
from asterism.voevent.read import read_notice

REGION = Region("circle", 10.0, 20.0, 1.0, 0.9, record={"kind": "circle"})
KEYS = [f"{n:064x}" for n in range(12)]


def notice(key: str, **values: Any) -> Notice:
    known: dict[str, Any] = {
        "event_key": "gbm:1",
        "mission": "gbm",
        "kind": "grb",
        "stage": "flight",
        "role": "observation",
        "standing": "real",
        "region": REGION,
        "rank": 1,
        "issued_mjd_tai": 60000.0,
    }
    return Notice(key=key, **(known | values))


NOTICES = st.lists(
    st.builds(
        notice,
        key=st.sampled_from(KEYS),
        rank=st.integers(0, 2),
        revision=st.integers(0, 1),
        issued_mjd_tai=st.none() | st.sampled_from([60000.0, 60000.5, 60001.0]),
        t0_mjd_tai=st.none() | st.sampled_from([59999.0, 59999.5]),
        t0_rank=st.integers(0, 2),
        far_hz=st.none() | st.sampled_from([1e-9, 1e-8]),
        region=st.none() | st.just(REGION) | st.just(Region("point", 1.0, 2.0)),
        is_retraction=st.booleans() | st.just(False),
        ivorn=st.none() | st.sampled_from(["ivo://a/b#1", "ivo://a/b#2", "ivo://a/b#3"]),
        citations=st.lists(
            st.builds(
                Citation, st.sampled_from(["ivo://a/b#1", "ivo://a/b#2"]), st.sampled_from(["followup", "supersedes"])
            ),
            max_size=2,
        ).map(tuple),
        classification=st.just({}) | st.just({"GRB": 0.9}),
        flags=st.just(()) | st.just(("not_a_grb",)),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda n: n.key,
)


@settings(max_examples=150, deadline=None)
@given(NOTICES, st.randoms(use_true_random=False), st.integers(0, 5))
def test_order_and_repetition_change_nothing(notices: list[Notice], chance: random.Random, extra: int) -> None:
    expected = event_state(notices)
    again = notices + [chance.choice(notices) for _ in range(extra)]
    chance.shuffle(again)
    assert event_state(again) == expected


@settings(max_examples=150, deadline=None)
@given(NOTICES)
def test_at_most_one_localization_holds_and_intervals_follow_one_another(notices: list[Notice]) -> None:
    state = event_state(notices)
    holding = [interval for interval in state.intervals if interval.current]
    assert [interval.notice_key for interval in holding] == ([state.current_notice] if state.current_notice else [])
    assert (state.state == "active") == bool(holding)
    assert not (holding and any(n.is_retraction for n in notices))
    bounded = [i for i in state.intervals if i.valid_from is not None and i.valid_to is not None]
    assert all(i.valid_from <= i.valid_to for i in bounded if i.valid_from is not None and i.valid_to is not None)
    spans = sorted((i.valid_from, i.valid_to) for i in bounded if i.valid_from != i.valid_to)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))


@settings(max_examples=100, deadline=None)
@given(NOTICES)
def test_the_holder_is_the_one_nothing_outranks(notices: list[Notice]) -> None:
    state = event_state(notices)
    located = [n for n in notices if n.region == REGION and not n.is_retraction]
    if state.current_notice is None:
        assert not located or any(n.is_retraction for n in notices)
        return
    holder = next(n for n in located if n.key == state.current_notice)
    for other in located:
        assert (other.rank, other.revision) <= (holder.rank, holder.revision)


def test_a_retraction_that_comes_first_makes_a_stub_that_stays_retracted() -> None:
    retraction = notice(KEYS[0], is_retraction=True, region=None, issued_mjd_tai=60001.0)
    stub = event_state([retraction])
    assert (stub.state, stub.intervals, stub.t0_mjd_tai, stub.retracted_mjd_tai) == ("retracted", (), None, 60001.0)
    late = event_state([retraction, notice(KEYS[1], t0_mjd_tai=59999.0, t0_rank=1)])
    assert (late.state, late.t0_mjd_tai) == ("retracted", 59999.0)
    (interval,) = late.intervals
    assert (interval.valid_from, interval.valid_to, interval.current) == (60000.0, 60001.0, False)
    assert [(link.relation, link.implied) for link in late.links] == [("RETRACTS", True)]


def test_a_report_issued_after_its_retraction_never_held() -> None:
    state = event_state([notice(KEYS[0], is_retraction=True, region=None, issued_mjd_tai=59990.0), notice(KEYS[1])])
    (interval,) = state.intervals
    assert (state.state, interval.valid_from, interval.valid_to) == ("retracted", None, None)


def test_a_final_position_outranks_flight_positions_that_are_issued_later() -> None:
    final = notice(KEYS[0], rank=2, issued_mjd_tai=60000.0)
    late = notice(KEYS[1], rank=1, issued_mjd_tai=60005.0)
    state = event_state([late, final])
    assert state.current_notice == final.key
    assert {i.notice_key: (i.valid_from, i.current) for i in state.intervals} == {
        final.key: (60000.0, True),
        late.key: (None, False),
    }


def test_a_position_without_region_never_holds() -> None:
    state = event_state([notice(KEYS[0], region=Region("point", 1.0, 2.0), rank=9)])
    assert (state.state, state.current_notice, state.intervals) == ("unlocalized", None, ())


def test_the_trigger_time_is_that_of_the_instrument_that_triggered() -> None:
    bat = notice(KEYS[0], t0_mjd_tai=59999.0, t0_rank=3, rank=2)
    quick = notice(KEYS[1], t0_mjd_tai=59998.0, t0_rank=2, rank=1, issued_mjd_tai=60002.0)
    xrt = notice(KEYS[2], t0_mjd_tai=None, rank=3, issued_mjd_tai=60003.0)
    state = event_state([xrt, quick, bat])
    assert (state.t0_mjd_tai, state.current_notice) == (59999.0, xrt.key)


def test_one_ivorn_with_different_bytes_is_kept_twice_and_flagged(samples: Any) -> None:
    once = samples.gbm_xml()
    twice = once + b"\n"
    one, two = read_notice(once), read_notice(twice)
    assert one.ivorn == two.ivorn
    state = event_state([one, two])
    assert state.version == 2
    assert state.conflicts == tuple(sorted([one.key, two.key]))
    assert event_state([one, one]).conflicts == ()


def test_citations_become_links_of_their_kind(samples: Any) -> None:
    first = samples.generic("one")
    second = samples.generic("two", cites=[(first.ivorn, "supersedes")])
    third = samples.generic("three", cites=[(first.ivorn, "retraction")])
    one, two, three = (read_notice(compose(document)) for document in (first, second, third))
    assert len({one.event_key, two.event_key, three.event_key}) == 1
    links = {
        (link.from_key, link.to_key, link.relation) for link in event_state([one, two, three]).links if not link.implied
    }
    assert links == {(two.key, one.key, "SUPERSEDES"), (three.key, one.key, "RETRACTS")}
    assert event_state([one, two, three]).state == "retracted"


def test_alerts_without_citations_still_replace_one_another(samples: Any) -> None:
    first = read_notice(samples.alert_json())
    update = read_notice(
        samples.alert_json(alert_type="UPDATE", created="2023-03-08T01:00:00Z", sky_map=samples.sky_map(7))
    )
    retraction = read_notice(samples.alert_json(alert_type="RETRACTION", created="2023-03-08T02:00:00Z"))
    for order in permutations([first, update, retraction]):
        state = event_state(order)
        assert state.state == "retracted"
        assert {(link.from_key, link.to_key, link.relation) for link in state.links} == {
            (update.key, first.key, "SUPERSEDES"),
            (retraction.key, update.key, "RETRACTS"),
        }


def test_notices_of_two_events_are_not_one() -> None:
    with pytest.raises(ValueError, match="one event expected"):
        event_state([notice(KEYS[0]), notice(KEYS[1], event_key="gbm:2")])
    with pytest.raises(ValueError, match="one event expected"):
        event_state([])


def orders(notices: list[Notice], chance: random.Random) -> Iterator[list[Notice]]:
    """Yield all orders of few notices, 500 random ones of more, each with some of them delivered again."""
    few = len(notices) <= 5
    some = permutations(notices) if few else (chance.sample(notices, len(notices)) for _ in range(500))
    for order in some:
        again = [*order, *chance.choices(notices, k=chance.randint(0, 4))]
        if not few:
            chance.shuffle(again)
        yield again


@pytest.mark.realdata
def test_every_real_event_ends_in_the_same_state_in_any_order(test_data: Path) -> None:
    folder = test_data / "notices"
    by_event: dict[str, list[Notice]] = {}
    for path in [*(folder / "voevent").rglob("*.xml"), *folder.rglob("*.json")]:
        read = read_notice(path.read_bytes())
        by_event.setdefault(read.event_key, []).append(read)
    several = {key: notices for key, notices in by_event.items() if len(notices) > 1}
    assert len(several) == 14 + 5  # and the events of the schemas' examples: GBM, GUANO, SVOM, MAXI, DSA-110
    chance = random.Random(1)
    count = 0
    for notices in several.values():
        expected = event_state(notices)
        for order in orders(notices, chance):
            assert event_state(order) == expected
            count += 1
    print(f"{len(several)} real events in {count} orders, some notices repeated: one state each")


def test_simulated_events_end_in_the_same_state_in_500_orders(samples: Any) -> None:
    chance = random.Random(2)
    for trigger in range(700000001, 700000007):
        payloads = [
            samples.gbm_xml(
                trigger=trigger,
                stage=chance.choice(["flight", "ground", "final"]),
                ra=chance.uniform(0, 359),
                radius=chance.choice([None, 1.0, 8.0]) or None,
                error2radius=chance.choice(["0.0", "3.0"]),
                date=f"2023-03-08T00:{chance.randint(1, 3):02d}:00",
                serial=serial,
            )
            for serial in range(100, 100 + chance.randint(6, 9))
        ]
        payloads.append(payloads[0] + b"\n")  # the same IVORN with other bytes
        if trigger % 2:
            payloads.append(json_retraction(trigger))
        notices = [read_notice(payload) for payload in payloads]
        expected = event_state(notices)
        assert (expected.version, len(expected.conflicts)) == (len(payloads), 2)
        assert (expected.state == "retracted") == bool(trigger % 2)
        assert all(event_state(order) == expected for order in orders(notices, chance))


def json_retraction(trigger: int) -> bytes:
    """Return a retraction of a GBM trigger in GCN's unified JSON."""
    values = {"mission": "Fermi", "instrument": "GBM", "id": [str(trigger)], "alert_type": "retraction"}
    return json.dumps(values | {"alert_datetime": "2023-03-08T00:02:30Z"}).encode()


@pytest.mark.realdata
def test_each_position_of_gbm_719325015_held_until_the_next_and_the_final_one_holds(test_data: Path) -> None:
    files = sorted((test_data / "notices/voevent/fink_broker_raw_2023").glob("719325015_*.xml"))
    notices = [read_notice(path.read_bytes()) for path in files]  # the names sort by time of arrival
    state = event_state(notices)
    intervals = {interval.notice_key: interval for interval in state.intervals}
    ordered = [intervals[one.key] for one in notices]
    assert [interval.current for interval in ordered] == [False] * 6 + [True]
    assert [interval.valid_to for interval in ordered[:-1]] == [interval.valid_from for interval in ordered[1:]]
    assert real_summary(state) == ("active", 7, "final")


def real_summary(state: EventState) -> tuple[str, int, str | None]:
    return state.state, state.version, state.latest_stage
