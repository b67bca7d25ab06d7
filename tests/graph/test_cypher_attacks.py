"""Whatever is thrown at the gateway: nothing is written, no file or address is read, no budget exceeded, and others are
served meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from neo4j import READ_ACCESS, Driver

from asterism.deploy.local.stack import LocalStack
from asterism.graph.cypher import CypherLimits, run_cypher
from asterism.graph.cypher_guard import MAX_CHARACTERS
from asterism.graph.digest import digest
from asterism.graph.errors import CypherFailedError, CypherRefusedError, CypherTooLargeError, GraphError
from benchmarks.recipe_world import make_world, write_world

pytestmark = pytest.mark.services

SECRET = "canary-4711"
BUDGET = CypherLimits(rows=100, seconds=2.0)
CATEGORIES = (
    "writes_in_comments",
    "unicode_escapes",
    "backticks",
    "call_subqueries",
    "load_csv_file",
    "load_csv_http",
    "procedures",
    "show_use_admin",
    "cypher_prefixes",
)
BOMBS = ("huge_literals", "cartesian_bombs", "comprehension_bombs")
HARMLESS = {
    "RETURN 1 /* CREATE (n:Evil) */",
    "RETURN 1 // MERGE (n:Evil)",
    "RETURN 1 /* '*/ CREATE (:Evil) /*' */",
}
"""What may be answered among the attacks that are no bombs: comments, never sent."""


class Trap:
    """A web server that counts who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        trap = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                trap.asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(SECRET.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    made = Trap()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture(scope="module")
def filled(neo4j_driver: Driver) -> Driver:
    """A graph of some thousand public nodes."""
    with neo4j_driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    world = make_world(400, 4, 8, 60)
    for rows in (world.objects, world.alerts, world.classifications, world.matches):
        for row in rows:
            row["public"] = True
    write_world(neo4j_driver, world, database="neo4j")
    return neo4j_driver


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("canary") / "secret.csv"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    return path


class Neighbour:
    """Somebody else, who asks for one object again and again."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers = 0
        self.failures: list[BaseException] = []

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            try:
                with self._driver.session(default_access_mode=READ_ACCESS) as session:
                    found = session.run("MATCH (o:Object {key: 'ztf:0'}) RETURN o.key").single(strict=True)
                self.answers += found[0] == "ztf:0"
            except BaseException as error:
                self.failures.append(error)


def attack(driver: Driver, query: str, parameters: dict[str, Any]) -> tuple[str, float]:
    """Return how a query ended, and how long it took [s]."""
    known = {name: value for name, value in parameters.items() if f"${name}" in query}
    started = time.monotonic()
    try:
        answer = run_cypher(driver, query, known, database="neo4j", limits=BUDGET)
    except (CypherRefusedError, CypherFailedError) as error:
        return error.code, time.monotonic() - started
    assert SECRET not in json.dumps(answer.rows), query
    assert len(answer.rows) <= BUDGET.rows
    return "answered", time.monotonic() - started


def unfinished(driver: Driver) -> list[str]:
    """Return the texts of queries that still run, but for this one."""
    with driver.session() as session:
        found = session.run("SHOW TRANSACTIONS YIELD currentQuery WHERE NOT currentQuery STARTS WITH 'SHOW'")
        return [record[0] for record in found if record[0]]


def run_all(driver: Driver, queries: list[str], parameters: dict[str, Any]) -> dict[str, tuple[str, float]]:
    """Attack with all queries while a neighbour asks; nothing may have changed and nothing may run on."""
    before = digest(driver, "neo4j", history=True)
    with Neighbour(driver) as neighbour:
        outcomes = {query: attack(driver, query, parameters) for query in queries}
        served = neighbour.answers
        deadline = time.monotonic() + 60
        while neighbour.answers == served and time.monotonic() < deadline:
            time.sleep(0.05)
    assert neighbour.failures == []
    assert neighbour.answers > 0
    assert digest(driver, "neo4j", history=True) == before
    assert [text for text in unfinished(driver) if "Object {key: 'ztf:0'}" not in text] == []
    return outcomes


@pytest.mark.parametrize("category", CATEGORIES)
def test_an_attack_is_refused_before_it_reaches_the_database(
    filled: Driver, trap: Trap, canary: Path, cypher_queries: Callable[..., list[str]], category: str
) -> None:
    queries = cypher_queries(f"attack_{category}", file=str(canary), http=trap.url)
    assert len(set(queries)) >= 15
    outcomes = run_all(filled, queries, {"a": 1, "file": f"file://{canary}", "http": trap.url})
    passed = {query for query, (code, _) in outcomes.items() if code != "graph.cypher_refused"}
    assert passed <= HARMLESS
    assert trap.asked == []


@pytest.mark.parametrize("category", BOMBS)
@pytest.mark.timeout(400)
def test_a_bomb_is_refused_or_ends_within_its_budget(
    filled: Driver, stack: LocalStack, cypher_queries: Callable[..., list[str]], category: str
) -> None:
    queries = cypher_queries(f"attack_{category}")
    assert len(set(queries)) >= 15
    process = stack.status()
    parameters = {"big": list(range(40_000)), "text": "a" * 200_000, "a": 1}
    outcomes = run_all(filled, queries, parameters)
    # Overdue queries are looked for twice a second, and planning counts, too; the slack is for a busy machine.
    slow = {query[:100]: took for query, (_, took) in outcomes.items() if took > 3 * BUDGET.seconds}
    assert slow == {}
    assert stack.status() == process
    log = stack.home / "stack" / "neo4j" / "logs" / "debug.log"
    assert "OutOfMemoryError" not in log.read_text(encoding="utf-8", errors="replace")


def test_whatever_slips_through_the_guard_is_stopped_behind_it(
    filled: Driver,
    trap: Trap,
    canary: Path,
    cypher_queries: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asterism.graph.cypher.check_query", lambda *_: None)
    names = [name for name in CATEGORIES if name != "procedures"]
    queries = [q for name in names for q in cypher_queries(f"attack_{name}", file=str(canary), http=trap.url)]
    before = digest(filled, "neo4j", history=True)
    answered = set()
    for query in queries:
        try:
            if attack(filled, query, {"a": 1, "file": f"file://{canary}", "http": trap.url})[0] == "answered":
                answered.add(query)
        except GraphError:
            continue
    assert digest(filled, "neo4j", history=True) == before
    assert trap.asked == []
    telling = ("LOAD CSV", "DELETE", "MERGE (:")
    assert [query for query in answered if any(word in query.upper() for word in telling)] == []


def test_a_query_that_is_too_long_or_an_answer_too_large_is_refused(filled: Driver) -> None:
    with pytest.raises(CypherRefusedError, match="characters"):
        run_cypher(filled, "RETURN 1 //" + "a" * MAX_CHARACTERS, database="neo4j")
    query = "UNWIND range(0, 9999) AS x RETURN $text"
    with pytest.raises(CypherTooLargeError):
        run_cypher(filled, query, {"text": "a" * 100_000}, database="neo4j", limits=CypherLimits(rows=10_000))


def test_what_analysts_ask_is_answered(filled: Driver, cypher_queries: Callable[..., list[str]]) -> None:
    queries = cypher_queries("benign")
    assert len(set(queries)) >= 50
    values: dict[str, Any] = {"lo": 0, "hi": 2**62, "event": "lvk:S0000", "object": "ztf:0", "t0": 61000.0}
    values["objects"] = ["ztf:0", "lsst:1"]
    refused = {}
    for query in queries:
        parameters = {name: value for name, value in values.items() if f"${name}" in query}
        try:
            run_cypher(filled, query, parameters, database="neo4j", limits=CypherLimits(rows=50, seconds=30))
        except GraphError as error:
            refused[query] = error.message
    assert refused == {}
