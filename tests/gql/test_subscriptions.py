"""Subscriptions over a real WebSocket: what is told, in which order, and that nothing committed is missed."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from neo4j import Driver

from asterism.gql.errors import TooSlowError
from asterism.gql.feed import MAX_PENDING, Subscriber
from asterism.graph.association.coincidence import Coincidence
from asterism.graph.association.coincidence_links import write_coincidences
from asterism.graph.changes import Change, ChangeReader, mark_changed
from asterism.graph.reader import open_driver
from asterism.settings import Settings
from tests.gql.follower import next_data, opened, subscribe
from tests.gql.world import EVENTS, T0, World, make_world, write_world

S1, BURST = EVENTS[0], EVENTS[2]
EVENT = """
subscription ($event: ID, $after: Int64) { eventUpdated(event: $event, after: $after) {
  key sequence snapshot event { key changed farHz } } }"""
CANDIDATES = """
subscription ($event: ID!, $first: Int!) { candidateUpdated(event: $event, first: $first) {
  key sequence snapshot left event { nCandidates } candidates { key version logL vetting } } }"""


@pytest.fixture
def world(neo4j_driver: Driver) -> World:
    made = make_world()
    write_world(neo4j_driver, made)
    return made


@pytest.fixture
def url(world: World, stack: Any, serve_api: Any) -> Iterator[str]:
    assert world.objects, "written before anything is asked"
    with serve_api(stack.settings(api_port=0)) as served:
        yield served


def change(driver: Driver, statement: str, *events: str, **parameters: Any) -> None:
    """Alter the graph and say which events that changed, in one transaction."""

    def work(tx: Any) -> None:
        tx.run(statement, parameters).consume()
        mark_changed(tx, events)

    with driver.session() as session:
        session.execute_write(work)


def set_far(driver: Driver, event: str, far: float) -> None:
    change(driver, "MATCH (e:Event {key: $event}) SET e.farHz = $far", event, event=event, far=far)


@pytest.mark.services
def test_an_event_is_told_as_it_is_and_after_each_commit(neo4j_driver: Driver, url: str) -> None:
    with opened(url) as socket:
        subscribe(socket, EVENT, event=S1)
        first = next_data(socket)["eventUpdated"]
        assert (first["snapshot"], first["event"]["farHz"]) == (True, 1e-7)
        set_far(neo4j_driver, BURST, 5.0)
        set_far(neo4j_driver, S1, 2.0)
        second = next_data(socket)["eventUpdated"]
        assert (second["key"], second["snapshot"], second["event"]["farHz"]) == (S1, False, 2.0)
        assert int(second["sequence"]) > int(first["sequence"])
        assert second["sequence"] == second["event"]["changed"]


@pytest.mark.services
def test_what_changed_behind_a_number_is_told_first_to_who_comes_back_with_it(neo4j_driver: Driver, url: str) -> None:
    with httpx.Client(base_url=url) as client:
        number = client.post("/graphql", json={"query": "{ sequence }"}).json()["data"]["sequence"]
    set_far(neo4j_driver, BURST, 5.0)
    set_far(neo4j_driver, S1, 2.0)
    with opened(url) as socket:
        subscribe(socket, EVENT, after=number)
        told = [next_data(socket)["eventUpdated"] for _ in range(2)]
        assert [(one["key"], one["event"]["farHz"]) for one in told] == [(BURST, 5.0), (S1, 2.0)]
        set_far(neo4j_driver, EVENTS[3], 7.0)
        assert next_data(socket)["eventUpdated"]["key"] == EVENTS[3]
    with opened(url) as socket:
        subscribe(socket, EVENT, event=S1, after=told[1]["sequence"])
        set_far(neo4j_driver, S1, 3.0)
        only = next_data(socket)["eventUpdated"]
        assert only["event"]["farHz"] == 3.0, "what it knew already is not told again"


@pytest.mark.services
def test_of_the_candidates_those_are_told_that_differ_and_those_that_left(neo4j_driver: Driver, url: str) -> None:
    with opened(url) as socket:
        subscribe(socket, CANDIDATES, event=S1, first=5)
        first = next_data(socket)["candidateUpdated"]
        assert (first["snapshot"], first["left"], len(first["candidates"])) == (True, [], 5)
        best, last = first["candidates"][0], first["candidates"][-1]
        vet = (
            "MATCH (:Object {key: $one})-[c:CANDIDATE_FOR {localization: $map, ruleSet: $rules}]->({key: $event}) "
            "SET c.vetting = $state, c.logL = c.logL + $more"
        )
        one, event, map_key, rules, _ = best["key"].split("|")
        place = {"one": one, "event": event, "map": map_key, "rules": rules}
        change(neo4j_driver, vet, S1, **place, state="seen", more=0.0)
        second = next_data(socket)["candidateUpdated"]
        assert [(c["key"], c["vetting"]) for c in second["candidates"]] == [(best["key"], "seen")]
        assert second["candidates"][0]["version"] != best["version"]
        assert (second["snapshot"], second["left"]) == (False, [])
        change(neo4j_driver, vet, S1, **place, state="seen", more=-100.0)
        third = next_data(socket)["candidateUpdated"]
        assert third["left"] == [best["key"]]
        (arrived,) = third["candidates"]
        assert arrived["logL"] <= last["logL"]


@pytest.mark.services
def test_a_commit_that_changes_nothing_of_the_candidates_is_not_told(neo4j_driver: Driver, url: str) -> None:
    with opened(url) as socket:
        subscribe(socket, CANDIDATES, event=S1, first=5)
        next_data(socket)
        change(neo4j_driver, "RETURN 1", S1)
        with pytest.raises(TimeoutError):
            socket.recv(1.5)


@pytest.mark.services
def test_a_coincidence_is_told_to_the_followers_of_both_its_events_and_to_nobody_when_written_again(
    neo4j_driver: Driver, world: World, url: str
) -> None:
    query = """subscription ($after: Int64) { eventUpdated(after: $after) {
      key sequence event { coincidences { open logOdds } } } }"""
    one, two = world.localizations[1]["key"], world.localizations[5]["key"]
    pair = Coincidence(
        S1, BURST, (one, two), offset_s=1.5, window_s=10.0, overlap=2.0, odds=math.exp(9.0), far_hz=1e-12, floored=False
    )

    def sequence() -> int:
        return int(httpx.post(f"{url}/graphql", json={"query": "{ sequence }"}).json()["data"]["sequence"])

    def tell(pairs: list[Coincidence]) -> None:
        with neo4j_driver.session() as session:
            write_coincidences(session, pairs, "asterism-1", T0)

    with opened(url) as socket:

        def told(number: int) -> dict[str, list[Any]]:
            """Return the coincidences told with a number, once both events were: each may be told more than once."""
            found: dict[str, list[Any]] = {}
            while found.keys() != {S1, BURST}:
                update = next_data(socket)["eventUpdated"]
                assert update["key"] in {S1, BURST}
                if update["sequence"] == str(number):
                    found[update["key"]] = update["event"]["coincidences"]
            return found

        before = sequence()
        subscribe(socket, query, after=str(before))
        tell([pair])
        link = {"open": True, "logOdds": math.log(pair.odds)}
        assert told(before + 1) == {S1: [link], BURST: [link]}
        tell([pair])
        assert sequence() == before + 1
        tell([])
        assert told(before + 2) == {S1: [], BURST: []}


@pytest.mark.services
def test_operations_of_one_connection_do_not_share_what_they_read(neo4j_driver: Driver, url: str) -> None:
    query = "query ($key: ID!) { event(key: $key) { farHz } }"
    with opened(url) as socket:
        for far in (2.0, 3.0):
            set_far(neo4j_driver, S1, far)
            subscribe(socket, query, name=str(far), key=S1)
            assert next_data(socket)["event"] == {"farHz": far}
            assert json.loads(socket.recv(30))["type"] == "complete"


@pytest.mark.services
@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        (EVENT, {"event": "no key"}, "id.malformed"),
        (EVENT, {"after": "-1"}, "gql.argument"),
        (CANDIDATES, {"event": S1, "first": 101}, "gql.argument"),
        ("subscription { nothing }", {}, "gql.invalid"),
    ],
)
def test_a_subscription_that_cannot_be_served_is_refused_with_a_code(
    url: str, query: str, variables: dict[str, Any], code: str
) -> None:
    with opened(url) as socket:
        subscribe(socket, query, **variables)
        message = json.loads(socket.recv(30))
        errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        assert [error["extensions"]["code"] for error in errors] == [code]


@pytest.mark.services
@pytest.mark.faults
def test_whoever_follows_the_sequence_sees_the_last_number_of_every_event_whatever_order_writers_commit_in(
    neo4j_driver: Driver, world: World, stack: Any
) -> None:
    assert [event["key"] for event in world.events] == list(EVENTS)
    settings: Settings = stack.settings(api_port=0)
    writers = [threading.Thread(target=_write_much, args=(neo4j_driver, number)) for number in range(4)]

    async def follow() -> tuple[dict[str, int], list[int]]:
        last, numbers, after = {}, [], Change("", 0)
        async with open_driver(settings) as driver:
            reader = ChangeReader(driver, "neo4j", show_nonpublic=False)
            while True:
                over = not any(writer.is_alive() for writer in writers)
                changes = await reader.changed_since(after, 3)
                last |= {one.event_key: one.number for one in changes}
                numbers += [one.number for one in changes]
                after = changes[-1] if changes else after
                if over and not changes:
                    return last, numbers

    for writer in writers:
        writer.start()
    last, numbers = asyncio.run(follow())
    with neo4j_driver.session() as session:
        stored = dict(session.run("MATCH (e:Event) RETURN e.key, e.changed").values())
    assert last == stored
    assert numbers == sorted(numbers)


def _write_much(driver: Driver, number: int) -> None:
    for turn in range(25):
        set_far(driver, EVENTS[(number + turn) % len(EVENTS)], float(turn))


def test_a_slow_subscriber_is_told_the_latest_number_of_each_event_once() -> None:
    async def follow() -> list[Change]:
        subscriber = Subscriber(None)
        for number in range(1, 10):
            subscriber.put(Change(f"a:{number % 2}", number))
        return [await subscriber.take(), await subscriber.take()]

    assert asyncio.run(follow()) == [Change("a:0", 8), Change("a:1", 9)]


def test_a_subscriber_that_falls_too_far_behind_is_told_so() -> None:
    async def follow() -> None:
        subscriber = Subscriber(None)
        for number in range(MAX_PENDING + 1):
            subscriber.put(Change(f"a:{number}", number))
        await subscriber.take()

    with pytest.raises(TooSlowError):
        asyncio.run(follow())
