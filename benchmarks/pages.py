"""Pages of the API at 1e6 objects: 50 rows with object, host, latest classification and last magnitude.

Two lists: the candidates of an event with 5,000 links, and all objects by key. Real Neo4j, and ``asterism serve`` as a
child that is asked over loopback HTTP; nothing else runs. Host and classification are filled for the objects that the
pages show and for as many others again; the remaining objects have none, as most of a survey's have.

Stated are the 95th percentile of first pages, what page 100 takes beside page 1 (they take turns, so that what a
neighbour does to the machine happens to both), the calls to the store that one page takes, counted at the driver, and
pages per second with 32 clients at once. The objects listed carry no alerts: no page reads them.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
from neo4j import AsyncDriver, Driver

from asterism.gql.app import create_app
from asterism.graph.connection import connect
from asterism.settings import Settings
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import hpx29
from benchmarks.harness import Bench
from benchmarks.notices import installation, percentile

OBJECTS, LINKS, PAGE_ROWS = 1_000_000, 5_000, 50
TURNS, QUICK_TURNS = 200, 40
CLIENTS, CLIENT_PAGES, QUICK_CLIENT_PAGES = 32, 40, 5
EVENT, T0 = "lvk:S1", 61_000.0
ROW = """key ra dec lastMag lastBand lastDetection { mjdTai }
host { separationArcsec source { key redshift distanceMpc } }
classification { className probability module }"""
QUERIES = {
    "candidates": f"""query ($after: String) {{ page: candidates(event: "{EVENT}", first: {PAGE_ROWS}, after: $after) {{
  pageInfo {{ hasNextPage endCursor }} edges {{ node {{ probability logL object {{ {ROW} }} }} }} }} }}""",
    "objects": f"""query ($after: String) {{ page: objects(first: {PAGE_ROWS}, after: $after) {{
  pageInfo {{ hasNextPage endCursor }} edges {{ node {{ {ROW} }} }} }} }}""",
}

_FILL_OBJECTS = """
UNWIND $rows AS r
CREATE (:Object {key: r[0], survey: 'lsst', objectId: r[1], public: true, ra: r[2], dec: r[3], hpx29: r[4],
  firstMjdTai: r[5], lastMjdTai: r[5] + 1.0, lastBand: 'r', lastMag: r[6], nDetections: 3, lastAlertKey: r[0]})
"""
_FILL_EVIDENCE = """
UNWIND $keys AS key
MATCH (o:Object {key: key})
CREATE (o)-[:MATCHES {separationArcsec: 1.5, rank: 1, pChance: 0.01, module: 'match', version: 1, public: true}]->
  (:CatalogSource {key: 'glade:1:' + o.objectId, catalogue: 'glade', release: '1', id: o.objectId, class: 'galaxy',
    ra: o.ra, dec: o.dec, redshift: 0.01, distanceMpc: 40.0})
CREATE (o)-[:CLASSIFIED_AS]->(:Classification {key: key + ':fade:1:' + o.objectId, objectKey: key, module: 'fade',
  version: 1, lastSourceId: o.objectId, lastMjdTai: o.lastMjdTai, public: true, class: 'fading', prob: 0.7,
  current: true})
"""
_FILL_EVENT = """
CREATE (e:Event {key: $event, kind: 'gw', standing: 'real', state: 'active', version: 1, t0MjdTai: $t0,
  currentLocalization: $localization, scoredLocalization: $localization, ruleSet: 'asterism-1', logSumL: 5.0,
  nCandidates: size($keys), nOverflow: 0, q: 0.3})
WITH e UNWIND range(0, size($keys) - 1) AS i
MATCH (o:Object {key: $keys[i]})
CREATE (o)-[:CANDIDATE_FOR {localization: $localization, ruleSet: 'asterism-1', open: true, openedMjdTai: $t0,
  vetting: 'pending', logL: 4.0 - 0.01 * i, logPosition: -3.0, logTime: -1.0, logBackground: 8.0 - 0.01 * i,
  level: 0.5, detections: 3}]->(e)
"""


def keys_of(count: int) -> list[str]:
    """Return the keys of the objects, in their order."""
    return [f"lsst:{10**15 + number}" for number in range(count)]


def fill(driver: Driver, count: int, links: int, batch: int = 20_000) -> None:
    """Write objects evenly over the sky, evidence on the first of them and an event with links to them."""
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0.0, 360.0, count), np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, count)))
    columns = (hpx29(ra, dec), rng.uniform(T0, T0 + 5.0, count), rng.uniform(18.0, 23.0, count))
    cells, first, mag = (column.tolist() for column in columns)
    keys = keys_of(count)
    names = [key.partition(":")[2] for key in keys]
    rows = list(zip(keys, names, ra.tolist(), dec.tolist(), cells, first, mag, strict=True))
    localization = CircleLocalization(150.0, 2.0, 5.0, 0.9)
    with driver.session() as session:
        for start in range(0, count, batch):
            session.run(_FILL_OBJECTS, rows=[list(row) for row in rows[start : start + batch]]).consume()
        session.run(_FILL_EVIDENCE, keys=keys[: 2 * links]).consume()
        session.run(
            "CREATE (:Localization {key: 'map:0', current: true, record: $record, area90: 78.5})",
            record=json.dumps(localization.as_record()),
        ).consume()
        session.run(_FILL_EVENT, event=EVENT, t0=T0, localization="map:0", keys=keys[:links]).consume()
        session.run("CALL db.awaitIndexes(300)").consume()


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """Run ``asterism serve`` on a home and give its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASTERISM_")}
    environment |= {"ASTERISM_HOME": str(settings.home), "ASTERISM_LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "asterism", "serve", "--port", "0", "--json"]
    process = subprocess.Popen(command, env=environment, cwd=settings.home, stdout=subprocess.PIPE)
    try:
        line = b"" if process.stdout is None else process.stdout.readline()
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        process.wait(60)


def page(client: httpx.Client, name: str, after: str | None) -> Any:
    """Return a page.

    Raises
    ------
    RuntimeError
        If it is refused, not full, or a row lacks what was asked for.
    """
    answer = client.post("/graphql", json={"query": QUERIES[name], "variables": {"after": after}}).json()
    if "errors" in answer:
        raise RuntimeError(f"{name}: {answer['errors']}")
    found = answer["data"]["page"]
    rows = [edge["node"].get("object", edge["node"]) for edge in found["edges"]]
    if len(rows) != PAGE_ROWS or not all(row["host"] and row["classification"] and row["lastMag"] for row in rows):
        raise RuntimeError(f"{name}: {len(rows)} rows, not all complete")
    return found


def place_of_page(client: httpx.Client, name: str, number: int) -> str | None:
    """Return the cursor behind which a page begins, reached by following the pages before it."""
    after: str | None = None
    for _ in range(number - 1):
        after = page(client, name, after)["pageInfo"]["endCursor"]
    return after


def seconds_of(client: httpx.Client, name: str, after: str | None) -> float:
    """Return how long one page takes [s]."""
    start = time.perf_counter()
    page(client, name, after)
    return time.perf_counter() - start


def time_pages(bench: Bench, client: httpx.Client, name: str, last: int) -> None:
    """Time the first page and a late one in turns."""
    after = place_of_page(client, name, last)
    turns = QUICK_TURNS if bench.quick else TURNS
    for _ in range(10):
        page(client, name, None)
    taken = [(seconds_of(client, name, None), seconds_of(client, name, after)) for _ in range(turns)]
    first, late = ([1000.0 * seconds for seconds in column] for column in zip(*taken, strict=True))
    bench.state(f"{name}_first_p50", statistics.median(first), "ms")
    bench.state(f"{name}_first_p95", percentile(first, 95), "ms")
    bench.state(f"{name}_page_{last}_p95", percentile(late, 95), "ms")
    bench.state(f"{name}_late_over_first", statistics.median(b / a for a, b in zip(first, late, strict=True)), "ratio")


def time_crowd(bench: Bench, url: str, name: str) -> None:
    """Ask for first pages with many clients at once."""
    each = QUICK_CLIENT_PAGES if bench.quick else CLIENT_PAGES

    def one(_number: int) -> list[float]:
        with httpx.Client(base_url=url, timeout=120.0) as client:
            return [seconds_of(client, name, None) for _ in range(each)]

    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        taken = [1000.0 * seconds for some in pool.map(one, range(CLIENTS)) for seconds in some]
    bench.state(f"{name}_crowd_rate", len(taken) / (time.perf_counter() - start), "pages/s")
    bench.state(f"{name}_crowd_p50", statistics.median(taken), "ms")
    bench.state(f"{name}_crowd_p99", percentile(taken, 99), "ms")


async def store_calls(settings: Settings, name: str) -> int:
    """Return how many calls to the store one page takes, counted at the driver."""
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
                answer = await client.post("/graphql", json={"query": QUERIES[name]})
    finally:
        AsyncDriver.execute_query = real  # type: ignore[method-assign]
    if len(answer.json()["data"]["page"]["edges"]) != PAGE_ROWS:
        raise RuntimeError("the page is not full")
    return calls


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("pages", arguments)
    count, links = bench.size(OBJECTS), bench.size(LINKS)
    last = links // PAGE_ROWS
    with TemporaryDirectory(prefix="asterism-pages-") as folder, installation(Path(folder)) as settings:
        start = time.perf_counter()
        with connect(settings) as driver:
            fill(driver, count, links)
        bench.facts = {
            "objects": count,
            "links": links,
            "objects_with_host_and_class": 2 * links,
            "fill_s": round(time.perf_counter() - start, 1),
            "last_page": last,
            "clients": CLIENTS,
        }
        with served(settings) as url, httpx.Client(base_url=url, timeout=60.0) as client:
            for name in QUERIES:
                time_pages(bench, client, name, last)
                time_crowd(bench, url, name)
        for name in QUERIES:
            bench.state(f"{name}_store_calls", asyncio.run(store_calls(settings, name)), "calls")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
