"""Mutations: recorded once, by the token's holder, on the disk before the graph, and never lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from neo4j import Driver

from asterism.gql.auth_tokens import Scope, TokenStore
from asterism.gql.errors import ActPendingError
from asterism.gql.mutations_desk import Desk
from asterism.graph.audit import RULES
from asterism.graph.curation.acts import Act, Kind, Subject
from asterism.graph.curation.log import CurationLog
from asterism.settings import Settings
from tests.gql.asking import ask, code_of

pytestmark = pytest.mark.services

EVENT = "lvk:S1"
VET = """
mutation ($object: ID!, $event: ID!, $state: VettingState!, $reason: String!, $key: String) {
  vet(object: $object, event: $event, state: $state, reason: $reason, idempotencyKey: $key) {
    key kind state text author objectKey eventKey created { mjdTai }
  }
}
"""


@pytest.fixture(scope="module")
def office(night: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings: Settings = night.settings.model_copy(update={"home": tmp_path_factory.mktemp("office")})
    return settings


@pytest.fixture(scope="module")
def two_servers(office: Settings, serve_api: Callable[[Settings], Any]) -> Iterator[list[httpx.Client]]:
    _, text = TokenStore(office.tokens_path).create("ada", [Scope.VET], 1)
    headers = {"authorization": f"Bearer {text}"}
    with (
        serve_api(office) as one,
        serve_api(office) as two,
        httpx.Client(base_url=one, timeout=60, headers=headers) as first,
        httpx.Client(base_url=two, timeout=60, headers=headers) as second,
    ):
        yield [first, second]


@pytest.fixture(scope="module")
def ada(two_servers: list[httpx.Client]) -> httpx.Client:
    return two_servers[0]


@pytest.fixture
def bob(two_servers: list[httpx.Client], office: Settings) -> Iterator[httpx.Client]:
    _, text = TokenStore(office.tokens_path).create("bob", [Scope.VET], 1)
    headers = {"authorization": f"Bearer {text}"}
    with httpx.Client(base_url=two_servers[0].base_url, timeout=60, headers=headers) as client:
        yield client


def post(client: httpx.Client, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()


def vetting(driver: Driver, key: str) -> set[str]:
    with driver.session() as session:
        found = session.run(
            "MATCH (:Object {key: $key})-[c:CANDIDATE_FOR {open: true}]->(:Event {key: $event}) RETURN c.vetting AS v",
            key=key, event=EVENT,
        )  # fmt: skip
        return {record["v"] for record in found}


def acts(office: Settings) -> list[Act]:
    return CurationLog(office.lake_path).acts()


def test_a_vetting_is_signed_kept_in_the_lake_and_shown_on_every_open_link(
    ada: httpx.Client, bob: httpx.Client, office: Settings, neo4j_driver: Driver
) -> None:
    said: dict[str, Any] = {"object": "ztf:ZTF0006", "event": EVENT}
    first = ask(ada, VET, **said, state="REJECTED", reason="  a CV  ")["vet"]
    assert first["author"] == "ada"
    assert (first["kind"], first["state"], first["text"]) == ("vetting", "rejected", "a CV")
    assert (first["objectKey"], first["eventKey"]) == ("ztf:ZTF0006", EVENT)
    assert vetting(neo4j_driver, "ztf:ZTF0006") == {"rejected"}
    second = ask(bob, VET, **said, state="CONFIRMED", reason="spectrum")["vet"]
    assert vetting(neo4j_driver, "ztf:ZTF0006") == {"confirmed"}
    kept = {act.author: act for act in acts(office) if act.subjects == (Subject("ztf:ZTF0006", EVENT),)}
    assert [kept[who].text for who in ("ada", "bob")] == ["a CV", "spectrum"]
    assert kept["bob"].made_mjd_tai == second["created"]["mjdTai"] > first["created"]["mjdTai"]
    shown = ask(
        ada,
        "query ($e: ID!) { candidates(event: $e, first: 100, includeClosed: true) "
        "{ edges { node { vetting object { key } } } } }",
        e=EVENT,
    )["candidates"]["edges"]
    states = {edge["node"]["vetting"] for edge in shown if edge["node"]["object"]["key"] == "ztf:ZTF0006"}
    assert states == {"pending", "rejected", "confirmed"}, "closed links keep what was believed then"


def test_one_mutation_sent_at_once_to_two_servers_many_times_is_done_once(
    two_servers: list[httpx.Client], office: Settings, neo4j_driver: Driver
) -> None:
    key = str(uuid.uuid4())
    said = {"object": "ztf:ZTF0007", "event": EVENT, "state": "AMBIGUOUS", "reason": "faint", "key": key}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: ask(two_servers[n % 2], VET, **said)["vet"], range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert len([act for act in acts(office) if act.subjects == (Subject("ztf:ZTF0007", EVENT),)]) == 1
    assert vetting(neo4j_driver, "ztf:ZTF0007") == {"ambiguous"}
    assert code_of(two_servers[1], VET, **said | {"reason": "bright"}) == "gql.idempotency_key"
    assert code_of(two_servers[0], VET, **said | {"object": "ztf:ZTF0008"}) == "gql.idempotency_key"
    assert vetting(neo4j_driver, "ztf:ZTF0007") == {"ambiguous"}


def test_two_people_may_use_the_same_key(ada: httpx.Client, bob: httpx.Client) -> None:
    query = 'mutation ($t: String!) { annotate(text: $t, object: "ztf:ZTF0001", idempotencyKey: "1") { key author } }'
    one, two = (ask(who, query, t="hello")["annotate"] for who in (ada, bob))
    assert (one["author"], two["author"]) == ("ada", "bob")
    assert one["key"] != two["key"]


def test_writers_at_once_leave_the_last_word_and_a_sound_graph(
    two_servers: list[httpx.Client], neo4j_driver: Driver
) -> None:
    states = ("CONFIRMED", "REJECTED", "AMBIGUOUS", "PENDING")

    def vet(number: int) -> Any:
        said = {"object": "ztf:ZTF0010", "event": EVENT, "state": states[number % 4], "reason": f"look {number}"}
        return ask(two_servers[number % 2], VET, **said)["vet"]

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(vet, range(24)))
    last = max(said, key=lambda one: (one["created"]["mjdTai"], one["key"]))
    assert vetting(neo4j_driver, "ztf:ZTF0010") == {last["state"]}
    with neo4j_driver.session() as session:
        for rule in RULES:
            if "annotation" in rule or "vetting" in rule:
                assert session.run(RULES[rule]).values() == [], rule


def test_tags_and_watchlists_list_what_holds_now(ada: httpx.Client, bob: httpx.Client) -> None:
    tag = 'mutation ($o: ID!) { tag(name: "kilonova", object: $o) { state } }'
    tagged = '{ tagged(name: "kilonova") { edges { node { author object { key } } } } }'
    for who, key in ((ada, "ztf:ZTF0011"), (ada, "ztf:ZTF0012"), (bob, "ztf:ZTF0012")):
        ask(who, tag, o=key)
    found = ask(ada, tagged)["tagged"]["edges"]
    assert sorted((e["node"]["object"]["key"], e["node"]["author"]) for e in found) == [
        ("ztf:ZTF0011", "ada"),
        ("ztf:ZTF0012", "bob"),
    ]
    ask(bob, 'mutation { untag(name: "kilonova", object: "ztf:ZTF0011") { state } }')
    assert len(ask(ada, tagged)["tagged"]["edges"]) == 1

    watch = """mutation { watch(watchlist: "tonight", objects: ["ztf:ZTF0001", "ztf:ZTF0001"], events: ["lvk:S1"],
      cones: [{ra: 10, dec: -3, radiusArcsec: 60}]) { kind state text } }"""
    assert ask(ada, watch)["watch"] == [{"kind": "watch", "state": "set", "text": "tonight"}] * 3
    entries = (
        '{ watchlist(name: "tonight") { edges { node { object { key } event { key } cone { ra radiusArcsec } } } } }'
    )
    nodes = [edge["node"] for edge in ask(ada, entries)["watchlist"]["edges"]]
    assert {"object": None, "event": None, "cone": {"ra": 10.0, "radiusArcsec": 60.0}} in nodes
    assert {"object": {"key": "ztf:ZTF0001"}, "event": None, "cone": None} in nodes
    assert {"object": None, "event": {"key": "lvk:S1"}, "cone": None} in nodes
    assert ask(bob, entries)["watchlist"]["edges"] == []
    ask(ada, 'mutation { unwatch(watchlist: "tonight", cones: [{ra: 10, dec: -3, radiusArcsec: 60}]) { state } }')
    assert len(ask(ada, entries)["watchlist"]["edges"]) == 2


def test_a_watchlist_is_paged(ada: httpx.Client) -> None:
    keys = [f"ztf:ZTF{number:04d}" for number in range(30) if number % 10 != 9]
    ask(ada, 'mutation ($k: [ID!]) { watch(watchlist: "long", objects: $k) { key } }', k=keys)
    query = """query ($after: String) { watchlist(name: "long", first: 4, after: $after) {
      edges { node { object { key } } } pageInfo { hasNextPage endCursor } } }"""
    found, after, more = list[str](), None, True
    while more:
        page = ask(ada, query, after=after)["watchlist"]
        found += [edge["node"]["object"]["key"] for edge in page["edges"]]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    assert sorted(found) == keys


@pytest.mark.parametrize(
    ("mutation", "code"),
    [
        ('vet(object: "ztf:NONE", event: "lvk:S1", state: PENDING, reason: "x")', "gql.argument"),
        ('vet(object: "ztf:ZTF0009", event: "lvk:S1", state: PENDING, reason: "x")', "gql.argument"),
        ('vet(object: "ztf:ZTF0001", event: "lvk:S9", state: PENDING, reason: "x")', "gql.argument"),
        ('vet(object: "ztf:ZTF0012", event: "gbm:bn1", state: PENDING, reason: "x")', "gql.argument"),
        ('vet(object: "ztf:ZTF0001", event: "lvk:S1", state: PENDING, reason: "  ")', "gql.argument"),
        ('vet(object: "ztf:ZTF0001", event: "lvk:S1", state: GOOD, reason: "x")', "gql.invalid"),
        ('vet(object: "nonsense", event: "lvk:S1", state: PENDING, reason: "x")', "id.malformed"),
        ('annotate(text: "x")', "gql.argument"),
        (f'annotate(text: "{"x" * 4001}", object: "ztf:ZTF0001")', "gql.argument"),
        ('annotate(text: "a\\u0000b", object: "ztf:ZTF0001")', "gql.argument"),
        ('annotate(text: "x", object: "ztf:ZTF0001", idempotencyKey: "")', "gql.argument"),
        ('tag(name: "Kilo Nova", object: "ztf:ZTF0001")', "gql.argument"),
        ('watch(watchlist: "empty")', "gql.argument"),
        ('watch(watchlist: "far", cones: [{ra: 400, dec: 0, radiusArcsec: 1}])', "gql.argument"),
        ('watch(watchlist: "hidden", objects: ["ztf:ZTF0019"])', "gql.argument"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_recorded(
    ada: httpx.Client, office: Settings, mutation: str, code: str
) -> None:
    before = acts(office)
    assert code_of(ada, f"mutation {{ {mutation} {{ key }} }}") == code
    assert acts(office) == before


def act(**values: Any) -> Act:
    said: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "kind": Kind.VETTING,
        "state": "rejected",
        "name": None,
        "text": "x",
        "author": "ada",
        "token_id": "01",
        "made_mjd_tai": 61000.0,
        "subjects": (Subject("ztf:ZTF0014", EVENT),),
    }
    return Act(**said | values)


def in_graph(driver: Driver, one: Act) -> bool:
    with driver.session() as session:
        found = session.run("MATCH (a:Annotation {key: $k}) RETURN a.current AS c", k=f"annotation:{one.id}-0").single()
        return found is not None and bool(found["c"])


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_while_the_graph_is_away_an_act_is_recorded_and_shown_when_it_is_back(
    office: Settings, neo4j_driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asterism.gql.mutations_desk.RETRY_SECONDS", 0.05)
    away = office.model_copy(update={"neo4j_uri": "bolt://127.0.0.1:1"})
    desk, said = Desk(away), act()

    async def work() -> None:
        with pytest.raises(ActPendingError):
            await desk.record(said)
        assert said in acts(office)
        keeping_up = asyncio.create_task(desk.keep_up())
        await asyncio.sleep(0.2)
        assert not in_graph(neo4j_driver, said)
        monkeypatch.setattr(desk, "_settings", office)
        await asyncio.to_thread(wait_for, lambda: in_graph(neo4j_driver, said))
        keeping_up.cancel()

    try:
        asyncio.run(work())
    finally:
        desk.close()
    assert vetting(neo4j_driver, "ztf:ZTF0014") == {"rejected"}


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from asterism.gql import mutations_desk
from asterism.graph.curation.acts import Act, Kind, Subject
from asterism.settings import load_settings
mutations_desk.write_acts = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
said = Act(sys.argv[1], Kind.VETTING, "confirmed", None, "x", "ada", "01", 61001.0, (Subject("ztf:ZTF0015", "lvk:S1"),))
settings = load_settings(home=Path(sys.argv[2]), neo4j_uri=sys.argv[3], neo4j_password=sys.argv[4])
asyncio.run(mutations_desk.Desk(settings).record(said))
"""


@pytest.mark.faults
def test_an_act_whose_server_was_killed_between_lake_and_graph_is_shown_when_a_server_starts(
    office: Settings, neo4j_driver: Driver, serve_api: Callable[[Settings], Any], tmp_path: Path
) -> None:
    said = act(state="confirmed", subjects=(Subject("ztf:ZTF0015", EVENT),), made_mjd_tai=61001.0)
    home = office.model_copy(update={"home": tmp_path})
    address = [home.neo4j_uri, home.neo4j_password.get_secret_value()]
    child = subprocess.run([sys.executable, "-c", CHILD, said.id, str(tmp_path), *address], timeout=100, check=False)
    assert child.returncode == -signal.SIGKILL
    assert acts(home) == [said]
    assert not in_graph(neo4j_driver, said)
    assert vetting(neo4j_driver, "ztf:ZTF0015") == {"pending"}
    with serve_api(home):
        wait_for(lambda: in_graph(neo4j_driver, said))
    assert vetting(neo4j_driver, "ztf:ZTF0015") == {"confirmed"}
