"""A small sky, and a night of events, in the graph, and the API in front of them."""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import numpy as np
import pyarrow as pa
import pytest
import uvicorn
from neo4j import Driver

from asterism.gql.app import create_app
from asterism.gql.commands import listen, url_of
from asterism.graph.association.associate import Verdict
from asterism.graph.association.background import Background
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.links import close_links, write_verdict
from asterism.graph.association.rules import load_rules
from asterism.graph.association.sample import ObjectSample
from asterism.graph.association.score import Scores
from asterism.graph.events import NoticeRow, localization_key, write_notices
from asterism.graph.reader import GraphReader, open_driver
from asterism.graph.schema import initialise
from asterism.graph.writer import write_detections
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import hpx29
from asterism.voevent.notice import Notice, Reading, Region
from asterism.voevent.project import derive, localization_properties, notice_properties
from tests.gql.world import World, make_world, write_world

T = TypeVar("T")

BIG_IDS = (2**53 + 1, 2**63 - 1)
"""Object ids that a float64 cannot hold."""


def row(source: int, object_id: int | str, survey: str = "ztf", **values: Any) -> dict[str, Any]:
    """Return a row of DETECTION."""
    plain = {
        "alertKey": f"{survey}:{source}",
        "survey": survey,
        "sourceId": str(source),
        "objectKey": f"{survey}:{object_id}",
        "objectId": str(object_id),
        "mjdTai": 59000.0,
        "night": 20200530,
        "ra": 150.0,
        "dec": 2.0,
        "band": "g",
        "isPositive": True,
        "flux": 3630.78,
        "mag": 22.5,
        "public": True,
        "topic": "test",
        "partition": 0,
        "offset": source % 2**31,
    }
    whole: dict[str, Any] = dict.fromkeys(DETECTION.names) | plain | values
    return whole | {"hpx29": int(hpx29(whole["ra"], whole["dec"]))}


def small_sky() -> list[dict[str, Any]]:
    """Return 120 objects of 3 alerts each, every tenth hidden, and two LSST ones with big ids."""
    rows = []
    for number in range(120):
        place = {"ra": 150.0 + number * 1e-4, "dec": 2.0 + (number % 7) * 1e-5, "public": number % 10 != 9}
        rows += [row(3 * number + k, f"ZTF{number:04d}", mjdTai=59000.0 + k, **place) for k in range(3)]
    rows += [row(big, big, "lsst", ra=10.0, dec=-30.0, mjdTai=61000.5, mag=None) for big in BIG_IDS]
    return rows


@pytest.fixture(scope="session")
def sky_rows() -> list[dict[str, Any]]:
    return small_sky()


@pytest.fixture(scope="module")
def sky(neo4j_driver: Driver, stack: Any, sky_rows: list[dict[str, Any]]) -> Settings:
    """Settings of a stack whose graph holds the small sky; every pair of neighbours is one source."""
    with neo4j_driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
        initialise(neo4j_driver, "neo4j")
        write_detections(neo4j_driver, pa.Table.from_pylist(sky_rows, schema=DETECTION), database="neo4j")
        session.run(
            "UNWIND range(0, 118, 2) AS n "
            "MATCH (one:Object {key: $keys[n]}), (two:Object {key: $keys[n + 1]}) "
            "CREATE (s:Source {key: one.key, ra: one.ra, dec: one.dec}) "
            "CREATE (one)-[:SAME_AS {separationArcsec: 0.0}]->(s) "
            "CREATE (two)-[:SAME_AS {separationArcsec: 0.36}]->(s)",
            keys=[f"ztf:ZTF{number:04d}" for number in range(120)],
        ).consume()
    settings: Settings = stack.settings(api_port=0)
    return settings


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve the API over loopback in a thread and give its address."""
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(create_app(settings), log_config=None, ws="websockets-sansio", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.01)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def serve_api() -> Callable[[Settings], Any]:
    """`serving`, for tests that need other settings."""
    return serving


@pytest.fixture(scope="module")
def api(sky: Settings) -> Iterator[httpx.Client]:
    """A client of the API in front of the small sky."""
    with serving(sky) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def world(neo4j_driver: Driver) -> World:
    """The made-up world, in the graph."""
    made = make_world()
    write_world(neo4j_driver, made)
    return made


@pytest.fixture(scope="module")
def world_api(world: World, stack: Any) -> Iterator[httpx.Client]:
    """A client of the API in front of it."""
    assert world.objects, "written before anything is asked"
    settings: Settings = stack.settings(api_port=0)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def ask_reader(sky: Settings) -> Callable[..., Any]:
    """Run a coroutine function with a reader of the small sky."""

    def ask(question: Callable[[GraphReader], Awaitable[T]], *, nonpublic: bool = False) -> T:
        async def put() -> T:
            async with open_driver(sky) as driver:
                return await question(GraphReader(driver, "neo4j", show_nonpublic=nonpublic))

        return asyncio.run(put())

    return ask


T0 = 60000.0
"""Time of the superevent, MJD TAI."""
SUPEREVENT, BURST, RETRACTED, MOCK, TIMELESS = "lvk:S1", "gbm:bn1", "lvk:S2", "lvk:MS1", "swift:1"
OBJECTS = [f"ztf:ZTF{number:04d}" for number in range(40)]
CIRCLE = CircleLocalization(150.0, 2.0, 5.0, 0.9)


def is_public(key: str) -> bool:
    return int(key[-4:]) % 10 != 9


@dataclass(frozen=True)
class Link:
    """A link as it was written."""

    key: str
    log_l: float
    localization: str
    open: bool
    fade: float | None


@dataclass
class Night:
    """What was written, and where it is served."""

    settings: Settings
    links: dict[str, list[Link]] = field(default_factory=dict)
    q: dict[str, float] = field(default_factory=dict)
    public: tuple[str, ...] = tuple(filter(is_public, OBJECTS))

    def shown(self, event: str, *, closed: bool = False, nonpublic: bool = False) -> list[Link]:
        """Return the links of an event in the order in which the API must show them."""
        found = [link for link in self.links[event] if (link.open or closed) and (nonpublic or is_public(link.key))]
        return sorted(found, key=lambda link: (-link.log_l, link.key, link.localization))

    def probability(self, event: str, link: Link, factor: float = 1.0) -> float:
        """Return q L / (1 - q + q sum L), restricted objects in the sum."""
        q = min(self.q[event] * factor, 1 - 1e-6)
        total = sum(math.exp(one.log_l) for one in self.links[event] if one.open)
        return q * math.exp(link.log_l) / (1 - q + q * total)


def notice(event: str, number: int, *, standing: Any = "real", retraction: bool = False, **values: Any) -> NoticeRow:
    """Return a notice of an event, issued `number` days after T0."""
    region = Region("circle", 150.0, 2.0, 5.0, 0.9, record=CIRCLE.as_record())
    known: dict[str, Any] = {
        "key": hashlib.sha256(f"{event}/{number}".encode()).hexdigest(),
        "event_key": event,
        "mission": event.split(":")[0],
        "kind": {"gbm": "grb", "swift": "grb", "icecube": "neutrino"}.get(event.split(":")[0], "gw"),
        "stage": "retraction" if retraction else "update",
        "role": "observation",
        "standing": standing,
        "is_retraction": retraction,
        "rank": number,
        "issued_mjd_tai": T0 + number,
        "t0_mjd_tai": T0,
        "region": None if retraction else region,
        "far_hz": 1e-9,
        "classification": {"BNS": 0.9, "Terrestrial": 0.1},
        "properties": {"HasRemnant": 1.0, "Group": "CBC"},
    }
    made = Notice(**known | values)
    return NoticeRow(
        key=made.key,
        event_key=event,
        properties=notice_properties(made),
        channels=("vtp",),
        received_mjd_tai=T0 + number + 0.01,
        ivorn=made.ivorn,
        localization=localization_properties(Reading(made, None if retraction else CIRCLE)),
    )


def links_of(row: NoticeRow, keys: list[str], *, is_open: bool) -> list[Link]:
    """Return links whose log L have many ties, the same for an object under every localization."""
    links = []
    for key in keys:
        number = int(key[-4:])
        log_l = -3.0 + 0.5 * (number * 7 % 5) if number else 4.0
        links.append(Link(key, log_l, localization_key(row.key), is_open, None if number % 3 else 0.5))
    return links


def verdict_of(event: str, links: list[Link], q: float) -> Verdict:
    """Return the verdict that gives these links."""
    rules = load_rules()
    active = ActiveEvent(event, "gw", T0, links[0].localization, CIRCLE, 1.0)
    count = len(links)
    log_l = np.array([link.log_l for link in links])
    fade = np.array([math.nan if link.fade is None else link.fade for link in links])
    place, ones = np.full(count, 150.0), np.ones(count)
    time, background = np.full(count, -1.5), np.full(count, 2.0)
    position = log_l - time - background - np.nan_to_num(fade)
    return Verdict(
        event=active,
        region=active.region(rules),
        rules=rules,
        objects=ObjectSample(
            key=np.array([link.key for link in links]),
            ra=place,
            dec=0 * ones,
            hpx29=hpx29(place, 0 * ones),
            first=np.full(count, T0 + 0.25),
            last=np.full(count, T0 + 1.0),
            detections=np.full(count, 3),
            passes=ones.astype(bool),
            fade=fade,
            fade_err=0.1 * fade,
            middle=np.full(count, T0 + 0.5),
            spread=0.25 * ones,
            source=np.array([link.key for link in links]),
            host_mpc=np.full(count, math.nan),
            reliability=0.9 * ones,
            known=np.full(count, ""),
        ),
        scores=Scores({"position": position, "time": time, "background": background, "fade": fade}, log_l),
        log_sum_l=math.log(sum(math.exp(value) for value in log_l.tolist())),
        overflow=0,
        level=0.5 * ones,
        searched_area=20.0 * ones,
        chance=0.25 * ones,
        chance_area=2.0 * ones,
        q=q,
        background=Background(0.125, True, 64, 10.0, 50.0, None, np.empty(0)),
    )


def write_night(driver: Driver, night: Night) -> None:
    """Put objects, notices and links into an empty graph, the way the services do."""
    rows = [
        row(number, key.removeprefix("ztf:"), mjdTai=T0 + 0.25, public=is_public(key))
        for number, key in enumerate(OBJECTS)
    ]
    write_detections(driver, pa.Table.from_pylist(rows, schema=DETECTION), database="neo4j")
    first, second = notice(SUPEREVENT, 1), notice(SUPEREVENT, 2, ivorn="ivo://gwnet/LVC#S1-2")
    burst, bad = notice(BURST, 1, t0_mjd_tai=T0 - 1), notice(RETRACTED, 1, t0_mjd_tai=T0 + 1)
    tied = [notice(f"icecube:{number}_1", 1, t0_mjd_tai=T0 - 9) for number in range(1, 6)]
    others = [notice(MOCK, 1, standing="mock"), notice(TIMELESS, 1, t0_mjd_tai=None)]
    write_notices(driver, [first, burst, bad, *tied, *others], derive, database="neo4j")
    with driver.session() as session:
        write_verdict(session, verdict_of(SUPEREVENT, links_of(first, OBJECTS[:30], is_open=True), 0.3), T0 + 1)
        write_verdict(session, verdict_of(BURST, links_of(burst, OBJECTS[:10], is_open=True), 0.01), T0 + 1)
        write_verdict(session, verdict_of(RETRACTED, links_of(bad, OBJECTS[10:15], is_open=True), 0.3), T0 + 2)
        write_notices(
            driver, [second, notice(RETRACTED, 3, retraction=True, t0_mjd_tai=None)], derive, database="neo4j"
        )
        write_verdict(session, verdict_of(SUPEREVENT, links_of(second, OBJECTS[5:], is_open=True), 0.4), T0 + 2.5)
        close_links(session, [SUPEREVENT, BURST], T0 + 3.5)
    night.links = {
        SUPEREVENT: links_of(first, OBJECTS[:30], is_open=False) + links_of(second, OBJECTS[5:], is_open=True),
        BURST: links_of(burst, OBJECTS[:10], is_open=True),
        RETRACTED: links_of(bad, OBJECTS[10:15], is_open=False),
    }
    night.q = {SUPEREVENT: 0.4, BURST: 0.01, RETRACTED: 0.3}


@pytest.fixture(scope="module")
def night(neo4j_driver: Driver, stack: Any) -> Night:
    with neo4j_driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    initialise(neo4j_driver, "neo4j")
    made = Night(stack.settings(api_port=0))
    write_night(neo4j_driver, made)
    return made


@pytest.fixture(scope="module")
def night_api(night: Night) -> Iterator[httpx.Client]:
    """A client of the API in front of the night."""
    with serving(night.settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def night_insider(night: Night) -> Iterator[httpx.Client]:
    """The same where restricted objects are shown."""
    shown = night.settings.model_copy(update={"show_nonpublic": True})
    with serving(shown) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client
