"""The graph made anew from lake and journal is the graph that was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from neo4j import Driver

from asterism.deploy.rebuild import rebuild
from asterism.gql.mutations_desk import Desk
from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
from asterism.graph.audit import audit
from asterism.graph.curation.acts import Act, Kind, Subject
from asterism.graph.digest import digest
from asterism.ingest.load import load_files
from asterism.ingest.science import Classifier
from asterism.journal import Journal
from asterism.settings import Settings
from asterism.simulate.night import AlertMessage, build_night
from asterism.voevent.intake import FILE, Intake
from asterism.voevent.project import Delivery, maps_folder, project

pytestmark = pytest.mark.services


def nothing(count: int, note: str = "") -> None:
    del count, note


class Live:
    """Takes a night in as it happens: alerts, notices between them, links and classes following."""

    def __init__(self, settings: Settings, driver: Driver) -> None:
        self.settings, self.driver, self.batches, self.count = settings, driver, 0, 0
        self.rounds = (Classifier(driver, settings), Associator(driver, settings, load_rules()))

    def alerts(self, payloads: list[bytes]) -> None:
        folder = self.settings.home / f"packets-{self.batches}"
        folder.mkdir()
        self.batches += 1
        self.count += len(payloads)
        for number, payload in enumerate(payloads):
            (folder / f"{number:04}.avro").write_bytes(payload)
        load_files(self.settings, [folder], nothing)
        self.follow()

    def notice(self, payload: bytes) -> None:
        with Journal(self.settings.journal_path) as journal:
            Intake(journal).accept(payload, FILE)
        deliveries = [Delivery.of(entry) for entry in Journal(self.settings.journal_path).read()]
        project(deliveries, self.driver, database="neo4j", maps=maps_folder(self.settings))
        self.follow()

    def follow(self) -> None:
        for follower in self.rounds:
            follower.round()


def acts_on(driver: Driver) -> list[Act]:
    """Return what people may have said by now: of every kind, of a candidate, an object, an event and a cone."""
    with driver.session() as session:
        found = session.run("MATCH (o:Object)-[c:CANDIDATE_FOR {open: true}]->(e:Event) RETURN o.key, e.key LIMIT 2")
        (candidate, event), (other, _) = (record.values() for record in found)
    said = [
        (Kind.VETTING, "confirmed", None, "spectrum", Subject(candidate, event)),
        (Kind.VETTING, "rejected", None, "a CV", Subject(candidate, event)),
        (Kind.VETTING, "ambiguous", None, "faint", Subject(other, event)),
        (Kind.COMMENT, "set", None, "look again", Subject(candidate)),
        (Kind.TAG, "set", "kilonova", None, Subject(candidate)),
        (Kind.TAG, "removed", "kilonova", None, Subject(candidate)),
        (Kind.TAG, "set", "followed", None, Subject(None, event)),
        (Kind.WATCH, "set", "tonight", None, Subject(None, None, 150.0, 2.0, 5.0)),
    ]
    return [
        Act(f"{number:032x}", kind, state, name, text, "ada", "01", 61000.0 + number, (subject,))
        for number, (kind, state, name, text, subject) in enumerate(said)
    ]


def states(driver: Driver, act: Act) -> set[str]:
    """Return the vetting of all open links of an act's subject."""
    with driver.session() as session:
        found = session.run(
            "MATCH (:Object {key: $o})-[c:CANDIDATE_FOR {open: true}]->(:Event {key: $e}) RETURN c.vetting AS vetting",
            o=act.subjects[0].object_key,
            e=act.subjects[0].event_key,
        )
        return {record["vetting"] for record in found}


def record(settings: Settings, acts: list[Act]) -> None:
    desk = Desk(settings)
    try:
        for act in acts:
            asyncio.run(desk.record(act))
    finally:
        desk.close()


def test_lake_and_journal_alone_give_the_same_graph(installation: Callable[..., Settings], empty_graph: Driver) -> None:
    settings = installation()
    live, waiting = Live(settings, empty_graph), list[bytes]()
    for item in build_night("neutrino", 3, ztf=200, lsst=200).timeline():
        if isinstance(item, AlertMessage):
            waiting.append(item.message.payload)
        else:
            live.alerts(waiting)
            live.notice(item.payload)
            waiting = []
    live.alerts(waiting)
    acts = acts_on(empty_graph)
    record(settings, acts)
    assert states(empty_graph, acts[0]) == {"rejected"}
    # Links are scored when their event is touched; a rebuild scores all against the whole night.
    Associator(empty_graph, settings, load_rules()).round()
    before = digest(empty_graph, "neo4j")
    assert links(empty_graph) > 0
    assert before.nodes["Annotation"] == len(acts)
    assert states(empty_graph, acts[0]) == {"rejected"}, "a re-score keeps what was said"

    with empty_graph.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    done = rebuild(settings, nothing)
    assert (done.detections, done.notices, done.events, done.judged) == (live.count, 2, 1, 1)
    assert done.classified > 0
    assert done.acts == len(acts)
    assert (states(empty_graph, acts[0]), states(empty_graph, acts[2])) == ({"rejected"}, {"ambiguous"})
    assert digest(empty_graph, "neo4j") == before
    assert rebuild(settings, nothing).detections == live.count
    assert digest(empty_graph, "neo4j") == before
    assert audit(empty_graph, "neo4j").violations == []


def links(driver: Driver) -> int:
    with driver.session() as session:
        open_links = session.run("MATCH ()-[c:CANDIDATE_FOR]->() WHERE c.open RETURN count(c) AS n")
        return int(open_links.single(strict=True)["n"])
