"""B8: from a notice's arrival to the first ranked page of its candidates in GraphQL, while alerts are ingested.

Everything is real: Neo4j, Kafka, ``asterism voevent listen``, ``asterism run`` and ``asterism serve`` as children. Lake
and graph hold 1e6 objects, evenly over the sky and all first seen in the five days after the events: every object of a
region is a candidate. ZTF packets come at 333/s from before the first notice until after the last; what had gathered
before the application was up is worked off first. LVK alerts with maps of 30, 100 and 1,000 deg2 (90 %) in turn are put
into the spool folder; earlier ones stay active and are re-scored as alerts come.

From: the file has its final name in the spool folder. To: a POST to /graphql, repeated every 100 ms, answers with
candidates that are scored. 10,000 deg2 is stated without a goal. Then pages of 50 candidates are timed, still under
ingest, and the calls to the store are counted at the driver.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import httpx
import numpy as np

from asterism.graph.connection import connect
from asterism.ids import make_key
from asterism.ingest.reconcile import packets_received
from asterism.lake import Lake
from asterism.settings import Settings
from asterism.simulate.identifiers import Identifiers
from asterism.simulate.measurement import SimulatedDetection
from asterism.simulate.notices import lvk_alert, superevent_name
from asterism.simulate.packets_ztf import ztf_packet
from asterism.simulate.publish import publish
from asterism.simulate.skymaps import map_fits
from asterism.simulate.stream import Message
from asterism.simulate.truth import MessageTruth, Outcome
from asterism.times import mjd_tai_to_iso
from benchmarks.api_site import DAYS, T0, detections, fill, store_calls
from benchmarks.harness import Bench, machine, percentile
from benchmarks.installation import TOPIC, child, children_log, first_line, installation
from benchmarks.region_maps import arc_map, even_sky

OBJECTS, RATE = 1_000_000, 333
AREAS, LARGEST = (30, 100, 1000), 10_000
NOTICES, QUICK_NOTICES, LARGE_NOTICES, PAGES = 24, 4, 3, 100
APART_SECONDS, LOOK_SECONDS, LONGEST_SECONDS, LAG_SECONDS = 4.0, 0.1, 120.0, 4.0
PAGE = """
query Page($key: ID!) { event(key: $key) { key pNone nCandidates candidates(first: 50) { edges { node {
  probability logL nChance terms { name value } object { key ra dec firstDetection { mjdTai } lastMag }
} } } } }
"""


def packets(seed: int) -> Iterator[Message]:
    """Yield new objects of ZTF, anywhere, without end."""
    rng = np.random.default_rng(seed)
    names = Identifiers(seed, np.arange(10_000_000))
    number = 0
    while True:
        ra, dec = float(rng.uniform(0, 360)), float(np.degrees(np.arcsin(rng.uniform(-1, 1))))
        mjd = T0 + DAYS + number / RATE / 86_400.0
        one = SimulatedDetection(
            names.ztf_object(number), names.candid(number, mjd), ra, dec, mjd, "r", 30_000.0, 300.0
        )
        key = make_key("ztf", str(one.object_id))
        truth = MessageTruth(Outcome.ALERT, make_key("ztf", one.source_id), key, None, public=True)
        yield Message(TOPIC, key.encode(), ztf_packet(one), truth)
        number += 1


@contextmanager
def streaming(settings: Settings) -> Iterator[Callable[[], int]]:
    """Publish packets at `RATE` while the block runs; give a function that tells how many were published."""
    stop, sent = threading.Event(), 0

    def until_stopped() -> Iterator[Message]:
        nonlocal sent
        for message in packets(8):
            if stop.is_set():
                return
            yield message
            sent += 1

    sender = threading.Thread(
        target=publish, args=(until_stopped(), settings.kafka_bootstrap), kwargs={"topics": [TOPIC], "rate": RATE}
    )
    sender.start()
    try:
        yield lambda: sent
    finally:
        stop.set()
        sender.join()


class Api:
    """The GraphQL API over HTTP.

    Parameters
    ----------
    url : str
        Where it serves.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30.0)

    def page(self, event: str) -> dict[str, Any] | None:
        """Return the first page of an event's candidates; None while there is no scored one."""
        answer = self._client.post("/graphql", json={"query": PAGE, "variables": {"key": event}}).json()
        if "errors" in answer:
            raise RuntimeError(f"the page was refused: {answer['errors']}")
        found: dict[str, Any] | None = answer["data"]["event"]
        ready = found is not None and found["pNone"] is not None and found["candidates"]["edges"]
        return found if ready else None

    def wait(self, event: str, since: float) -> float:
        """Return the seconds since a moment until the event has a ranked page.

        Raises
        ------
        RuntimeError
            If that takes more than `LONGEST_SECONDS`.
        """
        while (waited := time.monotonic() - since) < LONGEST_SECONDS:
            if self.page(event) is not None:
                return time.monotonic() - since
            time.sleep(LOOK_SECONDS)
        raise RuntimeError(f"{event} has no ranked page after {waited:.0f} s")

    def seconds_of_page(self, event: str) -> float:
        """Return how long one page takes [s].

        Raises
        ------
        RuntimeError
            If there is none.
        """
        start = time.perf_counter()
        if self.page(event) is None:
            raise RuntimeError(f"{event} lost its candidates")
        return time.perf_counter() - start


def announce(spool: Path, area: int, number: int) -> tuple[str, float]:
    """Put an LVK alert into the spool folder; return its event's key, and when it had its final name (monotonic)."""
    t0 = T0 - 0.001 * number
    name = superevent_name(t0, number)
    content = map_fits(arc_map(float(area), 10 + number), name, mjd_tai_to_iso(t0))
    payload = lvk_alert(name, "PRELIMINARY", t0 + 0.002, t0=t0, sky_map=content)
    hidden, final = spool / f".{name}.json", spool / f"{name}.json"
    hidden.write_bytes(payload)
    hidden.rename(final)
    return make_key("lvk", name), time.monotonic()


def catch_up(lake: Lake, published: Callable[[], int]) -> None:
    """Wait until Spark is up and has caught up with what was sent before.

    Raises
    ------
    RuntimeError
        If that takes more than `LONGEST_SECONDS`, twice.
    """
    end = time.monotonic() + 2.0 * LONGEST_SECONDS
    while (received := packets_received(lake)) < 20 * RATE or published() - received > LAG_SECONDS * RATE:
        if time.monotonic() > end:
            raise RuntimeError(f"{received} of {published()} packets are in the lake")
        time.sleep(1.0)


def measure(bench: Bench, settings: Settings, log: IO[bytes]) -> None:
    """Announce events of all areas in turn under ingest, and time their pages."""
    spool = settings.home / "spool"
    spool.mkdir(exist_ok=True)
    took: dict[int, list[float]] = {area: [] for area in (*AREAS, LARGEST)}
    turns = list(AREAS) * (QUICK_NOTICES if bench.quick else NOTICES)
    turns += [LARGEST] * (0 if bench.quick else LARGE_NOTICES)
    with ExitStack() as stack:
        listener = stack.enter_context(
            child(["voevent", "listen", "--port=0", f"--spool={spool}", "--json"], settings, log)
        )
        server = stack.enter_context(child(["serve", "--port=0", "--json"], settings, log))
        published = stack.enter_context(streaming(settings))
        stack.enter_context(child(["run"], settings, log))
        first_line(listener)
        api = Api(first_line(server)["url"])
        lake = Lake(settings.lake_path)
        catch_up(lake, published)
        api.wait(*announce(spool, AREAS[0], 0))
        begun, before = time.monotonic(), packets_received(lake)
        events: list[str] = []
        for number, area in enumerate(turns, 1):
            event, since = announce(spool, area, number)
            took[area].append(api.wait(event, since))
            events.append(event)
            time.sleep(max(0.0, since + APART_SECONDS - time.monotonic()))
        rate = (packets_received(lake) - before) / (time.monotonic() - begun)
        bench.facts["behind_s"] = round((published() - packets_received(lake)) / RATE, 1)
        pages = [api.seconds_of_page(events[number % len(events)]) for number in range(PAGES)]
    for area, seconds in took.items():
        if seconds:
            bench.state(f"notice_to_page_{area}_p95", percentile([*seconds, *seconds], 95), "s")
            bench.state(f"notice_to_page_{area}_median", percentile([*seconds, *seconds], 50), "s")
    bench.state("page_p95", 1000.0 * percentile(pages, 95), "ms")
    bench.state("page_p50", 1000.0 * percentile(pages, 50), "ms")
    calls = store_calls(settings, PAGE, {"key": events[2]}, lambda data: data["event"]["candidates"]["edges"], 50)
    bench.state("store_calls", asyncio.run(calls), "calls")
    bench.facts |= {"ingested_per_s": round(rate, 1), "events": len(turns) + 1, "load": machine()["load_1min"]}
    bench.facts["seconds"] = {str(area): [round(s, 2) for s in seconds] for area, seconds in took.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("B8", arguments)
    with TemporaryDirectory(prefix="asterism-b8-") as name, installation(Path(name)) as settings:
        alerts = detections(even_sky(bench.size(OBJECTS), 8), 8)
        start = time.monotonic()
        with connect(settings) as driver:
            Lake(settings.lake_path).write_detections(alerts, "fill")
            fill(driver, alerts)
        bench.facts = {"objects": alerts.num_rows, "fill_s": round(time.monotonic() - start, 1), "rate_per_s": RATE}
        with children_log(Path(name)) as log:
            measure(bench, settings, log)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
