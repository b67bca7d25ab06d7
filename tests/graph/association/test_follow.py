"""Links on a real graph: equal to brute force, closed and opened by what happens to the event, no pair missed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.batches import running_batch
from asterism.graph.association.follow import Associator
from asterism.graph.association.regions import REGION_MATCHES, latest_version, load_regions, match_table
from asterism.graph.association.rules import load_rules
from asterism.graph.digest import digest
from asterism.graph.writer import write_detections
from asterism.lake import Lake, window_name
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import hpx29

pytestmark = pytest.mark.services

T0 = 61000.0
RULES = load_rules()


class Night:
    """Alerts written as a batch writes them, and one event whose localization can change."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self.driver, self.settings = driver, settings
        self.lake = Lake(settings.lake_path)
        self.offset = 0
        self.rows: list[dict[str, Any]] = []

    def batch(self, rows: list[dict[str, Any]], version: int | None = None) -> None:
        """Write alerts to lake and graph under a region version, as the hot lane does."""
        version = latest_version(self.lake) if version is None else version
        for row in rows:
            row["offset"] = self.offset
            self.offset += 1
        table = pa.Table.from_pylist(rows, schema=DETECTION)
        self.lake.write_detections(table)
        window = window_name(table)
        self.lake.write_side_table(REGION_MATCHES, window, match_table(load_regions(self.lake, version), table))
        write_detections(self.driver, table, database="neo4j")
        self.lake.write_ledger("alerts", f"{self.offset:06d}", {"windows": [window], "packets": len(rows)})
        self.rows += rows

    def event(self, circle: CircleLocalization | None, name: str = "1", state: str = "active") -> None:
        """Give the event a localization, or only another state."""
        with self.driver.session() as session:
            if circle is not None:
                session.run(
                    "MERGE (l:Localization {key: $key}) SET l.record = $record MERGE (e:Event {key: 'gbm:1'}) "
                    "SET e.kind = 'grb', e.standing = 'real', e.t0MjdTai = $t0, e.currentLocalization = $key",
                    key=f"{name}:0",
                    record=json.dumps(circle.as_record()),
                    t0=T0,
                )
            session.run("MATCH (e:Event {key: 'gbm:1'}) SET e.state = $state", state=state)

    def links(self) -> set[str]:
        with self.driver.session() as session:
            found = session.run(
                "MATCH (o:Object)-[c:CANDIDATE_FOR]->(:Event {key: 'gbm:1'}) WHERE c.open RETURN o.key AS key"
            )
            return {record["key"] for record in found}

    def expected(self, circle: CircleLocalization) -> set[str]:
        """Every object of the lake inside the credible level, first seen in the window, by testing each."""
        start, end = RULES.kinds["grb"].window
        first: dict[str, dict[str, Any]] = {}
        for row in sorted(self.rows, key=lambda row: row["mjdTai"]):
            first.setdefault(row["objectKey"], row)
        return {
            key
            for key, row in first.items()
            if float(circle.credible_level(row["ra"], row["dec"])) < RULES.level and start <= row["mjdTai"] - T0 <= end
        }


def alerts(seed: int, n: int, start: float = T0 + 0.1, days: float = 3.0) -> list[dict[str, Any]]:
    """Return alerts scattered around (150, 2), about half of them in the first circle."""
    rng = np.random.default_rng(seed)
    ra, dec = 150 + rng.uniform(-6, 6, n), 2 + rng.uniform(-6, 6, n)
    mjd = start + rng.uniform(0, days, n)
    rows = []
    for i, (cell, x, y, t) in enumerate(
        zip(hpx29(ra, dec).tolist(), ra.tolist(), dec.tolist(), mjd.tolist(), strict=True)
    ):
        name = f"{seed * 10**6 + i}"
        row: dict[str, Any] = dict.fromkeys(DETECTION.names) | {"alertKey": f"ztf:{name}", "survey": "ztf"}
        row |= {"sourceId": name, "objectId": name, "objectKey": f"ztf:{name}", "mjdTai": t, "night": 20251130}
        row |= {"ra": x, "dec": y, "hpx29": cell, "band": "r", "mag": 20.0, "magErr": 0.1, "isPositive": True}
        rows.append(row | {"reliability": 0.9, "public": True, "topic": "ztf", "partition": 0})
    return rows


@pytest.fixture
def night(installation: Callable[..., Settings], empty_graph: Driver) -> Night:
    return Night(empty_graph, installation())


def associator(night: Night, *, wait: bool = True) -> Associator:
    return Associator(night.driver, night.settings, RULES, wait_for_batches=wait)


FIRST = CircleLocalization(150.0, 2.0, 4.0, 0.68)
SMALLER = CircleLocalization(152.0, 3.0, 1.5, 0.68)


def test_back_search_and_live_batches_end_in_the_links_of_brute_force(night: Night) -> None:
    night.batch(alerts(1, 150, start=T0 - 2))
    night.batch(alerts(2, 150))
    night.event(FIRST)
    follower = associator(night)
    follower.round()
    assert night.links() == night.expected(FIRST) != set()
    night.batch(alerts(3, 150))
    follower.round()
    assert night.links() == night.expected(FIRST)
    before = digest(night.driver, "neo4j").hex
    follower.round()
    associator(night).round()
    assert digest(night.driver, "neo4j").hex == before


def test_a_new_map_drops_and_keeps_the_right_links_and_a_retraction_all(night: Night) -> None:
    night.batch(alerts(4, 200))
    night.event(FIRST)
    follower = associator(night)
    follower.round()
    first = night.links()
    night.event(SMALLER, name="2")
    follower.round()
    assert night.links() == night.expected(SMALLER)
    assert night.links() < first
    night.event(None, state="retracted")
    follower.round()
    assert night.links() == set()
    night.event(None)
    follower.round()
    assert night.links() == night.expected(SMALLER)
    with night.driver.session() as session:
        closed = session.run(
            "MATCH ()-[c:CANDIDATE_FOR]->() WHERE NOT c.open RETURN collect(DISTINCT c.closedBecause) AS why"
        )
        assert sorted(closed.single(strict=True)["why"]) == ["event", "localization"]


@pytest.mark.parametrize(("before", "after"), [(0.2, 0.9), (0.9, 0.2)])
def test_what_is_seen_after_the_window_changes_no_verdict_whenever_it_is_made(
    night: Night, before: float, after: float
) -> None:
    """Whoever follows the stream and whoever begins anew end in the same links."""
    seen = [row | {"reliability": before} for row in alerts(9, 100)]
    night.batch(seen)
    night.event(FIRST)
    follower = associator(night)
    follower.round()
    followed = night.links()
    assert bool(followed) is (before > RULES.cuts.min_reliability)
    later = RULES.kinds["grb"].window[1] + 10.0
    changes = {"mjdTai": T0 + later, "reliability": after}
    night.batch(
        [row | changes | {"alertKey": f"{row['alertKey']}1", "sourceId": f"{row['sourceId']}1"} for row in seen]
    )
    follower.round()
    assert night.links() == followed
    associator(night).round()
    assert night.links() == followed


def test_a_late_alert_from_before_the_window_closes_the_link(night: Night) -> None:
    night.batch(alerts(10, 100))
    night.event(FIRST)
    follower = associator(night)
    follower.round()
    linked = sorted(night.links())
    early = [
        row | {"mjdTai": T0 - 1.0, "alertKey": f"{row['alertKey']}0", "sourceId": f"{row['sourceId']}0"}
        for row in night.rows
        if row["objectKey"] == linked[0]
    ]
    night.batch(early)
    follower.round()
    assert night.links() == night.expected(FIRST) == set(linked[1:])


@pytest.mark.parametrize("wait", [True, False])
def test_a_batch_that_began_before_the_region_was_known_is_waited_for(night: Night, wait: bool) -> None:
    """Without the wait the pairs of that batch are missed: nobody tested them and nobody looks again."""
    night.batch(alerts(5, 100))
    follower = associator(night, wait=wait)
    with running_batch(night.lake, "alerts", lambda: latest_version(night.lake)) as version:
        night.event(FIRST)
        follower.round()
        assert night.links() == night.expected(FIRST)
        night.batch(alerts(6, 100), version)
    for _ in range(2):
        follower.round()
    missed = night.expected(FIRST) - night.links()
    assert bool(missed) is not wait
    assert follower.settled


def test_what_a_failed_round_left_undone_is_done_by_the_next(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.batch(alerts(7, 100))
    night.event(FIRST)
    follower = associator(night)
    with monkeypatch.context() as patch:
        patch.setattr(
            "asterism.graph.association.follow.write_verdict", lambda *_: (_ for _ in ()).throw(OSError("down"))
        )
        with pytest.raises(OSError, match="down"):
            follower.round()
    assert night.links() == set()
    follower.round()
    assert night.links() == night.expected(FIRST)


def test_mock_and_unlocalized_events_have_no_region(night: Night, tmp_path: Path) -> None:
    del tmp_path
    night.batch(alerts(8, 50))
    night.event(FIRST)
    with night.driver.session() as session:
        session.run("MATCH (e:Event) SET e.standing = 'mock'")
    assert associator(night).round() == []
    assert latest_version(night.lake) == 0
