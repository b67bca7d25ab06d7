"""Annotations in the graph: a function of the set of acts, and links take over what was said of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.audit import audit
from asterism.graph.curation.acts import Act, Kind, Subject
from asterism.graph.curation.write import lock_event, take_vetting, write_acts
from asterism.graph.digest import digest
from asterism.graph.writer import write_detections

pytestmark = pytest.mark.services

Ask = Callable[..., list[list[Any]]]
PAIR = Subject("ztf:ZTF1", "lvk:S1")
CONE = Subject(ra=150.0, dec=2.0, radius_arcsec=5.0)


def act(number: int, kind: Kind, state: str, *subjects: Subject, name: str | None = None, author: str = "ada") -> Act:
    text = None if kind in (Kind.TAG, Kind.WATCH) else f"because {number}"
    return Act(f"{number:032x}", kind, state, name, text, author, "01", 60000.0 + number, subjects)


ACTS = [
    act(1, Kind.VETTING, "rejected", PAIR),
    act(2, Kind.VETTING, "confirmed", PAIR, author="bob"),
    act(3, Kind.VETTING, "ambiguous", Subject("ztf:ZTF2", "lvk:S1")),
    act(4, Kind.COMMENT, "set", Subject("ztf:ZTF1")),
    act(5, Kind.COMMENT, "set", PAIR),
    act(6, Kind.TAG, "set", Subject("ztf:ZTF1"), name="kilonova"),
    act(7, Kind.TAG, "removed", Subject("ztf:ZTF1"), name="kilonova", author="bob"),
    act(8, Kind.WATCH, "set", Subject("ztf:ZTF1"), CONE, Subject(event_key="lvk:S1"), name="tonight"),
    act(9, Kind.WATCH, "removed", CONE, name="tonight"),
    act(10, Kind.WATCH, "set", CONE, name="tonight", author="bob"),
]


@pytest.fixture
def sky(graph: Driver, ask: Ask, detection: Callable[..., Any], detections: Callable[..., pa.Table]) -> Driver:
    table = detections(*(detection(number, f"ZTF{number}") for number in range(1, 4)))
    write_detections(graph, table, database="neo4j")
    ask("CREATE (:Event {key: 'lvk:S1'}), (:Event {key: 'lvk:S2'})")
    link(ask, "ztf:ZTF1", "l1")
    link(ask, "ztf:ZTF2", "l1")
    return graph


def link(ask: Ask, key: str, localization: str) -> None:
    ask(
        "MATCH (o:Object {key: $key}), (e:Event {key: 'lvk:S1'}) "
        "CREATE (o)-[:CANDIDATE_FOR {localization: $localization, open: true, vetting: 'pending'}]->(e)",
        key=key,
        localization=localization,
    )


def clear(ask: Ask) -> None:
    ask("MATCH (a:Annotation) DETACH DELETE a")
    ask("MATCH ()-[c:CANDIDATE_FOR {open: false}]->() DELETE c")
    ask("MATCH ()-[c:CANDIDATE_FOR]->() SET c = {localization: c.localization, open: true, vetting: 'pending'}")


def vettings(ask: Ask) -> dict[str, str]:
    return dict(ask("MATCH (o:Object)-[c:CANDIDATE_FOR {open: true}]->() RETURN o.key, c.vetting ORDER BY o.key"))


def test_the_last_word_on_each_subject_is_current(sky: Driver, ask: Ask) -> None:
    write_acts(sky, ACTS, database="neo4j")
    assert vettings(ask) == {"ztf:ZTF1": "confirmed", "ztf:ZTF2": "ambiguous"}
    current = ask("MATCH (a:Annotation) WHERE a.current RETURN a.key ORDER BY a.key")
    expected = [(2, 0), (3, 0), (4, 0), (5, 0), (7, 0), (8, 0), (8, 2), (9, 0), (10, 0)]
    assert [key for (key,) in current] == [f"annotation:{number:032x}-{index}" for number, index in expected]
    withdrawn = ask("MATCH (a:Annotation) WHERE a.withdrawnMjdTai IS NOT NULL RETURN a.key, a.withdrawnMjdTai")
    assert sorted(map(tuple, withdrawn)) == [(f"annotation:{6:032x}-0", 60007.0), (f"annotation:{8:032x}-1", 60009.0)]
    assert ask("MATCH (a:Annotation) RETURN count(a)") == [[12]]
    assert ask("MATCH (:Annotation)-[r:ABOUT]->(n) RETURN labels(n)[0] AS l, count(r) ORDER BY l") == [
        ["Event", 5],
        ["Object", 8],
    ]
    assert audit(sky, "neo4j").violations == []


def test_order_and_repetition_leave_the_same_graph(sky: Driver, ask: Ask) -> None:
    write_acts(sky, ACTS, database="neo4j")
    expected = digest(sky, "neo4j")
    for seed in range(6):
        clear(ask)
        rng = random.Random(seed)
        shuffled = [*ACTS, *rng.choices(ACTS, k=5)]
        rng.shuffle(shuffled)
        for part in (shuffled[:7], shuffled[7:]):
            write_acts(sky, part, database="neo4j")
        assert digest(sky, "neo4j") == expected


def test_writers_at_once_leave_one_current_act_and_its_state_on_the_link(sky: Driver, ask: Ask) -> None:
    states = ("confirmed", "rejected", "ambiguous", "pending")
    many = [act(number, Kind.VETTING, states[number % 4], PAIR) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: write_acts(sky, [one], database="neo4j"), random.Random(1).sample(many, 40)))
    assert ask("MATCH (a:Annotation {current: true}) RETURN a.key") == [[f"annotation:{39:032x}-0"]]
    assert vettings(ask)["ztf:ZTF1"] == "pending"
    assert audit(sky, "neo4j").violations == []


def test_a_new_link_takes_over_what_was_said_while_it_is_being_written(sky: Driver, ask: Ask) -> None:
    """The writer of links and that of acts, in a race for every new link."""

    def judge(number: int) -> None:
        with sky.session(database="neo4j") as session:

            def work(tx: Any) -> None:
                lock_event(tx, "lvk:S1")
                tx.run(
                    "MATCH (o:Object {key: 'ztf:ZTF1'}), (e:Event {key: 'lvk:S1'}) "
                    "CREATE (o)-[:CANDIDATE_FOR {localization: $l, open: true, vetting: 'pending'}]->(e)",
                    l=f"new{number}",
                ).consume()
                take_vetting(tx, "lvk:S1")

            session.execute_write(work)

    states = ("confirmed", "rejected")
    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            said = pool.submit(write_acts, sky, [act(number, Kind.VETTING, states[number % 2], PAIR)], database="neo4j")
            pool.submit(judge, number).result()
            said.result()
    held = "MATCH (:Object {key: 'ztf:ZTF1'})-[c:CANDIDATE_FOR {open: true}]->() RETURN DISTINCT c.vetting, count(c)"
    assert ask(held) == [["rejected", 21]]


def test_a_vetting_turns_the_page_of_a_belief_that_began_before_it_and_is_part_of_one_that_began_after(
    sky: Driver, ask: Ask
) -> None:
    for key, opened in (("ztf:ZTF1", 60000.5), ("ztf:ZTF2", 61000.0)):
        ask("MATCH (:Object {key: $key})-[c:CANDIDATE_FOR]->() SET c.openedMjdTai = $opened", key=key, opened=opened)
    write_acts(sky, [act(1, Kind.VETTING, "rejected", PAIR, Subject("ztf:ZTF2", "lvk:S1"))], database="neo4j")
    told = ask(
        "MATCH (o:Object)-[c:CANDIDATE_FOR]->() RETURN o.key AS key, c.openedMjdTai AS opened, c.closedMjdTai, "
        "c.closedBecause, c.vetting ORDER BY key, opened"
    )
    assert told == [
        ["ztf:ZTF1", 60000.5, 60001.0, "vetting", "pending"],
        ["ztf:ZTF1", 60001.0, None, None, "rejected"],
        ["ztf:ZTF2", 61000.0, None, None, "rejected"],
    ]


def test_what_is_not_in_the_graph_yet_is_linked_when_the_act_is_written_again(sky: Driver, ask: Ask) -> None:
    early = act(1, Kind.VETTING, "rejected", Subject("ztf:ZTF3", "lvk:S3"))
    write_acts(sky, [early], database="neo4j")
    assert [item.rule for item in audit(sky, "neo4j").violations] == ["an annotation hangs on what it is about"]
    ask("CREATE (:Event {key: 'lvk:S3'})")
    write_acts(sky, [early], database="neo4j")
    assert ask("MATCH (a:Annotation)-[:ABOUT]->(n) RETURN n.key AS key ORDER BY key") == [["lvk:S3"], ["ztf:ZTF3"]]
    assert audit(sky, "neo4j").violations == []
