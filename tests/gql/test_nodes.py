"""Every node by its id, and what belongs to it, against what was written."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from neo4j import Driver

from asterism.gql.nodes import global_id
from tests.gql.asking import ask
from tests.gql.world import EVENTS, NODES, T0, World

pytestmark = pytest.mark.services
S1 = EVENTS[0]


def candidate_id(link: dict[str, Any]) -> str:
    places = (link["from"], link["to"], link["localization"], link["ruleSet"], repr(link["openedMjdTai"]))
    return global_id("Candidate", "|".join(places))


def test_every_node_is_found_again_by_its_id_and_hidden_ones_are_not(world: World, world_api: httpx.Client) -> None:
    query = "query ($id: ID!) { node(id: $id) { __typename id permalink } }"
    hidden_about = {row["key"] for row in world.objects if not row["public"]}
    for label, rows in NODES.items():
        for row in rows(world):
            identity = global_id(label, row["key"])
            hidden = row.get("public") is False or (label == "Annotation" and row.get("objectKey") in hidden_about)
            expected = {"__typename": label, "id": identity, "permalink": f"/node/{identity}"}
            assert ask(world_api, query, id=identity)["node"] == (None if hidden else expected), row["key"]
    for link in world.links:
        found = ask(world_api, query, id=candidate_id(link))["node"]
        assert (found is None) is (link["from"] in hidden_about)
    (one, two) = world.coincidences
    for link in (one, two):
        places = (link["from"], link["to"], link["firstLocalization"], link["secondLocalization"], link["ruleSet"])
        found = ask(world_api, query, id=global_id("Coincidence", "|".join(places)))["node"]
        assert found["__typename"] == "Coincidence"


def test_each_belief_of_a_pair_has_an_id_of_its_own_that_finds_it_and_no_other(
    neo4j_driver: Driver, world: World, world_api: httpx.Client
) -> None:
    shown = world.visible()
    link = next(one for one in world.links if one["open"] and one["to"] == S1 and one["from"] in shown)
    older = [(T0 + 0.125, 7.0), (T0 + 0.1 + 0.2, 8.0)]
    create = (
        "MATCH (o:Object {key: $link.from})-[c:CANDIDATE_FOR {localization: $link.localization, "
        "ruleSet: $link.ruleSet, open: true}]->(e {key: $link.to}) UNWIND $older AS one "
        "CREATE (o)-[n:CANDIDATE_FOR]->(e) SET n = properties(c), n.open = false, n.openedMjdTai = one[0], "
        "n.logL = one[1], n.closedMjdTai = one[0] + 0.01, n.closedBecause = 'vetting', n.extra = true"
    )
    listed = """query ($event: ID!) { candidates(event: $event, includeClosed: true, first: 100) {
      edges { node { id key logL open opened { mjdTai } object { key } localizationKey } } } }"""
    query = "query ($id: ID!) { node(id: $id) { ... on Candidate { id key logL open opened { mjdTai } } } }"
    with neo4j_driver.session() as session:
        session.run(create, link=link, older=older).consume()
    try:
        nodes = [edge["node"] for edge in ask(world_api, listed, event=S1)["candidates"]["edges"]]
        assert len({node["id"] for node in nodes}) == len(nodes)
        beliefs = [
            node
            for node in nodes
            if node["object"]["key"] == link["from"] and node["localizationKey"] == link["localization"]
        ]
        assert {(node["logL"], node["open"]) for node in beliefs} == {
            (link["logL"], True),
            *((log_l, False) for _, log_l in older),
        }
        for node in beliefs:
            found = ask(world_api, query, id=node["id"])["node"]
            assert found == {name: node[name] for name in ("id", "key", "logL", "open", "opened")}
    finally:
        with neo4j_driver.session() as session:
            session.run("MATCH ()-[c:CANDIDATE_FOR {extra: true}]->() DELETE c").consume()


@pytest.mark.parametrize("opened", [[], ["yesterday"], ["1.0", "2.0"]])
def test_an_id_of_a_candidate_that_names_no_belief_is_refused(
    world: World, world_api: httpx.Client, opened: list[str]
) -> None:
    link = world.links[0]
    places = (link["from"], link["to"], link["localization"], link["ruleSet"], *opened)
    variables = {"id": global_id("Candidate", "|".join(places))}
    body = {"query": "query ($id: ID!) { node(id: $id) { id } }", "variables": variables}
    (error,) = world_api.post("/graphql", json=body).json()["errors"]
    assert error["extensions"]["code"] == "id.malformed"
    assert "new answer" in error["extensions"]["hint"]


def test_a_permalink_shows_the_node_as_json(world: World, world_api: httpx.Client) -> None:
    found = world_api.get(f"/node/{global_id('Event', S1)}")
    assert (found.status_code, found.json()["data"]["node"]["key"]) == (200, S1)
    hidden = next(row["key"] for row in world.objects if not row["public"])
    assert world_api.get(f"/node/{global_id('Object', hidden)}").status_code == 404
    refused = world_api.get("/node/nonsense")
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (400, "gql.argument")


def test_evidence_on_an_object_is_what_was_written(world: World, world_api: httpx.Client) -> None:
    query = """
    query ($key: ID!) { object(key: $key) {
      classification { key className } classifications(includeReplaced: true) { key }
      matches { separationArcsec source { key } } host { source { key className objects { object { key } } } }
      alerts(first: 2) { totalCount edges { node { key photometry { kind mag } } } } annotations { key }
    } }"""
    seen = {"class": 0, "host": 0, "annotations": 0}
    for key in world.visible():
        found = ask(world_api, query, key=key)["object"]
        classes = [k["key"] for k in world.classes if k["objectKey"] == key]
        assert [one["key"] for one in found["classifications"]] == classes[::-1]
        assert (found["classification"] or {}).get("className") == world.current_class(key)
        assert [one["source"]["key"] for one in found["matches"]] == [
            m["to"] for m in world.matches if m["from"] == key
        ]
        host = world.host_of(key)
        assert (found["host"] or {"source": {"key": None}})["source"]["key"] == host
        if host:
            others = {m["from"] for m in world.matches if m["to"] == host} & set(world.visible())
            assert {one["object"]["key"] for one in found["host"]["source"]["objects"]} == others
        assert found["alerts"]["totalCount"] == 3
        assert found["alerts"]["edges"][0]["node"]["photometry"] == {"kind": "DIFFERENCE_DETECTION", "mag": 22.0}
        said = [n["key"] for n in world.annotations if n["objectKey"] == key]
        assert [one["key"] for one in found["annotations"]] == said[::-1]
        seen["class"] += bool(classes)
        seen["host"] += host is not None
        seen["annotations"] += bool(said)
    assert all(seen.values())


def test_what_was_said_of_an_event_and_its_candidate_is_shown_but_not_of_hidden_ones(
    world: World, world_api: httpx.Client
) -> None:
    query = """
    query ($key: ID!) { event(key: $key) {
      annotations { key text author created { mjdTai } }
      candidates(first: 100) { edges { node { object { key } vettingHistory { key state text } annotations { key } } } }
    } }"""
    event = ask(world_api, query, key=S1)["event"]
    shown = set(world.visible()) | {None}
    said = [n for n in world.annotations if n["eventKey"] == S1 and n["objectKey"] in shown][::-1]
    assert [one["key"] for one in event["annotations"]] == [n["key"] for n in said]
    assert len(said) < len([n for n in world.annotations if n["eventKey"] == S1])
    about = {n["objectKey"] for n in said}
    for edge in event["candidates"]["edges"]:
        node = edge["node"]
        mine = [n for n in said if n["objectKey"] == node["object"]["key"]]
        assert [one["key"] for one in node["annotations"]] == [n["key"] for n in mine]
        assert [one["state"] for one in node["vettingHistory"]] == [n["state"] for n in mine if n["kind"] == "vetting"]
        about.discard(node["object"]["key"])
    assert about == {None}, "every one was met"


@pytest.mark.parametrize("closed", [False, True])
def test_coincidences_of_an_event_are_shown_from_both_sides(
    world: World, world_api: httpx.Client, closed: bool
) -> None:
    query = """
    query ($key: ID!, $closed: Boolean!) { event(key: $key) { coincidences(includeClosed: $closed) {
      first { key } second { key } logOdds farHz open chain localizationKeys } } }"""
    expected = [
        {
            "first": {"key": one["from"]},
            "second": {"key": one["to"]},
            "logOdds": one["logOdds"],
            "farHz": one["farHz"],
            "open": one["open"],
            "chain": one["chain"],
            "localizationKeys": [one["firstLocalization"], one["secondLocalization"]],
        }
        for one in world.coincidences
        if one["open"] or closed
    ]
    for key in (EVENTS[0], EVENTS[2]):
        assert ask(world_api, query, key=key, closed=closed)["event"]["coincidences"] == expected
    assert ask(world_api, query, key=EVENTS[1], closed=closed)["event"]["coincidences"] == []


def test_statistics_count_what_was_written(world: World, world_api: httpx.Client) -> None:
    query = "{ statistics { objects alerts reconciliation { packetsIn } notices { listening deliveries } } sequence }"
    found = ask(world_api, query)
    assert found["statistics"]["objects"] == str(len(world.objects))
    assert found["statistics"]["alerts"] == str(len(world.alerts))
    assert found["statistics"]["notices"]["listening"] is False
    assert int(found["sequence"]) > 0
