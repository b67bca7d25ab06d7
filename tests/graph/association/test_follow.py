"""Links on a real graph: equal to brute force, closed and opened by what happens to the event, no pair missed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from asterism import __version__
from asterism.batches import running_batch
from asterism.graph.association import candidates
from asterism.graph.association.follow import REST_SECONDS, Associator
from asterism.graph.association.regions import latest_version
from asterism.graph.association.rules import load_rules
from asterism.graph.digest import digest
from asterism.times import now_mjd_tai

pytestmark = pytest.mark.services

T0 = 61000.0
RULES = load_rules()


def associator(night: Any, *, wait: bool = True) -> Associator:
    return Associator(night.driver, night.settings, RULES, wait_for_batches=wait)


def test_back_search_and_live_batches_end_in_the_links_of_brute_force(night: Any) -> None:
    night.batch(night.alerts(1, 150, start=T0 - 2))
    night.batch(night.alerts(2, 150))
    night.event(night.FIRST)
    follower = associator(night)
    follower.round()
    assert night.links() == night.expected(night.FIRST) != set()
    night.batch(night.alerts(3, 150))
    follower.round()
    assert night.links() == night.expected(night.FIRST)
    before = digest(night.driver, "neo4j").hex
    follower.round()
    associator(night).round()
    assert digest(night.driver, "neo4j").hex == before


def test_the_run_of_every_link_is_told_by_a_node_whose_end_moves_as_it_goes_on(night: Any) -> None:
    def told() -> list[tuple[object, ...]]:
        found = night.driver.execute_query(
            "MATCH ()-[c:CANDIDATE_FOR]->() WITH DISTINCT c.run AS run MATCH (r:Run {key: run}) "
            "RETURN r.key, r.kind, r.version, r.startedMjdTai, r.endedMjdTai"
        )
        return [tuple(record.values()) for record in found.records]

    night.batch(night.alerts(1, 150))
    night.event(night.FIRST)
    follower = associator(night)
    begun = now_mjd_tai()
    follower.round()
    [(key, kind, version, started, ended)] = told()
    assert (key, kind, version) == (follower.run, "associate", __version__)
    assert begun <= started < ended <= now_mjd_tai()
    night.batch(night.alerts(2, 150))
    follower.round()
    [again] = told()
    assert again[:4] == (key, kind, version, started)
    assert again[4] > ended
    before = digest(night.driver, "neo4j").hex
    follower.round()
    associator(night).round()
    assert len(night.driver.execute_query("MATCH (r:Run) RETURN r.key").records) == 2
    assert digest(night.driver, "neo4j").hex == before


def test_a_new_map_drops_and_keeps_the_right_links_and_a_retraction_all(night: Any) -> None:
    night.batch(night.alerts(4, 200))
    night.event(night.FIRST)
    follower = associator(night)
    follower.round()
    first = night.links()
    night.event(night.SMALLER, name="2")
    follower.round()
    assert night.links() == night.expected(night.SMALLER)
    assert night.links() < first
    night.event(None, state="retracted")
    follower.round()
    assert night.links() == set()
    night.event(None)
    follower.round()
    assert night.links() == night.expected(night.SMALLER)
    with night.driver.session() as session:
        closed = session.run(
            "MATCH ()-[c:CANDIDATE_FOR]->() WHERE NOT c.open RETURN collect(DISTINCT c.closedBecause) AS why"
        )
        assert sorted(closed.single(strict=True)["why"]) == ["event", "localization"]


def test_an_announcement_a_new_map_and_a_retraction_are_news_and_verdicts_are_not(night: Any) -> None:
    night.batch(night.alerts(4, 200))
    follower = associator(night)
    follower.round()
    for event in ({"circle": night.FIRST}, {"circle": night.SMALLER, "name": "2"}, {"circle": None, "state": "over"}):
        assert not follower.news()
        night.event(**event)
        assert follower.news()
        assert follower.news()
        follower.round()
        assert not follower.news()
    night.event(None, state="over")
    assert not follower.news()


def test_a_round_that_is_told_to_stop_judges_no_further_event_and_the_next_one_does(night: Any) -> None:
    night.batch(night.alerts(4, 200))
    night.event(night.FIRST)
    follower = associator(night)
    follower.stop.set()
    assert follower.round() == []
    assert night.links() == set()
    follower.stop.clear()
    follower.round()
    assert night.links() == night.expected(night.FIRST) != set()


def test_news_overtakes_a_rescore_but_not_for_ever(night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    night.batch(night.alerts(1, 150))
    night.event(night.FIRST)
    follower = Associator(night.driver, night.settings, RULES, rescore_seconds=60.0)
    assert len(follower.round()) == 1
    before = night.links()
    night.batch(night.alerts(3, 150))
    monkeypatch.setattr(follower, "news", lambda: True)
    assert follower.round() == []
    assert night.links() == before != night.expected(night.FIRST)
    clock = time.monotonic
    monkeypatch.setattr("asterism.graph.association.follow.time.monotonic", lambda: clock() + 2.5 * REST_SECONDS)
    assert len(follower.round()) == 1
    assert night.links() == night.expected(night.FIRST)


def test_news_that_comes_while_a_region_is_read_again_ends_that_and_is_judged_in_the_same_round(
    night: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.batch(night.alerts(4, 150))
    night.event(night.FIRST)
    follower = Associator(night.driver, night.settings, RULES, rescore_seconds=60.0)
    assert len(follower.round()) == 1
    night.batch(night.alerts(5, 150))
    monkeypatch.setattr("asterism.graph.association.candidates.RANGES_AT_ONCE", 1)
    reads, read = [], candidates.read

    def announcing(session: Any, work: Any, *arguments: Any, **parameters: Any) -> Any:
        reads.append(len(reads))
        if len(reads) == 3:
            night.event(night.SMALLER, name="2")
        return read(session, work, *arguments, **parameters)

    monkeypatch.setattr(candidates, "read", announcing)
    (verdict,) = follower.round()
    assert verdict.event.localization_key == "2:0"
    region = follower.book.region(verdict.event)
    assert len(reads) == 3 + region.lo.size + 1
    assert night.links() == night.expected(night.SMALLER)


@pytest.mark.parametrize(("before", "after"), [(0.2, 0.9), (0.9, 0.2)])
def test_what_is_seen_after_the_window_changes_no_verdict_whenever_it_is_made(
    night: Any, before: float, after: float
) -> None:
    """Whoever follows the stream and whoever begins anew end in the same links."""
    seen = [row | {"reliability": before} for row in night.alerts(9, 100)]
    night.batch(seen)
    night.event(night.FIRST)
    follower = associator(night)
    follower.round()
    followed = night.links()
    assert bool(followed) is (before > RULES.cuts.min_reliability)
    later = RULES.kinds["grb"].window[1] + 10.0
    changes = {"mjdTai": T0 + later, "reliability": after}
    night.batch(
        [row | changes | {"alertKey": f"{row['alertKey']}1", "sourceId": f"{row['sourceId']}1"} for row in seen]
    )
    follower.round()
    assert night.links() == followed
    associator(night).round()
    assert night.links() == followed


def test_a_late_alert_from_before_the_window_closes_the_link(night: Any) -> None:
    night.batch(night.alerts(10, 100))
    night.event(night.FIRST)
    follower = associator(night)
    follower.round()
    linked = sorted(night.links())
    early = [
        row | {"mjdTai": T0 - 1.0, "alertKey": f"{row['alertKey']}0", "sourceId": f"{row['sourceId']}0"}
        for row in night.rows
        if row["objectKey"] == linked[0]
    ]
    night.batch(early)
    follower.round()
    assert night.links() == night.expected(night.FIRST) == set(linked[1:])


@pytest.mark.parametrize("wait", [True, False])
def test_a_batch_that_began_before_the_region_was_known_is_waited_for(night: Any, wait: bool) -> None:
    """Without the wait the pairs of that batch are missed: nobody tested them and nobody looks again."""
    night.batch(night.alerts(5, 100))
    follower = associator(night, wait=wait)
    with running_batch(night.lake, "alerts", lambda: latest_version(night.lake)) as version:
        night.event(night.FIRST)
        follower.round()
        assert night.links() == night.expected(night.FIRST)
        night.batch(night.alerts(6, 100), version)
    for _ in range(2):
        follower.round()
    missed = night.expected(night.FIRST) - night.links()
    assert bool(missed) is not wait
    assert follower.settled


def test_what_a_failed_round_left_undone_is_done_by_the_next(night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    night.batch(night.alerts(7, 100))
    night.event(night.FIRST)
    follower = associator(night)
    with monkeypatch.context() as patch:
        patch.setattr(
            "asterism.graph.association.follow.write_verdict", lambda *_: (_ for _ in ()).throw(OSError("down"))
        )
        with pytest.raises(OSError, match="down"):
            follower.round()
    assert night.links() == set()
    follower.round()
    assert night.links() == night.expected(night.FIRST)


def test_mock_and_unlocalized_events_have_no_region(night: Any, tmp_path: Path) -> None:
    del tmp_path
    night.batch(night.alerts(8, 50))
    night.event(night.FIRST)
    with night.driver.session() as session:
        session.run("MATCH (e:Event) SET e.standing = 'mock'")
    assert associator(night).round() == []
    assert latest_version(night.lake) == 0
