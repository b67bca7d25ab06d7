"""The hot lane: decoded rows -> lake -> graph, in one pass of a micro-batch.

Two stages. The first sees one delivery window (a Kafka partition's offset range), writes it to the lake and drops
the bytes. Rows then go to the writer of their object, so that no two writers touch the same object, and the second
stage writes the graph. Between the stages a writer's rows are one cell (`asterism.ingest.bundles`). The shuffle is a
barrier: the graph never holds an alert that the lake does not. Both stages are idempotent, so a batch that was killed
half way simply runs again. The ledger entry of a batch is written last.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.functions import col
from pyspark.sql.pandas.types import from_arrow_schema

from asterism.batches import running_batch
from asterism.graph.association.hosts import CATALOGUE_MATCHES
from asterism.graph.association.regions import REGION_MATCHES, latest_version, load_regions, match_table
from asterism.graph.connection import connect
from asterism.graph.enrichment import write_matches
from asterism.graph.writer import write_detections
from asterism.ingest.admission import admit
from asterism.ingest.bundles import pack, unpack
from asterism.ingest.science import catalogue_matches
from asterism.ingest.source import INGESTED
from asterism.lake import Lake, range_name, window_name
from asterism.logs import get_logger
from asterism.metrics import BATCH_SECONDS, DEAD_LETTERS, PACKETS
from asterism.records import CATALOGUE_MATCH, DEAD_LETTER, DETECTION
from asterism.settings import load_settings

LEDGER = "alerts"
"""Name of the streaming query in the ledger and the checkpoint."""

SHUFFLED = pa.schema([field for field in INGESTED if field.name not in {"message", "payload"}])
"""What crosses the shuffle: a detection, or the position and code of a dead letter."""

SHARE = pa.schema([("writer", pa.int32()), ("rows", pa.binary()), ("matches", pa.binary())])
"""What one window gives one writer, packed: rows of `SHUFFLED`, and of `CATALOGUE_MATCH` if catalogues are set."""

OUTCOME = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("survey", pa.string()),
        ("night", pa.int32()),
        ("code", pa.string()),
        ("packets", pa.int64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
    ]
)
"""Packets per place and outcome: ``code`` is null for alerts; ``start`` and ``end`` (exclusive) bound the offsets."""


@dataclass(frozen=True)
class HotLane:
    """What the two stages need; picklable and without secrets (executors read the password from their own settings).

    Parameters
    ----------
    home : Path
        The installation's folder, where lake and stack settings are.
    writers : int
        Tasks that write the graph at the same time.
    """

    home: Path
    writers: int = 2

    def process(self, batch: DataFrame, batch_id: int) -> None:  # noqa: ARG002 - offsets name it
        """Write one micro-batch to lake and graph and record it in the ledger (Spark's ``foreachBatch``)."""
        started = time.monotonic()
        settings = load_settings(home=self.home)
        admit(settings)
        lake = Lake(settings.lake_path)
        with running_batch(lake, LEDGER, partial(latest_version, lake)) as version:
            outcomes = (
                batch.mapInArrow(partial(self.to_lake, version), from_arrow_schema(SHARE))
                .repartitionById(self.writers, col("writer"))
                .mapInArrow(self.to_graph, from_arrow_schema(OUTCOME))
                .toArrow()
            )
            self.record(outcomes, _windows(outcomes), version, LEDGER, time.monotonic() - started)

    def record(self, outcomes: pa.Table, windows: list[str], version: int, query: str, seconds: float) -> None:
        """Write the ledger entry of a finished batch, named by the delivery windows it covered."""
        rows = _merged(outcomes).to_pylist()
        packets = sum(row["packets"] for row in rows)
        if packets == 0:
            return
        name = hashlib.sha256(json.dumps(sorted(windows)).encode()).hexdigest()[:24]
        entry = {"query": query, "packets": packets, "windows": sorted(windows), "regionVersion": version}
        entry |= {"outcomes": rows, "seconds": round(seconds, 3)}
        Lake(load_settings(home=self.home).lake_path).write_ledger(query, name, entry)
        for row in rows:
            outcome = "alert" if row["code"] is None else "dead letter"
            PACKETS.labels(row["survey"] or "unknown", outcome).inc(row["packets"])
            if row["code"] is not None:
                DEAD_LETTERS.labels(row["code"]).inc(row["packets"])
        BATCH_SECONDS.observe(seconds)
        refused = sum(row["packets"] for row in rows if row["code"] is not None)
        get_logger("ingest.hot").info("batch in lake and graph", batch=name, packets=packets, dead_letters=refused)

    def to_lake(self, version: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write one delivery window to the lake and share its rows, without the bytes, among the writers."""
        rows = unpack((cell.as_py() for batch in batches for cell in batch["rows"]), INGESTED)
        if rows.num_rows == 0:
            return
        matches = self.write_lake(rows, version)
        passed_on = rows.select(SHUFFLED.names).cast(SHUFFLED)
        owner = pc.coalesce(rows["objectKey"], rows["alertKey"], rows["offset"].cast(pa.string()))
        shares = _shares(passed_on, owner, self.writers)
        if matches is None:
            given: list[bytes | None] = [None] * self.writers
        else:
            given = [pack(share) for share in _shares(matches, matches["objectKey"], self.writers)]
        yield pa.record_batch([list(range(self.writers)), [pack(share) for share in shares], given], schema=SHARE)

    def write_lake(self, rows: pa.Table, version: int, window: str | None = None) -> pa.Table | None:
        """Write rows of `INGESTED` to the tables they belong to, and which alerts lie in regions of `version`.

        Files are named by `window`, by `asterism.lake.window_name` if it is not given.

        Returns
        -------
        pa.Table or None
            The alerts' catalogue matches (schema `CATALOGUE_MATCH`); None if there are no catalogues.
        """
        window = window_name(rows) if window is None else window
        settings = load_settings(home=self.home)
        lake = Lake(settings.lake_path)
        refused = rows.filter(pc.is_valid(rows["code"]))
        if refused.num_rows:
            lake.write_dead_letters(refused.select(DEAD_LETTER.names).cast(DEAD_LETTER))
        alerts = alerts_of(rows)
        if alerts.num_rows:
            lake.write_detections(alerts, window)
        if version:
            matches = match_table(load_regions(lake, version), alerts)
            lake.write_side_table(REGION_MATCHES, window, matches)
        sources = catalogue_matches(settings, alerts)
        if sources is not None:
            lake.write_side_table(CATALOGUE_MATCHES, window, sources)
        return sources

    def to_graph(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write the alerts of one set of objects to the graph and yield what became of every packet."""
        shares = pa.Table.from_batches(batches, schema=SHARE)
        rows = unpack(shares["rows"].to_pylist(), SHUFFLED)
        if rows.num_rows == 0:
            return
        self.write_graph(alerts_of(rows), unpack(shares["matches"].drop_null().to_pylist(), CATALOGUE_MATCH))
        yield from outcomes_of(rows).to_batches()

    def write_graph(self, alerts: pa.Table, matches: pa.Table | None = None) -> None:
        """Write alerts (schema `DETECTION`) and their catalogue matches to the graph.

        Parameters
        ----------
        alerts : pa.Table
            Schema `DETECTION`.
        matches : pa.Table, optional
            Schema `CATALOGUE_MATCH`; looked for if not given.
        """
        if alerts.num_rows == 0:
            return
        settings = load_settings(home=self.home)
        found = catalogue_matches(settings, alerts) if matches is None else matches
        with connect(settings) as driver:
            write_detections(driver, alerts, database=settings.neo4j_database)
            if found is not None and found.num_rows:
                write_matches(driver, found, database=settings.neo4j_database)


def _shares(rows: pa.Table, owner: pa.ChunkedArray, writers: int) -> list[pa.Table]:
    """Return the rows of each writer: all rows of one owner go to the same, whatever window they come from."""
    writer = np.fromiter((zlib.crc32(key.encode()) % writers for key in owner.to_pylist()), np.int64, len(owner))
    return [rows.filter(pa.array(writer == number)) for number in range(writers)]


def alerts_of(rows: pa.Table) -> pa.Table:
    """Return the alerts (schema `DETECTION`) among rows of `INGESTED` or `SHUFFLED`."""
    return rows.filter(pc.is_null(rows["code"])).select(DETECTION.names).cast(DETECTION)


def outcomes_of(rows: pa.Table) -> pa.Table:
    """Count rows by place, survey, night and code (schema `OUTCOME`)."""
    counted = rows.group_by(["topic", "partition", "survey", "night", "code"]).aggregate(
        [("offset", "count"), ("offset", "min"), ("offset", "max")]
    )
    named = counted.rename_columns({"offset_count": "packets", "offset_min": "start", "offset_max": "end"})
    end = named.column_names.index("end")
    return named.set_column(end, "end", pc.add(named["end"], 1)).select(OUTCOME.names).cast(OUTCOME)


def _windows(outcomes: pa.Table) -> list[str]:
    """Return the names of the Kafka windows that outcomes come from, as `asterism.lake.window_name` gives them."""
    places = outcomes.group_by(["topic", "partition"]).aggregate([("start", "min"), ("end", "max")]).to_pylist()
    return [range_name(p["topic"], p["partition"], p["start_min"], p["end_max"]) for p in places]


def _merged(outcomes: pa.Table) -> pa.Table:
    keys: list[Any] = ["topic", "partition", "survey", "night", "code"]
    merged = outcomes.group_by(keys).aggregate([("packets", "sum"), ("start", "min"), ("end", "max")])
    renamed = merged.rename_columns({"packets_sum": "packets", "start_min": "start", "end_max": "end"})
    return renamed.sort_by([(key, "ascending") for key in ("topic", "partition", "survey", "night", "code")])
