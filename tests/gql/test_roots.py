"""Every root and every filter, against the same found by looking at each row of what was written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from asterism.graph.list_reader import MAX_SCAN
from tests.gql.asking import ask, pages
from tests.gql.world import CIRCLE, EVENTS, T0, World

pytestmark = pytest.mark.services
Row = dict[str, Any]
S1 = EVENTS[0]


CANDIDATES = """
query ($event: ID!, $first: Int!, $after: String, $where: CandidateFilter, $sort: CandidateSort! = PROBABILITY,
       $ruleSet: String, $asOf: Float, $closed: Boolean! = false, $least: Float) {
  page: candidates(event: $event, first: $first, after: $after, where: $where, sort: $sort, ruleSet: $ruleSet,
                   asOf: $asOf, includeClosed: $closed, minProbability: $least) {
    totalCount edges { node { probability localizationKey object { key } } } pageInfo { hasNextPage endCursor }
  }
}"""


def links(
    world: World, passes: Callable[[Row, Row], bool], *, now: bool = True, rules: str = "asterism-1"
) -> list[Row]:
    """Return the links of S1 to public objects that pass."""
    shown = world.visible()
    return [
        link
        for link in world.links
        if link["to"] == S1
        and link["from"] in shown
        and link["ruleSet"] == rules
        and (link["open"] or not now)
        and passes(link, shown[link["from"]])
    ]


def by_log_l(link: Row) -> Any:
    return -link["logL"], link["from"], link["localization"]


FILTERS: list[tuple[Row, Callable[[World, Row, Row], bool]]] = [
    ({"maxLevel": 0.5}, lambda _w, c, _o: c["level"] <= 0.5),
    ({"firstFrom": T0}, lambda _w, _c, o: o["firstMjdTai"] >= T0),
    ({"firstTo": T0 + 5}, lambda _w, _c, o: o["firstMjdTai"] <= T0 + 5),
    ({"lastFrom": T0 + 15}, lambda _w, _c, o: o["lastMjdTai"] >= T0 + 15),
    ({"lastTo": T0 + 25}, lambda _w, _c, o: o["lastMjdTai"] <= T0 + 25),
    ({"minDetections": 3}, lambda _w, c, _o: c["detections"] >= 3),
    ({"maxDetections": 3}, lambda _w, c, _o: c["detections"] <= 3),
    ({"vetting": "CONFIRMED"}, lambda _w, c, _o: c["vetting"] == "confirmed"),
    ({"className": "fading"}, lambda w, c, _o: w.current_class(c["from"]) == "fading"),
    ({"hasHost": True}, lambda w, c, _o: w.host_of(c["from"]) is not None),
    ({"hasHost": False}, lambda w, c, _o: w.host_of(c["from"]) is None),
    ({"host": "glade:1:g1"}, lambda w, c, _o: w.host_of(c["from"]) == "glade:1:g1"),
    (
        {"maxLevel": 0.9, "minDetections": 2, "hasHost": True, "lastFrom": T0},
        lambda w, c, o: (
            c["level"] <= 0.9 and c["detections"] >= 2 and w.host_of(c["from"]) is not None and o["lastMjdTai"] >= T0
        ),
    ),
]


@pytest.mark.parametrize(("where", "passes"), FILTERS, ids=[",".join(where) for where, _ in FILTERS])
def test_candidates_that_pass_a_filter_are_those_found_by_looking_at_each(
    world: World, world_api: httpx.Client, where: Row, passes: Callable[[World, Row, Row], bool]
) -> None:
    expected = sorted(links(world, lambda c, o: passes(world, c, o)), key=by_log_l)
    assert 0 < len(expected) < len(links(world, lambda _c, _o: True))
    edges, total = pages(world_api, CANDIDATES, event=S1, where=where)
    assert [edge["node"]["object"]["key"] for edge in edges] == [link["from"] for link in expected]
    assert total == len(expected)


SORTS: dict[str, Callable[[Row, Row], float]] = {
    "PROBABILITY": lambda c, _o: -c["logL"],
    "LEVEL": lambda c, _o: c["level"],
    "FIRST_DETECTION": lambda _c, o: -o["firstMjdTai"],
    "LAST_DETECTION": lambda _c, o: -o["lastMjdTai"],
    "BRIGHTNESS": lambda _c, o: o["lastMag"],
}


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("closed", [False, True])
def test_candidates_come_in_the_order_asked_for_page_by_page(
    world: World, world_api: httpx.Client, sort: str, closed: bool
) -> None:
    shown = world.visible()
    found = links(world, lambda _c, _o: True, now=not closed)
    found.sort(key=lambda c: (SORTS[sort](c, shown[c["from"]]), c["from"], c["localization"]))
    edges, _ = pages(world_api, CANDIDATES, first=3, event=S1, sort=sort, closed=closed)
    places = [(edge["node"]["object"]["key"], edge["node"]["localizationKey"]) for edge in edges]
    assert places == [(link["from"], link["localization"]) for link in found]


@pytest.mark.parametrize("when", [T0 + 1.5, T0 + 3.5, T0 + 7.0])
def test_what_was_believed_at_a_time_is_what_was_open_then(world: World, world_api: httpx.Client, when: float) -> None:
    expected = links(
        world,
        lambda c, _o: c["openedMjdTai"] <= when and (c["closedMjdTai"] is None or c["closedMjdTai"] > when),
        now=False,
    )
    edges, total = pages(world_api, CANDIDATES, event=S1, asOf=when)
    assert [(e["node"]["object"]["key"], e["node"]["localizationKey"]) for e in edges] == [
        (link["from"], link["localization"]) for link in sorted(expected, key=by_log_l)
    ]
    assert total == len(expected) > 0


def test_another_rule_set_and_a_least_probability_choose_candidates(world: World, world_api: httpx.Client) -> None:
    (other,) = links(world, lambda _c, _o: True, rules="paper-2020")
    edges, _ = pages(world_api, CANDIDATES, event=S1, ruleSet="paper-2020")
    assert [edge["node"]["object"]["key"] for edge in edges] == [other["from"]]

    def probability(link: Row) -> float:
        return 0.2 * math.exp(link["logL"]) / (0.8 + 0.2 * math.exp(6.0))

    expected = [link for link in sorted(links(world, lambda _c, _o: True), key=by_log_l) if probability(link) > 0.02]
    edges, _ = pages(world_api, CANDIDATES, event=S1, least=0.02)
    assert [edge["node"]["object"]["key"] for edge in edges] == [link["from"] for link in expected]
    assert expected


EVENTS_QUERY = """
query ($first: Int!, $after: String, $kind: EventKind, $state: EventState, $from: Float, $to: Float, $far: Float,
       $area: Float) {
  page: events(first: $first, after: $after, kind: $kind, state: $state, mjdFrom: $from, mjdTo: $to, maxFarHz: $far,
               maxArea90: $area) {
    totalCount edges { node { key changed } } pageInfo { hasNextPage endCursor }
  }
}"""


@pytest.mark.parametrize(
    ("arguments", "passes"),
    [
        ({}, lambda _w, _e: True),
        ({"kind": "GW"}, lambda _w, e: e["kind"] == "gw"),
        ({"state": "RETRACTED"}, lambda _w, e: e["state"] == "retracted"),
        ({"from": T0 + 1}, lambda _w, e: e["t0MjdTai"] >= T0 + 1),
        ({"to": T0 + 1}, lambda _w, e: e["t0MjdTai"] <= T0 + 1),
        ({"far": 3e-9}, lambda _w, e: e["farHz"] <= 3e-9),
        ({"area": 50.0}, lambda w, e: w.localizations[2 * w.events.index(e) + 1]["area90"] <= 50.0),
    ],
)
def test_events_that_pass_a_filter_are_those_found_by_looking_at_each(
    world: World, world_api: httpx.Client, arguments: Row, passes: Callable[[World, Row], bool]
) -> None:
    expected = [e["key"] for e in sorted(world.events, key=lambda e: -e["t0MjdTai"]) if passes(world, e)]
    edges, total = pages(world_api, EVENTS_QUERY, first=1, **arguments)
    assert [edge["node"]["key"] for edge in edges] == expected
    assert total == len(expected) > 0


OBJECTS = """
query ($first: Int!, $after: String, $survey: String, $where: ObjectFilter) {
  page: objects(first: $first, after: $after, survey: $survey, where: $where) {
    totalCount edges { node { key } } pageInfo { hasNextPage endCursor } }
}"""
OBJECT_FILTERS: list[tuple[Row, Callable[[World, Row], bool]]] = [
    ({}, lambda _w, _o: True),
    ({"survey": "lsst"}, lambda _w, o: o["survey"] == "lsst"),
    ({"where": {"firstFrom": T0}}, lambda _w, o: o["firstMjdTai"] >= T0),
    ({"where": {"firstTo": T0}}, lambda _w, o: o["firstMjdTai"] <= T0),
    ({"where": {"lastFrom": T0 + 20}}, lambda _w, o: o["lastMjdTai"] >= T0 + 20),
    (
        {"where": {"lastTo": T0 + 20}, "survey": "ztf"},
        lambda _w, o: o["lastMjdTai"] <= T0 + 20 and o["survey"] == "ztf",
    ),
    ({"where": {"minDetections": 5}}, lambda _w, o: o["nDetections"] >= 5),
    ({"where": {"brighterThan": 19.0}}, lambda _w, o: o["lastMag"] <= 19.0),
    ({"where": {"className": "rising"}}, lambda w, o: w.current_class(o["key"]) == "rising"),
]


@pytest.mark.parametrize(("arguments", "passes"), OBJECT_FILTERS)
def test_objects_that_pass_a_filter_are_those_found_by_looking_at_each(
    world: World, world_api: httpx.Client, arguments: Row, passes: Callable[[World, Row], bool]
) -> None:
    expected = sorted(key for key, row in world.visible().items() if passes(world, row))
    edges, total = pages(world_api, OBJECTS, first=7, **arguments)
    assert [edge["node"]["key"] for edge in edges] == expected
    assert total == len(expected) > 0


def test_a_filter_that_few_pass_looks_at_a_bounded_number_and_says_how_far(
    world: World, world_api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asterism.graph.list_reader.MAX_SCAN", 5)
    page = ask(world_api, OBJECTS, first=50, where={"brighterThan": 18.0})["page"]
    assert len(page["edges"]) <= 5 < MAX_SCAN
    assert page["pageInfo"]["hasNextPage"]
    edges, _ = pages(world_api, OBJECTS, first=50, where={"brighterThan": 18.0})
    assert [edge["node"]["key"] for edge in edges] == sorted(
        k for k, o in world.visible().items() if o["lastMag"] <= 18
    )


CONE = """
query ($first: Int!, $after: String, $radius: Float!, $from: Float, $to: Float) {
  page: coneSearch(ra: 150, dec: 2, radiusArcsec: $radius, first: $first, after: $after, mjdFrom: $from, mjdTo: $to) {
    totalCount edges { separationArcsec node { key } } pageInfo { hasNextPage endCursor } }
}"""


@pytest.mark.parametrize("span", [(None, None), (T0 + 25, None), (None, T0), (T0 + 2, T0 + 4)])
def test_a_cone_with_a_span_of_time_holds_what_looking_at_each_object_finds(
    world: World, world_api: httpx.Client, span: tuple[float | None, float | None]
) -> None:
    radius = 3600.0
    found = []
    for key, row in world.visible().items():
        ra, dec, ra0, dec0 = np.radians([row["ra"], row["dec"], 150.0, 2.0])
        cos = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra - ra0)
        separation = float(np.degrees(np.arccos(cos)) * 3600)
        if separation <= radius and row["lastMjdTai"] >= (span[0] or 0) and row["firstMjdTai"] <= (span[1] or 1e9):
            found.append((separation, key))
    edges, total = pages(world_api, CONE, radius=radius, first=2, **{"from": span[0], "to": span[1]})
    assert [edge["node"]["key"] for edge in edges] == [key for _, key in sorted(found)]
    assert total == len(found)


REGION = """
query ($first: Int!, $after: String, $event: ID!, $level: Float!, $where: ObjectFilter) {
  page: regionSearch(event: $event, level: $level, first: $first, after: $after, where: $where) {
    localizationKey edges { level node { key } } pageInfo { hasNextPage endCursor } }
}"""


@pytest.mark.parametrize("level", [0.3, 0.9])
@pytest.mark.parametrize("first", [1, 5, 100])
def test_a_region_holds_the_objects_whose_credible_level_is_below_its_own(
    world: World, world_api: httpx.Client, level: float, first: int
) -> None:
    levels = {key: float(CIRCLE.credible_level(row["ra"], row["dec"])) for key, row in world.visible().items()}
    expected = sorted((world.visible()[key]["hpx29"], key) for key, one in levels.items() if one < level)
    edges, _ = pages(world_api, REGION, first=first, event=S1, level=level)
    assert [edge["node"]["key"] for edge in edges] == [key for _, key in expected]
    assert [edge["level"] for edge in edges] == pytest.approx([levels[key] for _, key in expected])
    narrow, _ = pages(world_api, REGION, event=S1, level=level, where={"lastFrom": T0 + 10})
    assert [e["node"]["key"] for e in narrow] == [k for _, k in expected if world.visible()[k]["lastMjdTai"] >= T0 + 10]
    assert len(expected) > 3


SHARED = """
query ($first: Int!, $after: String, $from: Float, $to: Float) {
  page: crossSurvey(first: $first, after: $after, lastFrom: $from, lastTo: $to) {
    edges { node { key objects { separationArcsec object { key } } } } pageInfo { hasNextPage endCursor } }
}"""


@pytest.mark.parametrize("span", [(0.0, 1e9), (T0 + 5, T0 + 45)])
def test_sources_of_several_surveys_are_those_with_a_public_object_of_each(
    world: World, world_api: httpx.Client, span: tuple[float, float]
) -> None:
    shown = world.visible()
    members: dict[str, list[str]] = {}
    for same in world.same_as:
        if same["from"] in shown:
            members.setdefault(same["to"], []).append(same["from"])

    def spans(keys: list[str]) -> bool:
        seen = {shown[key]["survey"] for key in keys if span[0] <= shown[key]["lastMjdTai"] <= span[1]}
        return seen == {"ztf", "lsst"}

    expected = sorted(key for key, keys in members.items() if spans(keys))
    edges, _ = pages(world_api, SHARED, first=3, **{"from": span[0], "to": span[1]})
    assert [edge["node"]["key"] for edge in edges] == expected
    for edge in edges:
        keys = [one["object"]["key"] for one in edge["node"]["objects"]]
        assert keys == sorted(members[edge["node"]["key"]])
    assert expected
