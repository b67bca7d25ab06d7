"""Scenarios: which events a night has, when, and where on the sky they fall."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from asterism.simulate import gw170817
from asterism.simulate.errors import NothingVisibleError, ScenarioError
from asterism.simulate.events import (
    MINUTE,
    Counterpart,
    Place,
    SimulatedEvent,
    TimedNotice,
    Visible,
    gamma_ray_burst,
    neutrino,
    retracted_superevent,
    superevent,
    swift_burst,
)
from asterism.simulate.lightcurves import Kind
from asterism.simulate.notices import Position, gbm_notice, lvk_alert
from asterism.simulate.observe import THRESHOLD, true_flux
from asterism.simulate.sky import Objects
from asterism.simulate.skymaps import Arc, draw_map, map_fits
from asterism.simulate.survey import Schedule, sun_longitude
from asterism.sky.fits import read_skymap
from asterism.sky.localization import Localization
from asterism.sky.mixture import GBM_PRE_2019, with_systematic
from asterism.times import mjd_utc_to_tai

SCENARIOS = ("bns", "grb", "neutrino", "quiet", "gw170817", "full")
"""full: a superevent with an update, a GBM burst, an IceCube track and a superevent that is retracted."""

NIGHTS_BEFORE, NIGHTS = 2, 8
"""Nights of the run before the night of the events, and in all."""

_SEASON = 61105
"""First night of seed 0: in March the sky opposite the sun is far from the Milky Way (2026-03-06)."""
_SLOTS = (-51.0, -17.0, 17.0, 51.0)
"""Right ascension of the events relative to the point opposite the sun [deg]."""
_FOLLOW_DAYS, _SOON_DAYS = 4.0, 1.2
_TIMES = 20
_SAFE_SNR = 1.3 * THRESHOLD


@dataclass(frozen=True)
class Scene:
    """The nights and events of one run."""

    scenario: str
    first_night: int
    """MJD of the midnight UTC that begins the first night's date."""
    events: tuple[SimulatedEvent, ...]
    blank: tuple[tuple[float, float], ...] = ()
    """Centres of sky without events [deg]."""

    @property
    def last_night(self) -> int:
        """MJD of the midnight UTC that begins the last night's date."""
        return self.first_night + NIGHTS - 1


def first_night(scenario: str, seed: int) -> int:
    """Return the first night of a run; seeds differ in the phase of the moon.

    Raises
    ------
    ScenarioError
        If there is no such scenario.
    """
    if scenario not in SCENARIOS:
        raise ScenarioError(f"there is no scenario {scenario!r:.40}", hint=f"one of {', '.join(SCENARIOS)}")
    if scenario == "gw170817":
        return int(gw170817.T0_MJD_UTC) - NIGHTS_BEFORE
    return _SEASON + seed * 7 % 29


def draw_scene(
    scenario: str, seed: int, schedules: tuple[Schedule, ...], rng: np.random.Generator, sky_map: Path | None = None
) -> Scene:
    """Draw the events of a scenario.

    Parameters
    ----------
    scenario : str
        One of `SCENARIOS`.
    seed : int
        Seed of the run.
    schedules : tuple of Schedule
        Visits of the surveys, which decide whether a counterpart can be followed.
    rng : numpy.random.Generator
        Source of every draw.
    sky_map : Path, optional
        Scenario gw170817: the published map in place of our approximation.

    Raises
    ------
    ScenarioError
        If a sky map is given to another scenario.
    NothingVisibleError
        If no counterpart can be followed.
    """
    first = first_night(scenario, seed)
    if sky_map is not None and scenario != "gw170817":
        raise ScenarioError(f"scenario {scenario} draws its own sky maps", hint="only gw170817 takes a map")
    if scenario == "gw170817":
        return Scene(scenario, first, _gw170817(sky_map))
    middle = float(sun_longitude(np.array(first + NIGHTS / 2.0))) + 180.0
    places = [_place(rng, middle + slot) for slot in rng.permutation(_SLOTS).tolist()]

    def visible(truth: Counterpart, t0: float) -> bool:
        return any(can_follow(schedule, truth, t0) for schedule in schedules)

    if scenario == "quiet":
        return Scene(scenario, first, (), tuple(place() for place in places[:2]))
    return Scene(scenario, first, _draw_events(scenario, first, places, rng, visible))


def _draw_events(
    scenario: str, first: int, places: list[Place], rng: np.random.Generator, visible: Visible
) -> tuple[SimulatedEvent, ...]:
    number = int(rng.integers(0, 200))
    makers: dict[str, Callable[[Place, float], SimulatedEvent]] = {
        "gw": partial(superevent, rng, visible=visible, number=number),
        "gbm": partial(gamma_ray_burst, rng, visible=visible),
        "icecube": partial(neutrino, rng, visible=visible),
        "swift": partial(swift_burst, rng, visible=visible),
        "glitch": partial(retracted_superevent, rng, number=number + 7),
    }
    wanted = {"bns": ("gw",), "grb": ("gbm", "swift"), "neutrino": ("icecube",)}
    wanted["full"] = ("gw", "gbm", "icecube", "glitch")
    events = [
        _some_time(rng, first, partial(makers[name], place))
        for place, name in zip(places, wanted[scenario], strict=False)
    ]
    return tuple(events)


def _some_time(rng: np.random.Generator, first: int, make: Callable[[float], SimulatedEvent]) -> SimulatedEvent:
    """Return an event at a random time of its day: another one where clouds or the moon would hide the counterpart.

    Where no time of that day will do, it happens the day after.
    """
    for later in range(2 * _TIMES):
        with suppress(NothingVisibleError):
            return make(first + NIGHTS_BEFORE + later // _TIMES + float(rng.uniform(0.15, 0.9)))
    raise NothingVisibleError(f"no counterpart can be followed on night {first + NIGHTS_BEFORE} nor on the next")


def _place(rng: np.random.Generator, ra: float) -> Place:
    return lambda: ((ra + float(rng.uniform(-5.0, 5.0))) % 360.0, float(rng.uniform(-15.0, 3.0)))


def can_follow(schedule: Schedule, truth: Counterpart, t0: float) -> bool:
    """Return whether a survey safely detects a counterpart: soon if it is new, four times, in two nights or more."""
    thing = Objects.of(truth.kind, *(np.array([x]) for x in (truth.ra, truth.dec, truth.epoch, truth.mag, truth.shape)))
    tile = int(schedule.tile(thing.ra, thing.dec)[0])
    if tile < 0:
        return False
    visits = schedule.visits(tile)
    soon = (visits.mjd_tai > t0) & (visits.mjd_tai < t0 + _FOLLOW_DAYS)
    seen = soon & (true_flux(thing, np.array([0]), visits)[0] > _SAFE_SNR * visits.flux_err)
    times = visits.mjd_tai[seen]
    soon_enough = truth.epoch < t0 or (len(times) > 0 and float(times[0]) < t0 + _SOON_DAYS)
    return len(times) >= 4 and len(np.unique(np.floor(times))) >= 2 and soon_enough


def _gw170817(sky_map: Path | None) -> tuple[SimulatedEvent, ...]:
    """Return the merger and the burst as published, with one counterpart."""
    t0 = float(mjd_utc_to_tai(gw170817.T0_MJD_UTC))
    truth = Counterpart(Kind.KILONOVA, gw170817.RA, gw170817.DEC, t0, 17.43, 1.0, gw170817.DISTANCE_MPC)
    name = "S170817a"
    notices = []
    sigmas = (gw170817.FIRST_MAP_SIGMA, gw170817.MAP_SIGMA)
    for order, (stage, after, sigma) in enumerate(zip(("PRELIMINARY", "UPDATE"), (0.21, 0.45), sigmas, strict=True)):
        arc = Arc.around(*gw170817.MAP_CENTRE, gw170817.MAP_ANGLE + 90.0, sigma, (0.0, 0.0), 70.0)
        drawn = read_skymap(sky_map) if sky_map is not None and order else draw_map(arc, gw170817.MAP_DISTANCE)
        content = map_fits(drawn, name, gw170817.T0_UTC)
        payload = lvk_alert(name, stage, t0 + after, t0=t0, sky_map=content, far_hz=4e-13, p_terrestrial=0.0)
        notices.append(TimedNotice(t0 + after, f"lvk:{name}", f"lvk-{name}-{order}-{stage}.json", payload, drawn))
    merger = SimulatedEvent(f"lvk:{name}", "gw", "gw170817", t0, tuple(notices), truth)
    burst = t0 + gw170817.GRB_DELAY_SECONDS / 86400.0
    return merger, _grb_170817a(burst, truth)


def _grb_170817a(t0: float, truth: Counterpart) -> SimulatedEvent:
    where = Position(*gw170817.GRB_POSITION)
    key = f"gbm:{gw170817.GRB_TRIGGER}"
    shape: Localization = with_systematic(where.ra, where.dec, where.radius, GBM_PRE_2019)
    sent = t0 + 1.5 * MINUTE
    payload = gbm_notice("ground", gw170817.GRB_TRIGGER, t0, sent, where, 57)
    notice = TimedNotice(sent, key, f"gbm-{gw170817.GRB_TRIGGER}-0-ground.xml", payload, shape)
    return SimulatedEvent(key, "grb", "gw170817", t0, (notice,), truth)
