"""Plans and visibility of the reads of events; what they return is tested through the API, in tests/gql."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from neo4j import Driver

import asterism.graph.event_reader as reading
from asterism.graph.event_reader import CandidatePage, EventReader, EventSearch
from asterism.graph.reader import open_driver
from asterism.graph.rows import LinkRow
from asterism.graph.schema import INDEXES

pytestmark = pytest.mark.services
T = TypeVar("T")
Ask = Callable[..., list[list[Any]]]

PARAMETERS: dict[str, Any] = {
    "keys": ["lvk:S1"],
    "pages": [{"event_key": "lvk:S1", "least_log_l": None, "closed": False, "after": None}],
    "first": 5,
    "closed": False,
    "showNonpublic": False,
    "mjdFrom": 60000.0,
    "mjdTo": 60001.0,
    "afterKey": None,
    "standing": "real",
    "kind": None,
    "state": None,
}


def operators(driver: Driver, text: str) -> list[str]:
    with driver.session() as session:
        plan = session.run("EXPLAIN " + text, PARAMETERS).consume().plan
    stack, names = [plan], []
    while stack:
        node = stack.pop()
        assert node is not None
        names.append(node["operatorType"].removesuffix("@neo4j"))
        stack += node.get("children", [])
    return names


@pytest.mark.parametrize(
    "text",
    [
        reading.EVENTS_BY_KEY,
        reading.NOTICES_OF_EVENTS,
        reading.LOCALIZATIONS_OF_EVENTS,
        reading.CANDIDATES_OF_EVENTS,
        reading.LINKS_OF_OBJECTS,
    ],
)
def test_reads_by_key_start_at_the_unique_index(graph: Driver, text: str) -> None:
    names = operators(graph, text)
    assert "NodeUniqueIndexSeek" in names
    assert not {"AllNodesScan", "NodeByLabelScan", "DirectedRelationshipTypeScan"} & set(names)


def test_events_come_from_the_index_of_their_times(graph: Driver) -> None:
    assert ("Event", "t0MjdTai") in INDEXES.values()
    names = operators(graph, reading.EVENTS)
    assert "NodeIndexSeekByRange" in names
    assert not {"AllNodesScan", "NodeByLabelScan"} & set(names)


def read(stack: Any, question: Callable[[EventReader], Awaitable[T]], *, nonpublic: bool = False) -> T:
    async def put() -> T:
        async with open_driver(stack.settings()) as driver:
            return await question(EventReader(driver, "neo4j", show_nonpublic=nonpublic))

    return asyncio.run(put())


def test_links_of_hidden_objects_and_of_other_rule_sets_are_not_returned(stack: Any, ask: Ask) -> None:
    ask(
        "CREATE (e:Event {key: 'lvk:S1', ruleSet: 'now', scoredLocalization: 'a:0', t0MjdTai: 60000.0}) "
        "WITH e UNWIND [['ztf:a', true, 'now'], ['ztf:b', false, 'now'], ['ztf:c', true, 'old']] AS row "
        "CREATE (:Object {key: row[0], public: row[1]})"
        "-[:CANDIDATE_FOR {localization: 'a:0', ruleSet: row[2], open: true, logL: 1.0}]->(e)"
    )
    for nonpublic, keys in ((False, ["ztf:a"]), (True, ["ztf:a", "ztf:b"])):
        (found,) = read(
            stack,
            lambda reader: reader.candidates_of_events([CandidatePage("lvk:S1")], 9),
            nonpublic=nonpublic,
        )
        assert [row.key for _, row, *_ in found] == keys
        links = read(stack, lambda reader: reader.links_of_objects(["ztf:a", "ztf:b", "ztf:c"], 9), nonpublic=nonpublic)
        assert sorted(key for key, rows in links.items() if rows) == keys
    assert found[0][0].log_fade is None


def test_a_least_log_l_leaves_out_links_of_a_localization_not_scored_yet(stack: Any, ask: Ask) -> None:
    ask(
        "CREATE (e:Event {key: 'lvk:S1', ruleSet: 'now', scoredLocalization: 'a:0'}) "
        "WITH e UNWIND [['ztf:a', 'a:0', 1.0], ['ztf:b', 'b:0', 2.0], ['ztf:c', 'a:0', 0.0]] AS row "
        "CREATE (:Object {key: row[0], public: true})"
        "-[:CANDIDATE_FOR {localization: row[1], ruleSet: 'now', open: true, logL: row[2]}]->(e)"
    )
    pages = [CandidatePage("lvk:S1"), CandidatePage("lvk:S1", least_log_l=0.5), CandidatePage("lvk:S2")]
    every, bounded, unknown = read(stack, lambda reader: reader.candidates_of_events(pages, 9))
    assert [row.key for _, row, *_ in every] == ["ztf:b", "ztf:a", "ztf:c"]
    assert [row.key for _, row, *_ in bounded] == ["ztf:a"]
    assert isinstance(bounded[0][0], LinkRow)
    assert unknown == []


def test_what_the_graph_does_not_know_is_none_or_nothing(stack: Any, ask: Ask) -> None:
    ask("CREATE (:Event {key: 'lvk:S1'})")
    (event,) = read(stack, lambda reader: reader.events_by_key(["lvk:S1", "lvk:S2"])).values()
    assert (event.key, event.t0_mjd_tai, event.flags, event.q) == ("lvk:S1", None, None, None)
    assert read(stack, lambda reader: reader.notices_of_events(["lvk:S1", "lvk:S2"], 9)) == {"lvk:S1": []}
    assert read(stack, lambda reader: reader.localizations_of_events(["lvk:S1"], 9)) == {"lvk:S1": []}
    assert read(stack, lambda reader: reader.events(EventSearch(), 9)) == []
