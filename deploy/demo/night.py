"""The night of the demo: alerts streaming while notices arrive, until every one of both is in the graph and judged."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from neo4j import Driver
from pyspark.sql import SparkSession

from asterism.deploy.application import run_queries
from asterism.deploy.demo.children import child, finish, first_line
from asterism.deploy.follower import following, rounds_of
from asterism.ingest.reconcile import packets_received
from asterism.lake import Lake
from asterism.progress import Advance, progress
from asterism.settings import Settings
from asterism.voevent.read import read_payload
from asterism.voevent.send import send

_LOOK_SECONDS = 0.5
_HOLD_SECONDS = 120.0
_LINKS = (
    "MATCH (e:Event) OPTIONAL MATCH (:Object)-[c:CANDIDATE_FOR]->(e) WHERE c.open "
    "RETURN e.key AS key, count(c) AS links"
)
_NOTICES = "MATCH (n:Notice) RETURN count(n) AS n"


@dataclass(frozen=True)
class DemoPlan:
    """What is played.

    Attributes
    ----------
    seed : int
        Same seed, same night.
    ztf, lsst : int
        Alerts of each survey.
    seconds : float
        How long the eight nights take [s].
    """

    seed: int
    ztf: int
    lsst: int
    seconds: float = 90.0

    @property
    def speed(self) -> float:
        """Simulated seconds per second."""
        return 8 * 86400.0 / self.seconds


@dataclass(frozen=True)
class Played:
    """What became of the night: the simulator's truth, and the most links each event had open at any look."""

    truth: dict[str, Any]
    most_links: dict[str, int]


def play(spark: SparkSession, driver: Driver, settings: Settings, plan: DemoPlan, stop: threading.Event) -> Played:
    """Play the night and return when all of it is in the graph.

    Raises
    ------
    DemoError
        If a child fails.
    KeyboardInterrupt
        If `stop` is set meanwhile.
    """
    rounds = rounds_of(driver, settings, stop)
    with (
        receiving(settings) as (port, spool),
        playing(settings, plan) as generator,
        progress("alerts in the graph", plan.ztf + plan.lsst) as advance,
        streaming(spark, settings) as done,
        following(rounds, done),
    ):
        watch = Watch(settings, driver, port, spool)
        truth = watch.until_all_is_in(generator, advance, stop)
    for work in rounds:
        work()
    watch.look_at_links()
    return Played(truth, dict(watch.most_links))


@contextmanager
def receiving(settings: Settings) -> Iterator[tuple[int, Path]]:
    """Run the notice receiver; give its port and the folder it takes files from."""
    spool = settings.home / "spool"
    spool.mkdir(exist_ok=True)
    with child(settings, "voevent", "listen", "--port=0", f"--spool={spool}", "--json") as listener:
        yield int(json.loads(first_line(listener, "the notice receiver"))["listening"]["port"]), spool


@contextmanager
def playing(settings: Settings, plan: DemoPlan) -> Iterator[Popen[str]]:
    """Run the simulator."""
    options = [f"--seed={plan.seed}", f"--ztf={plan.ztf}", f"--lsst={plan.lsst}", f"--speed={plan.speed:.0f}"]
    with child(settings, "simulate", "night", "--scenario=full", "--publish", "--json", *options) as generator:
        yield generator


@contextmanager
def streaming(spark: SparkSession, settings: Settings) -> Iterator[threading.Event]:
    """Run the application's queries in a thread; give the event that ends them."""
    done = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            run_queries(spark, settings, done)
        except BaseException as error:
            failed.append(error)

    runner = threading.Thread(target=run)
    runner.start()
    try:
        yield done
    finally:
        done.set()
        runner.join()
    if failed:
        raise failed[0]


class Watch:
    """Delivers notices as the simulator writes them, moves the bar, and sees when all is in.

    Parameters
    ----------
    settings, driver : Settings, neo4j.Driver
        The demo's.
    port, spool : int, Path
        The receiver's two doors: VOEvents go by VTP, JSON by the folder.
    """

    def __init__(self, settings: Settings, driver: Driver, port: int, spool: Path) -> None:
        self._lake = Lake(settings.lake_path)
        self._folder = settings.home / "night" / "notices"
        self._driver, self._port, self._spool = driver, port, spool
        self._delivered: set[str] = set()
        self._complete = math.inf
        self.most_links: Counter[str] = Counter()

    def until_all_is_in(self, generator: Popen[str], advance: Advance, stop: threading.Event) -> dict[str, Any]:
        """Return the simulator's truth once every alert and notice is in the graph."""
        shown, truth = 0, None
        while not stop.wait(_LOOK_SECONDS):
            self.deliver()
            self.look_at_links()
            received = packets_received(self._lake)
            advance(received - shown, note=f"{len(self._delivered)} notices")
            shown = received
            if truth is None and generator.poll() is not None:
                truth = json.loads(finish(generator, "the simulator"))
                self.deliver()
            if truth is not None and received >= truth["alerts"]["packets"]:
                self._complete = min(self._complete, time.monotonic())
                if self._all_projected():
                    return dict(truth)
        raise KeyboardInterrupt

    def deliver(self) -> None:
        """Deliver the notices written since the last call, in the order of their times of writing."""
        for path in sorted(self._waiting(), key=lambda path: path.stat().st_mtime_ns):
            if self._too_early(path):
                continue
            if path.suffix == ".xml":
                send(path.read_bytes(), "127.0.0.1", self._port)
            else:
                part = self._spool / f".{path.name}"
                part.write_bytes(path.read_bytes())
                part.rename(self._spool / path.name)
            self._delivered.add(path.name)

    def _too_early(self, path: Path) -> bool:
        """Tell whether a notice retracts an event that has no link yet: on a slow machine the stream lags behind the
        night, and there would be nothing to see closed. It is held for at most two minutes after the last alert.
        """
        if "RETRACTION" not in path.name:
            return False
        event = read_payload(path.read_bytes()).notice.event_key
        return not self.most_links[event] and time.monotonic() < self._complete + _HOLD_SECONDS

    def look_at_links(self) -> None:
        """Note how many open links each event has."""
        for key, links in open_links(self._driver).items():
            self.most_links[key] = max(self.most_links[key], links)

    def _waiting(self) -> list[Path]:
        return [path for path in self._folder.glob("[!.]*") if path.name not in self._delivered]

    def _all_projected(self) -> bool:
        with self._driver.session() as session:
            projected = int(session.run(_NOTICES).single(strict=True)["n"])
        return not self._waiting() and projected >= len(self._delivered)


def open_links(driver: Driver) -> dict[str, int]:
    """Return the number of open links of every event."""
    with driver.session() as session:
        return {row["key"]: row["links"] for row in session.run(_LINKS)}
