from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neo4j import Driver

import asterism.graph.reader as reading
from asterism.graph.errors import GraphAuthError, GraphQueryError, GraphUnreachableError
from asterism.graph.reader import AlertPage, Cone, GraphReader, Totals, open_driver
from asterism.graph.rows import AlertRow, ObjectRow, SourceRow, SurveyCount
from asterism.graph.schema import initialise
from asterism.graph.writer import ALERT_PROPERTIES, OBJECT_PROPERTIES, write_detections
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.sky.cone import separation_deg
from asterism.sky.healpix import hpx29

T = TypeVar("T")
CENTRES = [(0, 90), (0, -90), (0, 0), (359.9999, 45), (0.0001, -60), (150.1, 2.2), (45, 41.8103)]
"""Both poles, RA 0/360 from both sides, a corner of HEALPix base pixels, and an ordinary place."""
MIXED = "ztf:mixed"
"""An object with public and hidden alerts."""
SOURCE = "ztf:near0001"


def row(source: int, object_id: str, ra: float, dec: float, **values: Any) -> dict[str, Any]:
    return (
        dict.fromkeys(DETECTION.names)
        | {
            "alertKey": f"ztf:{source}",
            "survey": "ztf",
            "sourceId": str(source),
            "objectKey": f"ztf:{object_id}",
            "objectId": object_id,
            "mjdTai": 59000.0,
            "night": 20200530,
            "ra": ra,
            "dec": dec,
            "hpx29": int(hpx29(ra, dec)),
            "public": True,
            "topic": "test",
            "partition": 0,
            "offset": source,
        }
        | values
    )


def scatter() -> Iterator[dict[str, Any]]:
    """Yield objects around each centre, from mas to beyond the largest cone, some hidden, some at one
    place."""
    random = np.random.default_rng(20261123)
    number = 0
    for ra, dec in CENTRES:
        for distance in [0.0, *10.0 ** random.uniform(-3, 4, 40)]:
            angle = random.uniform(0, 2 * math.pi)
            there_dec = float(np.clip(dec + distance / 3600 * math.cos(angle), -90, 90))
            spread = max(math.cos(math.radians(there_dec)), 1e-9)
            there_ra = float((ra + distance / 3600 * math.sin(angle) / spread) % 360)
            for _ in range(2 if number % 9 == 0 else 1):
                number += 1
                mjd, public = 59000.0 + number % 30, number % 7 != 3
                yield row(number, f"near{number:04d}", there_ra, there_dec, mjdTai=mjd, public=public)


def mixed_alerts() -> Iterator[dict[str, Any]]:
    """Yield thirty alerts of one object, pairs of them at one time, every third hidden."""
    for number in range(30):
        mjd = 59100.0 + number // 2
        yield row(10**6 + number, "mixed", 210.0, 10.0, mjdTai=mjd, public=number % 3 != 0, flux=1.5, mag=None)


class Planted:
    """A graph and what was put into it."""

    def __init__(self, settings: Settings, rows: list[dict[str, Any]]) -> None:
        self.settings = settings
        self.rows = rows

    def ask(self, question: Callable[[GraphReader], Awaitable[T]], *, nonpublic: bool = False) -> T:
        """Put one question to a reader of this graph."""

        async def put() -> T:
            async with open_driver(self.settings) as driver:
                return await question(GraphReader(driver, "neo4j", show_nonpublic=nonpublic))

        return asyncio.run(put())

    def inside(self, cone: Cone, *, nonpublic: bool = False) -> list[str]:
        """Return the keys of the objects in a cone by looking at every object, nearest first."""
        distances = separation_deg(cone.ra, cone.dec, [r["ra"] for r in self.rows], [r["dec"] for r in self.rows])
        found = [
            (distance * 3600, r["objectKey"])
            for distance, r in zip(distances, self.rows, strict=True)
            if distance * 3600 <= cone.radius_arcsec
            and (nonpublic or r["public"])
            and (cone.mjd_from is None or r["mjdTai"] >= cone.mjd_from)
            and (cone.mjd_to is None or r["mjdTai"] <= cone.mjd_to)
        ]
        return [key for _, key in sorted(found)]


@pytest.fixture(scope="module")
def planted(neo4j_driver: Driver, stack: Any) -> Planted:
    rows = list(scatter())
    with neo4j_driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    initialise(neo4j_driver, "neo4j")
    write_detections(
        neo4j_driver, pa.Table.from_pylist(rows + list(mixed_alerts()), schema=DETECTION), database="neo4j"
    )
    with neo4j_driver.session() as session:
        session.run(
            "CREATE (s:Source {key: $key, ra: 0.0, dec: 90.0}) "
            "WITH s MATCH (o:Object) WHERE o.key IN $members "
            "CREATE (o)-[:SAME_AS {separationArcsec: 0.5}]->(s)",
            key=SOURCE,
            members=["ztf:near0001", "ztf:near0002", "ztf:near0003"],
        ).consume()
    return Planted(stack.settings(), rows)


def test_every_field_of_a_row_is_a_property_the_writer_writes() -> None:
    assert set(AlertRow.columns()) <= {"key", *ALERT_PROPERTIES}
    assert set(ObjectRow.columns()) <= {"key", "survey", "objectId", *OBJECT_PROPERTIES}


def test_a_float_that_is_no_number_reads_as_unknown() -> None:
    assert SourceRow.from_values(["ztf:a", math.nan, -math.inf]) == SourceRow("ztf:a", None, None)


@pytest.mark.services
class TestCone:
    @pytest.mark.parametrize("centre", CENTRES)
    @pytest.mark.parametrize("radius", [0.01, 5.0, 300.0, 3600.0])
    def test_a_cone_holds_what_looking_at_every_object_finds(
        self, planted: Planted, centre: tuple[float, float], radius: float
    ) -> None:
        cone = Cone(*centre, radius)
        found = planted.ask(lambda reader: reader.cone_search(cone, 1000))
        assert sorted(o.key for o, _ in found) == sorted(planted.inside(cone))
        assert [s for _, s in found] == sorted(s for _, s in found)
        assert found, "each centre has an object on it"

    def test_random_cones_hold_what_looking_at_every_object_finds(self, planted: Planted) -> None:
        @settings(max_examples=25, deadline=None)
        @given(
            st.sampled_from(CENTRES),
            st.floats(-0.5, 0.5),
            st.floats(-0.5, 0.5),
            st.floats(0.001, 3600),
            st.one_of(st.none(), st.integers(59000, 59015)),
            st.one_of(st.none(), st.integers(59015, 59030)),
            st.booleans(),
        )
        def holds(
            centre: tuple[float, float],
            east: float,
            north: float,
            radius: float,
            mjd_from: float | None,
            mjd_to: float | None,
            nonpublic: bool,
        ) -> None:
            cone = Cone((centre[0] + east) % 360, max(-90.0, min(90.0, centre[1] + north)), radius, mjd_from, mjd_to)
            found = planted.ask(lambda reader: reader.cone_search(cone, 1000), nonpublic=nonpublic)
            assert sorted(o.key for o, _ in found) == sorted(planted.inside(cone, nonpublic=nonpublic))
            assert all(
                math.isclose(s, float(separation_deg(cone.ra, cone.dec, o.ra, o.dec)) * 3600, abs_tol=1e-7)
                for o, s in found
            )

        holds()

    @pytest.mark.parametrize("size", [1, 7, 20])
    def test_pages_put_together_are_the_whole_list_once_even_at_equal_distances(
        self, planted: Planted, size: int
    ) -> None:
        cone = Cone(0.0, 90.0, 3600.0)

        async def all_pages(reader: GraphReader) -> list[str]:
            keys: list[str] = []
            after: tuple[float, str] | None = None
            while page := await reader.cone_search(cone, size, after):
                keys += [o.key for o, _ in page]
                after = (page[-1][1], page[-1][0].key)
            return keys

        whole = [o.key for o, _ in planted.ask(lambda reader: reader.cone_search(cone, 1000))]
        assert planted.ask(all_pages) == whole
        assert len(set(whole)) == len(whole) > size


@pytest.mark.services
@pytest.mark.usefixtures("planted")
class TestPlans:
    def operators(self, driver: Driver, text: str, parameters: dict[str, Any]) -> list[str]:
        with driver.session() as session:
            plan = session.run("EXPLAIN " + text, parameters).consume().plan
        assert plan is not None
        stack, names = [plan], []
        while stack:
            node = stack.pop()
            names.append(node["operatorType"].removesuffix("@neo4j"))
            stack += node.get("children", [])
        return names

    def test_a_cone_seeks_ranges_of_the_position_index(self, neo4j_driver: Driver) -> None:
        names = self.operators(
            neo4j_driver,
            reading.CONE_SEARCH,
            dict.fromkeys(["ra", "dec", "radius", "mjdFrom", "mjdTo", "afterSeparation", "afterKey"], None)
            | {"ranges": [[0, 1]], "first": 5, "showNonpublic": False},
        )
        assert "NodeIndexSeekByRange" in names
        assert not {"AllNodesScan", "NodeByLabelScan"} & set(names)

    @pytest.mark.parametrize(
        "text", ["OBJECTS_BY_KEY", "ALERTS_OF_OBJECTS", "SOURCES_OF_OBJECTS", "OBJECTS_OF_SOURCES"]
    )
    def test_reads_by_key_start_at_the_unique_index(self, neo4j_driver: Driver, text: str) -> None:
        parameters = {"keys": ["ztf:a"], "pages": [["ztf:a", None, None]], "first": 5, "showNonpublic": False}
        names = self.operators(neo4j_driver, getattr(reading, text), parameters)
        assert "NodeUniqueIndexSeek" in names
        assert not {"AllNodesScan", "NodeByLabelScan"} & set(names)

    def test_totals_come_from_the_counters_of_the_database(self, neo4j_driver: Driver) -> None:
        names = self.operators(neo4j_driver, reading.TOTALS, {})
        assert names.count("NodeCountFromCountStore") == 3


@pytest.mark.services
class TestVisibility:
    def test_hidden_objects_are_not_found_by_key_unless_asked_for(self, planted: Planted) -> None:
        hidden = next(r["objectKey"] for r in planted.rows if not r["public"])
        shown = next(r["objectKey"] for r in planted.rows if r["public"])
        assert set(planted.ask(lambda reader: reader.objects_by_key([hidden, shown]))) == {shown}
        assert set(planted.ask(lambda reader: reader.objects_by_key([hidden, shown]), nonpublic=True)) == {
            hidden,
            shown,
        }

    def test_hidden_alerts_of_a_public_object_and_all_alerts_of_a_hidden_one_are_left_out(
        self, planted: Planted
    ) -> None:
        hidden = next(r["objectKey"] for r in planted.rows if not r["public"])
        pages = [AlertPage(MIXED), AlertPage(hidden), AlertPage("ztf:unknown")]
        mixed, of_hidden, unknown = planted.ask(lambda reader: reader.alerts_of_objects(pages, 100))
        assert len(mixed) == 20
        assert all(alert.public for alert in mixed)
        assert of_hidden == unknown == []
        mixed, of_hidden, unknown = planted.ask(lambda reader: reader.alerts_of_objects(pages, 100), nonpublic=True)
        assert (len(mixed), len(of_hidden), unknown) == (30, 1, [])

    def test_hidden_objects_are_no_members_of_a_source(self, planted: Planted) -> None:
        assert [r["public"] for r in planted.rows[:3]] == [True, True, False]
        keys = ["ztf:near0001", "ztf:near0003"]
        assert set(planted.ask(lambda reader: reader.sources_of_objects(keys))) == {"ztf:near0001"}
        assert set(planted.ask(lambda reader: reader.sources_of_objects(keys), nonpublic=True)) == set(keys)
        members = planted.ask(lambda reader: reader.objects_of_sources([SOURCE], 10))[SOURCE]
        assert [(o.key, s) for o, s in members] == [("ztf:near0001", 0.5), ("ztf:near0002", 0.5)]
        members = planted.ask(lambda reader: reader.objects_of_sources([SOURCE], 10), nonpublic=True)[SOURCE]
        assert len(members) == 3


@pytest.mark.services
class TestAlerts:
    def test_alerts_come_newest_first_and_pages_neither_repeat_nor_skip_at_equal_times(self, planted: Planted) -> None:
        async def all_pages(reader: GraphReader) -> list[AlertRow]:
            alerts: list[AlertRow] = []
            page = AlertPage(MIXED)
            while rows := (await reader.alerts_of_objects([page], 4))[0]:
                alerts += rows
                page = AlertPage(MIXED, rows[-1].mjd_tai, rows[-1].key)
            return alerts

        alerts = planted.ask(all_pages, nonpublic=True)
        expected = sorted(((r["mjdTai"], r["alertKey"]) for r in mixed_alerts()), reverse=True)
        assert [(a.mjd_tai, a.key) for a in alerts] == expected

    def test_an_alert_reads_as_it_was_written(self, planted: Planted) -> None:
        (alerts,) = planted.ask(lambda reader: reader.alerts_of_objects([AlertPage(MIXED)], 1))
        written = next(r for r in mixed_alerts() if r["alertKey"] == alerts[0].key)
        read = dict(zip(AlertRow.columns(), (getattr(alerts[0], f) for f in alerts[0].__slots__), strict=True))
        assert read.pop("key") == written["alertKey"]
        assert read == {name: written[name] for name in read}


@pytest.mark.services
def test_totals_and_counts_per_survey_are_those_of_what_was_written(planted: Planted) -> None:
    n = len(planted.rows)
    assert planted.ask(lambda reader: reader.totals()) == Totals(n + 1, n + 30, 1)
    counts = planted.ask(lambda reader: reader.survey_counts(["lsst", "ztf"]))
    assert counts == [SurveyCount("lsst", 0, 0), SurveyCount("ztf", n + 1, n + 30)]


@pytest.mark.services
def test_errors_of_the_driver_leave_as_coded_ones(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RETRY_SECONDS", 0.1)
    good = planted.settings
    nobody = Planted(good.model_copy(update={"neo4j_uri": "bolt://127.0.0.1:1"}), [])
    with pytest.raises(GraphUnreachableError):
        nobody.ask(lambda reader: reader.ping())
    stranger = Planted(good.model_copy(update={"neo4j_user": "nobody"}), [])
    with pytest.raises(GraphAuthError):
        stranger.ask(lambda reader: reader.ping())
    monkeypatch.setattr(reading, "PING", "RETURN nonsense(")
    with pytest.raises(GraphQueryError):
        planted.ask(lambda reader: reader.ping())
