"""Projectors killed in mid-transaction and before their checkpoint, and a graph that goes away under a burst.

In the end the graph holds each notice once, and is the one that an undisturbed projection of the journal makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from neo4j import Driver

from asterism.deploy.local.process import ServiceProcess
from asterism.deploy.local.service import free_ports, is_open
from asterism.deploy.local.stack import LocalStack
from asterism.graph.digest import digest
from asterism.graph.schema import initialise
from asterism.journal import Journal
from asterism.settings import Settings, load_settings
from asterism.voevent.intake import FILE, Intake
from asterism.voevent.notice import notice_key
from asterism.voevent.project import CHUNK, Delivery, project
from asterism.voevent.send import send
from asterism.voevent.stream import QUERY

pytestmark = [pytest.mark.faults, pytest.mark.services]

OUTAGE_SECONDS = 20.0
ASTERISM, COMET_SENDVO = (str(Path(sys.executable).with_name(name)) for name in ("asterism", "comet-sendvo"))
PROJECT = ["asterism", "voevent", "project"]

Installation = Callable[..., Settings]
Notices = Callable[[int], list[bytes]]


@contextmanager
def neo4j_down(stack: LocalStack) -> Iterator[None]:
    """SIGKILL Neo4j; start it again after the block."""
    server = ServiceProcess(stack.home / "stack" / "neo4j").find()
    assert server is not None
    server.kill()
    server.wait(30)
    try:
        yield
    finally:
        settings = load_settings()
        LocalStack(stack.home, cache=settings.cache, repository=settings.maven_repository).start()


def listen_on(port: int) -> list[str]:
    return ["asterism", "voevent", "listen", "--port", str(port)]


def call(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ASTERISM_HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def projected(home: Path) -> dict[str, Any]:
    done = call(home, ASTERISM, "voevent", "project", "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def keys_in(driver: Driver) -> list[str]:
    found, _, _ = driver.execute_query("MATCH (n:Notice) RETURN n.key AS key")
    return sorted(record["key"] for record in found)


def journal_with(home: Path, payloads: list[bytes]) -> None:
    with Journal(home / "journal") as journal:
        intake = Intake(journal)
        for payload in payloads:
            intake.accept(payload, FILE)


def assert_each_once(home: Path, driver: Driver, payloads: list[bytes]) -> None:
    """Compare with what was sent, and with the graph that one process makes of the journal in peace."""
    entries = list(Journal(home / "journal").read())
    assert sorted(entry.payload for entry in entries) == sorted(payloads)
    assert keys_in(driver) == sorted(map(notice_key, payloads))
    disturbed = digest(driver, "neo4j")
    driver.execute_query("MATCH (n) DETACH DELETE n")
    initialise(driver, "neo4j")
    project(map(Delivery.of, entries), driver, database="neo4j", maps=home / "undisturbed")
    assert digest(driver, "neo4j") == disturbed


@pytest.mark.timeout(300)
def test_a_notice_sent_while_the_graph_is_down_to_a_process_killed_after_the_journal_is_in_the_graph_once(
    installation: Installation,
    stack: LocalStack,
    neo4j_driver: Driver,
    notices: Notices,
    run: Callable[..., Any],
    tmp_path: Path,
) -> None:
    home = installation().home
    (port,) = free_ports(1)
    payloads = notices(1)
    document = tmp_path / "notice.xml"
    document.write_bytes(payloads[0])
    by_comet = (COMET_SENDVO, "-h", "127.0.0.1", "-p", str(port), "-f", str(document))
    with neo4j_down(stack):
        with run(home, listen_on(port), "stored, before the ACK", 1) as child:
            child.until(lambda: is_open(port), "the listener")
            with subprocess.Popen(by_comet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sender:
                child.reach("stored, before the ACK", 1)
                assert sender.poll() is None  # it still waits for the answer
                child.kill()
        with run(home, listen_on(port)) as child:
            child.until(lambda: is_open(port), "the listener")
            assert call(home, *by_comet).returncode == 0
            child.kill()
    assert projected(home)["created"] == 1
    assert_each_once(home, neo4j_driver, payloads)


@pytest.mark.timeout(300)
def test_a_projector_killed_in_mid_transaction_and_after_it_ends_in_the_graph_of_an_undisturbed_one(
    installation: Installation, empty_graph: Driver, notices: Notices, run: Callable[..., Any]
) -> None:
    home = installation().home
    payloads = notices(CHUNK + 10)
    journal_with(home, payloads)
    with run(home, PROJECT, "in the transaction", 2) as child:
        child.reach("in the transaction", 2)
        assert open_transactions(empty_graph) == 1
        assert keys_in(empty_graph) == []
        child.kill()
    with run(home, PROJECT, "committed, no checkpoint", 1) as child:
        child.reach("committed, no checkpoint", 1)
        assert len(keys_in(empty_graph)) == CHUNK
        child.kill()
    assert projected(home)["created"] == 10
    assert_each_once(home, empty_graph, payloads)


def open_transactions(driver: Driver) -> int:
    found, _, _ = driver.execute_query("SHOW TRANSACTIONS YIELD currentQuery WHERE NOT currentQuery STARTS WITH 'SHOW'")
    return len(found)


@pytest.mark.long
@pytest.mark.spark
@pytest.mark.timeout(900)
def test_the_spark_application_killed_in_a_batch_goes_on_from_its_checkpoint(
    installation: Installation, empty_graph: Driver, notices: Notices, run: Callable[..., Any]
) -> None:
    home = installation().home
    payloads = notices(300)
    journal_with(home, payloads)
    for point, nth in (("in the transaction", 2), ("committed, no checkpoint", 2)):
        before = len(keys_in(empty_graph))
        with run(home, ["notices"], point, nth) as child:
            child.reach(point, nth)
            assert unfinished_batches(home)
            assert (len(keys_in(empty_graph)) > before) == (point == "committed, no checkpoint")
            child.kill()
    with run(home, ["notices"]) as child:
        child.until(lambda: len(keys_in(empty_graph)) == len(payloads) and not unfinished_batches(home), "all notices")
        child.end()
    assert_each_once(home, empty_graph, payloads)


def unfinished_batches(home: Path) -> set[str]:
    begun, finished = (
        {path.name for path in (home / "checkpoints" / QUERY / "spark" / kind).glob("[0-9]*")}
        for kind in ("offsets", "commits")
    )
    return begun - finished


@pytest.mark.long
@pytest.mark.spark
@pytest.mark.timeout(900)
def test_a_graph_down_for_20_s_under_a_burst_of_1000_notices_has_each_once_in_the_end(
    installation: Installation,
    empty_graph: Driver,
    stack: LocalStack,
    notices: Notices,
    run: Callable[..., Any],
    burst_of: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = installation().home
    (port,) = free_ports(1)
    payloads = notices(1000)
    with run(home, listen_on(port)) as listener, run(home, ["notices"]) as application:
        listener.until(lambda: is_open(port), "the listener")
        send(payloads[0], "127.0.0.1", port)
        application.until(lambda: len(keys_in(empty_graph)) == 1, "Spark")
        with burst_of(payloads, port, pace=25.0) as burst:
            application.until(lambda: len(keys_in(empty_graph)) >= 100, "the first notices in the graph")
            with neo4j_down(stack):
                start, taken = time.monotonic(), burst.done
                time.sleep(OUTAGE_SECONDS)
                taken = burst.done - taken
            outage = time.monotonic() - start
            back = time.monotonic()
            held = len(keys_in(empty_graph))
            burst.join()
        application.until(lambda: len(keys_in(empty_graph)) == len(payloads), "all notices in the graph")
        caught_up = time.monotonic() - back
        assert listener.end() == application.end() == 0
    assert taken > 100
    with capsys.disabled():
        print(
            f"\nNeo4j away for {outage:.0f} s with {held} notices in it; {taken} more acknowledged in the first "
            f"{OUTAGE_SECONDS:.0f} s; all {len(payloads)} in it {caught_up:.0f} s after its return"
        )
    assert_each_once(home, empty_graph, payloads)
