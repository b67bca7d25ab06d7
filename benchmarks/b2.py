"""B2, decoding in Spark: packets in Parquet files to 21 columns, no-op sink, ``local[2]``, three routes.

- *row UDF*, what Fink does: the JVM reads the packets, a Python function per row reads the container with fastavro and
  returns the whole alert as a struct, of which the columns are selected.
- *mapInArrow*: the same reader in a function per Arrow batch of 250, which returns the columns.
- *ours*: a Python data source reads the same files in the workers and decodes them with `Decoder`, as the hot lane does
  with what it reads from Kafka; packets never enter the JVM. All conversions, keys and the sky index are included.

All three see the same files and must give the same values before any is timed. Routes take turns, in changing order.
Times are wall-clock times of the whole Spark job, started workers included; beside them stand CPU times of driver, JVM
and workers together.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastavro
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.functions import udf
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import ArrayType, BinaryType, DataType, DoubleType, FloatType, LongType, StringType, StructType
from typing_extensions import override

from asterism.ingest.decode import Decoder
from asterism.ingest.packets import Position
from asterism.records import DETECTION
from asterism.settings import load_settings
from asterism.simulate.packets_ztf import ZTF_VERSION
from asterism.spark import spark_session
from benchmarks.harness import Bench
from benchmarks.packet_pool import ALERTS_PER_OBJECT, Pool, Sky

CHUNK = 250
FILES = 4
ROUNDS = 3
PACKETS = 12_000
"""Of a run; a quarter with ``--quick``: starting a data source takes most of a second whatever it reads."""
NAMES = {
    "sourceId": "candid", "objectId": "objectId", "schemaVersion": "schemavsn", "mjdTai": "jd", "band": "fid",
    "ra": "ra", "dec": "dec", "mag": "magpsf", "magErr": "sigmapsf", "isPositive": "isdiffpos", "apFlux": "magap",
    "limitMag": "diffmaglim", "snr": "scorr", "rb": "rb", "reliability": "drb", "nBad": "nbad",
    "nDetections": "ndethist", "firstMjdTai": "jdstarthist", "programId": "programid", "ssObjectId": "ssnamenr",
    "ssDistance": "ssdistnr",
}  # fmt: skip
"""Our columns, and the fields of the packet they come from."""
SAME = ("objectId", "schemaVersion", "ra", "dec", "mag", "magErr", "limitMag", "snr", "rb", "reliability", "nBad")
"""Columns whose values no conversion changes."""
_TOP = ("candid", "objectId", "schemavsn")
COLUMNS = pa.schema([DETECTION.field(name).with_nullable(True).remove_metadata() for name in NAMES])


class PacketFiles(DataSource):
    """Our route: files of packets, read and decoded in the workers."""

    @classmethod
    @override
    def name(cls) -> str:
        return "b2-packets"

    @override
    def schema(self) -> StructType:
        return from_arrow_schema(COLUMNS)

    @override
    def reader(self, schema: StructType) -> DataSourceReader:
        return PacketReader(Path(self.options["path"]))


@dataclass(frozen=True)
class PacketFile(InputPartition):
    """One task's file."""

    path: Path


class PacketReader(DataSourceReader):
    """Reads a folder of files.

    Parameters
    ----------
    folder : Path
        Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @override
    def partitions(self) -> Sequence[InputPartition]:
        return [PacketFile(path) for path in sorted(self._folder.glob("*.parquet"))]

    @override
    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, PacketFile)
        decoder = Decoder()
        for batch in pq.ParquetFile(partition.path).iter_batches(CHUNK):
            packets = batch["packet"].to_pylist()
            decoded = decoder.decode(packets, [Position("b2", 0, number, 1) for number in range(len(packets))])
            yield from decoded.detections.select(COLUMNS.names).cast(COLUMNS).to_batches()


def read_alert(packet: bytes) -> dict[str, Any]:
    """Read a whole alert with the container reader, the baseline of both other routes."""
    alert: dict[str, Any] = next(iter(fastavro.reader(io.BytesIO(packet))))
    return alert


def spark_type(schema: Any, known: dict[str, DataType] | None = None) -> DataType:
    """Return the Spark type of an Avro type as fastavro's reader states it, nullable like all of Spark's.

    Parameters
    ----------
    schema : str, list or dict
        The Avro type.
    known : dict, optional
        Records met so far, by their full name: where one is used again only the name stands.
    """
    known = {} if known is None else known
    if isinstance(schema, list):
        return spark_type(next(branch for branch in schema if branch != "null"), known)
    if isinstance(schema, dict) and schema["type"] == "record":
        struct = StructType()
        for item in schema["fields"]:
            struct = struct.add(item["name"], spark_type(item["type"], known))
        known[schema["name"]] = struct
        return struct
    if isinstance(schema, dict) and schema["type"] == "array":
        return ArrayType(spark_type(schema["items"], known))
    simple = schema["type"] if isinstance(schema, dict) else schema
    kinds = {"string": StringType(), "bytes": BinaryType(), "double": DoubleType(), "float": FloatType()}
    kinds |= {"int": LongType(), "long": LongType(), **known}
    return kinds[simple]


def row_udf(spark: SparkSession, folder: Path, schema: StructType) -> DataFrame:
    """Return the columns by Fink's route."""
    decode = udf(read_alert, schema, useArrow=False)
    alerts = spark.read.parquet(str(folder)).select(decode("packet").alias("alert"))
    return alerts.selectExpr(
        *(f"alert.{name}" if name in _TOP else f"alert.candidate.{name}" for name in NAMES.values())
    )


def map_in_arrow(spark: SparkSession, folder: Path, schema: StructType) -> DataFrame:
    """Return the columns by the same reader in a function per Arrow batch."""
    candidate = schema["candidate"].dataType
    assert isinstance(candidate, StructType)
    columns = StructType([schema[name] if name in _TOP else candidate[name] for name in NAMES.values()])

    def decode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = []
            for packet in batch["packet"].to_pylist():
                alert = read_alert(packet)
                rows.append({name: (alert if name in _TOP else alert["candidate"])[name] for name in NAMES.values()})
            yield pa.RecordBatch.from_pylist(rows, schema=arrow)

    from pyspark.sql.pandas.types import to_arrow_schema

    arrow = to_arrow_schema(columns)
    return spark.read.parquet(str(folder)).mapInArrow(decode, columns)


def ours(spark: SparkSession, folder: Path) -> DataFrame:
    """Return the columns by our route."""
    return spark.read.format(PacketFiles.name()).option("path", str(folder)).load()


def check(ours: pa.Table, baseline: pa.Table) -> None:
    """Show that a route reads the same values as ours wherever no conversion lies between, and the same alerts.

    Raises
    ------
    RuntimeError
        If they differ.
    """
    left = ours.sort_by("sourceId")
    right = baseline.append_column("key", baseline["candid"].cast(pa.string())).sort_by("key")
    if left["sourceId"].to_pylist() != right["key"].to_pylist():
        raise RuntimeError("the routes differ in the alerts they read")
    for name in SAME:
        theirs = right[NAMES[name]].cast(left[name].type)
        if left[name].to_pylist() != theirs.to_pylist():
            raise RuntimeError(f"the routes differ in {name}")


def timed(frame: Callable[[], DataFrame]) -> tuple[float, float]:
    """Run a route into the no-op sink; return wall-clock and CPU time [s]."""
    cpu, start = _cpu(), time.monotonic()
    frame().write.format("noop").mode("overwrite").save()
    return time.monotonic() - start, _cpu() - cpu


def _cpu() -> float:
    """Return the CPU time of this process, of Spark and its workers so far [s]."""
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system
    return total


def write_packets(folder: Path, count: int) -> int:
    """Write packets of the pool to uncompressed Parquet files; return their median size [bytes]."""
    pool, sky = Pool("ztf"), Sky.draw(count // ALERTS_PER_OBJECT)
    folder.mkdir()
    for number in range(FILES):
        packets = [packet for _, packet in pool.packets(sky, number * (count // FILES), count // FILES)]
        table = pa.table({"packet": pa.array(packets, pa.binary())})
        pq.write_table(
            table, folder / f"{number}.parquet", compression="none", use_dictionary=False, row_group_size=CHUNK
        )
    return pool.median_bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("B2", arguments)
    count = PACKETS // 4 if bench.quick else PACKETS
    with TemporaryDirectory(prefix="asterism-b2-") as name:
        folder = Path(name) / "packets"
        size = write_packets(folder, count)
        settings = load_settings(home=Path(name) / "home", spark_master="local[2]")
        spark = spark_session(settings, "b2")
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(CHUNK))
        spark.dataSource.register(PacketFiles)
        first = pq.ParquetFile(folder / "0.parquet").read_row_group(0)["packet"][0].as_py()
        schema = spark_type(fastavro.reader(io.BytesIO(first)).writer_schema)
        assert isinstance(schema, StructType)
        routes: dict[str, Callable[[], DataFrame]] = {
            "ours": lambda: ours(spark, folder),
            "row_udf": lambda: row_udf(spark, folder, schema),
            "map_in_arrow": lambda: map_in_arrow(spark, folder, schema),
        }
        results = {label: route().toArrow() for label, route in routes.items()}
        for label in ("row_udf", "map_in_arrow"):
            check(results["ours"], results[label])
        _compare(bench, routes, count)
        spark.stop()
    bench.facts |= {"packets": count, "median_bytes": size, "schema": ZTF_VERSION, "columns": len(NAMES)}
    return bench.finish()


def _compare(bench: Bench, routes: dict[str, Callable[[], DataFrame]], count: int) -> None:
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in routes}
    for number in range(min(bench.rounds, ROUNDS)):
        for label, route in list(routes.items())[:: 1 if number % 2 else -1]:
            times[label].append(timed(route))
    for label in ("row_udf", "map_in_arrow"):
        for at, suffix, unit in ((0, "", "alerts/s"), (1, "_cpu", "alerts/cpu-s")):
            mine, theirs = ([pair[at] for pair in times[route]] for route in ("ours", label))
            bench.ratio(f"{label}{suffix}", count, unit, mine, theirs)


if __name__ == "__main__":
    sys.exit(main())
