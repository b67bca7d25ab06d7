"""The audit finds each kind of damage, and none in what the writer writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.audit import EXAMPLES, RULE_COUNT, RULES, audit
from asterism.graph.schema import initialise
from asterism.graph.writer import write_detections

pytestmark = pytest.mark.services

Ask = Callable[..., list[list[Any]]]


@pytest.fixture
def sound(graph: Driver, ask: Ask, detection: Callable[..., Any], detections: Callable[..., pa.Table]) -> Driver:
    """A graph in order: objects of two surveys with alerts, one restricted, one lone alert, a source of two."""
    rows = [detection(n, f"ZTF{n % 3}", mjdTai=59000.0 + n, ra=10.0 + n % 3, public=n % 3 != 2) for n in range(9)]
    rows += [detection(n, n, "lsst", ra=10.0 + n) for n in range(3)] + [detection(77, None, "lsst")]
    write_detections(graph, detections(*rows), database="neo4j")
    ask(
        "MATCH (a:Object {key: 'ztf:ZTF0'}), (b:Object {key: 'lsst:0'}) CREATE (s:Source {key: 'lsst:0'})"
        " CREATE (a)-[:SAME_AS]->(s) CREATE (b)-[:SAME_AS]->(s) CREATE (:Source {key: 'x:1', mergedInto: 'lsst:0'})"
    )
    ask(
        "MATCH (o:Object {key: 'ztf:ZTF0'}) CREATE (e:Event {key: 'lvk:S1'}), "
        "(o)-[:CANDIDATE_FOR {vetting: 'rejected', open: true}]->(e), "
        "(a:Annotation {key: 'annotation:1', kind: 'vetting', "
        "state: 'rejected', subject: 's', current: true, objectKey: o.key, eventKey: e.key}), "
        "(o)<-[:ABOUT]-(a)-[:ABOUT]->(e)"
    )
    return graph


def test_a_graph_in_order_breaks_no_rule(sound: Driver) -> None:
    report = audit(sound, "neo4j")
    assert report.violations == []
    assert report.rules == RULE_COUNT


DAMAGE = {
    "the database carries the current format stamp": "MATCH (f:Asterism) SET f.version = 0",
    "every node has a key": "CREATE (:Note {text: 'hello'})",
    "an alert's key is its survey and source id": "MATCH (a:Alert {key: 'ztf:1'}) SET a.sourceId = '2'",
    "an object's key is its survey and object id": "MATCH (o:Object {key: 'ztf:ZTF1'}) SET o.objectId = 'ZTF2'",
    "an alert has its required properties": "MATCH (a:Alert {key: 'ztf:1'}) REMOVE a.night",
    "an object has its required properties": "MATCH (o:Object {key: 'ztf:ZTF1'}) REMOVE o.provisional",
    "an alert with an object hangs on it": "MATCH ()-[r:HAS_ALERT]->(:Alert {key: 'ztf:1'}) DELETE r",
    "an alert hangs on no other object": (
        "MATCH (a:Alert {key: 'lsst:77'}), (o:Object {key: 'lsst:0'}) CREATE (o)-[:HAS_ALERT]->(a)"
    ),
    "an alert hangs on its object once": (
        "MATCH (o:Object)-[:HAS_ALERT]->(a:Alert {key: 'ztf:1'}) CREATE (o)-[:HAS_ALERT]->(a)"
    ),
    "an object has alerts": "MATCH (a:Alert {key: 'lsst:2'}) DETACH DELETE a",
    "an object with a public alert is public": "MATCH (o:Object {key: 'ztf:ZTF1'}) SET o.public = false",
    "a public object has a public alert": "MATCH (o:Object {key: 'ztf:ZTF2'}) SET o.public = true",
    "an object's times span its alerts": "MATCH (o:Object {key: 'ztf:ZTF1'}) SET o.lastMjdTai = 59000.5",
    "a source in use has two members or more": "MATCH (:Object {key: 'lsst:0'})-[r:SAME_AS]->() DELETE r",
    "a source merged into another has no members": "MATCH (s:Source {key: 'lsst:0'}) SET s.mergedInto = 'x:1'",
    "a source is merged into one that exists": "MATCH (s:Source {key: 'x:1'}) SET s.mergedInto = 'x:2'",
    "an object belongs to one source at most": (
        "MATCH (o:Object {key: 'lsst:0'}), (s:Source {key: 'x:1'}) CREATE (o)-[:SAME_AS]->(s)"
    ),
    "an annotation hangs on what it is about": "MATCH (:Annotation)-[r:ABOUT]->(:Object) DELETE r",
    "one annotation of a subject is current": "MATCH (a:Annotation) SET a.current = false",
    "an open link's vetting is the last that was said of it": (
        "MATCH ()-[c:CANDIDATE_FOR]->() SET c.vetting = 'pending'"
    ),
    "the alert's hpx29 is that of its position": "MATCH (a:Alert {key: 'ztf:1'}) SET a.hpx29 = a.hpx29 + 1",
    "the object's hpx29 is that of its position": "MATCH (o:Object {key: 'ztf:ZTF1'}) SET o.dec = 91.0",
}


@pytest.mark.parametrize(("rule", "damage"), DAMAGE.items(), ids=DAMAGE.keys())
def test_each_kind_of_damage_breaks_its_rule(sound: Driver, ask: Ask, rule: str, damage: str) -> None:
    ask(damage)
    violations = {item.rule: item for item in audit(sound, "neo4j").violations}
    assert violations[rule].count == 1
    assert len(violations[rule].examples) == 1


def test_every_rule_of_the_audit_was_seen_broken() -> None:
    assert set(RULES) <= set(DAMAGE)
    assert len(DAMAGE) + 1 == RULE_COUNT  # the index below


def test_a_missing_index_is_found_and_init_restores_it(sound: Driver, ask: Ask) -> None:
    ask("DROP INDEX object_hpx29")
    (violation,) = audit(sound, "neo4j").violations
    assert violation.examples == ["object_hpx29"]
    initialise(sound, "neo4j")
    assert audit(sound, "neo4j").violations == []


def test_many_violations_are_counted_and_a_few_shown(sound: Driver, ask: Ask) -> None:
    ask("MATCH (a:Alert) REMOVE a.ra")
    (violation,) = audit(sound, "neo4j").violations
    assert violation.count == 13
    assert len(violation.examples) == EXAMPLES
