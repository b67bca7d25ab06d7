"""What was believed at a time is a query, and vetting outlives every re-score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from asterism.compaction import compact
from asterism.graph.association.follow import Associator
from asterism.graph.association.history import STEP, beliefs, scores_at
from asterism.graph.association.links import HELD
from asterism.graph.association.rules import load_rules
from asterism.graph.curation.acts import Act, Kind, Subject
from asterism.graph.curation.write import write_acts
from asterism.graph.digest import digest
from asterism.times import now_mjd_tai

pytestmark = pytest.mark.services


def held(night: Any, moment: float | None) -> set[str]:
    """Return who was a candidate at a time, by the condition that others put into their own Cypher."""
    query = f"MATCH (o:Object)-[c:CANDIDATE_FOR]->(:Event {{key: 'gbm:1'}}) WHERE {HELD} RETURN o.key"
    with night.driver.session() as session:
        return {record[0] for record in session.run(query, asOf=moment)}


def test_what_was_believed_at_any_time_comes_back(night: Any) -> None:
    night.batch(night.alerts(21, 120))
    follower = Associator(night.driver, night.settings, load_rules())
    moments, known = [now_mjd_tai()], [set[str]()]

    def after(change: Callable[[], None]) -> None:
        change()
        follower.round()
        moments.append(now_mjd_tai())
        known.append(night.links())

    after(lambda: night.event(night.FIRST))
    after(lambda: night.batch(night.alerts(22, 60)))
    after(lambda: night.event(night.SMALLER, name="2"))
    after(lambda: night.event(None, state="retracted"))
    after(lambda: night.event(None))
    assert [len(one) > 0 for one in known] == [False, True, True, True, False, True]
    assert known[2] > known[1] != known[3] == known[5]
    for prepare in (lambda: None, lambda: compact(night.lake)):
        prepare()
        for moment, expected in zip(moments, known, strict=True):
            assert held(night, moment) == expected
            with night.driver.session() as session:
                found = beliefs(session, night.lake, "gbm:1", moment)
            assert {belief.object_key for belief in found} == expected
            assert all(belief.log_l is not None for belief in found)
            assert sum(belief.probability or 0.0 for belief in found) <= 1.0 + STEP * len(found)
    assert held(night, None) == known[-1]


def test_the_score_log_keeps_what_a_re_score_changed(night: Any) -> None:
    night.batch(night.alerts(23, 150))
    night.event(night.FIRST)
    follower = Associator(night.driver, night.settings, load_rules())
    (before,) = follower.round()
    moment = now_mjd_tai()
    night.batch(night.alerts(24, 150))
    (after,) = follower.round()
    for verdict, at in ((before, moment), (after, now_mjd_tai())):
        scored = scores_at(night.lake, "gbm:1", "1:0", load_rules().name, at)
        assert scored is not None
        assert scored.log_l.keys() == set(verdict.objects.key.tolist())
        difference = [scored.log_l[key] for key in verdict.objects.key.tolist()] - verdict.scores.log_l
        assert np.abs(difference).max() <= STEP
        assert scored.log_sum_l == verdict.log_sum_l
    assert scores_at(night.lake, "gbm:1", "1:0", load_rules().name, moment - 1.0) is None


def test_vetting_outlives_re_scores_a_new_map_and_a_retraction(night: Any) -> None:
    night.batch(night.alerts(25, 150))
    night.event(night.FIRST)
    follower = Associator(night.driver, night.settings, load_rules())
    follower.round()
    chosen = min(night.expected(night.FIRST) & night.expected(night.SMALLER))
    before = now_mjd_tai()
    pair = (Subject(object_key=chosen, event_key="gbm:1"),)
    said = Act("1" * 32, Kind.VETTING, "confirmed", None, "fades in g", "ann", "t1", now_mjd_tai(), pair)
    for _ in range(2):
        write_acts(night.driver, [said], database="neo4j")

    def vetting(moment: float | None = None) -> list[str]:
        with night.driver.session() as session:
            found = beliefs(session, night.lake, "gbm:1", moment)
        return [belief.vetting for belief in found if belief.object_key == chosen]

    assert vetting(before) == ["pending"]
    changes: list[Callable[[], None]] = [
        lambda: night.batch(night.alerts(26, 100)),
        lambda: night.event(night.SMALLER, name="2"),
        lambda: night.event(None, state="retracted"),
        lambda: night.event(None),
    ]
    for number, change in enumerate(changes):
        change()
        follower.round()
        assert vetting() == ([] if number == 2 else ["confirmed"])
    once = digest(night.driver, "neo4j").hex
    Associator(night.driver, night.settings, load_rules()).round()
    assert digest(night.driver, "neo4j").hex == once
