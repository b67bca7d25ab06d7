"""The application under load, and everything it stands on killed in mid-batch: nothing lost, nothing twice.

Packets are published in instalments and the application works on them as one process tree, as ``asterism run`` starts
it. A hit waits until Spark has begun a batch, waits a random moment more, looks what that batch has done so far, and
strikes; it counts only if the batch is still unfinished when the victim is dead. In the end graph and lake must be
those of a run in peace over the same packets, and the books must balance.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil
import pytest
from neo4j import Driver

from asterism.deploy.local.process import ServiceProcess
from asterism.deploy.local.stack import LocalStack
from asterism.graph.digest import Digest, digest
from asterism.graph.lake_digest import lake_digest
from asterism.graph.schema import initialise
from asterism.ingest.reconcile import Reconciliation, current_balance, packets_received
from asterism.lake import Lake
from asterism.settings import Settings, load_settings
from asterism.simulate.publish import publish
from asterism.simulate.stream import TOPICS, Message, generate_stream

pytestmark = [pytest.mark.faults, pytest.mark.services]

INSTALMENT = 200
"""Packets published before each attempt."""
BATCH = 150
"""Most packets in a batch."""
PATIENCE = 300.0
"""Longest wait for anything [s]."""
LONGEST_MOMENT = 0.6
"""Longest random wait after a batch has begun [s]."""
ATTEMPTS = 40
FULL_BYTES = 1 << 18
"""No file of a full disk grows beyond this: more than the lake's and the log's, less than the archive's."""

KILLED = ("driver", "worker", "kafka", "neo4j", "everything")
Installation = Callable[..., Settings]


@dataclass(frozen=True)
class Hit:
    """One fault that struck."""

    target: str
    batch: int
    found: str
    """What the batch had done by then."""


def log_of(settings: Settings) -> Path:
    """Return the file an application writes its log to."""
    return settings.home / "run.log"


def start_application(settings: Settings, *options: str) -> subprocess.Popen[bytes]:
    """Start ``asterism run`` with these settings, in a process group of its own."""
    names = ("home", "schema_folder", "max_packets_per_batch")
    environment = os.environ | {f"ASTERISM_{name.upper()}": str(getattr(settings, name)) for name in names}
    environment["ASTERISM_KAFKA_TOPICS"] = '["' + '","'.join(settings.kafka_topics) + '"]'
    with log_of(settings).open("ab") as log:
        command = [sys.executable, "-m", "asterism", "run", *options]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)


@dataclass
class Site:
    """An installation under load and its application.

    Parameters
    ----------
    settings : Settings
        Its home, topics and batches.
    stack : LocalStack
        The services it uses.
    prefix : str
        Before the names of its topics.
    """

    settings: Settings
    stack: LocalStack
    prefix: str
    seed: int
    published: int = 0
    process: subprocess.Popen[bytes] | None = None
    messages: Iterator[Message] = field(init=False)
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.messages = generate_stream(self.seed, 20_000, 10_000, duplicates=0.05, corrupted=0.02)
        self.rng = random.Random(self.seed)

    # The application and its load ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start ``asterism run`` in a process group of its own."""
        self.process = start_application(self.settings)

    @property
    def log(self) -> Path:
        return log_of(self.settings)

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def publish(self) -> None:
        """Publish an instalment."""
        part = list(islice(self.messages, INSTALMENT))
        bootstrap = self.settings.kafka_bootstrap
        truth = publish(part, bootstrap, topics=TOPICS, prefix=self.prefix, partitions=2, total=len(part))
        self.published += truth.packets

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something while the application lives."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.running.poll() is None, f"the application ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"waited in vain: {what}\n{self.log.read_text()[-2000:]}"
            time.sleep(0.005)

    def catch_up(self) -> None:
        """Wait until all that was published is in finished batches."""
        self.until(self.caught_up, "all packets")

    def caught_up(self) -> bool:
        return packets_received(Lake(self.settings.lake_path)) >= self.published and not self.unfinished()

    def end(self) -> int:
        """Ask the application to stop, as Ctrl-C does; return its exit code."""
        self.running.terminate()
        return self.running.wait(PATIENCE)

    # What a batch is doing -----------------------------------------------------------------------------------------

    def unfinished(self) -> set[int]:
        """Return the batches that Spark has begun and not finished."""
        begun, finished = (
            {int(path.name) for path in (self.settings.checkpoint_path / "alerts/spark" / kind).glob("[0-9]*")}
            for kind in ("offsets", "commits")
        )
        return begun - finished

    def progress(self) -> str | None:
        """Return how far the unfinished batch has come: None if it has done nothing or there is none."""
        if not self.unfinished():
            return None
        if next(self.settings.archive_path.rglob(".*.tmp"), None) is not None:
            return "reading"
        lake = Lake(self.settings.lake_path)
        done = {window for entry in lake.ledger() for window in entry["windows"]}
        if set(lake.detection_windows()) - done:
            return "in the lake, not in the ledger"
        return None

    def hit(self, target: str) -> Hit:
        """Strike in mid-batch at a random moment; try again where the batch was over before."""
        for _ in range(ATTEMPTS):
            self.publish()
            self.until(lambda: self.progress() or self.caught_up(), "a batch")
            time.sleep(self.rng.uniform(0.0, LONGEST_MOMENT))
            batches, found = self.unfinished(), self.progress()
            if found is None:
                continue
            with FAULTS[target](self):
                hit = batches & self.unfinished()
            if hit:
                return Hit(target, min(hit), found)
        pytest.fail(f"{target} could not be hit in mid-batch in {ATTEMPTS} attempts")

    # The faults ----------------------------------------------------------------------------------------------------

    def tree(self, name: str) -> list[psutil.Process]:
        """Return the processes of the application whose command line names something."""
        found = []
        for child in psutil.Process(self.running.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if any(name in part for part in child.cmdline()):
                    found.append(child)
        return found

    def kill_workers(self) -> None:
        """SIGKILL all Python workers that Spark's daemon has forked."""
        daemons = self.tree("spark_daemon")
        for process in daemons:
            with suppress(psutil.NoSuchProcess):
                if process.ppid() in {daemon.pid for daemon in daemons}:
                    process.kill()

    def kill_driver(self) -> None:
        """SIGKILL the application, driver and JVM."""
        os.killpg(self.running.pid, signal.SIGKILL)
        self.running.wait()

    def kill_service(self, name: str) -> None:
        server = ServiceProcess(self.stack.home / "stack" / name).find()
        assert server is not None
        server.kill()
        server.wait(30)

    def restart_services(self) -> None:
        settings = load_settings()
        LocalStack(self.stack.home, cache=settings.cache, repository=settings.maven_repository).start()


@contextmanager
def worker_killed(site: Site) -> Iterator[None]:
    site.kill_workers()
    yield


@contextmanager
def driver_killed(site: Site) -> Iterator[None]:
    site.kill_driver()
    yield
    site.start()


@contextmanager
def kafka_killed(site: Site) -> Iterator[None]:
    site.kill_service("kafka")
    yield
    site.restart_services()


@contextmanager
def neo4j_killed(site: Site, outage: float = 0.0) -> Iterator[None]:
    site.kill_service("neo4j")
    yield
    time.sleep(outage)
    site.restart_services()


@contextmanager
def neo4j_down_for_20_s(site: Site) -> Iterator[None]:
    with neo4j_killed(site, 20.0):
        yield


@contextmanager
def neo4j_down_for_2_min(site: Site) -> Iterator[None]:
    with neo4j_killed(site, 120.0):
        yield


@contextmanager
def everything_killed(site: Site) -> Iterator[None]:
    site.kill_workers()
    site.kill_driver()
    site.kill_service("kafka")
    site.kill_service("neo4j")
    yield
    site.restart_services()
    site.start()


@contextmanager
def disk_full(site: Site) -> Iterator[None]:
    """Let no archive file be written until a batch has failed of it."""
    told = site.log.stat().st_size
    pids = {process.pid for process in site.tree("spark_daemon")}
    for pid in pids:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    site.publish()
    site.until(lambda: b"cannot be written" in site.log.read_bytes()[told:], "a batch that finds the disk full")
    yield
    for pid in pids | {process.pid for process in site.tree("spark_daemon")}:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


FAULTS = {
    "driver": driver_killed,
    "worker": worker_killed,
    "kafka": kafka_killed,
    "neo4j": neo4j_killed,
    "everything": everything_killed,
    "disk full": disk_full,
    "neo4j down 20 s": neo4j_down_for_20_s,
    "neo4j down 2 min": neo4j_down_for_2_min,
}


@dataclass(frozen=True)
class Ending:
    """What a run left."""

    graph: Digest
    lake: Digest
    balance: Reconciliation


@pytest.fixture
def site(installation: Installation, stack: LocalStack, kafka_topic: Callable[..., str]) -> Iterator[Site]:
    prefix = kafka_topic("faults") + "-"
    topics = tuple(prefix + topic for topic in TOPICS)
    made = Site(installation(kafka_topics=topics, max_packets_per_batch=BATCH), stack, prefix, seed=17)
    yield made
    if made.process is not None and made.process.poll() is None:
        os.killpg(made.process.pid, signal.SIGKILL)
        made.process.wait()
    made.restart_services()


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Lines of the table, printed in the end."""
    lines: list[str] = []
    yield lines
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n".join(["", *lines]))


def ending(settings: Settings, driver: Driver) -> Ending:
    lake = Lake(settings.lake_path)
    return Ending(digest(driver, "neo4j"), lake_digest(lake), current_balance(settings))


def in_peace(settings: Settings, driver: Driver) -> Ending:
    """Take the same packets in undisturbed, by an application like the other, into an empty graph and another home."""
    with driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    initialise(driver, "neo4j")
    home = settings.home.parent / "peace"
    home.mkdir()
    (home / "stack.toml").write_bytes((settings.home / "stack.toml").read_bytes())
    other = settings.model_copy(update={"home": home, "max_packets_per_batch": 5000})
    process = start_application(other, "--until-caught-up")
    try:
        assert process.wait(PATIENCE) == 0, log_of(other).read_text()[-2000:]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return ending(other, driver)


def play(site: Site, faults: Sequence[str], driver: Driver, table: list[str]) -> None:
    """Let the faults strike one after the other; compare what is left with a run in peace."""
    site.start()
    hits = []
    for target in faults:
        hits.append(site.hit(target))
        site.catch_up()  # the next hit meets another batch
    assert site.end() == 0, site.log.read_text()[-2000:]
    disturbed = ending(site.settings, driver)
    peaceful = in_peace(site.settings, driver)
    for hit in hits:
        graph = "same" if disturbed.graph == peaceful.graph else "DIFFERS"
        lake = "same" if disturbed.lake == peaceful.lake else "DIFFERS"
        books = "balance" if disturbed.balance.reconciled else "DO NOT BALANCE"
        told = f"{hit.target:18}batch {hit.batch:<4}{hit.found:32}{site.published:>6} packets"
        table.append(f"{told}  graph {graph}  lake {lake}  books {books}")
    assert disturbed == peaceful
    assert disturbed.balance.reconciled
    assert disturbed.balance.packets_in == site.published


@pytest.mark.timeout(900)
def test_one_of_each_fault_in_mid_batch_leaves_what_a_run_in_peace_leaves(
    site: Site, neo4j_driver: Driver, table: list[str]
) -> None:
    faults = ("worker", "disk full", "kafka", "neo4j down 20 s", "driver", "everything")
    play(site, faults, neo4j_driver, table)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", KILLED)
def test_killed_three_times_at_random_moments_nothing_is_lost(
    site: Site, neo4j_driver: Driver, table: list[str], target: str
) -> None:
    play(site, (target,) * 3, neo4j_driver, table)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", ["disk full", "neo4j down 2 min"])
def test_what_lasts_longer_is_waited_for(site: Site, neo4j_driver: Driver, table: list[str], target: str) -> None:
    play(site, (target,), neo4j_driver, table)
