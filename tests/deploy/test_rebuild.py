"""The graph made anew from lake and journal is the graph that was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from neo4j import Driver

from asterism.deploy.rebuild import rebuild
from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
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
    # Links are scored when their event is touched; a rebuild scores all against the whole night.
    Associator(empty_graph, settings, load_rules()).round()
    before = digest(empty_graph, "neo4j")
    assert links(empty_graph) > 0

    with empty_graph.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    done = rebuild(settings, nothing)
    assert (done.detections, done.notices, done.events, done.judged) == (live.count, 2, 1, 1)
    assert done.classified > 0
    assert digest(empty_graph, "neo4j") == before
    assert rebuild(settings, nothing).detections == live.count
    assert digest(empty_graph, "neo4j") == before


def links(driver: Driver) -> int:
    with driver.session() as session:
        open_links = session.run("MATCH ()-[c:CANDIDATE_FOR]->() WHERE c.open RETURN count(c) AS n")
        return int(open_links.single(strict=True)["n"])
