"""Every query of docs/graphql.md answers on a graph that has answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from neo4j import Driver

from asterism.gql import limits
from tests.gql.follower import next_data, opened, subscribe
from tests.gql.world import make_world, write_world

pytestmark = pytest.mark.services
PAGE = (Path(__file__).parent.parent.parent / "docs" / "graphql.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```graphql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def url(neo4j_driver: Driver, stack: Any, serve_api: Any) -> Iterator[str]:
    write_world(neo4j_driver, make_world())
    with serve_api(stack.settings(api_port=0)) as served:
        yield served


def is_empty(value: Any) -> bool:
    """Whether an answer has a root that is null or a list without rows."""
    return value is None or (isinstance(value, dict) and value.get("edges") == [])


def test_there_are_queries() -> None:
    assert len(QUERIES) > 10


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: re.sub(r"\W+", " ", query)[:40])
def test_a_query_of_the_page_answers_with_rows(url: str, query: str) -> None:
    if query.startswith("subscription"):
        with opened(url) as socket:
            subscribe(socket, query)
            data = next_data(socket)
    else:
        document = httpx.post(f"{url}/graphql", json={"query": query}, timeout=60).json()
        assert "errors" not in document, document
        data = document["data"]
    assert not [name for name, value in data.items() if is_empty(value)], data


def test_the_page_states_the_limits_in_force() -> None:
    for value in (limits.MAX_TOKENS, limits.MAX_DEPTH, limits.MAX_ALIASES, limits.MAX_ROWS):
        assert f"| {value:,} |" in PAGE
    assert f"| {limits.REQUEST_SECONDS:g} s;" in PAGE
    assert f"{limits.MAX_BODY_BYTES // 1024} KiB" in PAGE
