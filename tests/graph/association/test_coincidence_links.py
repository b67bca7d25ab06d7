"""Coincidences in a real graph: written once, closed by a new region or a retraction, digested, felt by candidates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from neo4j import Driver

from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
from asterism.graph.digest import digest
from asterism.settings import Settings
from asterism.sky.circle import CircleLocalization

pytestmark = pytest.mark.services

T0 = 61000.0
SECOND = 1.0 / 86400.0
WIDE, NARROW, ELSEWHERE = (
    CircleLocalization(150.0, 2.0, 6.0, 0.9),
    CircleLocalization(151.0, 2.5, 0.05, 0.9),
    CircleLocalization(20.0, -70.0, 0.05, 0.9),
)


def put(driver: Driver, key: str, kind: str, t0: float, version: int, circle: CircleLocalization) -> None:
    with driver.session() as session:
        session.run(
            "MERGE (l:Localization {key: $place}) SET l.record = $record MERGE (e:Event {key: $key}) "
            "SET e.kind = $kind, e.standing = 'real', e.state = 'active', e.t0MjdTai = $t0, "
            "e.currentLocalization = $place, e.farHz = 1e-15, e.classification = $classes",
            place=f"{key}/{version}:0",
            record=json.dumps(circle.as_record()),
            key=key,
            kind=kind,
            t0=t0,
            classes=json.dumps({"BNS": 1.0} if kind == "gw" else {}),
        )


def links(driver: Driver) -> list[dict[str, Any]]:
    with driver.session() as session:
        found = session.run(
            "MATCH (a:Event)-[c:COINCIDENT_WITH]->(b:Event) "
            "RETURN a.key AS first, b.key AS second, c {.*} AS link ORDER BY first, second, c.openedMjdTai"
        )
        return [dict(record) for record in found]


def test_a_chain_of_three_is_linked_once_and_ends_with_its_regions(
    installation: Callable[..., Settings], empty_graph: Driver
) -> None:
    settings = installation()
    put(empty_graph, "lvk:S1", "gw", T0, 1, WIDE)
    put(empty_graph, "gbm:1", "grb", T0 + 2 * SECOND, 1, WIDE)
    put(empty_graph, "swift:1", "grb", T0 + 3 * SECOND, 1, NARROW)
    follower = Associator(empty_graph, settings, load_rules())
    follower.round()
    found = links(empty_graph)
    assert [(one["first"], one["second"]) for one in found] == [
        ("gbm:1", "swift:1"),
        ("lvk:S1", "gbm:1"),
        ("lvk:S1", "swift:1"),
    ]
    for one in found:
        link = one["link"]
        assert link["open"]
        assert link["farFloored"]
        assert link["farHz"] > 1e-15
        assert link["logOdds"] > 0.0
        assert link["chain"] == ["gbm:1", "lvk:S1", "swift:1"]
    before = digest(empty_graph, "neo4j").hex
    follower.round()
    Associator(empty_graph, settings, load_rules()).round()
    assert digest(empty_graph, "neo4j").hex == before

    put(empty_graph, "swift:1", "grb", T0 + 3 * SECOND, 2, ELSEWHERE)
    follower.round()
    left = [one for one in links(empty_graph) if one["link"]["open"]]
    assert [(one["first"], one["second"]) for one in left] == [("lvk:S1", "gbm:1")]
    closed = [one["link"]["closedBecause"] for one in links(empty_graph) if not one["link"]["open"]]
    assert closed == ["localization", "localization"]

    with empty_graph.session() as session:
        session.run("MATCH (e:Event {key: 'lvk:S1'}) SET e.state = 'retracted'")
    follower.round()
    assert not any(one["link"]["open"] for one in links(empty_graph))
    with empty_graph.session() as session:
        session.run("MATCH (e:Event {key: 'lvk:S1'}) SET e.state = 'active'")
    put(empty_graph, "swift:1", "grb", T0 + 3 * SECOND, 1, NARROW)
    with empty_graph.session() as session:
        session.run("MATCH (l:Localization {key: 'swift:1/2:0'}) DELETE l")  # its links are history
    follower.round()
    assert digest(empty_graph, "neo4j").hex == before
