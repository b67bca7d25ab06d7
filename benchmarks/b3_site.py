"""The installation that B3 measures: real Kafka and Neo4j, the application as users run it, events and a catalogue.

Disk is bounded: Kafka keeps what `benchmarks.publisher.RETENTION_BYTES` says, and a pruner, which exists in the
benchmark only, deletes archive files whose packets are in lake, graph and ledger, after counting their bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from neo4j import Driver

from asterism.deploy.local.stack import LocalStack
from asterism.formats import ensure_format
from asterism.graph.association.follow import Associator
from asterism.graph.association.regions import latest_version, load_regions
from asterism.graph.association.rules import load_rules
from asterism.graph.connection import connect
from asterism.graph.schema import initialise
from asterism.ingest.decode import Decoder
from asterism.ingest.packets import Position
from asterism.journal import Journal
from asterism.lake import Lake
from asterism.logs import configure_logs
from asterism.settings import Settings, load_settings
from asterism.simulate.packets import write_schemas
from asterism.voevent.intake import FILE, Intake
from asterism.voevent.project import Delivery, maps_folder, project
from benchmarks.notice_stream import notice_stream
from benchmarks.packet_pool import CATALOGUED, Pool, Sky

EVENTS = 100
_PREFILL_FIRST, _PREFILL_ROWS = 1 << 40, 50_000
_STARS, _AGN, _GALAXIES = 600_000, 100_000, 300_000


def need_space(folder: Path, bytes_needed: int) -> None:
    """Refuse to begin without the disk that the run needs at its fullest.

    Raises
    ------
    SystemExit
        If there is less.
    """
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        wanted, found = (f"{value / 1e9:.0f} GB" for value in (bytes_needed, free))
        raise SystemExit(
            f"B3 needs {wanted} free in {folder} and finds {found}: set TMPDIR to a folder on another disk"
        )


@contextmanager
def site(folder: Path, sky: Sky, events: int = EVENTS) -> Iterator[tuple[LocalStack, Settings]]:
    """Start a stack, with an empty graph if the folder is new, a catalogue and active events; give its settings too."""
    found = load_settings()
    configure_logs("WARNING", as_json=False)
    stack = LocalStack(folder, cache=found.cache, repository=found.maven_repository)
    with stack:
        write_schemas(folder / "schemas")
        catalogue = folder / "catalogue.parquet"
        if not catalogue.exists():
            write_catalogue(catalogue, sky)
        settings = stack.settings(catalogues=(catalogue,), schema_folder=folder / "schemas")
        with connect(settings) as driver:
            initialise(driver, settings.neo4j_database)
            make_events(driver, settings, events)
        yield stack, settings


def prefill(settings: Settings, sky: Sky, alerts: int) -> float:
    """Bring alerts into a graph that holds none, by the bulk route of a rebuild; return the time it took [s]."""
    from asterism.graph.bulk import create_detections

    pool, decoder = Pool("ztf"), Decoder()

    def nights() -> Iterator[pa.Table]:
        for start in range(0, alerts, _PREFILL_ROWS):
            parts = []
            for at in range(start, min(start + _PREFILL_ROWS, alerts), 1000):
                packets = [packet for _, packet in pool.packets(sky, _PREFILL_FIRST + at, 1000)]
                positions = [Position("prefill", 0, at + number, 1) for number in range(1000)]
                parts.append(decoder.decode(packets, positions).detections)
            yield pa.concat_tables(parts)

    started = time.monotonic()
    with connect(settings) as driver:
        create_detections(driver, nights, database=settings.neo4j_database, advance=lambda _: None)
    return time.monotonic() - started


def write_catalogue(path: Path, sky: Sky) -> None:
    """Write a million sources, stars on `CATALOGUED` of the objects, the rest anywhere on the sky."""
    rng = np.random.default_rng(11)
    kinds = np.repeat(["star", "agn", "galaxy"], [_STARS, _AGN, _GALAXIES])
    ra = rng.uniform(0.0, 360.0, kinds.size)
    dec = np.degrees(np.arcsin(rng.uniform(-0.5, 1.0, kinds.size)))
    on = min(_STARS, int(CATALOGUED * sky.ra.size))
    ra[:on], dec[:on] = sky.ra[:on], sky.dec[:on]
    table = pa.table(
        {
            "catalogue": pa.repeat("bench", kinds.size),
            "release": pa.repeat("1", kinds.size),
            "id": pa.array([str(number) for number in range(kinds.size)]),
            "ra": ra,
            "dec": dec,
            "class": pa.array(kinds.tolist()),
        }
    )
    pq.write_table(table, path)


def make_events(driver: Driver, settings: Settings, wanted: int) -> int:
    """Take notices into journal and graph until as many events are active; return how many regions there are."""
    journal, lake = Journal(settings.journal_path), Lake(settings.lake_path)
    ensure_format(settings.journal_path, "journal")
    intake, stream = Intake(journal), notice_stream(seed=1)
    associator = Associator(driver, settings, load_rules())
    regions = len(load_regions(lake, latest_version(lake)).regions)
    while regions < wanted:
        for _ in range(max(1, wanted - regions)):
            payload = next(stream)
            intake.accept(payload, FILE)
        entries = (Delivery.of(entry) for entry in journal.read())
        project(entries, driver, database=settings.neo4j_database, maps=maps_folder(settings))
        associator.round()
        regions = len(load_regions(lake, latest_version(lake)).regions)
    return regions


@contextmanager
def application(settings: Settings, topic: str, log: Path, **overrides: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``asterism run`` on a topic; ask it to stop with the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASTERISM_")}
    environment |= {
        "ASTERISM_HOME": str(settings.home),
        "ASTERISM_LOG_LEVEL": "WARNING",
        "ASTERISM_KAFKA_TOPICS": json.dumps([topic]),
        "ASTERISM_CATALOGUES": json.dumps([str(path) for path in settings.catalogues]),
        "ASTERISM_SCHEMA_FOLDER": str(settings.schema_folder),
    }
    environment |= {f"ASTERISM_{name.upper()}": str(value) for name, value in overrides.items()}
    with log.open("ab") as stream, ExitStack() as stack:
        command = [sys.executable, "-m", "asterism", "run"]
        process = subprocess.Popen(command, env=environment, cwd=settings.home, stdout=stream, stderr=stream)
        stack.callback(_end, process)
        yield process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(90)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Ledger:
    """Follows the ledger of the alert stream from now on: what is finished, and when it was.

    Parameters
    ----------
    settings : Settings
        Lake and archive.
    prune : bool
        Delete archive files that are finished, counting their bytes.
    """

    def __init__(self, settings: Settings, *, prune: bool = True) -> None:
        self._lake = Lake(settings.lake_path)
        self._archive = settings.archive_path
        self._prune = prune
        self._seen = {path.name for path in self._files()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.finished = 0
        """Packets of finished batches."""
        self.batches: list[tuple[float, int, list[str]]] = []
        """When each batch was finished (Unix time [s]), its packets and its windows."""
        self.refused = 0
        """Packets among them that are dead letters."""
        self.archived_bytes = 0
        """Size of the archive files that were deleted [bytes]."""

    def __enter__(self) -> Ledger:
        """Follow from now on."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Look once more, then no longer."""
        self._stop.set()
        self._thread.join()
        self.look()

    def look(self) -> None:
        """Take in what is new."""
        for path in self._files():
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            entry = json.loads(path.read_text(encoding="utf-8"))
            self.batches.append((path.stat().st_mtime, entry["packets"], entry["windows"]))
            self.refused += sum(row["packets"] for row in entry["outcomes"] if row["code"] is not None)
            self.finished += entry["packets"]
            if self._prune:
                for window in entry["windows"]:
                    self._delete(window)

    def _files(self) -> Iterator[Path]:
        return (self._lake.root / "ledger" / "alerts").glob("[0-9a-f]*.json")

    def _delete(self, window: str) -> None:
        topic = window.rsplit("-", 3)[0]
        path = self._archive / topic / f"{window}.arrow"
        if path.is_file():
            self.archived_bytes += path.stat().st_size
            path.unlink()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            self.look()

    def wait(self, packets: int, seconds: float) -> None:
        """Return when as many packets are finished.

        Raises
        ------
        RuntimeError
            If that takes longer.
        """
        deadline = time.monotonic() + seconds
        while self.finished < packets:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.finished} of {packets} packets are in the graph after {seconds:.0f} s")
            time.sleep(0.1)
