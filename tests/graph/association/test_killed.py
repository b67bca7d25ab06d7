"""A back-search that is killed half way leaves nothing that the next one does not put right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from neo4j import Driver

from asterism.graph.digest import Digest, digest
from asterism.settings import Settings
from asterism.sky.circle import CircleLocalization

pytestmark = [pytest.mark.services, pytest.mark.faults]

_FORGET = (
    "MATCH ()-[c:CANDIDATE_FOR]->() CALL (c) { DELETE c } IN TRANSACTIONS OF 5000 ROWS",
    "MATCH (e:Event) WITH e, [k IN keys(e) WHERE NOT k IN $kept] AS gone FOREACH (k IN gone | SET e[k] = null)",
)


@dataclass(frozen=True)
class Size:
    """Events, and candidates of each."""

    events: int
    candidates: int


@contextmanager
def back_search(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``asterism graph associate``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASTERISM_")}
    environment |= {"ASTERISM_HOME": str(settings.home), "ASTERISM_LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "asterism", "graph", "associate", "--json"]
    with subprocess.Popen(command, env=environment, cwd=settings.home, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def judged(driver: Driver) -> tuple[int, int]:
    """Return how many events were judged, and how many links are open."""
    with driver.session() as session:
        query = "MATCH (e:Event) OPTIONAL MATCH ()-[c:CANDIDATE_FOR]->(e) WHERE c.open "
        record = session.run(f"{query} RETURN count(DISTINCT CASE WHEN e.q IS NOT NULL THEN e END), count(c)").single()
        assert record is not None
        return record[0], record[1]


def finished(driver: Driver, settings: Settings) -> Digest:
    """Let a back-search end by itself; return the digest."""
    with back_search(settings) as process:
        answer, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(answer)
    return digest(driver, "neo4j")


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(12, 60), id="short"),
        pytest.param(Size(20, 5000), id="full", marks=[pytest.mark.long]),
    ],
)
def test_after_a_kill_in_the_middle_of_a_back_search_the_next_one_ends_in_the_same_graph(
    night: Any, size: Size, record_property: Callable[[str, object], None]
) -> None:
    settings, driver = night.settings, night.driver
    circles = [CircleLocalization(10.0 + 15.0 * n, 2.0, 4.0, 0.68) for n in range(size.events)]
    for number, circle in enumerate(circles):
        rows = night.alerts(100 + number, round(size.candidates * 1.6), days=10.0)
        for row in rows:
            row["ra"] += circle.ra - 150.0
        night.batch(night.placed(rows))
        with driver.session() as session:
            session.run(
                "CREATE (:Localization {key: $key, record: $record}) CREATE (:Event {key: $event, kind: 'grb', "
                "standing: 'real', state: 'active', t0MjdTai: $t0, currentLocalization: $key})",
                key=f"{number}:0",
                event=f"gbm:{number}",
                record=json.dumps(circle.as_record()),
                t0=61000.0,
            )
    expected = finished(driver, settings)
    events, links = judged(driver)
    assert events == size.events
    assert links >= 0.9 * size.events * size.candidates
    with driver.session() as session:
        kept = ["key", "kind", "standing", "state", "t0MjdTai", "currentLocalization"]
        for statement in _FORGET:
            session.run(statement, kept=kept).consume()
    assert judged(driver) == (0, 0)

    moment = int(np.random.default_rng().integers(2, size.events - 2))
    with back_search(settings) as process:
        while judged(driver)[0] < moment:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done, linked = judged(driver)
    record_property("killedAfter", f"{done} of {size.events} events, {linked} of {links} links")
    assert 0 < done < size.events
    assert 0 < linked < links
    assert finished(driver, settings) == expected
