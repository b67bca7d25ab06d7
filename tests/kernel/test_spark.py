"""The session: workers find their modules loaded and out of the collector's sight; a query goes on where it was."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from asterism.spark_daemon import PRELOADED

pytestmark = pytest.mark.spark


def test_workers_find_their_modules_loaded_and_the_collector_does_not(spark: SparkSession) -> None:
    preloaded = PRELOADED

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            missing = [name for name in preloaded if name not in sys.modules]
            yield pa.record_batch([pa.array([gc.get_freeze_count()]), pa.array([missing])], names=["frozen", "missing"])

    rows = spark.range(2).mapInArrow(look, "frozen long, missing array<string>").collect()
    assert all(row["missing"] == [] for row in rows)
    assert min(row["frozen"] for row in rows) > len(sys.builtin_module_names) * 100


def test_a_query_that_is_started_again_goes_on_where_its_logs_say(spark: SparkSession, tmp_path: Path) -> None:
    ended = []
    for _ in range(2):
        frame = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 5).load()
        query = frame.writeStream.format("noop").option("checkpointLocation", str(tmp_path)).start()
        try:
            while not query.recentProgress:
                query.awaitTermination(1)
            ended.append(query.recentProgress[0]["batchId"])
        finally:
            query.stop()
    assert ended[0] == 0
    assert ended[1] > 0
