"""notices: from a sender's ACK to the graph, through the real receiver and the real Spark application.

A stack of its own (or the one that ``ASTERISM_TEST_STACK`` names), ``asterism voevent listen`` and ``asterism run`` as
children, and a sender that keeps to its schedule whatever the receiver does: 50 notices/s for 60 s (quick: 15 s) after
a warm-up that does not count. Of 50 notices 49 travel by VTP: 26 Fermi GBM (four a burst), 12 Swift BAT, 7 IceCube, 4
INTEGRAL. One is an LVK alert with a multi-order map of 1 MB, which VTP cannot carry: it comes by the spool folder.

From: the sender has read the ACK; a spooled file has been moved aside, looked for every 10 ms. To: the notice's node
is seen, with its localization and event (one transaction writes them), by a look-up of the keys that are still missing
every 50 ms. So a figure may be 50 ms and one look-up too long, and never too short. Beside it stands the rate of
``asterism voevent project`` on the same journal and an empty graph, start of the command included.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from neo4j import Driver

from asterism.graph.connection import connect
from asterism.settings import Settings
from asterism.voevent.notice import notice_key
from asterism.voevent.send import send
from asterism.voevent.spool import TAKEN
from benchmarks.harness import Bench, machine, percentile
from benchmarks.installation import child, children_log, clear, first_line, installation
from benchmarks.notice_stream import MIX, notice_stream

RATE = 50.0
"""Notices sent in a second."""
WARM_UP = 300
LOOK_SECONDS = 0.05
_SENDERS = 16
_START_SECONDS = 180.0
_DRAIN_SECONDS = 120.0


class Watch:
    """Sees notices appear in the graph.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    database : str
        Name of the database.
    """

    def __init__(self, driver: Driver, database: str) -> None:
        self._driver = driver
        self._database = database
        self._pending: set[str] = set()
        self._lock = threading.Lock()
        self.acknowledged: dict[str, float] = {}
        """Monotonic time of each ACK [s], by notice key."""
        self.seen: dict[str, float] = {}
        """Monotonic time at which each notice was first seen [s]."""

    def expect(self, key: str, acknowledged: float) -> None:
        """Look out for a notice from now on."""
        with self._lock:
            self.acknowledged[key] = acknowledged
            self._pending.add(key)

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set."""
        with self._driver.session(database=self._database) as session:
            while not stop.wait(LOOK_SECONDS):
                with self._lock:
                    keys = list(self._pending)
                if not keys:
                    continue
                query = "UNWIND $keys AS key MATCH (n:Notice {key: key}) RETURN n.key AS key"
                found = {record["key"] for record in session.run(query, keys=keys)}
                now = time.monotonic()
                with self._lock:
                    self._pending -= found
                    self.seen.update(dict.fromkeys(found, now))

    def wait(self, seconds: float) -> None:
        """Return when everything expected has been seen.

        Raises
        ------
        RuntimeError
            If that takes longer.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not self._pending:
                    return
            time.sleep(LOOK_SECONDS)
        raise RuntimeError(f"{len(self._pending)} acknowledged notices are not in the graph after {seconds} s")


def send_all(payloads: Sequence[bytes], port: int, spool: Path, watch: Watch, rate: float) -> float:
    """Send notices by a schedule and note every ACK; return how late the latest was sent [s].

    Parameters
    ----------
    payloads : sequence of bytes
        Notices; JSON goes by the spool folder.
    port : int
        The receiver's port on loopback.
    spool : Path
        Its spool folder.
    watch : Watch
        Told of each ACK.
    rate : float
        Notices in a second.
    """

    def one(number: int) -> float:
        due = start + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        late = time.monotonic() - due
        payload = payloads[number]
        if payload.startswith(b"{"):
            _put(payload, spool)
        else:
            send(payload, "127.0.0.1", port)
        watch.expect(notice_key(payload), time.monotonic())
        return late

    start = time.monotonic() + 0.1
    with ThreadPoolExecutor(_SENDERS) as pool:
        return max(pool.map(one, range(len(payloads))))


def _put(payload: bytes, spool: Path) -> None:
    """Put a file into the spool folder and return when it has been taken."""
    name = f"{notice_key(payload)[:16]}.json"
    (spool / f".{name}").write_bytes(payload)
    (spool / f".{name}").rename(spool / name)
    while not (spool / TAKEN / name).exists():
        time.sleep(0.01)


def stream_through(settings: Settings, seconds: float, log: IO[bytes]) -> tuple[list[float], dict[str, Any]]:
    """Send notices through receiver and application; return the latencies [s] and what there is to say of them."""
    spool = settings.home / "spool"
    count = int(RATE * seconds)
    stream = notice_stream(seed=1)
    warm_up, payloads = ([next(stream) for _ in range(n)] for n in (WARM_UP, count))
    with ExitStack() as stack:
        driver = stack.enter_context(connect(settings))
        listen = ["voevent", "listen", "--port", "0", "--spool", str(spool), "--json"]
        listener = stack.enter_context(child(listen, settings, log, "WARNING"))
        port = int(first_line(listener)["listening"]["port"])
        stack.enter_context(child(["run"], settings, log, "WARNING"))
        watch = Watch(driver, settings.neo4j_database)
        stop = threading.Event()
        looking = stack.enter_context(ThreadPoolExecutor(1))
        stack.callback(stop.set)
        looking.submit(watch.run, stop)
        send_all(warm_up[:1], port, spool, watch, RATE)
        watch.wait(_START_SECONDS)
        send_all(warm_up[1:], port, spool, watch, RATE)
        watch.wait(_DRAIN_SECONDS)
        before = machine()["load_1min"]
        late = send_all(payloads, port, spool, watch, RATE)
        after = machine()["load_1min"]
        watch.wait(_DRAIN_SECONDS)
    keys = [notice_key(payload) for payload in payloads]
    latencies = [watch.seen[key] - watch.acknowledged[key] for key in keys]
    facts = {
        "notices": count,
        "rate_per_s": RATE,
        "of_50": MIX,
        "bytes": sum(map(len, payloads)),
        "look_interval_s": LOOK_SECONDS,
        "latest_sending_s": round(late, 3),
        "load_before": before,
        "load_after": after,
    }
    return latencies, facts


def project_rate(settings: Settings, log: IO[bytes]) -> float:
    """Return how many notices of the journal ``asterism voevent project`` brings into an empty graph in a second."""
    with connect(settings) as driver:
        clear(driver)
    start = time.monotonic()
    with child(["voevent", "project", "--json"], settings, log, "WARNING") as process:
        answer, _ = process.communicate()
        took = time.monotonic() - start
    done = json.loads(answer)
    if done["created"] != done["read"] or done["refused"]:
        raise RuntimeError(f"the journal was not projected whole: {answer.decode()}")
    return float(done["created"]) / took


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("notices", arguments)
    with TemporaryDirectory(prefix="asterism-notices-") as name:
        folder = Path(name)
        with children_log(folder) as log, installation(folder) as settings:
            latencies, bench.facts = stream_through(settings, 15.0 if bench.quick else 60.0, log)
            for percent in (50, 95, 99):
                bench.state(f"ack_to_graph_p{percent}", percentile(latencies, percent), "s")
            bench.state("voevent_project", project_rate(settings, log), "notices/s")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
