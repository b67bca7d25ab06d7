"""rebuild: a graph of a million alerts from the lake alone, by ``asterism graph rebuild`` as a process.

A lake of ten nights, three alerts an object, two in a hundred delivered twice, every column filled that ZTF fills. The
order-safe writer, which a graph with something in it needs, writes it first, in this process and without a pause; then
the graph is emptied and the command makes it anew, its start included. Both must end in the same digest.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from asterism.graph.connection import connect
from asterism.graph.digest import Digest, digest
from asterism.graph.writer import write_detections
from asterism.lake import Lake
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.sky.healpix import hpx29
from benchmarks.harness import Bench
from benchmarks.installation import child, clear, installation

ALERTS = 1_000_000
NIGHTS = 10
_FIRST_MJD = 61000
_FIRST_NIGHT = 20251121
_WINDOW = 5000
"""Deliveries in a file of the lake."""


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


def written(lake: Lake, settings: Settings) -> tuple[float, Digest]:
    """Return the time the writer takes [s], and what the graph is that it leaves."""
    started = time.monotonic()
    with connect(settings) as driver:
        for rows in lake.by_night():
            write_detections(driver, rows, database=settings.neo4j_database)
        took = time.monotonic() - started
        return took, digest(driver, settings.neo4j_database)


def rebuilt(settings: Settings) -> tuple[float, dict[str, Any], Digest]:
    """Return how long the command takes from its start [s], what it says, and what the graph is that it leaves."""
    started = time.monotonic()
    with child(["graph", "rebuild", "--json"], settings, None) as process:
        said, _ = process.communicate()
        took = time.monotonic() - started
    with connect(settings) as driver:
        return took, json.loads(said), digest(driver, settings.neo4j_database)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code.

    Raises
    ------
    RuntimeError
        If the two routes do not end in the same graph.
    """
    bench = Bench("rebuild", arguments)
    with TemporaryDirectory(prefix="asterism-rebuild-") as name, installation(Path(name)) as settings:
        lake = Lake(settings.lake_path)
        distinct = fill(lake, bench.size(ALERTS))
        needed, wanted = written(lake, settings)
        with connect(settings) as driver:
            clear(driver)
        took, said, found = rebuilt(settings)
        if found != wanted:
            raise RuntimeError(f"the two routes end in different graphs: {wanted} and {found}")
        bench.state("rebuild_seconds", took, "s")
        bench.reach("rebuild_rate", distinct / took, "alerts/s")
        bench.reach("writer_rate", distinct / needed, "alerts/s")
        bench.reach("over_writer", needed / took, "times as fast")
        bench.facts = {
            "deliveries": said["detections"],
            "alerts": distinct,
            "nights": NIGHTS,
            "digest": found.hex,
            "nodes": found.nodes,
            "relationships": found.relationships,
        }
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
