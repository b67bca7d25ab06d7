"""Every recipe finds what brute force finds, shows nothing hidden, and starts from keys and indexes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from neo4j import READ_ACCESS, Driver

from asterism.graph.cypher import CypherLimits, checked_query, explain
from asterism.graph.cypher_plan import unanchored
from asterism.graph.errors import RecipeError
from asterism.graph.recipes.ask import ask_recipe, prepare
from asterism.graph.recipes.book import find_recipe, recipes
from benchmarks.recipe_world import RADIUS, World, make_world, write_world

Rows = list[dict[str, Any]]
EVENT, RETRACTED = "lvk:S0000", "lvk:S0003"
MAPS = Path("/nowhere")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(600, 3, 12, 80)


@pytest.fixture(scope="module")
def filled(neo4j_driver: Driver, world: World) -> Driver:
    with neo4j_driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    write_world(neo4j_driver, world, database="neo4j")
    return neo4j_driver


class Brute:
    """The answers, by loops over the rows of the world."""

    def __init__(self, world: World, shown: bool) -> None:
        self.world, self.shown = world, shown
        self.objects = {row["key"]: row for row in world.objects if row["public"] or shown}
        self.events = {row["key"]: row for row in world.events}
        self.catalogue = {row["key"]: row for row in world.catalogue}

    def visible(self, rows: Rows, name: str = "from") -> Rows:
        return [row for row in rows if row[name] in self.objects]

    def links(self, event: str) -> Rows:
        return [row for row in self.visible(self.world.links) if row["to"] == event]

    def verdicts(self, key: str) -> Rows:
        rows = [row for row in self.world.classifications if row["object"] == key and row["current"]]
        return sorted((row for row in rows if row["public"] or self.shown), key=lambda row: row["module"])

    def counterparts(self) -> Rows:
        event, found = self.events[EVENT], []
        for link in self.links(EVENT):
            if link["open"]:
                hosts = [row["to"] for row in self.world.hosts if row["from"] == link["from"]]
                verdicts = self.verdicts(link["from"])
                weight = event["q"] * math.exp(link["logL"])
                p = weight / (1 - event["q"] + event["q"] * math.exp(event["logSumL"]))
                found.append(
                    {"object": link["from"], "logL": link["logL"], "probability": pytest.approx(p, rel=1e-9)}
                    | {"host": hosts[0] if hosts else None, "class": verdicts[0]["class"] if verdicts else None}
                )
        return sorted(found, key=lambda row: (-row["logL"], row["object"]))

    def region(self) -> Rows:
        centre = next(row for row in self.world.localizations if row["event"] == EVENT)
        stars = {
            row["from"]
            for row in self.world.matches
            if self.catalogue[row["to"]]["class"] == "star" and (row["public"] or self.shown)
        }
        found = [
            {"object": key, "firstMjdTai": row["firstMjdTai"]}
            for key, row in self.objects.items()
            if _separation(row, centre) <= RADIUS
            and row["firstMjdTai"] >= self.events[EVENT]["t0MjdTai"]
            and key not in stars
        ]
        return sorted(found, key=lambda row: (row["firstMjdTai"], row["object"]))

    def explanations(self, key: str) -> Rows:
        found = [
            {"event": row["to"], "open": row["open"], "logL": row["logL"], "localization": row["localization"]}
            for row in self.visible(self.world.links)
            if row["from"] == key
        ]
        return sorted(found, key=lambda row: (not row["open"], -row["logL"], row["event"]))

    def other_surveys(self, key: str) -> Rows:
        members = [row["members"] for row in self.world.sources if key in row["members"]]
        others = [other for pair in members for other in pair if other != key and other in self.objects]
        times = {other: [row["mjdTai"] for row in self.world.alerts if row["object"] == other] for other in others}
        return [{"object": o, "alerts": len(times[o]), "newestMjdTai": max(times[o])} for o in others]

    def disagreements(self) -> Rows:
        found = []
        for key in {link["from"] for link in self.links(EVENT) if link["open"]}:
            sure = [row for row in self.verdicts(key) if row["prob"] >= 0.5]
            if len(sure) == 2 and sure[0]["class"] != sure[1]["class"]:
                found.append({"object": key, "oneProb": sure[0]["prob"], "twoProb": sure[1]["prob"]})
        return sorted(found, key=lambda row: -min(row["oneProb"], row["twoProb"]))

    def impostors(self) -> Rows:
        best = {link["from"]: link["logL"] for link in self.links(EVENT) if link["open"]}
        found = [
            {"object": row["from"], "logL": best[row["from"]], "catalogSource": row["to"], "pChance": row["pChance"]}
            for row in self.world.matches
            if row["from"] in best
            and row["pChance"] <= 0.05
            and (row["public"] or self.shown)
            and self.catalogue[row["to"]]["class"] in ("star", "agn")
        ]
        return sorted(found, key=lambda row: -row["logL"])

    def same_host(self, key: str) -> Rows:
        hosts = {row["to"] for row in self.world.hosts if row["from"] == key}
        found = [
            {"object": row["from"], "host": row["to"], "firstMjdTai": self.objects[row["from"]]["firstMjdTai"]}
            for row in self.visible(self.world.hosts)
            if row["to"] in hosts and row["from"] != key
        ]
        return sorted(found, key=lambda row: row["firstMjdTai"])

    def map_changes(self) -> Rows:
        one, two = (row["key"] for row in self.world.localizations if row["event"] == EVENT)
        held: dict[str, dict[str, float]] = {}
        for link in self.links(EVENT):
            if link["closedBecause"] != "object":
                held.setdefault(link["from"], {})[link["localization"]] = link["logL"]
        names = {(True, True): "kept", (True, False): "lost", (False, True): "gained"}
        found = [
            {"object": key, "change": names[one in maps, two in maps]}
            | {"logLBefore": maps.get(one), "logLAfter": maps.get(two)}
            for key, maps in held.items()
        ]
        return sorted(found, key=lambda row: -(row["logLBefore"] if row["logLAfter"] is None else row["logLAfter"]))

    def coincidences(self) -> Rows:
        def partners(event: str) -> set[str]:
            pairs = [(row["from"], row["to"]) for row in self.world.coincidences]
            return {b for a, b in pairs if a == event} | {a for a, b in pairs if b == event}

        def candidates(event: str) -> set[str]:
            return {link["from"] for link in self.links(event) if link["open"]}

        found = [
            {"event": other, "further": sorted(partners(other) - {EVENT})}
            | {"shared": sorted(candidates(EVENT) & candidates(other))[:20]}
            for other in partners(EVENT)
        ]
        times = {key: abs(row["t0MjdTai"] - self.events[EVENT]["t0MjdTai"]) for key, row in self.events.items()}
        return sorted(found, key=lambda row: times[row["event"]])

    def similar(self, key: str) -> Rows:
        found = []
        for row in self.visible(self.world.likenesses, "to"):
            if row["from"] == key:
                notes = [one for one in self.world.annotations if one["object"] == row["to"]]
                notes = [one for one in notes if one["withdrawnMjdTai"] is None]
                classes = [one["class"] for one in self.verdicts(row["to"])]
                found.append({"object": row["to"], "distance": row["distance"], "classes": classes, "n": len(notes)})
        return sorted(found, key=lambda row: row["distance"])

    def derived_by_run(self) -> Rows:
        links, hosts = self.visible(self.world.links), self.visible(self.world.hosts)
        kinds = {"COINCIDENT_WITH": self.world.coincidences, "CANDIDATE_FOR": links, "HOSTED_BY": hosts}
        found = [
            {"type": kind, "from": row["from"], "to": row["to"]}
            for kind, rows in kinds.items()
            for row in rows
            if row["run"] == "run-bad"
        ]
        return sorted(found, key=lambda row: (row["type"], row["from"], row["to"]))

    def loose_ends(self) -> Rows:
        found = set()
        for note in self.world.annotations:
            if note["withdrawnMjdTai"] is None:
                links = [row for row in self.visible(self.world.links) if row["from"] == note["object"]]
                events = [note["event"]] if note["event"] else [row["to"] for row in links]
                found |= {(e, note["object"], note["key"]) for e in events if self.events[e]["state"] == "retracted"}
        rows = [{"event": event, "object": about, "annotation": key} for event, about, key in found]
        return sorted(rows, key=lambda row: (row["event"], row["object"] or "~", row["annotation"]))


def _separation(one: dict[str, Any], two: dict[str, Any]) -> float:
    a, d, b, e = (math.radians(row[name]) for row in (one, two) for name in ("ra", "dec"))
    h = math.sin((d - e) / 2) ** 2 + math.cos(d) * math.cos(e) * math.sin((a - b) / 2) ** 2
    return math.degrees(2 * math.asin(math.sqrt(h)))


@pytest.fixture(scope="module")
def questions(world: World) -> dict[str, tuple[dict[str, Any], Callable[[Brute], Rows]]]:
    """What each recipe is asked, and the brute force that answers it."""
    visible = Brute(world, False)
    linked = visible.counterparts()[0]["object"]
    twin = next(r["members"][0] for r in world.sources if set(r["members"]) <= set(visible.objects))
    hosted = next(r["from"] for r in visible.visible(world.hosts) if visible.same_host(r["from"]))
    like = next(r["from"] for r in visible.visible(world.likenesses) if visible.similar(r["from"]))
    return {
        "counterparts": ({"event": EVENT, "first": 1000}, Brute.counterparts),
        "region": ({"event": EVENT}, Brute.region),
        "explanations": ({"object": linked}, lambda brute: brute.explanations(linked)),
        "other_surveys": ({"object": twin}, lambda brute: brute.other_surveys(twin)),
        "disagreements": ({"event": EVENT}, Brute.disagreements),
        "impostors": ({"event": EVENT}, Brute.impostors),
        "same_host": ({"object": hosted}, lambda brute: brute.same_host(hosted)),
        "map_changes": ({"event": EVENT}, Brute.map_changes),
        "coincidences": ({"event": EVENT}, Brute.coincidences),
        "similar": ({"object": like}, lambda brute: brute.similar(like)),
        "derived_by_run": ({"run": "run-bad"}, Brute.derived_by_run),
        "loose_ends": ({}, Brute.loose_ends),
    }


def test_there_are_twelve_in_order_each_with_its_columns_and_bounds() -> None:
    assert [recipe.number for recipe in recipes().values()] == list(range(1, 13))
    for recipe in recipes().values():
        assert recipe.question.endswith("?")
        assert "$first" in recipe.query
        assert "$showNonpublic" in recipe.query
        for name in recipe.parameters:
            assert f"${name}" in recipe.query or "$ranges" in recipe.query


@pytest.mark.services
@pytest.mark.parametrize("shown", [False, True], ids=["public", "all"])
@pytest.mark.parametrize("name", list(recipes()))
def test_a_recipe_finds_what_brute_force_finds(
    filled: Driver, world: World, questions: Any, name: str, shown: bool
) -> None:
    parameters, brute = questions[name]
    answer = ask_recipe(filled, find_recipe(name), parameters, database="neo4j", maps=MAPS, show_nonpublic=shown)
    expected = brute(Brute(world, shown))
    assert expected, "the world has no answer to this question"
    assert answer.columns == list(find_recipe(name).columns)
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    if name == "similar":
        rows = [row | {"n": len(row["annotations"])} for row in rows]
    if name == "loose_ends":
        rows.sort(key=lambda row: (row["event"], row["object"] or "~", row["annotation"]))
    assert [{column: row[column] for column in expected[0]} for row in rows] == expected


@pytest.mark.services
@pytest.mark.parametrize("name", list(recipes()))
def test_a_recipe_starts_from_keys_or_indexes(filled: Driver, questions: Any, name: str) -> None:
    query = prepare(filled, find_recipe(name), questions[name][0], database="neo4j", maps=MAPS, show_nonpublic=False)
    with filled.session(default_access_mode=READ_ACCESS) as session, session.begin_transaction() as tx:
        assert unanchored(explain(tx, query)) == []


@pytest.mark.services
def test_a_plan_that_reads_everything_is_told(filled: Driver) -> None:
    scans = {
        "MATCH (n) RETURN n.x": ["AllNodesScan"],
        "MATCH (o:Object) RETURN o.ra": ["NodeByLabelScan"],
        "MATCH ()-[r:MATCHES]->() RETURN r.rank": ["DirectedRelationshipTypeScan"],
        "MATCH (o:Object) WHERE o.key IS NOT NULL RETURN o.key": ["NodeIndexScan"],
    }
    with filled.session(default_access_mode=READ_ACCESS) as session, session.begin_transaction() as tx:
        for text, names in scans.items():
            assert unanchored(explain(tx, checked_query(text, {}))) == names


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("nonsense", {}, "no recipe"),
        ("counterparts", {}, "needs event"),
        ("counterparts", {"event": 5}, "parameter event"),
        ("counterparts", {"event": "x", "first": 0}, "first"),
        ("counterparts", {"event": "x", "first": True}, "first"),
        ("counterparts", {"event": "x", "sort": "ra"}, "no parameter 'sort'"),
        ("impostors", {"event": "x", "classes": ["star", 1]}, "classes"),
    ],
)
def test_a_recipe_asked_wrongly_says_what_it_wants(name: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        find_recipe(name).bound(given)
    assert caught.value.advice


@pytest.mark.services
@pytest.mark.parametrize("event", ["lvk:S9999", RETRACTED])
def test_an_event_without_region_is_refused(filled: Driver, event: str) -> None:
    with pytest.raises(RecipeError, match=event):
        ask_recipe(filled, find_recipe("region"), {"event": event}, database="neo4j", maps=MAPS)


@pytest.mark.services
def test_a_recipe_stops_at_the_rows_it_was_asked_for(filled: Driver) -> None:
    answer = ask_recipe(
        filled,
        find_recipe("counterparts"),
        {"event": EVENT, "first": 2},
        database="neo4j",
        maps=MAPS,
        limits=CypherLimits(rows=10),
    )
    assert len(answer.rows) == 2
