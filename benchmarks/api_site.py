"""What the benchmarks of the API share: a graph of many objects, pages and calls counted.

The objects lie evenly over the sky, have one alert each and were all first seen in the five days after `T0`. They come
into the graph by the route of ``graph rebuild``, so it holds what the writers would have made of their alerts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
from neo4j import AsyncDriver, Driver

from asterism.gql.app import create_app
from asterism.graph.bulk import create_detections
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.times import night_of
from benchmarks.region_maps import Sky

T0, DAYS = 61_000.0, 5.0
"""Time of the first event, MJD TAI, and days after it in which objects were first seen."""
DATABASE = "neo4j"


def detections(sky: Sky, seed: int) -> pa.Table:
    """Return one alert of each object; neighbours are seen by the same exposures, three nights of five."""
    rng = np.random.default_rng(seed)
    number = len(sky)
    field = sky.hpx29 >> (2 * (29 - 3))
    visit = rng.integers(0, 3, number)
    mjd = T0 + DAYS * ((field * 7 + visit * 311) % 1000 + 0.5) / 1000.0
    names = np.arange(number).astype(str)
    columns: dict[str, Any] = {
        "alertKey": np.char.add("lsst:", names),
        "sourceId": names,
        "objectKey": np.char.add("lsst:", names),
        "objectId": names,
        "survey": np.full(number, "lsst"),
        "mjdTai": mjd,
        "night": night_of(mjd, 12.0),
        "ra": sky.ra,
        "dec": sky.dec,
        "hpx29": sky.hpx29,
        "band": np.full(number, "r"),
        "isPositive": np.ones(number, dtype=np.bool_),
        "flux": np.full(number, 3630.8),
        "mag": rng.uniform(18.0, 23.0, number),
        "magErr": np.full(number, 0.1),
        "limitMag": np.full(number, 24.0),
        "reliability": rng.uniform(0.6, 1.0, number),
        "public": np.ones(number, dtype=np.bool_),
        "topic": np.full(number, "fill"),
        "partition": np.zeros(number, dtype=np.int32),
        "offset": np.arange(number),
    }
    filled = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(number, f.type) for f in DETECTION]
    return pa.table(filled, schema=DETECTION)


def fill(driver: Driver, alerts: pa.Table) -> None:
    """Write alerts and their objects into an empty graph."""
    create_detections(driver, lambda: [alerts], database=DATABASE, advance=lambda _rows: None)
    with driver.session(database=DATABASE) as session:
        session.run("CALL db.awaitIndexes(300)").consume()


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long something takes [s]."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


async def store_calls(
    settings: Settings, query: str, variables: dict[str, Any], rows: Callable[[Any], Sequence[Any]], expected: int
) -> int:
    """Return how many calls to the store a page takes, counted at the driver.

    Parameters
    ----------
    settings : Settings
        Address of the store.
    query, variables : str, dict
        What is asked.
    rows : callable
        Finds the rows of the page in the data that are answered.
    expected : int
        How many rows a full page has.

    Raises
    ------
    RuntimeError
        If the page is not full.
    """
    calls, real = 0, AsyncDriver.execute_query

    async def counted(self: AsyncDriver, *arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return await real(self, *arguments, **named)

    app = create_app(settings)
    AsyncDriver.execute_query = counted  # type: ignore[method-assign]
    try:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                answer = await client.post("/graphql", json={"query": query, "variables": variables})
    finally:
        AsyncDriver.execute_query = real  # type: ignore[method-assign]
    if len(rows(answer.json()["data"])) != expected:
        raise RuntimeError("the page is not full")
    return calls
