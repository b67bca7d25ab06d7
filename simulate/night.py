"""Nights with events: alerts of two surveys and notices of four missions in order of time, and the truth about them.

The same arguments give the same bytes. A night is planned whole (what every visit measures fits in some ten MB) and
written packet by packet while `Night.timeline` runs, so 15,000 packets of real size never lie in memory together.
Whatever the simulator knows of a thing stands in `Night.objects`: the only place where a counterpart is told from
the crowd.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from asterism.simulate.alerts import Alerts
from asterism.simulate.catalogue import draw_catalogue
from asterism.simulate.decoys import draw_decoys
from asterism.simulate.events import Counterpart, SimulatedEvent, TimedNotice
from asterism.simulate.identifiers import Identifiers
from asterism.simulate.observe import Shots, Sightings, Tile, join, number, observe_objects, observe_shots
from asterism.simulate.scenarios import NIGHTS, Scene, draw_scene, first_night
from asterism.simulate.sky import (
    CROWDS,
    KINDS,
    Objects,
    Patch,
    draw_anywhere,
    draw_catalogued,
    draw_crowd,
)
from asterism.simulate.stream import Message
from asterism.simulate.survey import OBSERVATORIES, Schedule
from asterism.simulate.truth_table import object_table
from asterism.simulate.wire_lsst import OWN_WIRE, LsstWire
from asterism.sky.circle import CircleLocalization

_ALERTS_OF_A_STAR, _STAR_SHARE, _AGN_SHARE = 16.0, 0.12, 0.04
_ASTEROID_SHARE = 0.45
"""Of the sightings that fill the budget; the rest are artefacts."""
_BLANK_RADIUS = 6.0


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """An alert and when it is distributed."""

    available_mjd_tai: float
    message: Message


@dataclass(frozen=True, eq=False)
class Night:
    """Several simulated nights.

    Parameters
    ----------
    scene : Scene
        Nights and events.
    seed : int
        Seed of everything.
    catalogue : pyarrow.Table
        Known stars, AGN and galaxies (`asterism.simulate.catalogue`).
    objects : pyarrow.Table
        Everything that was detected, one row for each object of each survey (`asterism.simulate.truth_table`).
    wire : LsstWire
        The schema of its LSST packets.
    """

    scene: Scene
    seed: int
    catalogue: pa.Table
    objects: pa.Table
    wire: LsstWire
    _tiles: tuple[list[Tile], ...]
    _alerts: tuple[Alerts, ...]
    _plan: tuple[tuple[float, int, int, int, int], ...]

    @property
    def events(self) -> tuple[SimulatedEvent, ...]:
        """Events of the night."""
        return self.scene.events

    def timeline(self) -> Iterator[AlertMessage | TimedNotice]:
        """Yield alerts and notices in order of the time at which they become available."""
        alerts = (
            AlertMessage(available, self._alerts[survey].message(place, row, column))
            for available, survey, place, row, column in self._plan
        )
        notices = sorted((n for e in self.events for n in e.notices), key=lambda n: n.available_mjd_tai)
        streams: tuple[Iterable[AlertMessage | TimedNotice], ...] = (alerts, notices)
        yield from heapq.merge(*streams, key=lambda item: item.available_mjd_tai)

    def counts(self) -> dict[str, int]:
        """Return the number of alerts of each survey, and of notices."""
        of = Counter(OBSERVATORIES[survey].name for _, survey, *_ in self._plan)
        return {"ztf": of["ztf"], "lsst": of["lsst"], "notices": sum(len(event.notices) for event in self.events)}

    @property
    def truth(self) -> dict[str, Any]:
        """Return events with their true objects, and counts, as JSON-ready values."""
        rows = self.objects.select(["objectKey", "events"]).to_pylist()
        kinds = Counter(
            KINDS[int(self._tiles[survey][place].kind[row])].value for _, survey, place, row, _ in self._plan
        )
        return {
            "scenario": self.scene.scenario,
            "seed": self.seed,
            "first_mjd_tai": float(self.scene.first_night),
            "last_mjd_tai": float(self.scene.last_night + 1),
            "counts": self.counts(),
            "alerts_by_kind": dict(sorted(kinds.items())),
            "objects": len(rows),
            "events": [_event_truth(event, rows) for event in self.events],
        }


def build_night(
    scenario: str,
    seed: int,
    *,
    ztf: int = 12_000,
    lsst: int = 6_000,
    sky_map: Path | None = None,
    wire: LsstWire = OWN_WIRE,
) -> Night:
    """Plan nights with events.

    Parameters
    ----------
    scenario : str
        One of `asterism.simulate.scenarios.SCENARIOS`.
    seed : int
        Non-negative.
    ztf, lsst : int
        Alerts of each survey. What the events need comes first; known asteroids, artefacts and catalogued variables
        fill up to these numbers. If the events need more, there are more.
    sky_map : Path, optional
        Scenario gw170817: a FITS file in place of our approximation of the published map.
    wire : LsstWire
        The schema LSST packets are written with.

    Raises
    ------
    SimulateError
        If the scenario is unknown, or no survey can follow its counterpart.
    """
    start = first_night(scenario, seed)
    schedules = tuple(Schedule(spec, seed, start, start + NIGHTS - 1) for spec in OBSERVATORIES)
    rng = np.random.default_rng([seed, 11])
    scene = draw_scene(scenario, seed, schedules, rng, sky_map)
    patches = _patches(scene)
    objects = [draw_crowd(rng, patch, start, start + NIGHTS) for patch in patches]
    distances: dict[int, float] = {}
    if scenario != "gw170817":
        for event, patch in zip(scene.events, patches, strict=False):
            decoys, first = draw_decoys(rng, event, patch), sum(map(len, objects))
            if event.counterpart is not None:
                distances |= dict.fromkeys(range(first, first + len(decoys)), event.counterpart.distance_mpc)
            objects.append(decoys)
    truths: dict[Counterpart, list[str]] = {}
    for event in scene.events:
        if event.counterpart is not None:
            truths.setdefault(event.counterpart, []).append(event.key)
    objects += [Objects.of(t.kind, *(np.array([x]) for x in (t.ra, t.dec, t.epoch, t.mag, t.shape))) for t in truths]
    everything = Objects.join(objects)
    first_truth = len(everything) - len(truths)
    stars, agn = (round(share * ztf / _ALERTS_OF_A_STAR) for share in (_STAR_SHARE, _AGN_SHARE))
    everything = Objects.join([everything, draw_catalogued(rng, patches, stars, agn, start)])
    site, tiles = len(everything), []
    for schedule, wanted in zip(schedules, (ztf, lsst), strict=True):
        seen, site = _observe(rng, schedule, patches, everything, site, wanted)
        tiles.append(seen)
    distances |= {first_truth + i: truth.distance_mpc for i, truth in enumerate(truths)}
    catalogue = draw_catalogue(
        rng, patches, everything, distances, f"{scenario}-{seed}", ngc4993=scenario == "gw170817"
    )
    return _assemble(scene, seed, schedules, tuple(tiles), catalogue, first_truth, list(truths.values()), wire)


def _patches(scene: Scene) -> list[Patch]:
    """Return the sky around each event; events at one place share a patch."""
    if not scene.events:
        blank = [CircleLocalization(ra, dec, _BLANK_RADIUS, 0.9) for ra, dec in scene.blank]
        return [Patch.around([circle], CROWDS["quiet"]) for circle in blank]
    patches, known = [], set()
    for event in scene.events:
        if event.counterpart is None or event.counterpart not in known:
            patches.append(Patch.around(event.localizations[-2:], CROWDS[event.crowd]))
            known.add(event.counterpart)
    return patches


def _observe(
    rng: np.random.Generator, schedule: Schedule, patches: list[Patch], objects: Objects, first_site: int, wanted: int
) -> tuple[list[Tile], int]:
    """Return what a survey sees, and the next free site: objects, then sightings up to the wanted number."""
    start = float(schedule.first_night)
    seen = observe_objects(schedule, objects, rng)
    sightings = Sightings(schedule, start, rng)
    shots = [sightings.unknown(patch, float(NIGHTS)) for patch in patches]
    missing = wanted - _run_alerts(seen, start) - sum(map(len, shots))
    while missing > 0:
        asteroids = max(1, round(_ASTEROID_SHARE * missing / 2.0))
        more = Shots.join(
            [
                sightings.known_asteroids(*draw_anywhere(rng, patches, asteroids)),
                sightings.artefacts(*draw_anywhere(rng, patches, missing)),
            ]
        )
        shots.append(more.take(np.arange(min(missing, len(more)))))
        missing -= len(shots[-1])
    once = Shots.join(shots)
    return join([*seen, *observe_shots(schedule, once, first_site, rng)]), first_site + len(once)


def _run_alerts(tiles: list[Tile], start: float) -> int:
    return sum(int(tile.detected[:, tile.visits.mjd_tai >= start].sum()) for tile in tiles)


def _assemble(
    scene: Scene,
    seed: int,
    schedules: tuple[Schedule, ...],
    tiles: tuple[list[Tile], ...],
    catalogue: pa.Table,
    first_truth: int,
    events: list[list[str]],
    wire: LsstWire,
) -> Night:
    """Name everything and put the alerts in order of time."""
    ordered = [number(seen) for seen in tiles]
    names = Identifiers(seed, ordered[1], _year(scene.first_night))
    twins = np.intersect1d(ordered[0], ordered[1])
    specs = [schedule.observatory for schedule in schedules]
    alerts = tuple(Alerts(spec, seen, names, twins, wire) for spec, seen in zip(specs, tiles, strict=True))
    truth_sites = {first_truth + i: key for i, key in enumerate(events)}
    plan: list[tuple[float, int, int, int, int]] = []
    for survey, seen in enumerate(tiles):
        for place, tile in enumerate(seen):
            plan += _tile_plan(tile, survey, place, float(scene.first_night))
    objects = object_table(specs, tiles, alerts, truth_sites, float(scene.first_night))
    return Night(scene, seed, catalogue, objects, wire, tiles, alerts, tuple(sorted(plan)))


def _tile_plan(tile: Tile, survey: int, place: int, start: float) -> list[tuple[float, int, int, int, int]]:
    rows, columns = np.nonzero(tile.detected & (tile.visits.mjd_tai >= start))
    available = tile.visits.available[columns].tolist()
    return [
        (when, survey, place, row, column)
        for when, row, column in zip(available, rows.tolist(), columns.tolist(), strict=True)
    ]


def _year(night: int) -> int:
    return int((night - 51544) / 365.25)


def _event_truth(event: SimulatedEvent, rows: list[dict[str, Any]]) -> dict[str, Any]:
    truth, last = event.counterpart, event.localizations[-1]
    mine = [row["objectKey"] for row in rows if event.key in row["events"]]
    return {
        "event": event.key,
        "kind": event.kind,
        "t0_mjd_tai": event.t0_mjd_tai,
        "retracted": event.retracted,
        "notices": [notice.name for notice in event.notices],
        "true_objects": sorted(mine),
        "counterpart": None if truth is None else truth.kind.value,
        "ra": None if truth is None else truth.ra,
        "dec": None if truth is None else truth.dec,
        "credible_level": None if truth is None else float(last.credible_level(truth.ra, truth.dec)),
        "area_90_deg2": last.area(0.9),
    }
