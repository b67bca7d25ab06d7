"""``POST /cypher`` on a real server: formats, refusals with codes, places, and what the log says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.gql import cypher_door
from asterism.gql.auth_tokens import Scope, TokenStore
from asterism.graph.cypher import CypherLimits
from asterism.settings import Settings
from benchmarks.recipe_world import make_world, write_world

pytestmark = pytest.mark.services

ENDLESS = "MATCH (a), (b), (c), (d) RETURN sum(a.mjdTai + b.mjdTai + c.mjdTai + d.mjdTai) AS s"


@pytest.fixture(scope="module")
def settings(neo4j_driver: Driver, stack: Any) -> Settings:
    """Settings in front of a graph that holds public rows only."""
    with neo4j_driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    world = make_world(300, 3, 8, 40)
    for row in (*world.objects, *world.alerts, *world.classifications, *world.matches):
        row["public"] = True
    write_world(neo4j_driver, world, database="neo4j")
    made: Settings = stack.settings(api_port=0, cypher_places=2)
    return made


@pytest.fixture(scope="module")
def door(settings: Settings, serve_api: Callable[[Settings], Any]) -> Iterator[httpx.Client]:
    _, token = TokenStore(settings.tokens_path).create("analyst", [Scope.CYPHER], 1)
    headers = {"authorization": f"Bearer {token}"}
    with serve_api(settings) as url, httpx.Client(base_url=url, timeout=120, headers=headers) as client:
        yield client


def post(client: httpx.Client, accept: str = "application/json", **body: Any) -> httpx.Response:
    return client.post("/cypher", json=body, headers={"accept": accept})


def test_a_query_is_answered_as_json(door: httpx.Client) -> None:
    answer = post(door, query="UNWIND $l AS x RETURN x, x * 2 AS y", parameters={"l": [1, 2]})
    assert answer.status_code == 200
    document = answer.json()
    assert (document["columns"], document["rows"], document["truncated"]) == (["x", "y"], [[1, 2], [2, 4]], False)


def test_all_formats_hold_the_same_rows(door: httpx.Client) -> None:
    query = "UNWIND range(0, 1499) AS x RETURN x, toString(x) AS t"
    rows = [[x, str(x)] for x in range(1200)]
    assert post(door, query=query, rows=1200).json()["rows"] == rows
    lines = [json.loads(line) for line in post(door, "*/*", query=query, rows=1200).text.splitlines()]
    assert lines[1:-1] == rows
    assert lines[-1]["summary"] == lines[-1]["summary"] | {"rows": 1200, "truncated": True}
    text = post(door, "text/csv", query=query, rows=1200)
    assert text.text.splitlines() == ["x,t", *(f"{x},{t}" for x, t in rows)]
    arrow = post(door, "application/vnd.apache.arrow.stream", query=query, rows=1200)
    assert pa.ipc.open_stream(arrow.content).read_all().to_pydict()["x"] == [x for x, _ in rows]
    assert (text.headers["asterism-truncated"], arrow.headers["asterism-truncated"]) == ("true", "true")


def test_a_recipe_is_asked_by_name(door: httpx.Client) -> None:
    answer = post(door, recipe="counterparts", parameters={"event": "lvk:S0000", "first": 3})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["rows"]) == 3
    assert "probability" in answer.json()["columns"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"query": "MATCH (n) DETACH DELETE n"}, 400, "graph.cypher_refused"),
        ({"query": "RETURN 1", "parameters": {"x": 2**70}}, 400, "graph.cypher_refused"),
        ({"query": "RETURN x"}, 422, "graph.cypher_failed"),
        ({"query": "RETURN 1 / 0"}, 422, "graph.cypher_failed"),
        ({"query": ENDLESS, "seconds": 0.5}, 504, "graph.cypher_timeout"),
        ({"recipe": "nonsense"}, 400, "graph.recipe"),
        ({"recipe": "counterparts"}, 400, "graph.recipe"),
        ({}, 400, "gql.cypher_request"),
        ({"query": "RETURN 1", "recipe": "loose_ends"}, 400, "gql.cypher_request"),
        ({"query": "RETURN 1", "rows": 0}, 400, "gql.cypher_request"),
        ({"query": "RETURN 1", "seconds": 1e9}, 400, "gql.cypher_request"),
        ({"query": "RETURN 1", "limit": 5}, 400, "gql.cypher_request"),
        ({"query": ["RETURN 1"]}, 400, "gql.cypher_request"),
    ],
)
def test_what_is_refused_says_so_with_a_code_and_what_to_change(
    door: httpx.Client, body: dict[str, Any], status: int, code: str
) -> None:
    answer = post(door, **body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["hint"]


def test_only_json_is_read_and_only_known_formats_are_made(door: httpx.Client) -> None:
    assert door.post("/cypher", content="query=x").json()["error"]["code"] == "gql.cypher_request"
    broken = door.post("/cypher", content="{", headers={"content-type": "application/json"})
    assert broken.json()["error"]["code"] == "gql.cypher_request"
    assert post(door, "text/html", query="RETURN 1").json()["error"]["code"] == "gql.not_acceptable"
    assert door.get("/cypher").status_code == 405


@pytest.mark.parametrize("category", ["unicode_escapes", "load_csv_file", "procedures", "show_use_admin"])
def test_attacks_are_refused_over_http_too(
    door: httpx.Client, cypher_queries: Callable[..., list[str]], category: str
) -> None:
    for query in cypher_queries(f"attack_{category}", file="/etc/passwd", http="http://127.0.0.1:9")[::4]:
        answer = post(door, query=query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "graph.cypher_refused"), query


def test_others_are_served_while_all_places_are_taken_and_places_come_back(door: httpx.Client) -> None:
    results: list[httpx.Response] = []
    ask = lambda: results.append(post(door, query=ENDLESS, seconds=8))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    busy = post(door, query="RETURN 1")
    graphql = door.post("/graphql", json={"query": "{ statistics { alerts } }"}).json()
    assert (busy.status_code, busy.json()["error"]["code"]) == (429, "gql.cypher_busy")
    assert busy.headers["retry-after"]
    assert graphql["data"]["statistics"]["alerts"] == "900"
    for thread in threads:
        thread.join()
    assert {result.json()["error"]["code"] for result in results} == {"graph.cypher_timeout"}
    assert [post(door, query="RETURN 1 AS x").json()["rows"] for _ in range(5)] == [[[1]]] * 5


def wait_until_all_places_are_free(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Return when no query of an earlier test is left: a place may be given back well after the answer."""
    doors, take = list[Any](), cypher_door.CypherDoor._take_place
    with monkeypatch.context() as patch:
        patch.setattr(cypher_door.CypherDoor, "_take_place", lambda self: (doors.append(self), take(self))[1])
        post(client, query="RETURN 1 AS x")
    (served,) = doors
    for _ in range(served.settings.cypher_places):
        assert served._places.acquire(timeout=60)
    for _ in range(served.settings.cypher_places):
        served.give_back()


def test_a_client_is_answered_at_its_limit_whatever_the_server_does(
    door: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, servers = 1.0, 6.0
    wait_until_all_places_are_free(door, monkeypatch)
    freed, give_back = threading.Event(), cypher_door.CypherDoor.give_back
    monkeypatch.setattr(cypher_door, "CypherLimits", lambda rows, _seconds: CypherLimits(rows, servers))
    monkeypatch.setattr(cypher_door.CypherDoor, "give_back", lambda door: (give_back(door), freed.set()))
    started = time.monotonic()
    answer = post(door, query=ENDLESS, seconds=limit)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "graph.cypher_timeout")
    assert time.monotonic() - started < 4 * limit < servers
    assert not freed.is_set(), "its place is taken until the database is done with it"
    assert freed.wait(60)


def test_a_client_that_goes_away_gives_its_place_back(door: httpx.Client) -> None:
    for _ in range(4):
        with door.stream(
            "POST", "/cypher", json={"query": "UNWIND range(0, 9999) AS x RETURN x", "rows": 9999}
        ) as answer:
            next(answer.iter_bytes())
    assert post(door, query="RETURN 1 AS x").json()["rows"] == [[1]]


def test_the_log_tells_who_asked_what_and_never_a_value(door: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, Any]] = []
    asked = "RETURN $password AS p", "CREATE (n)"

    class Log:
        def info(self, event: str, **facts: Any) -> None:
            if facts["query"] in asked:  # others may still be ending
                lines.append({"event": event, **facts})

    monkeypatch.setattr(cypher_door, "_log", Log())
    post(door, query=asked[0], parameters={"password": "hunter2"})
    post(door, query=asked[1])
    deadline = time.monotonic() + 10
    while len(lines) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [line.get("code") for line in lines] == [None, "graph.cypher_refused"]
    assert lines[0]["caller"] == "analyst"
    assert (lines[0]["query"], lines[0]["rows"]) == ("RETURN $password AS p", 1)
    assert lines[0]["parameters"] == {"password": "str[7]"}
    assert "hunter2" not in json.dumps(lines)
