"""A small made-up graph as plain rows, so that answers of the API can be computed beside it by looking at every row."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from neo4j import Driver

from asterism.graph.changes import mark_changed
from asterism.graph.schema import initialise
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import hpx29

Row = dict[str, Any]
T0 = 60000.0
EVENTS = ("lvk:S1", "lvk:S2", "gbm:bn1", "icecube:1_1")
CLASSES = ("fading", "rising", "unknown")
VETTING = ("pending", "confirmed", "ambiguous", "rejected")
CIRCLE = CircleLocalization(150.0, 2.0, 3.0, 0.9)


@dataclass
class World:
    """The rows of a graph, by label or type."""

    objects: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    sources: list[Row] = field(default_factory=list)
    galaxies: list[Row] = field(default_factory=list)
    classes: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    notices: list[Row] = field(default_factory=list)
    localizations: list[Row] = field(default_factory=list)
    annotations: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    links: list[Row] = field(default_factory=list)
    matches: list[Row] = field(default_factory=list)
    same_as: list[Row] = field(default_factory=list)
    coincidences: list[Row] = field(default_factory=list)

    def visible(self) -> dict[str, Row]:
        """Return the public objects by key."""
        return {row["key"]: row for row in self.objects if row["public"]}

    def current_class(self, key: str) -> str | None:
        """Return the class an object has by its current classification."""
        return next((k["class"] for k in self.classes if k["objectKey"] == key and k["current"] and k["public"]), None)

    def host_of(self, key: str) -> str | None:
        """Return the catalogued galaxy an object matches; there is one at most."""
        return next((m["to"] for m in self.matches if m["from"] == key), None)


def make_world(seed: int = 4) -> World:
    """Return the world of a seed."""
    rng, world = random.Random(seed), World()
    for number in range(70):
        survey = "ztf" if number % 3 else "lsst"
        ra, dec = 150.0 + rng.uniform(-4, 4), 2.0 + rng.uniform(-4, 4)
        first = T0 + rng.uniform(-5, 20)
        row = {
            "key": f"{survey}:{number:04d}",
            "survey": survey,
            "objectId": f"{number:04d}",
            "public": number % 7 != 6,
            "ra": ra,
            "dec": dec,
            "hpx29": int(hpx29(ra, dec)),
            "firstMjdTai": first,
            "lastMjdTai": first + rng.uniform(0, 30),
            "provisional": False,
            "lastMag": round(rng.uniform(17, 23), 1),
            "lastBand": "r",
            "nDetections": rng.randint(1, 9),
        }
        world.objects.append(row)
        _evidence(world, row, number, rng)
    _sources(world)
    for number, key in enumerate(EVENTS):
        _event(world, key, number, rng)
    _said(world)
    world.runs.append({"key": "run:1", "kind": "identity", "version": "1", "startedMjdTai": T0})
    return world


def _evidence(world: World, row: Row, number: int, rng: random.Random) -> None:
    key = row["key"]
    for k in range(3):
        alert = {name: row[name] for name in ("survey", "ra", "dec", "hpx29", "public")}
        source_id = str(100 * number + k)
        more = {"key": f"{row['survey']}:{source_id}", "sourceId": source_id, "objectKey": key, "night": 20200531}
        world.alerts.append(alert | more | {"mjdTai": row["firstMjdTai"] + k, "band": "r", "mag": 20.0 + k})
    if number % 2:
        for version, current in ((1, False), (2, True)):
            name = rng.choice(CLASSES)
            about = {"objectKey": key, "module": "fade", "version": version, "lastSourceId": "1", "class": name}
            seen = {"lastMjdTai": T0 + version, "public": True, "current": current, "prob": 0.5, "alerts": 3}
            world.classes.append(about | seen | {"key": f"{key}:fade:{version}:1"})
    if number % 4 < 2:
        galaxy = f"glade:1:g{number % 5}"
        match = {"separationArcsec": 1.0 + number, "rank": 1, "pChance": 0.01, "module": "match", "version": 1}
        world.matches.append(match | {"from": key, "to": galaxy, "public": True})
        if not any(one["key"] == galaxy for one in world.galaxies):
            place = {"catalogue": "glade", "release": "1", "id": galaxy.rpartition(":")[2], "ra": 150.0, "dec": 2.0}
            world.galaxies.append({"key": galaxy, "class": "galaxy", "distanceMpc": 40.0, "redshift": 0.01} | place)


def _sources(world: World) -> None:
    """Join objects 0 and 1, 2 and 3, ...: about two in three pairs span both surveys."""
    for one, two in zip(world.objects[::2], world.objects[1::2], strict=True):
        key = min(one["key"], two["key"])
        world.sources.append({"key": key, "ra": one["ra"], "dec": one["dec"]})
        world.same_as += [{"from": row["key"], "to": key, "separationArcsec": 0.2} for row in (one, two)]


def _event(world: World, key: str, number: int, rng: random.Random) -> None:
    notice, old = f"{number:064x}", f"{number + 100:064x}"
    localization = f"{notice}:0"
    event = {
        "key": key,
        "kind": {"lvk": "gw", "gbm": "grb", "icecube": "neutrino"}[key.partition(":")[0]],
        "standing": "real",
        "state": "retracted" if key == "lvk:S2" else "active",
        "version": 2,
        "t0MjdTai": T0 + number,
        "farHz": 10.0 ** -(7 + number),
        "currentLocalization": localization,
        "scoredLocalization": localization,
        "ruleSet": "asterism-1",
        "q": 0.2,
        "logSumL": 6.0,
        "nCandidates": 20,
    }
    world.events.append(event)
    for one, issued, current in ((old, T0 + 1, False), (notice, T0 + 2, True)):
        world.notices.append(
            {"key": one, "event": key, "mission": key[:3], "issuedMjdTai": issued, "channels": ["vtp"]}
        )
        place = {"kind": "circle", "ra": 150.0, "dec": 2.0, "record": json.dumps(CIRCLE.as_record())}
        more = {"area50": 10.0, "area90": 20.0 * (number + 1), "current": current, "notice": one}
        world.localizations.append({"key": f"{one}:0"} | place | more)
    for i, row in enumerate(rng.sample(world.objects, 30)):
        for which, is_open in ((f"{old}:0", False), (localization, i < 24)):
            if which == localization or i % 3 == 0:
                world.links.append(_link(row["key"], key, which, is_open=is_open, rng=rng))
    world.links.append(_link(world.objects[0]["key"], key, localization, is_open=True, rng=rng, rules="paper-2020"))


def _link(
    one: str, event: str, localization: str, *, is_open: bool, rng: random.Random, rules: str = "asterism-1"
) -> Row:
    return {
        "from": one,
        "to": event,
        "localization": localization,
        "ruleSet": rules,
        "open": is_open,
        "openedMjdTai": T0 + rng.randint(1, 4),
        "closedMjdTai": None if is_open else T0 + 6,
        "closedBecause": None if is_open else "localization",
        "logL": float(rng.randint(-3, 4)),
        "level": round(rng.uniform(0, 0.95), 2),
        "detections": rng.randint(1, 6),
        "vetting": rng.choice(VETTING),
    }


def _said(world: World) -> None:
    link = next(
        link for link in world.links if link["open"] and link["to"] == EVENTS[0] and link["from"] in world.visible()
    )
    hidden = next(link for link in world.links if link["to"] == EVENTS[0] and link["from"] not in world.visible())
    for number, (one, event, kind, state) in enumerate(
        [
            (link["from"], EVENTS[0], "vetting", "ambiguous"),
            (link["from"], EVENTS[0], "vetting", "confirmed"),
            (link["from"], EVENTS[0], "comment", None),
            (link["from"], None, "tag", None),
            (None, EVENTS[0], "comment", None),
            (hidden["from"], EVENTS[0], "comment", None),
        ]
    ):
        said = {
            "key": f"annotation:{number}",
            "kind": kind,
            "state": state,
            "text": f"because {number}",
            "author": "ada",
        }
        world.annotations.append(said | {"createdMjdTai": T0 + number, "objectKey": one, "eventKey": event})
    for number, is_open in enumerate((True, False)):
        first, second = (f"{n + 100 * number:064x}:0" for n in (0, 2))
        world.coincidences.append(
            {
                "from": EVENTS[0],
                "to": EVENTS[2],
                "firstLocalization": first,
                "secondLocalization": second,
                "ruleSet": "asterism-1",
                "open": is_open,
                "logOdds": 3.5 - number,
                "farHz": 1e-10,
                "chain": [EVENTS[0], EVENTS[2]],
            }
        )


NODES: dict[str, Callable[[World], list[Row]]] = {
    "Object": lambda world: world.objects,
    "Alert": lambda world: world.alerts,
    "Source": lambda world: world.sources,
    "CatalogSource": lambda world: world.galaxies,
    "Classification": lambda world: world.classes,
    "Event": lambda world: world.events,
    "Notice": lambda world: world.notices,
    "Localization": lambda world: world.localizations,
    "Annotation": lambda world: world.annotations,
    "Run": lambda world: world.runs,
}


def write_world(driver: Driver, world: World) -> None:
    """Empty the graph and write the world into it."""
    with driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
        initialise(driver, "neo4j")
        for label, rows in NODES.items():
            session.run(f"UNWIND $rows AS r CREATE (n:{label}) SET n = r", rows=rows(world)).consume()

        def join(kind: str, one: str, two: str, pairs: Iterable[tuple[str, str, Row]]) -> None:
            session.run(
                f"UNWIND $rows AS r MATCH (a:{one} {{key: r[0]}}), (b:{two} {{key: r[1]}}) "
                f"CREATE (a)-[x:{kind}]->(b) SET x = r[2]",
                rows=[list(pair) for pair in pairs],
            ).consume()

        join("HAS_ALERT", "Object", "Alert", ((a["objectKey"], a["key"], {}) for a in world.alerts))
        join("CLASSIFIED_AS", "Object", "Classification", ((k["objectKey"], k["key"], {}) for k in world.classes))
        join("MATCHES", "Object", "CatalogSource", map(_ends, world.matches))
        join("SAME_AS", "Object", "Source", map(_ends, world.same_as))
        join("CANDIDATE_FOR", "Object", "Event", map(_ends, world.links))
        join("COINCIDENT_WITH", "Event", "Event", map(_ends, world.coincidences))
        join("REPORTS", "Notice", "Event", ((n["key"], n["event"], {}) for n in world.notices))
        join("LOCALIZES", "Notice", "Localization", ((loc["notice"], loc["key"], {}) for loc in world.localizations))
        for one, label in (("objectKey", "Object"), ("eventKey", "Event")):
            join("ABOUT", "Annotation", label, ((n["key"], n[one], {}) for n in world.annotations if n[one]))
        session.execute_write(mark_changed, EVENTS)


def _ends(row: Row) -> tuple[str, str, Row]:
    return row["from"], row["to"], {name: value for name, value in row.items() if name not in ("from", "to")}
