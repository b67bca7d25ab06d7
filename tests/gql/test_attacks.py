"""Hostile and random queries: refused or answered, in bounded time and memory, without an error of ours."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest
from graphql import parse, validate

from asterism.gql.errors import MAX_ERRORS
from asterism.gql.limits import REQUEST_SECONDS
from asterism.gql.loaders import RequestContext
from asterism.gql.nodes import global_id
from asterism.gql.readers import Readers
from asterism.gql.schema import make_schema
from asterism.graph.reader import open_driver
from asterism.settings import Settings
from tests.gql.query_maker import QueryMaker
from tests.gql.world import EVENTS, NODES, T0, World

pytestmark = pytest.mark.services
S1 = EVENTS[0]
MEMORY = 300 * 2**20
"""Most the server may grow by all attacks together [bytes]."""
OURS = ("gql.internal", "graph.", "format.", "sky.")
"""Codes, or their beginnings, that say something of ours failed."""


@pytest.fixture(scope="module")
def server(world: World, stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, psutil.Process]]:
    """Address and process of a real ``asterism serve``."""
    assert world.objects, "written before anything is asked"
    home = tmp_path_factory.mktemp("attacked")
    (home / "stack.toml").write_bytes((stack.home / "stack.toml").read_bytes())
    environment = os.environ | {"ASTERISM_HOME": str(home), "ASTERISM_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "asterism", "serve", "--port", "0", "--json"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"], psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def candidates_in_candidates(levels: int, first: int) -> str:
    inner = "probability"
    for _ in range(levels):
        inner = f"event {{ candidates(first: {first}, includeClosed: true) {{ edges {{ node {{ {inner} }} }} }} }}"
    return f'{{ candidates(event: "{S1}", first: {first}, includeClosed: true) {{ edges {{ node {{ {inner} }} }} }} }}'


def chain(links: int, body: str) -> str:
    return " ".join(f"fragment F{i} on Query {{ {body.format(i + 1)} }}" for i in range(links))


CONE = "coneSearch(ra: 150, dec: 2, radiusArcsec: 3600, first: 99) { edges { node { alerts { totalCount } } } }"
ATTACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "deep": (
        f'{{ event(key: "{S1}") {{ ' + "candidates { edges { node { event { " * 20 + "key" + " } } } }" * 20 + " } }",
        {},
    ),
    "brackets without end": ("{ a" * 900, {}),
    "a deep list as an argument": ("{ object(key: " + "[" * 1900, {}),
    "deep introspection": ("{ __schema { types { " + "fields { type { " * 20 + "name" + " } }" * 20 + " } } }", {}),
    "wide": ("{ " + "sequence " * 1990 + "}", {}),
    "wider": ("{ " + "sequence " * 20000 + "}", {}),
    "aliases": ("{ " + " ".join(f"a{i}: sequence" for i in range(400)) + " }", {}),
    "aliases of the largest cone": ("{ " + " ".join(f"a{i}: {CONE}" for i in range(25)) + " }", {}),
    "aliases by fragments": (
        "{ ...F0 } " + chain(60, "...F{0} ...F{0}") + " fragment F60 on Query { x: sequence }",
        {},
    ),
    "fragments in a circle": ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A sequence }", {}),
    "a fragment in itself": ("{ ...A } fragment A on Query { ...A }", {}),
    "a long chain of fragments": ("{ ...F0 } " + chain(250, "...F{0}") + " fragment F250 on Query { sequence }", {}),
    "unused fragments": ("{ sequence } " + chain(250, "sequence ...F{0}") + " fragment F250 on Query { sequence }", {}),
    "the same field with other arguments": (
        "{ " + " ".join(f'object(key: "ztf:{i}") {{ key }}' for i in range(200)) + " }",
        {},
    ),
    "many operations": (" ".join(f"query q{i} {{ sequence }}" for i in range(300)), {}),
    "many directives": ("{ sequence " + "@include(if: true) " * 250 + "}", {}),
    "many variables": ("query (" + " ".join(f"$v{i}: Int" for i in range(600)) + ") { sequence }", {}),
    "rows by the million": (candidates_in_candidates(2, 100), {}),
    "rows by levels": (candidates_in_candidates(1, 100), {}),
    "everything of everything": (
        "{ events(first: 100) { edges { node { notices { key } localizations { key } candidates(first: 100) { edges { "
        "node { object { alerts(first: 100) { edges { node { key } } } candidateFor { event { key } } } } } } } } } }",
        {},
    ),
    "a long key": ("query ($k: ID!) { object(key: $k) { key } }", {"k": "x" * 200_000}),
    "a list for a key": ("query ($k: ID!) { object(key: $k) { key } }", {"k": ["a"] * 40_000}),
    "many bad elements": (
        "query ($s: [String!]) { crossSurvey(surveys: $s) { edges { cursor } } }",
        {"s": [1] * 60_000},
    ),
    "many surveys": (
        "query ($s: [String!]) { crossSurvey(surveys: $s) { edges { cursor } } }",
        {"s": ["ztf"] * 30_000},
    ),
    "unknown variables": ("{ sequence }", {f"v{i}": i for i in range(10_000)}),
    "a huge number": (
        "query ($r: Float!) { coneSearch(ra: $r, dec: 0, radiusArcsec: 1) { edges { cursor } } }",
        {"r": 10**4000},
    ),
    "a huge integer": ("query ($n: Int) { objects(first: $n) { edges { cursor } } }", {"n": 10**4000}),
    "a long cursor": ("query ($a: String) { objects(after: $a) { edges { cursor } } }", {"a": "A" * 200_000}),
    "a long id": ("query ($i: ID!) { node(id: $i) { id } }", {"i": "QQ" * 100_000}),
    "an unknown type": ("query ($i: ID!) { node(id: $i) { id } }", {"i": global_id("Password", "ztf:1")}),
    "a long text in the document": ('{ object(key: "' + "x" * 200_000 + '") { key } }', {}),
    "a long comment": ("{ sequence } #" + "x" * 200_000, {}),
    "a subscription by POST": ("subscription { eventUpdated { key } }", {}),
}


def nested(levels: int) -> bytes:
    return b'{"query": "{ sequence }", "variables": {"a": ' + b"[" * levels + b"]" * levels + b"}}"


def test_attacks_are_refused_or_answered_in_time_and_memory_while_others_are_served(
    server: tuple[str, psutil.Process], record_property: Any
) -> None:
    url, process = server
    before = process.memory_info().rss
    slowest = ("", 0.0)
    with httpx.Client(base_url=url, timeout=2 * REQUEST_SECONDS) as client, ThreadPoolExecutor(1) as other:
        for name, (query, variables) in ATTACKS.items():
            served = other.submit(
                httpx.post, f"{url}/graphql", json={"query": "{ __typename }"}, timeout=2 * REQUEST_SECONDS
            )
            start = time.monotonic()
            answer = client.post("/graphql", json={"query": query, "variables": variables})
            seconds = time.monotonic() - start
            slowest = max(slowest, (name, seconds), key=lambda one: one[1])
            assert seconds < REQUEST_SECONDS, name
            errors = answer.json().get("errors", [])
            assert len(errors) <= MAX_ERRORS, name
            codes = {error["extensions"]["code"] for error in errors}
            assert not [code for code in codes if code.startswith(OURS)], (name, errors[:1])
            assert served.result().json() == {"data": {"__typename": "Query"}}, name
        assert (
            client.post("/graphql", content=nested(50_000), headers={"content-type": "application/json"}).status_code
            == 400
        )
    grown = process.memory_info().rss - before
    record_property("slowest", f"{slowest[0]}: {slowest[1]:.2f} s")
    record_property("grown_mib", round(grown / 2**20, 1))
    assert grown < MEMORY


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("deep", "gql.too_deep"),
        ("deep introspection", "gql.too_deep"),
        ("wider", "gql.too_many_tokens"),
        ("aliases", "gql.too_many_aliases"),
        ("aliases by fragments", "gql.too_many_aliases"),
        ("fragments in a circle", "gql.invalid"),
        ("rows by the million", "gql.too_costly"),
        ("a subscription by POST", "gql.bad_request"),
        ("a list for a key", "gql.invalid"),
        ("an unknown type", "gql.argument"),
        ("a long id", "gql.argument"),
        ("a long cursor", "gql.cursor"),
    ],
)
def test_an_attack_is_refused_by_the_limit_made_for_it(
    server: tuple[str, psutil.Process], name: str, code: str
) -> None:
    query, variables = ATTACKS[name]
    body = {"query": query, "variables": variables}
    answer = httpx.post(f"{server[0]}/graphql", json=body, timeout=2 * REQUEST_SECONDS).json()
    assert {error["extensions"]["code"] for error in answer["errors"]} == {code}
    assert all(error["extensions"]["hint"] for error in answer["errors"])


def values_of(world: World) -> dict[str, list[Any]]:
    """Return values that find something, and some that do not, by name of argument."""
    objects, events = ([row["key"] for row in rows] + ["ztf:nothere"] for rows in (world.objects, world.events))
    ids = [global_id(label, row["key"]) for label, rows in NODES.items() for row in rows(world)[:20]]
    link = world.links[0]
    places = (link["from"], link["to"], link["localization"], link["ruleSet"], repr(link["openedMjdTai"]))
    ids.append(global_id("Candidate", "|".join(places)))
    times = [T0 - 10, T0, T0 + 5.5, T0 + 20]
    return {
        "key": objects + events,
        "event": events,
        "id": [*ids, "nonsense"],
        "first": [1, 2, 5, 20, 50],
        "ra": [150.0, 149.0],
        "dec": [2.0],
        "radiusArcsec": [10.0, 3600.0],
        "level": [0.3, 0.9],
        "maxLevel": [0.5],
        "after": ["nonsense"],
        "survey": ["ztf", "lsst", "ztf", "kepler"],
        "surveys": ["ztf", "lsst"],
        "ruleSet": ["asterism-1", "paper-2020"],
        "className": ["fading", "rising"],
        "host": [row["key"] for row in world.galaxies],
        "minProbability": [0.0, 0.01, 1.0],
        **dict.fromkeys(("mjdFrom", "mjdTo", "asOf", "firstFrom", "firstTo", "lastFrom", "lastTo"), times),
    }


def check_random_queries(world: World, settings: Settings, count: int, seed: int) -> Counter[str]:
    """Execute random valid queries; return how they ended."""
    schema = make_schema()
    inner = schema._schema
    maker = QueryMaker(inner, values_of(world), seed)
    ends: Counter[str] = Counter()

    async def run() -> None:
        async with open_driver(settings) as driver:
            readers = Readers.of(driver, "neo4j", show_nonpublic=False)
            for number in range(count):
                query = maker.query(depth=3 + number % 8)
                assert validate(inner, parse(query)) == [], query
                result = await schema.execute(query, context_value=RequestContext(readers))
                codes = {str((error.extensions or {}).get("code")) for error in result.errors or []}
                assert not [code for code in codes if code.startswith(OURS)], (query, result.errors)
                ends.update(codes or {"answered"})

    asyncio.run(run())
    return ends


@pytest.mark.timeout(600)
@pytest.mark.fuzz
def test_random_valid_queries_give_no_error_of_ours(world: World, stack: Any, record_property: Any) -> None:
    ends = check_random_queries(world, stack.settings(api_port=0), count=300, seed=1)
    record_property("ends", dict(ends))
    assert ends["answered"] > 100


@pytest.mark.timeout(3600)
@pytest.mark.fuzz
@pytest.mark.long
def test_two_thousand_random_valid_queries_give_no_error_of_ours(
    world: World, stack: Any, record_property: Any
) -> None:
    ends = check_random_queries(world, stack.settings(api_port=0), count=2000, seed=2)
    record_property("ends", dict(ends))
    assert ends["answered"] > 700
