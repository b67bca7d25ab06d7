"""B3, sustained ingest: Kafka to archive, lake and graph through the real application, on this machine.

Each part is one command, ``python -m benchmarks.b3 --part PART`` (``make bench NAME=B3 PART=...``):

- ``sustained``: a warm-up in which the application takes what it can, with a backlog that is never long; then 0.93 of
  that rate is offered for ten minutes, come what may. The rate counts if the lag did not grow.
- ``bare``: the same without the archive. ``lsst``: the same for LSST packets.
- ``latency``: 333 alerts/s; from Kafka's timestamp of every alert to the moment its batch was finished, which is after
  it could be read in the graph; and how old the links got meanwhile. ``soak``: an hour of it, into a graph that holds a
  million alerts: more than the page cache of Neo4j, which otherwise grows with the graph until it is full.
- ``prefilled``: runs into an empty graph and into one with ten times the alerts of a run, in turns.
- ``peak``: 40,000 alerts of one visit published as fast as Kafka takes them.
- ``stages``: CPU time of every stage, measured on its own in one process.

What runs: Kafka, Neo4j, `asterism run` (Spark ``local[2]``, follower included), the publisher, and this process; all of
them share the machine, and the CPU time of each is stated. 100 events are active, a million sources are catalogued, one
object in five is among them. `benchmarks.packet_pool` says what the packets are.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from asterism.deploy.local.stack import LocalStack
from asterism.lake import Lake
from asterism.settings import Settings
from benchmarks.b3_site import EVENTS, Ledger, application, need_space, prefill, site
from benchmarks.b3_stages import stages
from benchmarks.harness import Bench
from benchmarks.packet_pool import ALERTS_PER_OBJECT, CATALOGUED, Pool, Sky
from benchmarks.processes import Watched
from benchmarks.publisher import PARTITIONS, RETENTION_BYTES, Publisher, publishing
from benchmarks.rounds_watched import RoundsWatched

BATCH = 10_000
"""Most packets of a batch, of the setting ``max_packets_per_batch``."""
BACKLOG = 2 * BATCH
"""Most alerts that wait while the greatest rate is looked for."""
SHARE = 0.93
"""Of that rate, what is then offered."""
FILLED = 1_000_000
"""Alerts in the graph before a soak, some 820 bytes each."""
_START_SECONDS = 240.0
_NEEDED_BYTES = 16_000_000_000
_numbers = count()


@dataclass(frozen=True)
class Lane:
    """A running application and what feeds and watches it."""

    settings: Settings
    publisher: Publisher
    ledger: Ledger
    watched: Watched

    @property
    def lag(self) -> int:
        """Alerts published whose batch is not finished."""
        return self.publisher.sent - self.ledger.finished


@contextmanager
def lane(
    stack: LocalStack, settings: Settings, survey: str, sky: Sky, first: int, **overrides: object
) -> Iterator[Lane]:
    """Run publisher and application on a new topic, until a first batch is through."""
    topic = f"b3-{survey}-{next(_numbers)}"
    log = settings.home / "application.log"
    with ExitStack() as exits:
        publisher = exits.enter_context(publishing(settings.kafka_bootstrap, topic, survey, sky, first))
        options: dict[str, object] = {"max_packets_per_batch": BATCH, **overrides}
        spark = exits.enter_context(application(settings, topic, log, **options))
        pids = {service.name: int(service.pid or 0) for service in stack.status()}
        watched = exits.enter_context(Watched({**pids, "spark": spark.pid, "publisher": publisher.pid}))
        ledger = exits.enter_context(Ledger(settings))
        publisher.allow(500)
        try:
            ledger.wait(ledger.finished + 500, _START_SECONDS)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; the application said: {log.read_text()[-3000:]}") from error
        yield Lane(settings, publisher, ledger, watched)


def take_all(running: Lane, seconds: float, batches: int = 4) -> float:
    """Let the application take what it can, for a time and some batches; return the rate of the last [alerts/s]."""
    first, end = len(running.ledger.batches), time.monotonic() + seconds
    while time.monotonic() < end or len(running.ledger.batches) < first + 2 * batches:
        running.publisher.allow(running.ledger.finished + BACKLOG)
        time.sleep(0.02)
    done = running.ledger.batches[-max(batches, (len(running.ledger.batches) - first) // 2) - 1 :]
    return sum(entry[1] for entry in done[1:]) / (done[-1][0] - done[0][0])


def _last(ledger: Ledger) -> float:
    return ledger.batches[-1][0]


def offer(running: Lane, rate: float, seconds: float) -> list[int]:
    """Publish at a rate whatever the application does; return the lag at every second."""
    begun, sent, lags = time.monotonic(), running.publisher.sent, []
    for second in range(int(seconds)):
        while (passed := time.monotonic() - begun) < second + 1:
            running.publisher.allow(sent + int(rate * passed))
            time.sleep(0.02)
        lags.append(running.lag)
    return lags


def drained(running: Lane, seconds: float = 300.0) -> None:
    """Wait until everything published is finished."""
    running.publisher.allow(running.publisher.sent)
    time.sleep(0.2)
    running.ledger.wait(running.publisher.sent, seconds)


def sustained(bench: Bench, folder: Path, survey: str = "ztf", **overrides: object) -> None:
    """Measure the rate that can be held, and what every process used for it."""
    warm_up, seconds = (60.0, 600.0) if not bench.quick else (40.0, 60.0)
    sky = Sky.draw(int(2500 * (seconds + warm_up)) // ALERTS_PER_OBJECT)
    with site(folder, sky) as (stack, settings), lane(stack, settings, survey, sky, 0, **overrides) as running:
        reached = take_all(running, warm_up)
        drained(running)
        before, batches, refused = running.watched.cpu(), len(running.ledger.batches), running.ledger.refused
        begun, first = running.ledger.archived_bytes, running.ledger.finished
        started = time.time()
        lags = offer(running, SHARE * reached, seconds)
        ended, used = time.time(), running.watched.cpu()
        done = [entry for entry in running.ledger.batches[batches:] if entry[0] <= ended]
        alerts = sum(entry[1] for entry in done)
        bench.reach("rate", alerts / (ended - started), "alerts/s")
        _lag(bench, lags, SHARE * reached)
        bench.state("greatest_rate", reached, "alerts/s")
        drained(running)
        _cpu(bench, before, used, alerts)
        _memory(bench, running.watched)
        archived = running.ledger.archived_bytes - begun
        bench.facts |= _mix(survey) | {
            "seconds": round(ended - started, 1),
            "alerts": alerts,
            "dead_letters": running.ledger.refused - refused,
            "batches": len(done),
            "offered_per_s": round(SHARE * reached, 1),
            "lag_by_minute": [int(statistics.median(lags[at : at + 60])) for at in range(0, len(lags), 60)],
            "archive_bytes_per_alert": round(archived / max(1, running.ledger.finished - first)),
            "archive_bytes_written": archived,
        }


def _lag(bench: Bench, lags: list[int], rate: float) -> None:
    """State by how much the lag grew: of the last fifth over the first, at most 1 where it stays below two batches."""
    fifth = max(1, len(lags) // 5)
    first, last = statistics.median(lags[:fifth]), statistics.median(lags[-fifth:])
    growth = last / max(first, 1.0) if last > 2 * BATCH else min(1.0, last / max(first, 1.0))
    bench.state("lag_growth", growth, "last over first fifth")
    bench.state("lag_median", statistics.median(lags) / rate, "s")
    bench.state("lag_largest", max(lags) / rate, "s")


def _cpu(bench: Bench, before: Counter[str], after: Counter[str], alerts: int) -> None:
    for part in sorted(after):
        bench.state(f"cpu_{part.replace(' ', '_')}", 1e6 * (after[part] - before[part]) / max(1, alerts), "us/alert")


def _memory(bench: Bench, watched: Watched) -> None:
    largest = max(watched.memory, key=lambda item: item[0], default=(0.0, {}))
    bench.state("memory_peak", largest[0], "MiB")
    bench.facts["memory_peak_by_part_mib"] = {part: round(value) for part, value in largest[1].items()}


def _mix(survey: str) -> dict[str, object]:
    return {
        "packets": f"{survey}, median {Pool(survey).median_bytes} bytes, cutouts random, history as in packet_pool.py",
        "active_events": EVENTS,
        "catalogued_objects": CATALOGUED,
        "alerts_per_object": ALERTS_PER_OBJECT,
        "partitions": PARTITIONS,
        "kafka_retention_bytes": PARTITIONS * RETENTION_BYTES,
        "max_packets_per_batch": BATCH,
    }


def bare(bench: Bench, folder: Path) -> None:
    """Measure the hot lane without the archive."""
    sustained(bench, folder, keep_packets="false")


def lsst(bench: Bench, folder: Path) -> None:
    """Measure LSST packets."""
    sustained(bench, folder, "lsst")


def latency(bench: Bench, folder: Path, seconds: float | None = None, filled: int = 0) -> None:
    """Measure how long alerts take at 333/s."""
    rate, warm_up = 333.0, 60.0 if not bench.quick else 20.0
    seconds = seconds or (300.0 if not bench.quick else 60.0)
    sky = Sky.draw(int(rate * (seconds + warm_up)) // ALERTS_PER_OBJECT)
    with ExitStack() as exits:
        stack, settings = exits.enter_context(site(folder, sky))
        if filled:
            prefill(settings, sky, filled)
        running = exits.enter_context(lane(stack, settings, "ztf", sky, 0))
        offer(running, rate, warm_up)
        before, batches = running.watched.cpu(), len(running.ledger.batches)
        with RoundsWatched(settings) as rounds:
            lags = offer(running, rate, seconds)
        used = running.watched.cpu()
        drained(running)
        bench.state("links_age_median", statistics.median(rounds.ages), "s")
        bench.state("links_age_largest", max(rounds.ages), "s")
        took = sorted(_latencies(settings, running.ledger.batches[batches:]))
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("largest", 1.0)):
            bench.state(name, took[min(len(took) - 1, int(share * len(took)))], "s")
        _cpu(bench, before, used, len(took))
        _memory(bench, running.watched)
        bench.facts |= _mix("ztf") | {
            "rate_per_s": rate,
            "alerts_before": filled,
            "alerts": len(took),
            "seconds": seconds,
            "lag_by_minute": [int(statistics.median(lags[at : at + 60])) for at in range(0, len(lags), 60)],
        }
        if bench.part == "soak":
            _growth(bench, running.watched, seconds)


def _growth(bench: Bench, watched: Watched, seconds: float) -> None:
    """State what the memory grew from the second sixth of the time to the last, and of every part in MiB."""
    sums = [item[0] for item in watched.memory]
    sixth = max(1, len(sums) // 6)
    early, late = watched.memory[sixth : 2 * sixth], watched.memory[-sixth:]

    def typical(samples: list[tuple[float, dict[str, float]]], part: str) -> float:
        return statistics.median(item[1].get(part, 0.0) for item in samples)

    bench.state("memory_growth", statistics.median(sums[-sixth:]) / statistics.median(sums[sixth : 2 * sixth]), "ratio")
    bench.facts["memory_growth_by_part_mib"] = {
        part: round(typical(late, part) - typical(early, part)) for part in watched.memory[-1][1]
    }
    bench.facts["memory_by_minute_mib"] = [round(value) for value in sums[:: max(1, int(60 / seconds * len(sums)))]]


def soak(bench: Bench, folder: Path) -> None:
    """Run an hour at 333/s into a graph that is no longer young."""
    latency(bench, folder, 3600.0 if not bench.quick else 120.0, bench.size(FILLED))


def _latencies(settings: Settings, batches: Sequence[tuple[float, int, list[str]]]) -> Iterator[float]:
    lake = Lake(settings.lake_path)
    for finished, _, windows in batches:
        for window in windows:
            for published in lake.detections_of(window, ["publishedMs"])["publishedMs"].to_pylist():
                yield finished - published / 1e3


def peak(bench: Bench, folder: Path) -> None:
    """Measure how long a visit of 40,000 alerts takes that comes at once."""
    alerts = bench.size(40_000)
    sky = Sky.draw(alerts)
    with site(folder, sky) as (stack, settings), lane(stack, settings, "ztf", sky, 0) as running:
        take_all(running, 40.0 if not bench.quick else 20.0)
        drained(running)
        begun, sent = time.time(), running.publisher.sent
        running.publisher.allow(sent + alerts)
        while running.publisher.sent < sent + alerts:
            time.sleep(0.01)
        published = time.time() - begun
        running.ledger.wait(sent + alerts, 300.0)
        bench.state("drained", _last(running.ledger) - begun, "s")
        bench.state("published", published, "s")
        bench.reach("rate", alerts / (_last(running.ledger) - begun), "alerts/s")
        _memory(bench, running.watched)
        bench.facts |= _mix("ztf") | {"alerts": alerts}


def prefilled(bench: Bench, folder: Path) -> None:
    """Measure the rate into a graph with ten times the alerts of a run over that into an empty one, in turns."""
    alerts = bench.size(100_000)
    sky = Sky.draw(10 * alerts // ALERTS_PER_OBJECT)
    rates: dict[str, list[float]] = {"empty": [], "full": []}
    for pair in range(3):
        for kind in ("empty", "full") if pair % 2 else ("full", "empty"):
            home = folder / (kind if kind == "full" else f"empty-{pair}")
            with site(home, sky) as (stack, settings):
                if kind == "full" and pair == 0:
                    took = prefill(settings, sky, 10 * alerts)
                    bench.reach("prefill", 10 * alerts / took, "alerts/s")
                with lane(stack, settings, "ztf", sky, pair << 32) as running:
                    rates[kind].append(_rate_of(running, alerts))
            if kind == "empty":
                shutil.rmtree(home)
    for kind, found in rates.items():
        bench.reach(kind, statistics.median(found), "alerts/s")
        bench.facts[f"{kind}_rates"] = [round(rate, 1) for rate in found]
    ratios = [full / empty for full, empty in zip(rates["full"], rates["empty"], strict=True)]
    bench.reach("ratio", statistics.median(ratios), "full over empty")
    bench.facts |= _mix("ztf") | {"alerts_of_a_run": alerts, "ratios": [round(ratio, 3) for ratio in ratios]}


def _rate_of(running: Lane, alerts: int) -> float:
    """Return the rate at which a number of alerts is taken in after a warm-up of a third as many."""
    goal = running.ledger.finished + alerts // 3
    while running.ledger.finished < goal:
        running.publisher.allow(running.ledger.finished + BACKLOG)
        time.sleep(0.02)
    begun, since = running.ledger.finished, _last(running.ledger)
    while running.ledger.finished < begun + alerts:
        running.publisher.allow(running.ledger.finished + BACKLOG)
        time.sleep(0.02)
    return (running.ledger.finished - begun) / (_last(running.ledger) - since)


PARTS: dict[str, Callable[[Bench, Path], None]] = {
    "sustained": sustained,
    "bare": bare,
    "lsst": lsst,
    "latency": latency,
    "prefilled": prefilled,
    "peak": peak,
    "soak": soak,
    "stages": stages,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one part and return the exit code."""
    bench = Bench("B3", arguments, tuple(PARTS))
    with TemporaryDirectory(prefix="asterism-b3-") as folder:
        need_space(Path(folder), _NEEDED_BYTES)
        PARTS[bench.part or "sustained"](bench, Path(folder))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
