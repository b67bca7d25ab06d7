"""A client follows an event while the Spark application and the API are killed under it; it misses no final state."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.writer import write_detections
from asterism.journal import Journal
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.simulate.notices import Position, Track, icecube_notice
from asterism.sky.healpix import hpx29
from asterism.voevent.intake import FILE, Intake
from tests.gql.follower import Follower

pytestmark = [pytest.mark.services, pytest.mark.spark, pytest.mark.faults]

PATIENCE = 600.0
T0 = 60000.25
FIELDS = "key version state farHz t0 { mjdTai } latestStage nCandidates notices { key } localization { key radiusDeg }"
EVENT = f"subscription ($event: ID!) {{ eventUpdated(event: $event) {{ sequence snapshot event {{ {FIELDS} }} }} }}"
CANDIDATES = """
subscription ($event: ID!) { candidateUpdated(event: $event) { sequence snapshot left candidates { key version } } }"""
NOW = f"""
query ($event: ID!) {{ event(key: $event) {{ {FIELDS}
candidates(first: 50) {{ edges {{ node {{ key version }} }} }} }} }}
"""


class Children:
    """Processes of ``asterism`` on a home, each in a group of its own; whatever is left is killed in the end."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._environment = os.environ | {"ASTERISM_HOME": str(settings.home), "ASTERISM_LOG_LEVEL": "WARNING"}
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            self.kill(process)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._home / "children.log").open("ab") as log:
            command = [sys.executable, "-m", "asterism", *arguments]
            process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, start_new_session=True)
        self._running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL it and all its children."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def notice(revision: int) -> bytes:
    """Return one revision of a neutrino's notice; the circle shrinks with each."""
    track = Track(run=139000, event=1234567, gold=True, signalness=0.6, far_per_year=0.5, energy_tev=200.0)
    where = Position(150.0, 2.0, 1.0 - 0.2 * revision)
    return icecube_notice(track, revision, T0, T0 + 0.01 * (revision + 1), where, 0.4 - 0.1 * revision)


def bright_objects() -> pa.Table:
    """Return two nights of alerts of objects inside every circle."""
    rows = []
    for number in range(4):
        for night in range(2):
            known = {
                "alertKey": f"ztf:{10 * number + night}",
                "survey": "ztf",
                "sourceId": str(10 * number + night),
                "objectKey": f"ztf:ZTF20aaaaaa{number}",
                "objectId": f"ZTF20aaaaaa{number}",
                "mjdTai": T0 + 0.5 + night,
                "night": 20200601 + night,
                "ra": 150.0 + 0.05 * number,
                "dec": 2.0,
                "hpx29": int(hpx29(150.0 + 0.05 * number, 2.0)),
                "band": "r",
                "isPositive": True,
                "mag": 19.0 + 0.1 * number,
                "flux": 90000.0,
                "reliability": 0.95,
                "rb": 0.95,
                "nBad": 0,
                "nDetections": night + 1,
                "public": True,
                "topic": "test",
                "partition": 0,
                "offset": 10 * number + night,
            }
            rows.append(dict.fromkeys(DETECTION.names) | known)
    return pa.Table.from_pylist(rows, schema=DETECTION)


def candidates_told(messages: list[Any]) -> dict[str, str]:
    """Return what a client holds that applied every message: key and version of each candidate."""
    held: dict[str, str] = {}
    for message in messages:
        told = message["candidateUpdated"]
        held = {} if told["snapshot"] else held
        held |= {one["key"]: one["version"] for one in told["candidates"]}
        for key in told["left"]:
            del held[key]
    return held


@pytest.mark.timeout(1800)
def test_no_final_state_is_missed_when_spark_and_the_api_are_killed(
    installation: Callable[..., Settings], empty_graph: Driver
) -> None:
    settings, port = installation(), free_port()
    url = f"http://127.0.0.1:{port}"
    write_detections(empty_graph, bright_objects(), database="neo4j")

    def judged(version: int) -> str | None:
        """Return the event's key once it has so many notices and candidates under the newest of them."""
        with empty_graph.session() as session:
            found = session.run("MATCH (e:Event) RETURN e").single()
        event = {} if found is None else found["e"]
        done = event.get("version") == version and event.get("scoredLocalization") == event["currentLocalization"]
        return event["key"] if done else None

    def told_all(events: Follower, candidates: Follower) -> bool:
        """Whether the clients hold exactly what the graph says now."""
        body = {"query": NOW, "variables": {"event": key}}
        now = httpx.post(f"{url}/graphql", json=body, timeout=60).json()["data"]["event"]
        linked = {edge["node"]["key"]: edge["node"]["version"] for edge in now.pop("candidates")["edges"]}
        return (
            bool(linked)
            and events.told[-1]["eventUpdated"]["event"] == now
            and candidates_told(candidates.told) == linked
        )

    with Children(settings) as children, Journal(settings.journal_path) as journal, ExitStack() as stack:
        intake = Intake(journal)
        api, spark = children.start("serve", "--port", str(port)), children.start("run")
        intake.accept(notice(0), FILE)
        wait_for(lambda: judged(1), "the first notice in the graph")
        key = judged(1)
        events = stack.enter_context(Follower(url, EVENT, event=key))
        candidates = stack.enter_context(Follower(url, CANDIDATES, event=key))
        wait_for(lambda: events.told and candidates.told and told_all(events, candidates), "the first state")

        children.kill(spark)
        intake.accept(notice(1), FILE)
        children.kill(api)
        heard = len(events.told)
        spark = children.start("run")
        wait_for(lambda: judged(2), "the second notice in the graph")
        assert len(events.told) == heard, "nobody was there to tell"
        children.start("serve", "--port", str(port))
        wait_for(lambda: len(events.told) > heard and told_all(events, candidates), "the state after the kills")
        assert events.told[-1]["eventUpdated"]["event"]["version"] == 2
        assert events.connections >= 2

        intake.accept(notice(2), FILE)
        wait_for(lambda: judged(3), "the third notice in the graph")
        children.kill(spark)
        wait_for(lambda: told_all(events, candidates), "what was committed before the kill")
        assert events.told[-1]["eventUpdated"]["event"]["version"] == 3
