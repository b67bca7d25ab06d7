"""`asterism.voevent.project`, on a real graph."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neo4j import Driver

import asterism.voevent.project
from asterism.graph.digest import digest
from asterism.graph.events import load_localization
from asterism.graph.schema import initialise
from asterism.sky.fits import read_skymap
from asterism.sky.healpix import contains, hpx29
from asterism.voevent.document import compose
from asterism.voevent.notice import notice_key
from asterism.voevent.project import Delivery, Projection, localization_properties, project
from asterism.voevent.read import read_payload

pytestmark = pytest.mark.services

Projector = Callable[..., Projection]
ORDERS = 500
"""Random orders of all notices together, so that each event's own come in random order too."""


@pytest.fixture
def graph(empty_graph: Driver) -> Driver:
    initialise(empty_graph, "neo4j")
    return empty_graph


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    return tmp_path / "lake" / "maps"


@pytest.fixture
def bring(graph: Driver, maps: Path) -> Projector:
    """Project payloads, delivered by one channel one day after another."""

    def run(*payloads: bytes, channel: str = "file", day: float = 60100.0, again: bool = False) -> Projection:
        deliveries = [Delivery(payload, channel, day) for payload in payloads]
        return project(deliveries, graph, database="neo4j", maps=maps, again=again)

    return run


def one(driver: Driver, query: str, **values: Any) -> Any:
    with driver.session() as session:
        return session.run(query, **values).single(strict=True)[0]


def clear(driver: Driver) -> None:
    with driver.session() as session:
        session.run("MATCH (n) WHERE n:Notice OR n:Event OR n:Localization DETACH DELETE n").consume()


def several(samples: Any) -> list[bytes]:
    """Return notices of four events: replaced, retracted, cited across events, conflicting and refused ones."""
    flight = samples.gbm_xml(ra=120.0, date="2023-03-08T00:01:00")
    follow_up = compose(samples.generic("follow", cites=[(samples.gbm().ivorn, "followup")]))
    return [
        flight,
        flight + b"\n",
        samples.gbm_xml(stage="final", ra=123.0, radius=2.0, date="2023-03-08T00:15:00", serial=103),
        samples.gbm_xml(ra=121.0, date="2023-03-08T00:02:00", serial=101),
        samples.gbm_xml(ra=122.0, radius=None, error2radius="0.0", date="2023-03-08T00:03:00", serial=102),
        samples.alert_json(),
        samples.alert_json(alert_type="UPDATE", created="2023-03-08T01:00:00Z", sky_map=samples.sky_map(7)),
        samples.alert_json(alert_type="RETRACTION", created="2023-03-08T02:00:00Z"),
        follow_up,
        compose(samples.gbm(role="test")),
        samples.gbm_xml(trigger=700000009).replace(b"<C1>120.0000<", b"<C1>725.0<"),
    ]


def test_permutations_and_duplicates_end_in_the_same_graph(graph: Driver, bring: Projector, samples: Any) -> None:
    payloads = several(samples)
    bring(*payloads)
    expected = digest(graph, "neo4j")
    assert expected.nodes == {"Asterism": 1, "Event": 4, "Localization": 8, "Notice": 11}
    for seed in range(4):
        clear(graph)
        chance = random.Random(seed)
        order = payloads + chance.choices(payloads, k=4)
        chance.shuffle(order)
        at = 0
        while at < len(order):  # in batches of random size, down to one
            size = chance.randint(1, 5)
            bring(*order[at : at + size])
            at += size
        assert digest(graph, "neo4j") == expected


def test_projecting_again_changes_nothing_and_creates_nothing(graph: Driver, bring: Projector, samples: Any) -> None:
    payloads = several(samples)
    first = bring(*payloads)
    before = digest(graph, "neo4j")
    known = bring(*payloads)
    replayed = bring(*payloads, again=True)
    assert (first.read, first.created, first.known, first.refused) == (11, 11, 0, 1)
    assert (known.created, known.known, known.events) == (0, 11, ())
    assert (replayed.created, replayed.known, replayed.events) == (0, 0, first.events)
    assert digest(graph, "neo4j") == before


def test_a_later_position_closes_the_earlier_one(graph: Driver, bring: Projector, samples: Any) -> None:
    flight, final = samples.gbm_xml(), samples.gbm_xml(stage="final", date="2023-03-08T00:15:00", serial=101)
    current = "MATCH (e:Event {key: 'gbm:700000001'}) RETURN e.currentLocalization"
    bring(flight)
    assert one(graph, current) == f"{notice_key(flight)}:0"
    bring(final)
    assert one(graph, current) == f"{notice_key(final)}:0"
    closed = one(graph, "MATCH (l:Localization {key: $key}) RETURN properties(l)", key=f"{notice_key(flight)}:0")
    opened = one(graph, "MATCH (l:Localization {key: $key}) RETURN properties(l)", key=f"{notice_key(final)}:0")
    assert (closed["current"], opened["current"]) == (False, True)
    assert closed["validToMjdTai"] == opened["validFromMjdTai"]
    assert "validToMjdTai" not in opened


def test_a_retraction_first_makes_a_stub_and_keeps_the_event_retracted(
    graph: Driver, bring: Projector, samples: Any
) -> None:
    state = "MATCH (e:Event {key: 'lvk:S230308a'}) RETURN e.state"
    bring(samples.alert_json(alert_type="RETRACTION", created="2023-03-08T02:00:00Z"))
    assert one(graph, state) == "retracted"
    bring(samples.alert_json())
    assert one(graph, state) == "retracted"
    assert one(graph, "MATCH (l:Localization) RETURN collect(l.current)") == [False]


def test_stored_ranges_hold_the_region_and_the_record_gives_it_back(
    graph: Driver, bring: Projector, maps: Path, samples: Any
) -> None:
    bring(samples.gbm_xml(), samples.alert_json())
    with graph.session() as session:
        stored = [record[0] for record in session.run("MATCH (l:Localization) RETURN properties(l)")]
    assert {values["kind"] for values in stored} == {"mixture", "skymap"}
    for values in stored:
        shape = load_localization(values["record"], maps)
        chance = np.random.default_rng(1)
        ra, dec = chance.uniform(0, 360, 3000), np.degrees(np.arcsin(chance.uniform(-1, 1, 3000)))
        ra, dec = np.append(ra, values["ra"]), np.append(dec, values["dec"])
        for percent in (50, 90):
            assert values[f"area{percent}"] == pytest.approx(shape.area(percent / 100))
            stored_ranges = values[f"ranges{percent}Lo"], values[f"ranges{percent}Hi"]
            assert len(stored_ranges[0]) <= 500
            inside = shape.credible_level(ra, dec) < percent / 100
            assert inside.any()
            assert contains(*stored_ranges, hpx29(ra, dec))[inside].all()


def test_the_map_of_an_alert_lies_in_the_lake_byte_for_byte(bring: Projector, maps: Path, samples: Any) -> None:
    content = samples.sky_map(5)
    bring(samples.alert_json(sky_map=content))
    (path,) = maps.iterdir()
    assert path.name == f"{hashlib.sha256(content).hexdigest()}.fits"
    assert path.read_bytes() == content
    assert read_skymap(path).area(0.3) > 0


def test_a_notice_that_cannot_be_understood_keeps_its_code_and_touches_no_event(
    graph: Driver, bring: Projector, samples: Any
) -> None:
    bring(samples.gbm_xml())
    before = one(graph, "MATCH (e:Event) RETURN properties(e)")
    done = bring(samples.gbm_xml().replace(b"<C1>120.0000<", b"<C1>725.0<"))
    assert done.refused == 1
    refused = one(graph, "MATCH (n:Notice) WHERE NOT (n)-[:REPORTS]->() RETURN properties(n)")
    assert refused["refusedCode"] == "voevent.bad_position"
    assert one(graph, "MATCH (e:Event) RETURN properties(e)") == before


def test_channels_add_up_and_the_first_receipt_counts(graph: Driver, bring: Projector, samples: Any) -> None:
    payload = samples.gbm_xml()
    bring(payload, channel="vtp", day=60102.0)
    bring(payload, channel="kafka", day=60101.0)
    bring(payload, channel="kafka", day=60103.0)
    stored = one(graph, "MATCH (n:Notice) RETURN properties(n)")
    assert (stored["channels"], stored["receivedMjdTai"]) == (["kafka", "vtp"], 60101.0)


def test_citations_link_notices_across_events_whichever_comes_first(
    graph: Driver, bring: Projector, samples: Any
) -> None:
    cited = samples.gbm()
    citing = compose(samples.generic("follow", cites=[(cited.ivorn, "followup")]))
    links = "MATCH (a:Notice)-[r:CITES]->(b:Notice) RETURN collect([a.key, b.key, r.implied])"
    for order in ((compose(cited), citing), (citing, compose(cited))):
        clear(graph)
        for payload in order:
            bring(payload)
        assert one(graph, links) == [[notice_key(citing), notice_key(compose(cited)), False]]


def test_a_strangers_retraction_cites_and_does_not_retract(graph: Driver, bring: Projector, samples: Any) -> None:
    cited = samples.gbm()
    bring(compose(cited), compose(samples.generic("rumour", cites=[(cited.ivorn, "retraction")])))
    assert one(graph, "MATCH (e:Event {key: 'gbm:700000001'}) RETURN e.state") == "active"
    assert one(graph, "MATCH (:Notice)-[r:RETRACTS]->(:Notice) RETURN count(r)") == 1


@pytest.fixture
def rows_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each payload once for a test of orders: what a notice says does not depend on them."""
    monkeypatch.setattr(asterism.voevent.project, "read_payload", lru_cache(None)(read_payload))
    monkeypatch.setattr(asterism.voevent.project, "localization_properties", lru_cache_by_id(localization_properties))


def lru_cache_by_id(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remember results by the identity of the argument, which is kept alive."""
    known: dict[int, tuple[Any, Any]] = {}

    def call(argument: Any) -> Any:
        if id(argument) not in known:
            known[id(argument)] = argument, function(argument)
        return known[id(argument)][1]

    return call


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("rows_read_once")
def test_every_real_event_and_random_ones_end_in_the_same_graph_in_500_orders(
    graph: Driver, bring: Projector, test_data: Path, samples: Any
) -> None:
    folder = test_data / "notices"
    by_event: dict[str, list[bytes]] = {}
    for path in [*sorted((folder / "voevent").rglob("*.xml")), *sorted((folder / "igwn").glob("*.json"))]:
        by_event.setdefault(read_payload(path.read_bytes()).notice.event_key, []).append(path.read_bytes())
    real = [payloads for payloads in by_event.values() if len(payloads) > 1]
    assert len(real) == 14
    payloads = [payload for event in real for payload in event] + several(samples)
    bring(*payloads)
    expected = digest(graph, "neo4j")
    chance = random.Random(11)
    for number in range(ORDERS):
        clear(graph)
        order = payloads + chance.choices(payloads, k=chance.randint(1, 10))
        chance.shuffle(order)
        at = 0
        while at < len(order):
            size = chance.randint(1, 40)
            bring(*order[at : at + size])
            at += size
        assert digest(graph, "neo4j") == expected, f"order {number}"
    print(f"{len(real)} real and 4 simulated events, {len(payloads)} notices: one digest in {ORDERS} orders")


@pytest.mark.realdata
def test_real_notices_end_in_the_same_graph_in_any_order(graph: Driver, bring: Projector, test_data: Path) -> None:
    folder = test_data / "notices"
    files = [*sorted((folder / "voevent").rglob("*.xml")), *sorted((folder / "igwn").glob("*.json"))]
    payloads = [path.read_bytes() for path in files]
    done = bring(*payloads)
    assert (done.created, done.refused) == (54, 0)
    expected = digest(graph, "neo4j")
    clear(graph)
    chance = random.Random(7)
    order = payloads + chance.choices(payloads, k=10)
    chance.shuffle(order)
    bring(*order)
    assert digest(graph, "neo4j") == expected
    retired = one(
        graph,
        "MATCH (:Event {key: 'gbm:719325015'})<-[:REPORTS]-(n)-[:LOCALIZES]->(l) WHERE NOT l.current RETURN count(l)",
    )
    assert retired == 6
    assert (
        json.loads(one(graph, "MATCH (e:Event {key: 'lvk:S230518h'}) RETURN e.classification"))["NSBH"]
        == 0.8642645059209272
    )
