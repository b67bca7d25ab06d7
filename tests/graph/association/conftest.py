"""A night of alerts and one event, in lake and graph; and objects, events and backgrounds for pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.association.background import Background
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.regions import REGION_MATCHES, latest_version, load_regions, match_table
from asterism.graph.association.rules import load_rules
from asterism.graph.association.sample import ObjectSample
from asterism.graph.changes import mark_changed
from asterism.graph.writer import write_detections
from asterism.lake import Lake, window_name
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.sky.circle import CircleLocalization
from asterism.sky.fits import read_skymap
from asterism.sky.healpix import hpx29
from asterism.sky.localization import Localization
from asterism.sky.skymap import SkyMapLocalization

T0 = 61000.0
RULES = load_rules()


class Night:
    """Alerts written as a batch writes them, and one event whose localization can change."""

    FIRST = CircleLocalization(150.0, 2.0, 4.0, 0.68)
    SMALLER = CircleLocalization(152.0, 3.0, 1.5, 0.68)

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
            session.execute_write(mark_changed, ["gbm:1"])

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

    @staticmethod
    def placed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return alerts that were moved, each with the cell of its place."""
        cells = hpx29([row["ra"] for row in rows], [row["dec"] for row in rows])
        return [row | {"hpx29": int(cell)} for row, cell in zip(rows, cells, strict=True)]

    @staticmethod
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


def make_objects(ra: Any, dec: Any, first: Any, **columns: Any) -> ObjectSample:
    """Return objects seen for three days, about whose light curves and hosts nothing is known."""
    place = np.broadcast_arrays(np.atleast_1d(ra), np.atleast_1d(dec), np.atleast_1d(first))
    ra, dec, first = (np.array(x, dtype=np.float64) for x in place)
    nothing = np.full(ra.size, np.nan)
    values: dict[str, Any] = {
        "key": np.array([f"ztf:o{i:06d}" for i in range(ra.size)]),
        "ra": ra,
        "dec": dec,
        "hpx29": hpx29(ra, dec),
        "first": first,
        "last": first + 3.0,
        "detections": np.full(ra.size, 3),
        "passes": np.ones(ra.size, dtype=np.bool_),
        "fade": nothing,
        "fade_err": nothing,
        "middle": nothing,
        "spread": nothing,
        "host_mpc": nothing,
        "reliability": np.full(ra.size, 0.95),
        "known": np.full(ra.size, "", dtype="U16"),
    }
    values |= columns
    return ObjectSample(**({"source": values["key"]} | values))


@pytest.fixture(scope="session")
def gw170817(test_data: Path) -> SkyMapLocalization:
    """The published map, which takes seconds to read."""
    return read_skymap(test_data / "skymaps/GW170817_skymap.fits.gz")


@pytest.fixture
def objects() -> Callable[..., ObjectSample]:
    """Make objects: ``objects(ra, dec, first, **columns)``, positions [deg], first detections MJD TAI."""
    return make_objects


@pytest.fixture
def event() -> Callable[..., ActiveEvent]:
    """Make an event: ``event(key, kind, t0, localization, **values)``."""

    def make(key: str, kind: str, t0: float, localization: Localization, **values: Any) -> ActiveEvent:
        return ActiveEvent(key, kind, t0, f"{key}:0", localization, values.pop("p_astro", 1.0), **values)

    return make


@pytest.fixture
def constant() -> Callable[[float], Background]:
    """Make a background that was not measured: ``constant(rate)`` [deg^-2 d^-1], the same everywhere."""
    return lambda rate: Background(rate, False, 0, 0.0, 0.0, None, np.empty(0))
