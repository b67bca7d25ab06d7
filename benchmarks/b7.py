"""B7, storage: bytes of an alert in the lake, against the packet and against Parquet that repeats every history.

Packets are the simulator's, each encoded on its own: ZTF with 8 earlier detections, 13 limits and 10 forced fluxes,
LSST with 20 earlier and 60 forced sources. Ids, positions, times, fluxes, errors and scores are drawn anew for every
detection, or Parquet would find repetitions that a survey does not send; the simulator's other columns repeat every
61 sources, which makes the baseline with histories smaller than real ones, not ours. The lake is written by the hot
lane's own code. Baselines: the packet as delivered; and what brokers keep that store alerts as they come, Parquet
(zstd) with all fields and the history of every alert, cutouts left out.

Beside it: the whole lake without the raw packets, that is detections, region and catalogue matches, and the state of
every object as the graph holds it, written to Parquet; and what compressing the archive saves and costs.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from string import ascii_lowercase
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from asterism.enrich.catalogues import load_catalogue
from asterism.graph.association.hosts import CATALOGUE_MATCHES
from asterism.graph.association.regions import REGION_MATCHES, EventRegion, publish_regions
from asterism.graph.merge import SCIENCE_NAMES, ObjectState, content_hash
from asterism.ingest.archive import COMPRESSION, RAW
from asterism.ingest.decode import Decoder
from asterism.ingest.hot import HotLane
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.ingest.source import INGESTED, ingested_rows
from asterism.lake import Lake
from asterism.settings import load_settings
from asterism.simulate.measurement import Older
from asterism.simulate.packets import (
    ForcedFlux,
    History,
    SimulatedDetection,
    UpperLimit,
    lsst_packet,
    write_schemas,
    ztf_packet,
)
from asterism.sky.healpix import hpx29
from benchmarks.b3_site import write_catalogue
from benchmarks.harness import Bench
from benchmarks.packet_pool import Sky

WINDOW = 2500
"""Alerts of a file: those of a partition in a batch at full speed."""
_EVENTS = 100
_CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
_GZIP = b"\x1f\x8b\x08"


def measure(bench: Bench, survey: str, packets: Sequence[bytes], schemas: Path, root: Path) -> None:
    """Write packets every way and state the sizes."""
    decoder = Decoder(SchemaSource(folder=schemas))
    settings = load_settings(home=root)
    lake = Lake(settings.lake_path)
    version = publish_regions(lake, _regions()).version
    positions = [Position(survey, 0, offset, 1_764_000_000_000 + offset) for offset in range(len(packets))]
    decoded = decoder.decode(packets, positions)
    if decoded.dead_letters.num_rows:
        raise RuntimeError(f"refused: {decoded.dead_letters['message'][0]}")
    rows = pa.Table.from_batches(ingested_rows(decoded), schema=INGESTED)
    for catalogue in settings.catalogues:
        load_catalogue(catalogue)  # kept by a worker from its first window on
    start = time.process_time()
    for at in range(0, len(packets), WINDOW):
        HotLane(home=root).write_lake(rows.slice(at, WINDOW), version)
    took = time.process_time() - start
    if lake.detections().num_rows != len(packets):
        raise RuntimeError("the lake does not hold every alert")
    raw = sum(map(len, packets))
    detections = _size(lake.root / "detections")
    history = _with_history(decoder, packets, root / "history.parquet")
    bench.reach(f"{survey}_detections", raw / detections, "x smaller")
    bench.reach(f"{survey}_with_history", history / detections, "x smaller")
    count = len(packets)
    states = _states(decoded.detections, root / "objects.parquet")
    matches = sum(_size(lake.root / name) for name in (REGION_MATCHES, CATALOGUE_MATCHES))
    bench.state(f"{survey}_detection_bytes", detections / count, "bytes/detection")
    bench.state(f"{survey}_lake_bytes", (detections + matches + states) / count, "bytes/detection")
    bench.facts[survey] = {
        "packets": count,
        "alerts_per_file": min(WINDOW, count),
        "events": _EVENTS,
        "raw_bytes": round(raw / count, 1),
        "with_history_bytes": round(history / count, 1),
        "object_state_bytes": round(states / count, 1),
        "matches_bytes": round(matches / count, 1),
        "written_per_cpu_s": round(count / took),
    }
    _archive(bench, survey, packets, positions, root)


def varied_packets(survey: str, count: int) -> list[bytes]:
    """Return packets of one night in which every measured number is another one."""
    chance = random.Random(23)
    return [_packet(chance, survey) for _ in range(count)]


def _packet(chance: random.Random, survey: str) -> bytes:
    ztf, bands = survey == "ztf", "gri" if survey == "ztf" else "ugrizy"
    name = f"ZTF{chance.randrange(18, 26)}{''.join(chance.choices(ascii_lowercase, k=7))}"
    site = (name if ztf else str(chance.randrange(2**60, 2**61)), chance.uniform(0.0, 360.0), chance.uniform(-30, 85))
    exposure = 61000.2 + chance.randrange(700) / 2000.0
    sources, limits, forced = (8, 13, 10) if ztf else (20, 0, 60)

    def detection(mjd: float) -> SimulatedDetection:
        error = 10.0 ** chance.uniform(1.8, 2.8)
        return SimulatedDetection(
            object_id=site[0],
            source_id=chance.randrange(2**61, 2**62),
            ra=site[1] + chance.gauss(0.0, 3e-5),
            dec=site[2] + chance.gauss(0.0, 3e-5),
            mjd_tai=mjd,
            band=chance.choice(bands),
            flux=chance.choice([-1.0, 1.0]) * error * 10.0 ** chance.uniform(0.7, 2.5),
            flux_err=error,
            program_id=chance.choice([1, 1, 1, 2]),
            reliability=chance.random(),
        )

    past = History(
        tuple(detection(exposure - chance.uniform(0.01, 30.0)) for _ in range(sources)),
        tuple(
            UpperLimit(exposure - chance.uniform(0.01, 30.0), chance.choice(bands), chance.uniform(18.5, 21.0))
            for _ in range(limits)
        ),
        tuple(
            ForcedFlux(
                exposure - chance.uniform(0.01, 30.0),
                chance.choice(bands),
                chance.gauss(0, 300),
                chance.uniform(80, 400),
            )
            for _ in range(forced)
        ),
        Older(exposure - chance.uniform(31.0, 1500.0), chance.randrange(40), chance.randrange(900)),
    )
    return (ztf_packet if ztf else lsst_packet)(detection(exposure), past)


def _regions() -> list[EventRegion]:
    """Return cones' worth of sky for as many events, each 100 ranges of an order-8 cell (5 deg2)."""
    rng = np.random.default_rng(9)
    cell = 1 << 2 * (29 - 8)
    regions = []
    for number in range(_EVENTS):
        first = (int(hpx29([rng.uniform(0, 360)], [rng.uniform(-60, 60)])[0]) // cell) * cell
        lo = first + 2 * cell * np.arange(100, dtype=np.int64)
        key = f"bench:{number}"
        regions.append(EventRegion(key, f"{key}:0", "grb", 60999.0, 60999.0, 61020.0, lo, lo + cell))
    return regions


def _with_history(decoder: Decoder, packets: Sequence[bytes], path: Path) -> int:
    """Write alerts with their histories, without cutouts, to one file; return its size [bytes]."""
    alerts = []
    for packet in packets:
        alert = decoder.decode_full(packet)
        alerts.append({name: value for name, value in alert.items() if name not in _CUTOUTS})
    pq.write_table(pa.Table.from_pylist(alerts), path, compression="zstd")
    return path.stat().st_size


def _states(detections: pa.Table, path: Path) -> int:
    """Write the state of every object, as the graph holds it, to one file; return its size [bytes]."""
    states: dict[str, ObjectState] = {}
    for row in detections.to_pylist():
        state = ObjectState.of(row, content_hash([row[name] for name in SCIENCE_NAMES]))
        key = row["objectKey"]
        states[key] = reduce(ObjectState.join, [states[key], state]) if key in states else state
    rows: list[dict[str, Any]] = []
    for key, state in states.items():
        ends = {f"first_{k}": v for k, v in state.first._asdict().items()}
        ends |= {f"last_{k}": v for k, v in state.last._asdict().items()}
        own = {k: v for k, v in state._asdict().items() if k not in {"first", "last"}}
        rows.append({"key": key, **own, **ends})
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    return path.stat().st_size


def _archive(bench: Bench, survey: str, packets: Sequence[bytes], positions: Sequence[Position], root: Path) -> None:
    """State size and CPU time of an archive file, as it is written and without compression."""
    # The simulator has few cutouts: random bytes in their place, or repetition would be compressed.
    fresh = [_incompressible(packet, number) for number, packet in enumerate(packets)]
    for name, codec in (("zstd", COMPRESSION), ("plain", None)):
        path, start = root / f"{name}.arrow", time.process_time()
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with path.open("wb") as stream, pa.ipc.new_file(stream, RAW, options=options) as writer:
            for at in range(0, len(fresh), 250):
                part = slice(at, at + 250)
                columns = [[p.offset for p in positions[part]], [p.published_ms for p in positions[part]], fresh[part]]
                writer.write(pa.record_batch(columns, schema=RAW))
        bench.state(f"{survey}_archive_{name}_cpu", 1e6 * (time.process_time() - start) / len(fresh), "us/alert")
        bench.state(f"{survey}_archive_{name}_bytes", path.stat().st_size / len(fresh), "bytes/alert")


def _incompressible(packet: bytes, number: int) -> bytes:
    """Return a ZTF packet whose gzip-compressed cutouts are random bytes; other packets as they are."""
    changed, at = bytearray(packet), packet.find(_GZIP)
    chance = random.Random(number)
    while at >= 0:
        end = packet.find(_GZIP, at + 1)
        stop = (end if end >= 0 else len(packet)) - 70
        changed[at + 10 : stop] = chance.randbytes(max(0, stop - at - 10))
        at = end
    return bytes(changed)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("B7", arguments)
    with TemporaryDirectory(prefix="asterism-b7-") as name:
        folder = Path(name)
        write_catalogue(folder / "catalogue.parquet", Sky.draw(1000))
        os.environ["ASTERISM_CATALOGUES"] = json.dumps([str(folder / "catalogue.parquet")])
        write_schemas(folder / "schemas")
        measure(bench, "ztf", varied_packets("ztf", bench.size(2500)), folder / "schemas", folder / "ztf")
        measure(bench, "lsst", varied_packets("lsst", bench.size(2500)), folder / "schemas", folder / "lsst")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
