"""A rehearsal reads as a judgement does, leaves nothing behind, and makes way for real events."""

from __future__ import annotations

from typing import Any

import pytest

from asterism.graph.association.follow import Associator
from asterism.graph.association.lakesky import LakeSky
from asterism.graph.association.rehearsal import TIMES, rehearse
from asterism.graph.association.rules import load_rules
from asterism.graph.digest import digest

pytestmark = pytest.mark.services
RULES = load_rules()


def test_a_rehearsal_judges_all_that_is_there_and_writes_nothing(night: Any) -> None:
    night.batch(night.alerts(31, 150))
    before, sky = digest(night.driver, database="neo4j"), LakeSky(night.lake, RULES)
    with night.driver.session() as session:
        assert rehearse(session, sky, RULES, night.settings) == 0  # nothing is known of the lake yet
        sky.update([])
        found = rehearse(session, sky, RULES, night.settings)
        assert TIMES * 120 < found <= TIMES * 150
        asked = iter(range(5))
        with pytest.raises(StopIteration):
            rehearse(session, sky, RULES, night.settings, lambda: next(asked))
    assert digest(night.driver, database="neo4j") == before


def test_who_waits_for_events_rehearses_once_and_only_when_idle(night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    night.batch(night.alerts(32, 60))
    rehearsed: list[int] = []
    monkeypatch.setattr("asterism.graph.association.follow.rehearse", lambda *_: rehearsed.append(1))
    patient = Associator(night.driver, night.settings, RULES)
    patient.round()
    assert not rehearsed
    waiting = Associator(night.driver, night.settings, RULES, rescore_seconds=1.0)
    night.event(night.FIRST)
    assert waiting.round()
    assert not rehearsed
    for _ in range(3):
        waiting.round()
    assert rehearsed == [1]
