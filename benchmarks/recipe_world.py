"""A made-up graph in which every recipe has answers: as plain rows to compute with, and written into Neo4j.

Not a night as it would come: links, hosts, likeness and notes are drawn at random, whatever the sky says, so that the
answers of a recipe cannot be guessed from anything but its rows. A tenth of all objects, classifications and matches is
restricted.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from neo4j import Driver

from asterism.graph.schema import initialise
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import hpx29

Row = dict[str, Any]
T0 = 61000.0
"""Time of the first event [MJD TAI]."""
RADIUS = 4.0
"""Radius of every region [deg], containment 0.9."""
RUNS = ("run-good", "run-bad")
_BATCH = 5000


@dataclass
class World:
    """The rows of a graph, by what they become.

    Parameters
    ----------
    objects, alerts, sources, catalogue, classifications, events, localizations, annotations : list of dict
        Nodes.
    links, matches, hosts, coincidences, likenesses : list of dict
        Relationships; ``from`` and ``to`` are keys.
    """

    objects: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    sources: list[Row] = field(default_factory=list)
    catalogue: list[Row] = field(default_factory=list)
    classifications: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    localizations: list[Row] = field(default_factory=list)
    annotations: list[Row] = field(default_factory=list)
    links: list[Row] = field(default_factory=list)
    matches: list[Row] = field(default_factory=list)
    hosts: list[Row] = field(default_factory=list)
    coincidences: list[Row] = field(default_factory=list)
    likenesses: list[Row] = field(default_factory=list)


def make_world(objects: int, alerts_each: int, events: int, links_each: int, seed: int = 1) -> World:
    """Return a world of a given size; the same seed gives the same one."""
    rng = random.Random(seed)
    world = World()
    _add_events(world, rng, events)
    _add_objects(world, rng, objects, alerts_each)
    _add_evidence(world, rng)
    _add_links(world, rng, links_each)
    return world


def _add_events(world: World, rng: random.Random, count: int) -> None:
    for number in range(count):
        key = f"lvk:S{number:04d}"
        retracted = number % 4 == 3
        centre = (rng.uniform(0.0, 360.0), rng.uniform(-60.0, 60.0))
        record = json.dumps(CircleLocalization(*centre, RADIUS, 0.9).as_record())
        maps = [f"map{number:04d}{version}:0" for version in (1, 2)]
        for version, name in enumerate(maps):
            world.localizations.append(
                {"key": name, "event": key, "record": record, "validFromMjdTai": T0 + number + version, "ra": centre[0]}
                | {"dec": centre[1], "current": version == 1 and not retracted}
            )
        world.events.append(
            {"key": key, "kind": "gw", "standing": "real", "state": "retracted" if retracted else "active"}
            | {"t0MjdTai": T0 + number, "ruleSet": "asterism-1", "q": 0.3, "logSumL": 6.0}
            | {"scoredLocalization": maps[1], "currentLocalization": None if retracted else maps[1]}
            | {"retractedMjdTai": T0 + number + 3 if retracted else None}
        )
    for number in range(count - 1):
        one, two = world.events[number], world.events[(number * 7 + 1) % count]
        if one is not two:
            world.coincidences.append(
                {"from": one["key"], "to": two["key"], "run": RUNS[number % 2], "logOverlap": float(number)}
            )


def _place(rng: random.Random, centre: Row) -> tuple[float, float]:
    """Return a position clearly inside the region or clearly outside it."""
    inside = rng.random() < 0.5
    radius = RADIUS * (rng.uniform(0.0, 0.85) if inside else rng.uniform(1.4, 4.0))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    dec = centre["dec"] + radius * np.cos(angle)
    ra = centre["ra"] + radius * np.sin(angle) / max(0.05, np.cos(np.radians(dec)))
    return float(ra % 360.0), float(np.clip(dec, -89.0, 89.0))


def _add_objects(world: World, rng: random.Random, count: int, alerts_each: int) -> None:
    centres = [row for row in world.localizations if row["current"]]
    places = [_place(rng, centres[number % len(centres)]) for number in range(count)]
    cells = hpx29(np.array([ra for ra, _ in places]), np.array([dec for _, dec in places]))
    for number, (ra, dec) in enumerate(places):
        survey = ("ztf", "lsst")[number % 2]
        first = T0 + rng.uniform(-30.0, 60.0)
        key = f"{survey}:{number}"
        row = {"key": key, "survey": survey, "objectId": str(number), "public": number % 10 != 9, "ra": ra, "dec": dec}
        row |= {"hpx29": int(cells[number]), "firstMjdTai": first, "lastMjdTai": first + alerts_each, "lastBand": "r"}
        row |= {"lastMag": rng.uniform(17.0, 22.0), "brightestMag": rng.uniform(15.0, 17.0), "nDetections": alerts_each}
        world.objects.append(row)
        for visit in range(alerts_each):
            alert = {"key": f"{survey}:{number * 1000 + visit}", "object": key, "public": row["public"]}
            world.alerts.append(alert | {"mjdTai": first + visit, "mag": row["lastMag"], "band": "gri"[visit % 3]})
    for number in range(0, count - 1, 10):
        world.sources.append({"key": f"ztf:{number}", "members": [f"ztf:{number}", f"lsst:{number + 1}"]})


def _add_evidence(world: World, rng: random.Random) -> None:
    count = len(world.objects)
    for number in range(max(20, count // 20)):
        kind = ("galaxy", "star", "agn")[number % 3]
        world.catalogue.append({"key": f"cat:1:{number}", "class": kind, "type": f"{kind}-a"})
    galaxies = [row["key"] for row in world.catalogue if row["class"] == "galaxy"]
    for number, row in enumerate(world.objects):
        for module in ("fade", "learned")[: 1 + number % 2]:
            kind = rng.choice(("supernova", "kilonova", "variable"))
            world.classifications.append(
                {"key": f"{row['key']}:{module}:1:9", "object": row["key"], "module": module, "class": kind}
                | {"prob": rng.uniform(0.3, 1.0), "current": rng.random() < 0.9, "public": rng.random() < 0.9}
                | {"lastMjdTai": row["lastMjdTai"]}
            )
        if number % 3 == 0:
            world.hosts.append(
                {"from": row["key"], "to": rng.choice(galaxies), "rank": 1, "run": RUNS[rng.random() < 0.05]}
            )
        if number % 2 == 0:
            world.matches.append(
                {"from": row["key"], "to": rng.choice(world.catalogue)["key"], "pChance": rng.uniform(0.0, 0.1)}
                | {"separationArcsec": rng.uniform(0.0, 2.0), "public": rng.random() < 0.9}
            )
        if number % 50 == 0:
            for other in rng.sample(world.objects, min(5, count)):
                world.likenesses.append(
                    {"from": row["key"], "to": other["key"], "metric": "cosine", "distance": rng.random()}
                )


def _add_links(world: World, rng: random.Random, each: int) -> None:
    for number, event in enumerate(world.events):
        maps = [row["key"] for row in world.localizations if row["event"] == event["key"]]
        retracted = event["state"] == "retracted"
        for row in rng.sample(world.objects, min(each, len(world.objects))):
            for version in sorted({rng.randrange(2), rng.randrange(2)}):
                kept = version == 1 and not retracted and rng.random() < 0.8
                why = None if kept else "event" if retracted else ("localization", "object")[version]
                world.links.append(
                    {"from": row["key"], "to": event["key"], "localization": maps[version], "ruleSet": "asterism-1"}
                    | {"open": kept, "closedBecause": why, "logL": rng.uniform(-5.0, 5.0), "level": rng.random()}
                    | {"delayDays": rng.uniform(0.0, 9.0), "vetting": "pending", "run": RUNS[rng.random() < 0.02]}
                )
        linked = sorted({link["from"] for link in world.links[-each:]})
        for about in (linked[0], linked[-1], None):
            name = f"note{number}{'abc'[len(world.annotations) % 3]}"
            world.annotations.append(
                {"key": name, "kind": "comment", "text": f"on {about}", "author": "ann", "createdMjdTai": T0 + number}
                | {"object": about, "event": None if about else event["key"]}
                | {"withdrawnMjdTai": T0 + 99 if len(world.annotations) % 5 == 4 else None}
            )


_NODES = {
    "objects": "CREATE (n:Object) SET n = r",
    "alerts": "MATCH (o:Object {key: r.object}) CREATE (o)-[:HAS_ALERT]->(n:Alert) "
    "SET n = r, n.objectKey = r.object, n.object = null",
    "sources": "CREATE (s:Source {key: r.key}) WITH s, r UNWIND r.members AS member MATCH (o:Object {key: member}) "
    "CREATE (o)-[:SAME_AS {separationArcsec: CASE member WHEN r.key THEN 0.0 ELSE 0.4 END}]->(s)",
    "catalogue": "CREATE (n:CatalogSource) SET n = r",
    "classifications": "MATCH (o:Object {key: r.object}) CREATE (o)-[:CLASSIFIED_AS]->(n:Classification) "
    "SET n = r, n.objectKey = r.object, n.object = null",
    "events": "CREATE (n:Event) SET n = r",
    "localizations": "MATCH (e:Event {key: r.event}) CREATE (e)<-[:REPORTS]-(:Notice {key: r.key + 'n'})"
    "-[:LOCALIZES]->(n:Localization) SET n = r, n.event = null",
    "annotations": "CREATE (a:Annotation {key: r.key}) SET a = r, a.objectKey = r.object, a.eventKey = r.event, "
    "a.object = null, a.event = null WITH a OPTIONAL MATCH (o:Object {key: a.objectKey}) "
    "OPTIONAL MATCH (e:Event {key: a.eventKey}) WITH a, coalesce(o, e) AS about CREATE (a)-[:ABOUT]->(about)",
}
_EDGES = {
    "links": ("Object", "CANDIDATE_FOR", "Event"),
    "matches": ("Object", "MATCHES", "CatalogSource"),
    "hosts": ("Object", "HOSTED_BY", "CatalogSource"),
    "coincidences": ("Event", "COINCIDENT_WITH", "Event"),
    "likenesses": ("Object", "SIMILAR", "Object"),
}


def write_world(driver: Driver, world: World, *, database: str) -> None:
    """Write a world into an empty database and wait for its indexes."""
    initialise(driver, database)
    with driver.session(database=database) as session:
        for name, statement in _NODES.items():
            for rows in _batches(getattr(world, name)):
                session.run(f"UNWIND $rows AS r {statement}", rows=rows).consume()
        for name, (start, kind, end) in _EDGES.items():
            for rows in _batches(getattr(world, name)):
                session.run(
                    f"UNWIND $rows AS r MATCH (a:{start} {{key: r.from}}), (b:{end} {{key: r.to}}) "
                    f"CREATE (a)-[e:{kind}]->(b) SET e = r, e.from = null, e.to = null",
                    rows=rows,
                ).consume()
        session.run("CALL db.awaitIndexes(300)").consume()


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]
