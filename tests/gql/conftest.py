"""A small sky in the graph, and the API in front of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import pyarrow as pa
import pytest
import uvicorn
from neo4j import Driver

from asterism.gql.app import create_app
from asterism.gql.commands import listen, url_of
from asterism.graph.reader import GraphReader, open_driver
from asterism.graph.schema import initialise
from asterism.graph.writer import write_detections
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.sky.healpix import hpx29

T = TypeVar("T")

BIG_IDS = (2**53 + 1, 2**63 - 1)
"""Object ids that a float64 cannot hold."""


def row(source: int, object_id: int | str, survey: str = "ztf", **values: Any) -> dict[str, Any]:
    """Return a row of DETECTION."""
    plain = {
        "alertKey": f"{survey}:{source}",
        "survey": survey,
        "sourceId": str(source),
        "objectKey": f"{survey}:{object_id}",
        "objectId": str(object_id),
        "mjdTai": 59000.0,
        "night": 20200530,
        "ra": 150.0,
        "dec": 2.0,
        "band": "g",
        "isPositive": True,
        "flux": 3630.78,
        "mag": 22.5,
        "public": True,
        "topic": "test",
        "partition": 0,
        "offset": source % 2**31,
    }
    whole: dict[str, Any] = dict.fromkeys(DETECTION.names) | plain | values
    return whole | {"hpx29": int(hpx29(whole["ra"], whole["dec"]))}


def small_sky() -> list[dict[str, Any]]:
    """Return 120 objects of 3 alerts each, every tenth hidden, and two LSST ones with big ids."""
    rows = []
    for number in range(120):
        place = {"ra": 150.0 + number * 1e-4, "dec": 2.0 + (number % 7) * 1e-5, "public": number % 10 != 9}
        rows += [row(3 * number + k, f"ZTF{number:04d}", mjdTai=59000.0 + k, **place) for k in range(3)]
    rows += [row(big, big, "lsst", ra=10.0, dec=-30.0, mjdTai=61000.5, mag=None) for big in BIG_IDS]
    return rows


@pytest.fixture(scope="session")
def sky_rows() -> list[dict[str, Any]]:
    return small_sky()


@pytest.fixture(scope="module")
def sky(neo4j_driver: Driver, stack: Any, sky_rows: list[dict[str, Any]]) -> Settings:
    """Settings of a stack whose graph holds the small sky; every pair of neighbours is one source."""
    with neo4j_driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
        initialise(neo4j_driver, "neo4j")
        write_detections(neo4j_driver, pa.Table.from_pylist(sky_rows, schema=DETECTION), database="neo4j")
        session.run(
            "UNWIND range(0, 118, 2) AS n "
            "MATCH (one:Object {key: $keys[n]}), (two:Object {key: $keys[n + 1]}) "
            "CREATE (s:Source {key: one.key, ra: one.ra, dec: one.dec}) "
            "CREATE (one)-[:SAME_AS {separationArcsec: 0.0}]->(s) "
            "CREATE (two)-[:SAME_AS {separationArcsec: 0.36}]->(s)",
            keys=[f"ztf:ZTF{number:04d}" for number in range(120)],
        ).consume()
    settings: Settings = stack.settings(api_port=0)
    return settings


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve the API over loopback in a thread and give its address."""
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(create_app(settings), log_config=None, ws="none", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.01)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def serve_api() -> Callable[[Settings], Any]:
    """`serving`, for tests that need other settings."""
    return serving


@pytest.fixture(scope="module")
def api(sky: Settings) -> Iterator[httpx.Client]:
    """A client of the API in front of the small sky."""
    with serving(sky) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def ask_reader(sky: Settings) -> Callable[..., Any]:
    """Run a coroutine function with a reader of the small sky."""

    def ask(question: Callable[[GraphReader], Awaitable[T]], *, nonpublic: bool = False) -> T:
        async def put() -> T:
            async with open_driver(sky) as driver:
                return await question(GraphReader(driver, "neo4j", show_nonpublic=nonpublic))

        return asyncio.run(put())

    return ask
