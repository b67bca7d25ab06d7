"""CPU time of every stage of the hot lane, each on its own, in one process against the real Kafka and Neo4j.

The functions are those the lane calls; what Spark adds between them is not here, that is the JVM's share of the other
parts. Stages run twice and the second time counts, with other alerts: then caches are filled and Neo4j has compiled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from asterism.deploy.local.stack import LocalStack
from asterism.graph.association.regions import latest_version, load_regions, match_table
from asterism.graph.connection import connect
from asterism.graph.enrichment import write_matches
from asterism.graph.writer import write_detections
from asterism.ingest.archive import ArchiveWriter
from asterism.ingest.bundles import pack, unpack
from asterism.ingest.decode import Decoder
from asterism.ingest.hot import alerts_of
from asterism.ingest.science import catalogue_matches
from asterism.ingest.source import INGESTED, OffsetRange, SourceOptions, ingested_rows, read_range
from asterism.lake import Lake
from asterism.settings import Settings
from benchmarks.b3_site import site
from benchmarks.harness import Bench
from benchmarks.packet_pool import Sky
from benchmarks.publisher import publishing

_ALERTS = 5000
_TOPIC = "b3-stages"


def stages(bench: Bench, folder: Path) -> None:
    """State what every stage costs."""
    count = bench.size(_ALERTS)
    sky = Sky.draw(count)
    with site(folder, sky) as (stack, settings):
        with publishing(settings.kafka_bootstrap, _TOPIC, "ztf", sky) as publisher:
            publisher.allow(12 * count)
            while publisher.sent < 12 * count:
                time.sleep(0.05)
        for last in (False, True):
            used = _run(stack, settings, OffsetRange(_TOPIC, 0, count * last, count * (1 + last)))
        for name, seconds in used.items():
            bench.state(name, 1e6 * seconds / count, "us/alert")
        bench.state("sum", 1e6 * sum(used.values()) / count, "us/alert")
    bench.facts |= {"alerts": count}


def _run(stack: LocalStack, settings: Settings, work: OffsetRange) -> dict[str, float]:
    """Take one window through all stages; return the CPU time of each [s], of the servers where they work."""
    used: dict[str, float] = {}
    servers = {service.name: psutil.Process(int(service.pid or 0)) for service in stack.status()}

    def stage(name: str, call: Callable[[], Any], server: str | None = None) -> Any:
        theirs, start = _cpu(servers[server]) if server else 0.0, time.process_time()
        result = call()
        used[name] = time.process_time() - start
        if server:
            used[f"{name}_{server}"] = _cpu(servers[server]) - theirs
        return result

    options = SourceOptions(settings.kafka_bootstrap, (_TOPIC,), settings.archive_path, 1, None, None)
    where = (work.topic, work.partition, work.start, work.end)
    lake, decoder = Lake(settings.lake_path), Decoder()
    chunks = stage("read", lambda: list(read_range(options.consumer(), work)), "kafka")

    def archive() -> None:
        with ArchiveWriter(settings.archive_path, *where) as writer:
            for positions, payloads in chunks:
                writer.append(positions, payloads)

    def decode() -> list[pa.Table]:
        decoded = (decoder.decode(payloads, positions) for positions, payloads in chunks)
        return [pa.Table.from_batches(ingested_rows(part), schema=INGESTED) for part in decoded]

    stage("archive", archive)
    tables = stage("decode", decode)
    rows = stage("hand_over", lambda: unpack([pack(table) for table in tables], INGESTED))
    alerts = alerts_of(rows)
    stage("lake", lambda: lake.write_detections(alerts))
    regions = latest_version(lake)
    stage("regions", lambda: match_table(load_regions(lake, regions), alerts))
    matches = stage("catalogue", lambda: catalogue_matches(settings, alerts))
    with connect(settings) as driver:
        database = settings.neo4j_database
        stage("graph", lambda: write_detections(driver, alerts, database=database), "neo4j")
        stage("graph_matches", lambda: write_matches(driver, matches, database=database), "neo4j")
    return used


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
