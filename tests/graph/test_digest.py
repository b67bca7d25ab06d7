"""The digest sees everything, and nothing but the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neo4j import Driver

from asterism.graph.curation.acts import Act, Kind, Subject
from asterism.graph.curation.write import write_acts
from asterism.graph.digest import Exclusion, canonical, digest, load_exclusions, load_past
from asterism.graph.writer import write_detections

Ask = Callable[..., list[list[Any]]]

values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
properties = st.dictionaries(st.text(max_size=3), values | st.lists(st.text(), max_size=2), max_size=3)


def exactly(value: Any) -> Any:
    """Tell apart what Python calls equal: 1, 1.0 and True; 0.0 and -0.0."""
    if isinstance(value, dict):
        return frozenset((key, exactly(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(exactly, value))
    return type(value), value.hex() if isinstance(value, float) else value


@given(properties, properties)
def test_canonical_bytes_are_equal_exactly_for_equal_values(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert (canonical(one) == canonical(two)) == (exactly(one) == exactly(two))


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2))
def test_canonical_bytes_do_not_depend_on_the_order_of_properties(one: dict[str, int]) -> None:
    assert canonical(one) == canonical(dict(reversed(one.items())))


def test_every_exclusion_has_a_reason() -> None:
    assert all(len(item.reason.split()) > 3 for item in (*load_exclusions(), *load_past()))


@pytest.fixture
def populated(graph: Driver, ask: Ask, detection: Callable[..., Any], detections: Callable[..., pa.Table]) -> Driver:
    """A graph with a value in every property of alerts and objects, a source and a mixed bag of types."""
    floats = ("ssDistance", "fluxErr", "magErr", "snr", "apFlux", "limitMag", "reliability", "rb")
    full = dict.fromkeys(floats, 1.5) | {
        "nBad": 1,
        "nDetections": 4,
        "firstMjdTai": 5e4,
        "programId": 1,
        "schemaVersion": "4.02",
        "passesPaper2020": False,
        "passesFink2026": True,
        "ssObjectId": "7",
    }
    table = detections(*(detection(n, f"ZTF{n % 3}", **full) for n in range(7)), detection(8, 5, "lsst"))
    write_detections(graph, table, database="neo4j")
    ask(
        "MATCH (o:Object) CREATE (o)-[:SAME_AS {method: 'x', separationArcsec: 0.3}]->"
        "(:Source:Probe {key: o.key, at: datetime('2026-01-01T00:00:00Z'), list: [1, 2], place: point({x: 1, y: 2})})"
    )
    said = [
        ("vetting", None, Subject("ztf:ZTF0", "lvk:S1")),
        ("watch", "tonight", Subject(None, None, 150.0, 2.0, 5.0)),
    ]
    acts = [
        Act("0" * 31 + f"{n}", Kind(k), "set", name, "why", "ada", "01", 6e4 + n, (about,))
        for n, (k, name, about) in enumerate(said + said)
    ]
    write_acts(graph, acts, database="neo4j")
    ask("MATCH (o:Object {key: 'ztf:ZTF0'}) CREATE (:Probe {note: 'without key'})-[:ABOUT {why: 'test'}]->(o)")
    return graph


@pytest.mark.services
def test_altering_one_value_of_any_included_property_alters_the_digest(populated: Driver, ask: Ask) -> None:
    before = digest(populated, "neo4j")
    excluded = {(item.owner, item.property) for item in load_exclusions()}
    tried = 0
    for pattern, owner in (("(x)", "labels(x)"), ("()-[x]->()", "[type(x)]")):
        for owners, name in ask(f"MATCH {pattern} UNWIND keys(x) AS name RETURN DISTINCT {owner}, name"):
            if excluded & {(o, n) for o in owners for n in (name, "*")}:
                continue
            find = f"MATCH {pattern} WHERE {owner} = $owners AND x[$name] IS NOT NULL RETURN elementId(x), x[$name]"
            identity, old = ask(find, owners=owners, name=name)[0]
            put = f"MATCH {pattern} WHERE elementId(x) = $identity SET x[$name] = $value"
            ask(put, identity=identity, name=name, value=_another(old))
            assert digest(populated, "neo4j") != before, (owners, name)
            ask(put, identity=identity, name=name, value=old)
            tried += 1
    assert tried > 50
    assert digest(populated, "neo4j") == before


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + (1 if isinstance(value, int) else 1e-6)
    return f"{value}~"


CHANGES = {
    "a node more": "CREATE (:Alert {key: 'ztf:99'})",
    "a node less": "MATCH (a:Alert {key: 'ztf:1'}) DETACH DELETE a",
    "a node without key or label": "CREATE ()",
    "a node whose key is no text": "CREATE (:Alert {key: 5})",
    "another label": "MATCH (a:Alert {key: 'ztf:1'}) SET a:Extra",
    "an edge less": "MATCH (:Object)-[r:HAS_ALERT]->(:Alert {key: 'ztf:1'}) DELETE r",
    "an edge twice": "MATCH (o:Object)-[:HAS_ALERT]->(a:Alert {key: 'ztf:1'}) CREATE (o)-[:HAS_ALERT]->(a)",
    "an edge reversed": "MATCH (o:Object)-[r:HAS_ALERT]->(a {key: 'ztf:1'}) DELETE r CREATE (a)-[:HAS_ALERT]->(o)",
    "another type of edge": "MATCH (o:Object)-[r:HAS_ALERT]->(a {key: 'ztf:1'}) DELETE r CREATE (o)-[:HAD_ALERT]->(a)",
    "a float for an integer": "MATCH (a:Alert {key: 'ztf:1'}) SET a.nBad = 1.0",
    "the last bit of a float": "MATCH (a:Alert {key: 'ztf:1'}) SET a.ra = 150.10000000000002",
}


@pytest.mark.services
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_any_change_of_structure_or_type_alters_the_digest(populated: Driver, ask: Ask, change: str) -> None:
    before = digest(populated, "neo4j")
    ask(change)
    assert digest(populated, "neo4j").hex != before.hex


@pytest.mark.services
def test_the_digest_counts_what_it_hashed(populated: Driver) -> None:
    found = digest(populated, "neo4j")
    assert found.nodes == {"Alert": 8, "Annotation": 4, "Asterism": 1, "Object": 4, "Probe": 1, "Probe:Source": 4}
    assert found.relationships == {"ABOUT": 3, "HAS_ALERT": 8, "SAME_AS": 4}


@pytest.mark.services
def test_an_exclusion_hides_one_property_or_a_whole_label(populated: Driver, ask: Ask) -> None:
    hidden = (Exclusion("Alert", "mag", "a test"), Exclusion("Source", "*", "a test"))
    before = digest(populated, "neo4j", hidden)
    assert "SAME_AS" not in before.relationships
    ask("MATCH (a:Alert) SET a.mag = 1.0")
    ask("MATCH (s:Source) SET s.ra = 2.0")
    assert digest(populated, "neo4j", hidden) == before
    ask("MATCH (a:Alert) SET a.magErr = 1.0")
    assert digest(populated, "neo4j", hidden) != before


@pytest.mark.services
def test_the_digest_does_not_depend_on_the_size_of_pages(populated: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(populated, "neo4j")
    monkeypatch.setattr("asterism.graph.digest._PAGE", 3)
    assert digest(populated, "neo4j") == before


@pytest.mark.services
def test_history_is_hashed_only_when_asked_for(populated: Driver, ask: Ask) -> None:
    now, ever = digest(populated, "neo4j"), digest(populated, "neo4j", history=True)
    assert now == ever
    ask(
        "MATCH (o:Object {key: 'ztf:ZTF0'}) CREATE (e:Probe {key: 'zz'}) "
        "CREATE (o)-[:CANDIDATE_FOR {open: true}]->(e), "
        "(o)-[:CLASSIFIED_AS]->(:Classification {key: 'k', current: true})"
    )
    now = digest(populated, "neo4j")
    assert now.relationships["CANDIDATE_FOR"] == now.nodes["Classification"] == 1
    assert now == digest(populated, "neo4j", history=True)
    ask(
        "MATCH (o:Object {key: 'ztf:ZTF0'}), (e:Probe {key: 'zz'}) "
        "CREATE (o)-[:CANDIDATE_FOR {open: false}]->(e), "
        "(o)-[:CLASSIFIED_AS]->(c:Classification {key: 'j', current: false}), "
        "(o)-[:CLASSIFIED_AS]->(:Classification {current: false}), (c)-[:ABOUT]->(e)"
    )
    assert digest(populated, "neo4j") == now
    ever = digest(populated, "neo4j", history=True)
    assert ever.relationships["CANDIDATE_FOR"] == 2
    assert ever.nodes["Classification"] == 3
    assert ever.relationships["CLASSIFIED_AS"] == 3
    assert ever.relationships["ABOUT"] == 4
    ask("MATCH (c:Classification {key: 'j'}) REMOVE c.current")
    assert digest(populated, "neo4j") != now
