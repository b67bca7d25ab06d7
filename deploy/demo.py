"""The demo: generated packets through everything, in a home of its own (``<home>/demo``), made anew each time.

It uses the public commands where there are any: packets are published by ``asterism simulate packets``, the API is
``asterism serve``. What it prints is counted from lake, graph and generator, and written to ``demo/summary.json``.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pyspark.sql import SparkSession

from asterism.deploy.application import keep_running, session, stop_on_signals
from asterism.deploy.errors import DemoError
from asterism.deploy.local.stack import LocalStack
from asterism.formats import replace_file
from asterism.graph.connection import connect
from asterism.graph.jobs.identity import IdentityReport, identify
from asterism.graph.schema import initialise
from asterism.ingest.reconcile import Reconciliation, current_balance, packets_received
from asterism.ingest.stream import start_alert_query
from asterism.lake import Lake
from asterism.progress import console, progress
from asterism.settings import Settings

_QUERY = """query ($key: ID!) { object(key: $key) { key ra dec nDetections firstDetection { iso }
  alerts(first: 3) { edges { node { key time { iso } photometry { band mag magErr } } } }
  sameAs { separationArcsec source { key objects { object { key survey } } } } } }"""


@dataclass(frozen=True)
class DemoPlan:
    """What to generate: alerts of each survey, fractions delivered twice or broken, and the seed of it all."""

    seed: int
    ztf: int
    lsst: int
    duplicates: float = 0.02
    corrupt: float = 0.01

    @property
    def packets(self) -> int:
        """Packets that will be published."""
        return round((self.ztf + self.lsst) * (1.0 + self.duplicates + self.corrupt))


def run_demo(settings: Settings, plan: DemoPlan, *, once: bool, quiet: bool = False) -> dict[str, Any]:
    """Run the whole chain and return the summary.

    Parameters
    ----------
    settings : Settings
        ``home`` and ``cache`` are used; services are the demo's own.
    plan : DemoPlan
        What to generate.
    once : bool
        Stop everything at the end; otherwise keep serving until Ctrl-C.
    quiet : bool
        Print nothing on stdout.

    Raises
    ------
    DemoError
        If a child fails, or another demo runs in the same home.
    """
    started = time.monotonic()
    with (
        own_home(settings.home / "demo") as home,
        LocalStack(home, cache=settings.cache) as stack,
        stop_on_signals() as stop,
    ):
        inner = stack.settings(schema_folder=home / "schemas", log_level="WARNING")
        prepare(inner)
        with session(inner) as spark:
            truth = stream(spark, inner, plan, stop)
            with connect(inner) as driver:
                identity = identify(driver, inner.neo4j_database, spark)
        balance = current_balance(inner)
        with serving(inner) as url:
            answer = ask(url, inner)
            summary = summarise(balance, truth, identity, time.monotonic() - started)
            replace_file(home / "summary.json", json.dumps(summary, indent=1).encode())
            if not quiet:
                report(balance, truth, identity, url, answer, home)
            if not once and not stop.is_set():
                console.print("\nserving until Ctrl-C", style="bold")
                stop.wait()
    return summary


@contextmanager
def own_home(home: Path) -> Iterator[Path]:
    """Empty the demo's folder (stopping services an earlier demo left) and hold it against a second demo."""
    home.mkdir(parents=True, exist_ok=True)
    with (home.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DemoError(f"another demo runs in {home}", hint="wait for it, or set ASTERISM_HOME") from error
        LocalStack(home).stop()
        for entry in home.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        yield home


def prepare(settings: Settings) -> None:
    """Make the graph's constraints and write the schemas that framed packets name by id."""
    with connect(settings) as driver:
        initialise(driver, settings.neo4j_database)
    with child(settings, "simulate", "schemas", str(settings.schema_folder)) as process:
        finish(process)


def stream(spark: SparkSession, settings: Settings, plan: DemoPlan, stop: threading.Event) -> dict[str, Any]:
    """Publish the packets while Spark streams them into lake and graph; return the generator's truth."""
    done = threading.Event()
    options = [f"--ztf={plan.ztf}", f"--lsst={plan.lsst}", f"--seed={plan.seed}", "--publish", "--json"]
    options += [f"--duplicates={plan.duplicates}", f"--corrupt={plan.corrupt}", "--partitions=2"]
    with (
        child(settings, "simulate", "packets", *options) as generator,
        progress("packets in the graph", plan.packets) as advance,
    ):
        runner = threading.Thread(target=keep_running, args=(lambda: start_alert_query(spark, settings), done, False))
        runner.start()
        try:
            truth = _watch(generator, Lake(settings.lake_path), plan, advance, stop)
        finally:
            done.set()
            runner.join()
    return truth


def _watch(
    generator: subprocess.Popen[str], lake: Lake, plan: DemoPlan, advance: Any, stop: threading.Event
) -> dict[str, Any]:
    """Move the bar until every published packet is in a finished batch."""
    shown, truth = 0, None
    while not stop.wait(0.5):
        received = packets_received(lake)
        if truth is None and generator.poll() is not None:
            truth = json.loads(finish(generator))
        advance(
            received - shown,
            note="publishing" if truth is None else "",
            total=plan.packets if truth is None else truth["packets"],
        )
        shown = received
        if truth is not None and received >= truth["packets"]:
            return dict(truth)
    raise KeyboardInterrupt


@contextmanager
def child(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run an ``asterism`` command as a child with the demo's home; it ends with the block."""
    environment = os.environ | {
        "ASTERISM_HOME": str(settings.home),
        "ASTERISM_SCHEMA_FOLDER": str(settings.schema_folder),
    }
    log = settings.home / f"{arguments[0]}.log"
    with log.open("a") as errors:
        command = [sys.executable, "-m", "asterism", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a child and return what it printed."""
    output, _ = process.communicate()
    if process.returncode != 0:
        raise DemoError(f"{process.args!r} ended with {process.returncode}")
    return output


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Run the API as a child; give its GraphQL address."""
    with child(settings, "serve", "--port=0", "--json") as process:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise DemoError("the API did not start", hint=f"see {settings.home / 'serve.log'}")
        yield str(json.loads(line)["graphql"])


def ask(url: str, settings: Settings) -> dict[str, Any]:
    """Ask the API for the object with the most alerts that two surveys have seen."""
    with connect(settings) as driver, driver.session(database=settings.neo4j_database) as session:
        row = session.run(
            "MATCH (o:Object)-[:SAME_AS]->(:Source) WHERE o.public "
            "RETURN o.key AS key, COUNT { (o)-[:HAS_ALERT]->() } AS n ORDER BY n DESC, key LIMIT 1"
        ).single()
    key = row["key"] if row is not None else ""
    answer = httpx.post(url, json={"query": _QUERY, "variables": {"key": key}}, timeout=30).json()
    if answer.get("errors"):
        raise DemoError(f"the API answered {answer['errors'][0]['message']}")
    return dict(answer["data"])


def summarise(
    balance: Reconciliation, truth: dict[str, Any], identity: IdentityReport, elapsed: float
) -> dict[str, Any]:
    """Return what ``summary.json`` holds."""
    agrees = (balance.packets_in, balance.alerts, balance.duplicates, balance.dead_letters) == tuple(
        truth[name] for name in ("packets", "alerts", "duplicates", "dead_letters")
    )
    return {
        "packets_in": balance.packets_in,
        "alerts": balance.alerts,
        "duplicates": balance.duplicates,
        "dead_letters": balance.dead_letters,
        "reconciled": balance.reconciled and agrees,
        "cross_survey": {"true_pairs": len(truth["pairs"]), "found_pairs": identity.pairs, "engine": identity.engine},
        "events": [],
        "elapsed_s": round(elapsed, 1),
    }


def report(
    balance: Reconciliation,
    truth: dict[str, Any],
    identity: IdentityReport,
    url: str,
    answer: dict[str, Any],
    home: Path,
) -> None:
    """Print the balance beside the generator's truth, what was identified, and where to go on."""
    print(balance.as_text())
    print(
        f"generator says   {truth['packets']:>11,}  = {truth['alerts']:,} alerts + {truth['duplicates']:,} duplicates "
        f"+ {truth['dead_letters']:,} broken"
    )
    print(f"\ncross-survey: {identity.pairs} pairs found, {len(truth['pairs'])} planted ({identity.engine})")
    print(f"\n{json.dumps(answer, indent=1)}\n")
    print(f'open {url} and paste, with the variable {{"key": "{answer["object"]["key"]}"}}:\n{_QUERY}\n')
    print(
        f"or ask the graph: ASTERISM_HOME={home} asterism graph cypher "
        "'MATCH (o:Object)-[:SAME_AS]->(s:Source) RETURN s.key, collect(o.key) LIMIT 5'"
    )
