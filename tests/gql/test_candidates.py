"""Candidates over GraphQL, against the same computed from what was written, by straightforward Python."""

from __future__ import annotations

import itertools
import math
from typing import Any

import httpx
import pytest

from asterism.gql.types.candidates import TERMS as SHOWN_TERMS
from asterism.graph.association.score import TERMS
from tests.gql.asking import ask, code_of

pytestmark = pytest.mark.services
T0 = 60000.0
SUPEREVENT, BURST, RETRACTED, UNJUDGED, NEVER = "lvk:S1", "gbm:bn1", "lvk:S2", "icecube:1_1", "nobody:home"
CANDIDATES = """
query ($event: ID!, $first: Int! = 100, $after: String, $least: Float, $closed: Boolean! = false) {
  candidates(event: $event, first: $first, after: $after, minProbability: $least, includeClosed: $closed) {
    edges { node {
      logL probability probabilityLow probabilityHigh open localizationKey closedBecause object { key }
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


def candidates(client: httpx.Client, event: str, first: int = 100, **variables: Any) -> list[Any]:
    """Return all candidates of an event, page by page."""
    nodes: list[Any] = []
    after: str | None = None
    for _ in range(200):
        page = ask(client, CANDIDATES, event=event, first=first, after=after, **variables)["candidates"]
        nodes += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
        assert len(page["edges"]) == first
        after = page["pageInfo"]["endCursor"]
    raise AssertionError("the list has no end")


def places(nodes: list[Any]) -> list[tuple[str, float, str]]:
    return [(node["object"]["key"], node["logL"], node["localizationKey"]) for node in nodes]


def written(links: list[Any]) -> list[tuple[str, float, str]]:
    return [(link.key, link.log_l, link.localization) for link in links]


@pytest.mark.services
class TestCandidates:
    @pytest.mark.parametrize("event", [SUPEREVENT, BURST])
    @pytest.mark.parametrize("first", [1, 7, 100])
    def test_pages_put_together_are_every_open_link_once_best_first_even_at_ties(
        self, night: Any, night_api: httpx.Client, event: str, first: int
    ) -> None:
        expected = night.shown(event)
        assert len({link.log_l for link in expected}) < len(expected), "there are ties"
        assert places(candidates(night_api, event, first)) == written(expected)

    @pytest.mark.parametrize("first", [1, 9, 100])
    def test_closed_links_are_shown_when_asked_for_though_they_repeat_objects(
        self, night: Any, night_api: httpx.Client, first: int
    ) -> None:
        expected = night.shown(SUPEREVENT, closed=True)
        assert len({(link.key, link.log_l) for link in expected}) < len(expected)
        found = candidates(night_api, SUPEREVENT, first, closed=True)
        assert places(found) == written(expected)
        assert [node["open"] for node in found] == [link.open for link in expected]
        assert all((node["probability"] is None) is not node["open"] for node in found)

    @pytest.mark.parametrize("event", [SUPEREVENT, BURST])
    def test_probabilities_are_those_of_the_formula(self, night: Any, night_api: httpx.Client, event: str) -> None:
        for node, link in zip(candidates(night_api, event), night.shown(event), strict=True):
            assert node["probability"] == pytest.approx(night.probability(event, link), rel=1e-9)
            assert node["probabilityLow"] == pytest.approx(night.probability(event, link, 1 / 3), rel=1e-9)
            assert node["probabilityHigh"] == pytest.approx(night.probability(event, link, 3), rel=1e-9)

    @pytest.mark.parametrize("event", [SUPEREVENT, BURST])
    def test_all_candidates_and_none_of_them_are_certain_together(
        self, night_insider: httpx.Client, event: str
    ) -> None:
        none = ask(night_insider, "query ($k: ID!) { event(key: $k) { pNone } }", k=event)["event"]["pNone"]
        found = candidates(night_insider, event, 10)
        assert sum(node["probability"] for node in found) + none == pytest.approx(1.0, abs=1e-12)

    @pytest.mark.parametrize("event", [SUPEREVENT, BURST])
    def test_the_least_probability_filters_as_looking_at_each_candidate_does(
        self, night_api: httpx.Client, event: str
    ) -> None:
        """At the very probabilities the API states, too, where rounding decides."""
        every = candidates(night_api, event)
        stated = sorted({node["probability"] for node in every})
        between = [(low + high) / 2 for low, high in itertools.pairwise(stated)]
        beside = [math.nextafter(p, 1.0) for p in stated]
        for least in [0.0, *stated, *between, *beside, 1.0]:
            expected = [node for node in every if node["probability"] >= least]
            assert candidates(night_api, event, 4, least=least) == expected
            assert candidates(night_api, event, 100, least=least, closed=True) == expected

    def test_restricted_objects_are_no_candidates_until_the_settings_show_them(
        self, night: Any, night_api: httpx.Client, night_insider: httpx.Client
    ) -> None:
        everything = night.shown(SUPEREVENT, nonpublic=True)
        assert places(candidates(night_insider, SUPEREVENT)) == written(everything)
        assert len(candidates(night_api, SUPEREVENT)) < len(everything)
        for client in (night_api, night_insider):
            event = ask(client, "query ($k: ID!) { event(key: $k) { nCandidates } }", k=SUPEREVENT)["event"]
            assert event["nCandidates"] == len(everything)

    def test_a_retracted_event_has_closed_links_only_and_no_probabilities(
        self, night: Any, night_api: httpx.Client
    ) -> None:
        assert candidates(night_api, RETRACTED) == candidates(night_api, RETRACTED, least=0.0) == []
        closed = candidates(night_api, RETRACTED, closed=True)
        assert places(closed) == written(night.shown(RETRACTED, closed=True))
        assert {node["closedBecause"] for node in closed} == {"event"}
        assert {node["probability"] for node in closed} == {None}
        query = """query ($k: ID!) { event(key: $k) {
          state nCandidates pNone retracted { mjdTai } localization { key }
        } }"""
        assert ask(night_api, query, k=RETRACTED)["event"] == {
            "state": "RETRACTED",
            "nCandidates": 0,
            "pNone": None,
            "retracted": {"mjdTai": T0 + 3},
            "localization": None,
        }

    def test_an_event_nobody_judged_has_no_candidates_and_no_numbers(self, night_api: httpx.Client) -> None:
        query = "query ($k: ID!) { event(key: $k) { nCandidates q pNone ruleSet backgroundRate } }"
        assert set(ask(night_api, query, k=UNJUDGED)["event"].values()) == {None}
        assert candidates(night_api, UNJUDGED) == candidates(night_api, UNJUDGED, least=0.0) == []

    def test_an_unknown_event_is_null_and_a_malformed_key_is_refused(self, night_api: httpx.Client) -> None:
        assert ask(night_api, CANDIDATES, event=NEVER) == {"candidates": None}
        assert code_of(night_api, CANDIDATES, event="no key") == "id.malformed"
        assert ask(night_api, "query ($k: ID!) { event(key: $k) { key } }", k=NEVER) == {"event": None}
        assert code_of(night_api, "query ($k: ID!) { event(key: $k) { key } }", k="'}) DELETE e //") == "id.malformed"

    @pytest.mark.parametrize("least", [-0.1, 1.1])
    def test_what_is_no_probability_is_refused(self, night_api: httpx.Client, least: float) -> None:
        assert code_of(night_api, CANDIDATES, event=SUPEREVENT, least=least) == "gql.argument"

    def test_a_cursor_of_another_list_is_refused(self, night_api: httpx.Client) -> None:
        page = ask(night_api, CANDIDATES, event=SUPEREVENT, first=2)["candidates"]
        after = page["pageInfo"]["endCursor"]
        for other in (
            {"event": BURST},
            {"event": SUPEREVENT, "closed": True},
            {"event": SUPEREVENT, "least": 0.1},
        ):
            assert code_of(night_api, CANDIDATES, after=after, **other) == "gql.cursor"

    def test_the_evidence_stands_beside_the_candidate_and_what_is_missing_is_null(
        self, night_api: httpx.Client
    ) -> None:
        query = """
        query ($k: ID!) { event(key: $k) { candidates { edges { node {
          object { key } logL terms { name value unit meaning } level searchedAreaDeg2 delayDays fadeRate
          fadeRateErr nChance nChanceArea detections vetting ruleSet opened { mjdTai } closed { mjdTai }
          event { key }
        } } } } }"""
        nodes = [edge["node"] for edge in ask(night_api, query, k=BURST)["event"]["candidates"]["edges"]]
        for node in nodes:
            known = {term["name"]: term["value"] for term in node["terms"]}
            assert list(known) == list(SHOWN_TERMS) == list(TERMS)
            assert all(term["unit"] and term["meaning"] for term in node["terms"])
            has_fade = int(node["object"]["key"][-4:]) % 3 == 0
            assert known["fade"] == node["fadeRate"] == (0.5 if has_fade else None)
            assert sum(value for value in known.values() if value is not None) == pytest.approx(node["logL"])
            assert (node["level"], node["searchedAreaDeg2"], node["delayDays"]) == (0.5, 20.0, 0.25)
            assert (node["nChance"], node["nChanceArea"], node["detections"]) == (0.25, 2.0, 3)
            assert (node["vetting"], node["ruleSet"], node["event"]["key"]) == (
                "pending",
                "asterism-1",
                BURST,
            )
            assert (node["opened"], node["closed"]) == ({"mjdTai": T0 + 1}, None)
        assert {node["fadeRate"] is None for node in nodes} == {True, False}
