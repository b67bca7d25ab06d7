"""Pages of the API at 1e6 objects: 50 rows with object, host, latest classification and last magnitude.

Two lists: the candidates of an event with 5,000 links, and all objects by key. Real Neo4j, and ``asterism serve`` as a
child that is asked over loopback HTTP; nothing else runs. Host and classification are filled for the objects that the
pages show and for as many others again; the remaining objects have none, as most of a survey's have.

Stated are the 95th percentile of first pages, what page 100 takes beside page 1 (they take turns, so that what a
neighbour does to the machine happens to both), the calls to the store that one page takes, counted at the driver, and
pages per second with 32 clients at once. Every object has one alert.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pyarrow as pa
from neo4j import Driver

from asterism.graph.connection import connect
from asterism.sky.circle import CircleLocalization
from benchmarks.api_site import T0, detections, fill, seconds_of, store_calls
from benchmarks.harness import Bench, percentile
from benchmarks.installation import child, first_line, installation
from benchmarks.region_maps import even_sky

OBJECTS, LINKS, PAGE_ROWS = 1_000_000, 5_000, 50
WARM_UP, TURNS, QUICK_TURNS = 100, 200, 40
CLIENTS, CLIENT_PAGES, QUICK_CLIENT_PAGES = 32, 40, 5
EVENT = "lvk:S1"
ROW = """key ra dec lastMag lastBand lastDetection { mjdTai }
host { separationArcsec source { key redshift distanceMpc } }
classification { className probability module }"""
QUERIES = {
    "candidates": f"""query ($after: String) {{ page: candidates(event: "{EVENT}", first: {PAGE_ROWS}, after: $after) {{
  pageInfo {{ hasNextPage endCursor }} edges {{ node {{ probability logL object {{ {ROW} }} }} }} }} }}""",
    "objects": f"""query ($after: String) {{ page: objects(first: {PAGE_ROWS}, after: $after) {{
  pageInfo {{ hasNextPage endCursor }} edges {{ node {{ {ROW} }} }} }} }}""",
}

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
CREATE (:Localization {key: $localization, current: true, record: $record, area90: 78.5})
CREATE (e:Event {key: $event, kind: 'gw', standing: 'real', state: 'active', version: 1, t0MjdTai: $t0,
  currentLocalization: $localization, scoredLocalization: $localization, ruleSet: 'asterism-1', logSumL: 5.0,
  nCandidates: size($keys), nOverflow: 0, q: 0.3})
WITH e UNWIND range(0, size($keys) - 1) AS i
MATCH (o:Object {key: $keys[i]})
CREATE (o)-[:CANDIDATE_FOR {localization: $localization, ruleSet: 'asterism-1', open: true, openedMjdTai: $t0,
  vetting: 'pending', logL: 4.0 - 0.01 * i, logPosition: -3.0, logTime: -1.0, logBackground: 8.0 - 0.01 * i,
  level: 0.5, detections: 3}]->(e)
"""


def fill_pages(driver: Driver, alerts: pa.Table, links: int) -> None:
    """Write objects, evidence on the first of them by key, and an event with links to these."""
    fill(driver, alerts)
    keys = sorted(alerts["objectKey"].to_pylist())
    record = json.dumps(CircleLocalization(150.0, 2.0, 5.0, 0.9).as_record())
    with driver.session() as session:
        session.run(_FILL_EVIDENCE, keys=keys[: 2 * links]).consume()
        session.run(_FILL_EVENT, event=EVENT, t0=T0, localization="map:0", record=record, keys=keys[:links]).consume()
        session.run("CALL db.awaitIndexes(300)").consume()


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


def time_pages(bench: Bench, client: httpx.Client, name: str, last: int) -> None:
    """Time the first page and a late one in turns."""
    after = place_of_page(client, name, last)
    turns = QUICK_TURNS if bench.quick else TURNS
    for _ in range(WARM_UP):  # a server that has run for some minutes: the JVM compiles what is used often
        page(client, name, None)
    places = (None, after)
    taken = [[seconds_of(lambda place=place: page(client, name, place)) for place in places] for _ in range(turns)]
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
            return [seconds_of(lambda: page(client, name, None)) for _ in range(each)]

    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        taken = [1000.0 * seconds for some in pool.map(one, range(CLIENTS)) for seconds in some]
    bench.state(f"{name}_crowd_rate", len(taken) / (time.perf_counter() - start), "pages/s")
    bench.state(f"{name}_crowd_p50", statistics.median(taken), "ms")
    bench.state(f"{name}_crowd_p99", percentile(taken, 99), "ms")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("pages", arguments)
    count, links = bench.size(OBJECTS), bench.size(LINKS)
    last = links // PAGE_ROWS
    with TemporaryDirectory(prefix="asterism-pages-") as folder, installation(Path(folder)) as settings:
        start = time.perf_counter()
        with connect(settings) as driver:
            fill_pages(driver, detections(even_sky(count, 5), 5), links)
        bench.facts = {
            "objects": count,
            "links": links,
            "objects_with_host_and_class": 2 * links,
            "fill_s": round(time.perf_counter() - start, 1),
            "last_page": last,
            "clients": CLIENTS,
        }
        with child(["serve", "--port=0", "--json"], settings, None, "WARNING") as server:
            url = first_line(server)["url"]
            with httpx.Client(base_url=url, timeout=60.0) as client:
                for name in QUERIES:
                    time_pages(bench, client, name, last)
                    time_crowd(bench, url, name)
        for name, query in QUERIES.items():
            calls = store_calls(settings, query, {}, lambda data: data["page"]["edges"], PAGE_ROWS)
            bench.state(f"{name}_store_calls", asyncio.run(calls), "calls")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
