"""What a survey's visits make of the sky: fluxes with noise, detections at 5 sigma, and one-time detections.

A `Tile` holds everything one survey knows of one tile: a row for each object, a column for each visit. Histories,
limits and forced photometry of every packet are read off the same table, so they cannot contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from asterism.simulate.lightcurves import Kind, difference_flux
from asterism.simulate.sky import KINDS, Objects, Patch, asteroid_density
from asterism.simulate.survey import Schedule, Visits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

THRESHOLD = 5.0
"""Signal-to-noise ratio of a detection."""
_SCATTER_DEG = {"ztf": 0.12 / 3600.0, "lsst": 0.05 / 3600.0}
_OFFSET_DEG = 0.10 / 3600.0
"""Between the astrometric frames of the surveys."""
_MOTION_DEG_PER_DAY = 0.22


@dataclass(frozen=True, eq=False)
class Shots:
    """Detections of what is there once: moving objects and artefacts, one array element each."""

    kind: Ints
    ra: Floats
    dec: Floats
    tile: Ints
    visit: Ints
    """Column of the tile."""
    snr: Floats
    reliability: Floats
    body: Ints
    """Number of the known Solar System object; -1 for none."""
    body_distance: Floats
    """To that object [arcsec]; NaN for none."""

    def __len__(self) -> int:
        return len(self.ra)

    def take(self, which: NDArray[np.generic]) -> Self:
        """Return some of the detections."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Return all detections of the parts, in order."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


class Sightings:
    """Draws one-time detections of one survey.

    Parameters
    ----------
    schedule : Schedule
        The survey's visits.
    first : float
        Start of the run, MJD TAI: earlier visits get none.
    rng : numpy.random.Generator
        Source of every draw.
    """

    def __init__(self, schedule: Schedule, first: float, rng: np.random.Generator) -> None:
        self._schedule, self._first, self._rng = schedule, first, rng
        self._visits: dict[int, Ints] = {}
        self._bodies = 0

    def unknown(self, patch: Patch, days: float) -> Shots:
        """Return what passes every cut on a patch: moving objects without orbit, artefacts that look real."""
        area = patch.area_deg2 * days
        ra, dec = patch.draw(self._rng, int(self._rng.poisson(1.5 * area * patch.crowd.unknown_asteroids)))
        kept = self._rng.random(len(ra)) < asteroid_density(ra, dec) / 1.5
        moving = self._at(Kind.UNKNOWN_ASTEROID, ra[kept], dec[kept], (0.80, 1.0))
        ra, dec = patch.draw(self._rng, int(self._rng.poisson(area * patch.crowd.bogus)))
        return Shots.join([moving, self._at(Kind.ARTEFACT, ra, dec, (0.5, 0.85))])

    def known_asteroids(self, ra: Floats, dec: Floats) -> Shots:
        """Return sightings of catalogued asteroids, each in two visits of a night where there are two."""
        once = self._at(Kind.ASTEROID, ra, dec, (0.8, 1.0))
        again = once.take(np.flatnonzero([self._same_night(*pair) for pair in self._pairs(once)]))
        hours = np.array([self._gap(tile, visit) for tile, visit in self._pairs(again)], dtype=np.float64)
        moved = again.ra + _MOTION_DEG_PER_DAY * hours / np.cos(np.radians(again.dec))
        return Shots.join([once, replace(again, ra=moved, visit=again.visit + 1)])

    def artefacts(self, ra: Floats, dec: Floats) -> Shots:
        """Return artefacts that the real/bogus score gives away."""
        return self._at(Kind.ARTEFACT, ra, dec, (0.0, 0.45))

    def _at(self, kind: Kind, ra: Floats, dec: Floats, reliability: tuple[float, float]) -> Shots:
        """Return detections at positions, in a random visit of the run; none where the survey does not look."""
        tile = self._schedule.tile(ra, dec)
        runs = [self._run_visits(int(t)) for t in tile]
        kept = np.flatnonzero([len(run) > 0 for run in runs])
        visit = [int(runs[i][int(self._rng.integers(0, len(runs[i])))]) for i in kept]
        n = len(kept)
        known = kind is Kind.ASTEROID
        body = np.arange(self._bodies, self._bodies + n) if known else np.full(n, -1)
        self._bodies += n if known else 0
        return Shots(
            kind=np.full(n, KINDS.index(kind)),
            ra=ra[kept],
            dec=dec[kept],
            tile=tile[kept],
            visit=np.array(visit, dtype=np.int64),
            snr=THRESHOLD + self._rng.exponential(6.0, n) + 0.1,
            reliability=self._rng.uniform(*reliability, n),
            body=body,
            body_distance=self._rng.uniform(0.1, 2.5, n) if known else np.full(n, np.nan),
        )

    def _run_visits(self, tile: int) -> Ints:
        if tile not in self._visits:
            times = self._schedule.visits(tile).mjd_tai if tile >= 0 else np.empty(0)
            self._visits[tile] = np.flatnonzero(times >= self._first)
        return self._visits[tile]

    def _pairs(self, shots: Shots) -> list[tuple[int, int]]:
        return list(zip(shots.tile.tolist(), shots.visit.tolist(), strict=True))

    def _same_night(self, tile: int, visit: int) -> bool:
        return visit + 1 < len(self._schedule.visits(tile)) and self._gap(tile, visit) < 0.5

    def _gap(self, tile: int, visit: int) -> float:
        times = self._schedule.visits(tile).mjd_tai
        return float(times[visit + 1] - times[visit])


@dataclass(frozen=True, eq=False)
class Tile:
    """Everything one survey knows of one tile: rows are objects, columns are visits."""

    tile: int
    visits: Visits
    site: Ints
    """Number of the object of each row, the same in both surveys."""
    kind: Ints
    ra: Floats
    """Mean position in the survey's frame [deg]."""
    dec: Floats
    flux: Floats
    """Measured flux [nJy], shape (rows, visits)."""
    detected: NDArray[np.bool_]
    reliability: Floats
    east: Floats
    """Scatter of the measured position [deg], shape (rows, visits)."""
    north: Floats
    body: Ints
    body_distance: Floats
    source_id: Ints
    """Number of each detection in the survey's order of time, shape (rows, visits); filled in by `number`."""

    def __len__(self) -> int:
        return len(self.site)

    def stack(self, tiles: list[Tile]) -> Tile:
        """Return this place with the rows of all the tiles given."""
        rows: dict[str, Any] = {f.name: np.concatenate([getattr(t, f.name) for t in tiles]) for f in fields(self)[2:]}
        return replace(self, **rows)


def true_flux(objects: Objects, rows: Ints, visits: Visits) -> Floats:
    """Return fluxes without noise [nJy], shape (rows, visits)."""
    flux = np.zeros((len(rows), len(visits)))
    for number in np.unique(objects.kind[rows]):
        here = np.flatnonzero(objects.kind[rows] == number)
        which = rows[here]
        days = visits.mjd_tai[None, :] - objects.epoch[which, None]
        shape = objects.shape[which, None]
        flux[here] = difference_flux(KINDS[number], days, visits.band[None, :], objects.mag[which, None], shape)
    return flux


def observe_objects(schedule: Schedule, objects: Objects, rng: np.random.Generator) -> list[Tile]:
    """Return the tiles of one survey with what it measures of objects; an object's site is its index."""
    of = schedule.tile(objects.ra, objects.dec)
    tiles = []
    for tile in np.unique(of[of >= 0]).tolist():
        rows, visits = np.flatnonzero(of == tile), schedule.visits(tile)
        size = (len(rows), len(visits))
        flux = true_flux(objects, rows, visits) + rng.normal(0.0, 1.0, size) * visits.flux_err
        tiles.append(
            _tile(
                schedule,
                tile,
                rng,
                site=rows,
                kind=objects.kind[rows],
                position=(objects.ra[rows], objects.dec[rows]),
                flux=flux,
                detected=np.abs(flux) >= THRESHOLD * visits.flux_err,
                reliability=np.clip(1.0 - rng.exponential(0.06, size), 0.0, 1.0),
                body=np.full(len(rows), -1),
                body_distance=np.full(len(rows), np.nan),
            )
        )
    return tiles


def observe_shots(schedule: Schedule, shots: Shots, first_site: int, rng: np.random.Generator) -> list[Tile]:
    """Return the tiles of one survey with one-time detections, whose sites count from `first_site`."""
    tiles = []
    for tile in np.unique(shots.tile).tolist():
        once, visits = np.flatnonzero(shots.tile == tile), schedule.visits(tile)
        size, rows, columns = (len(once), len(visits)), np.arange(len(once)), shots.visit[once]
        flux = rng.normal(0.0, 1.0, size) * visits.flux_err
        flux[rows, columns] = shots.snr[once] * visits.flux_err[columns]
        detected = np.zeros(size, dtype=np.bool_)
        detected[rows, columns] = True
        tiles.append(
            _tile(
                schedule,
                tile,
                rng,
                site=first_site + once,
                kind=shots.kind[once],
                position=(shots.ra[once], shots.dec[once]),
                flux=flux,
                detected=detected,
                reliability=np.repeat(shots.reliability[once][:, None], len(visits), axis=1),
                body=shots.body[once],
                body_distance=shots.body_distance[once],
            )
        )
    return tiles


def _tile(
    schedule: Schedule, tile: int, rng: np.random.Generator, *, site: Ints, position: tuple[Floats, Floats], **rest: Any
) -> Tile:
    """Return a tile with measured positions: the survey's frame, and a scatter for each detection."""
    survey, size = schedule.observatory.name, rest["flux"].shape
    radius, turn = _SCATTER_DEG[survey] * np.sqrt(rng.random(size)), rng.uniform(0.0, 2.0 * np.pi, size)
    offset = _OFFSET_DEG if survey == "lsst" else 0.0
    ra, dec = position
    return Tile(
        tile=tile,
        visits=schedule.visits(tile),
        site=site,
        ra=(ra + offset * np.cos(site * 2.4) / np.cos(np.radians(dec))) % 360.0,
        dec=dec + offset * np.sin(site * 2.4),
        east=radius * np.cos(turn),
        north=radius * np.sin(turn),
        source_id=np.full(size, -1, dtype=np.int64),
        **rest,
    )


def join(tiles: list[Tile]) -> list[Tile]:
    """Return one tile for each place, with the rows of all tiles there, in order of the place."""
    by_place: dict[int, list[Tile]] = {}
    for tile in tiles:
        by_place.setdefault(tile.tile, []).append(tile)
    return [by_place[place][0].stack(by_place[place]) for place in sorted(by_place)]


def number(tiles: list[Tile]) -> Ints:
    """Number all detections of a survey in order of time, in place, and return the site of each."""
    where = [np.nonzero(tile.detected) for tile in tiles]
    time = np.concatenate([tile.visits.mjd_tai[columns] for tile, (_, columns) in zip(tiles, where, strict=True)])
    site = np.concatenate([tile.site[rows] for tile, (rows, _) in zip(tiles, where, strict=True)])
    rank = np.empty(len(time), dtype=np.int64)
    order = np.argsort(time, kind="stable")
    rank[order] = np.arange(len(time))
    start = 0
    for tile, (rows, columns) in zip(tiles, where, strict=True):
        tile.source_id[rows, columns] = rank[start : start + len(rows)]
        start += len(rows)
    return np.asarray(site[order], dtype=np.int64)
