"""The benchmark of ranks, as far as it needs no services: what counts as a miss, and what as too easy."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    return importlib.import_module("benchmarks.ranks")


def summary(gw: int | None, grb: int, without_time: int, **changes: Any) -> dict[str, Any]:
    def event(kind: str, rank: int | None, other: int | None = None) -> dict[str, Any]:
        ranks = {"rank": rank, "rank_without_time": other or rank, "rank_without_position": rank}
        facts = {"event": kind, "kind": kind, "retracted": False, "n_candidates": 60, "posterior": 0.5}
        return facts | ranks

    events = [event("gw", gw), event("grb", grb, without_time), event("neutrino", 1)]
    events.append({"event": "gone", "kind": "gw", "retracted": True, "most_links": 9, "open_links": 0})
    return {"seed": 1, "reconciled": True, "elapsed_s": 100.0, "events": events} | changes


def test_a_counterpart_below_rank_three_or_absent_is_a_miss(ranks: ModuleType) -> None:
    nights = [ranks.night(summary(3, 1, 9)), ranks.night(summary(4, 1, 9)), ranks.night(summary(None, 2, 9))]
    assert ranks.misses(nights) == 2


def test_a_night_is_too_easy_if_no_rank_needs_the_term(ranks: ModuleType) -> None:
    nights = [ranks.night(summary(1, 1, 9)), ranks.night(summary(1, 1, 1))]
    assert (ranks.too_easy(nights, "time"), ranks.too_easy(nights, "position")) == (1, 2)


def test_a_night_is_unsound_if_counts_links_or_crowd_are_wrong(ranks: ModuleType) -> None:
    sound, unreconciled, lonely, linked, never = (summary(1, 1, 2) for _ in range(5))
    unreconciled["reconciled"] = False
    lonely["events"][0]["n_candidates"] = 50
    linked["events"][3]["open_links"] = 1
    never["events"][3]["most_links"] = 0
    assert ranks.unsound([ranks.night(sound)]) == 0
    assert ranks.unsound([ranks.night(item) for item in (unreconciled, lonely, linked, never)]) == 4
