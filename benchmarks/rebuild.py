"""rebuild: a graph of a million alerts from the lake alone, by ``asterism graph rebuild`` as a process.

A lake of ten nights, three alerts an object, two in a hundred delivered twice, every column filled that ZTF fills; an
empty Neo4j of its own (or the stack that ``ASTERISM_TEST_STACK`` names). Stated are time and rate of the command, its
start included, and beside them, on a twentieth of the lake, the rates of the bulk route and of the order-safe writer
that a graph with something in it needs; both must end in the same digest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from neo4j import Driver

from asterism.deploy.local.stack import LocalStack
from asterism.graph.bulk import create_detections
from asterism.graph.connection import connect
from asterism.graph.digest import digest
from asterism.graph.schema import initialise
from asterism.graph.writer import write_detections
from asterism.lake import Lake
from asterism.records import DETECTION
from asterism.settings import STACK_FILE, Settings, load_settings
from asterism.sky.healpix import hpx29
from benchmarks.harness import Bench

ALERTS = 1_000_000
NIGHTS = 10
_FIRST_MJD = 61000
_FIRST_NIGHT = 20251121
_WINDOW = 5000
"""Deliveries in a file of the lake."""
_COMPARED = 20


def night(rng: np.random.Generator, number: int, count: int, objects: int) -> pa.Table:
    """Return the detections of a night (schema `DETECTION`), some of them delivered twice."""
    source = np.arange(count, dtype=np.int64) + number * count
    source[rng.random(count) < 0.02] = number * count
    which = source * 7919 % objects
    ra, dec = which * 137.50776 % 360.0, np.degrees(np.arcsin(which / objects * 1.8 - 0.9))
    mag, positive = 17.0 + source % 4000 / 1000.0, source % 10 > 0
    flux = 10 ** ((31.4 - mag) / 2.5) * np.where(positive, 1.0, -1.0)
    ids = [str(10**17 + value) for value in source.tolist()]
    names = [f"ZTF25{value:08}" for value in which.tolist()]
    values: dict[str, Any] = {
        "alertKey": [f"ztf:{value}" for value in ids],
        "survey": ["ztf"] * count,
        "sourceId": ids,
        "objectKey": [f"ztf:{name}" for name in names],
        "objectId": names,
        "mjdTai": _FIRST_MJD + number + source % 1000 / 3000.0,
        "night": np.full(count, _FIRST_NIGHT + number),
        "ra": ra,
        "dec": dec,
        "hpx29": hpx29(ra, dec),
        "band": ["gr"[value % 2] for value in source.tolist()],
        "isPositive": positive,
        "flux": flux,
        "mag": mag,
        "nBad": np.zeros(count, np.int32),
        "nDetections": 1 + source % 30,
        "firstMjdTai": np.full(count, _FIRST_MJD - 10.0),
        "programId": np.ones(count, np.int32),
        "public": np.ones(count, np.bool_),
        "schemaVersion": ["4.02"] * count,
        "topic": ["ztf"] * count,
        "partition": np.zeros(count, np.int32),
        "offset": np.arange(count) + number * count,
    }
    some = ("fluxErr", "magErr", "snr", "apFlux", "limitMag", "reliability", "rb", "ssDistance")
    values |= dict.fromkeys(some, mag / 30.0)
    columns = [
        pa.array(values[field.name]).cast(field.type) if field.name in values else pa.nulls(count, field.type)
        for field in DETECTION
    ]
    return pa.Table.from_arrays(columns, schema=DETECTION)


def fill(lake: Lake, alerts: int) -> int:
    """Write a lake; return the number of distinct alerts."""
    rng, count, distinct = np.random.default_rng(6), alerts // NIGHTS, 0
    for number in range(NIGHTS):
        rows = night(rng, number, count, alerts // 3)
        distinct += len(rows["alertKey"].unique())
        for start in range(0, count, _WINDOW):
            lake.write_detections(rows.slice(start, _WINDOW))
    return distinct


@contextmanager
def installation(folder: Path) -> Iterator[tuple[Settings, Driver]]:
    """Give a home with an empty graph."""
    found, kept = load_settings(), os.environ.get("ASTERISM_TEST_STACK")
    with LocalStack(Path(kept or folder / "stack"), cache=found.cache, repository=found.maven_repository) as stack:
        home = folder / "home"
        home.mkdir()
        shutil.copy(stack.home / STACK_FILE, home / STACK_FILE)
        settings = load_settings(home=home)
        with connect(settings) as driver:
            clear(driver)
            yield settings, driver
            clear(driver)


def clear(driver: Driver) -> None:
    """Empty the graph."""
    with driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    initialise(driver, "neo4j")


def routes(lake: Lake, driver: Driver) -> tuple[float, float]:
    """Return alerts per second of the bulk route and of the writer, after both gave the same graph."""
    rows = lake.detections()
    part = rows.slice(0, rows.num_rows // _COMPARED)
    started = time.monotonic()
    create_detections(driver, lambda: [part], database="neo4j", advance=lambda _: None)
    created = time.monotonic() - started
    wanted = digest(driver, "neo4j")
    clear(driver)
    started = time.monotonic()
    write_detections(driver, part, database="neo4j")
    merged = time.monotonic() - started
    if digest(driver, "neo4j") != wanted:
        raise RuntimeError("the two routes end in different graphs")
    clear(driver)
    return part.num_rows / created, part.num_rows / merged


def main() -> int:
    """Run it."""
    bench = Bench("rebuild")
    with TemporaryDirectory(prefix="asterism-rebuild-") as name, installation(Path(name)) as (settings, driver):
        lake = Lake(settings.lake_path)
        distinct = fill(lake, bench.size(ALERTS))
        bulk, merge = routes(lake, driver)
        bench.state("bulk_route", bulk, "alerts/s")
        bench.state("writer_route", merge, "alerts/s")
        command = [sys.executable, "-m", "asterism", "graph", "rebuild", "--json"]
        started = time.monotonic()
        done = subprocess.run(
            command, env=os.environ | {"ASTERISM_HOME": str(settings.home)}, capture_output=True, text=True, check=True
        )
        elapsed = time.monotonic() - started
        bench.state("rebuild_seconds", elapsed, "s")
        bench.state("rebuild_rate", distinct / elapsed, "alerts/s")
        nodes = driver.execute_query("RETURN COUNT { (:Alert) } AS a, COUNT { (:Object) } AS o").records[0]
        if nodes["a"] != distinct:
            raise RuntimeError(f"{nodes['a']} alerts in the graph, {distinct} in the lake")
        detections = json.loads(done.stdout)["detections"]
        bench.facts = {"detections": detections, "alerts": distinct, "objects": nodes["o"], "nights": NIGHTS}
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
