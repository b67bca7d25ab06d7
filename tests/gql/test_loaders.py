from __future__ import annotations

import asyncio
from typing import Any

import pytest
from neo4j import AsyncDriver

from asterism.gql.loaders import RequestContext
from asterism.gql.readers import Readers
from asterism.gql.schema import make_schema
from asterism.graph.reader import open_driver
from asterism.settings import Settings

pytestmark = pytest.mark.services
PAGE = """
{ coneSearch(ra: 150, dec: 2, radiusArcsec: 3600, first: 50) { edges { node {
  key lastMag
  alerts(first: 10) { edges { node { key photometry { flux } } } }
  sameAs { source { key objects { object { key alerts(first: 10) { edges { node { key } } } } } } }
} } } }
"""


class CountingDriver:
    """Counts the queries that pass to a real driver."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver
        self.calls = 0

    async def execute_query(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return await self._driver.execute_query(*args, **kwargs)


def calls_of(settings: Settings, query: str) -> tuple[int, Any]:
    async def put() -> tuple[int, Any]:
        async with open_driver(settings) as driver:
            counting = CountingDriver(driver)
            store: Any = counting
            context = RequestContext(Readers.of(store, "neo4j", show_nonpublic=False))
            result = await make_schema().execute(query, context_value=context)
            assert result.errors is None
            return counting.calls, result.data

    return asyncio.run(put())


def test_fifty_objects_with_their_alerts_take_two_queries(sky: Settings) -> None:
    query = PAGE.replace(PAGE[PAGE.index("  sameAs") : PAGE.rindex("} } } }")], "")
    calls, data = calls_of(sky, query)
    assert calls == 2
    alerts = [edge["node"]["alerts"]["edges"] for edge in data["coneSearch"]["edges"]]
    assert [len(edges) for edges in alerts] == [3] * 50


def test_each_further_level_takes_one_query_more_however_wide(sky: Settings) -> None:
    calls, data = calls_of(sky, PAGE)
    assert calls <= 5
    members = [len(edge["node"]["sameAs"]["source"]["objects"]) for edge in data["coneSearch"]["edges"]]
    assert set(members) == {1, 2}


def test_the_same_object_asked_twice_is_read_once(sky: Settings) -> None:
    fields = " ".join(f'a{i}: object(key: "ztf:ZTF{i % 4:04d}") {{ key }}' for i in range(20))
    calls, data = calls_of(sky, f"{{ {fields} }}")
    assert calls == 1
    assert {found["key"] for found in data.values()} == {f"ztf:ZTF{i:04d}" for i in range(4)}
