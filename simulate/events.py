"""Events with counterparts: where, when, what is published about them, and what there is to find.

The truth comes first and the published localization is drawn around it from its own error distribution; so a true
position is as often outside the 50 % region as it should be. Only positions outside the 95 % region are drawn again:
a counterpart no survey is asked to look for teaches nothing. For the same reason geometry and brightness are drawn
again until some survey can see the counterpart in two nights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asterism.simulate.errors import NothingVisibleError
from asterism.simulate.lightcurves import Kind
from asterism.simulate.notices import (
    GbmStage,
    Position,
    Track,
    gbm_notice,
    gbm_trigger,
    icecube_notice,
    lvk_alert,
    superevent_name,
    swift_notice,
)
from asterism.simulate.skymaps import Arc, draw_map, map_fits
from asterism.sky.circle import CircleLocalization
from asterism.sky.cone import offset
from asterism.sky.localization import Localization
from asterism.sky.mixture import GBM_ROBOBA_LONG, from_two_radii, with_systematic
from asterism.sky.radial import RadialLocalization
from asterism.times import mjd_tai_to_iso

_TRIES = 40

MINUTE = 1.0 / 1440.0
_WORST = 0.95
"""Truth lies inside this credible level of every localization."""


@dataclass(frozen=True)
class Counterpart:
    """What there is to find; `epoch`, `mag` and `shape` as in `lightcurves.difference_flux`."""

    kind: Kind
    ra: float
    dec: float
    epoch: float
    mag: float
    shape: float
    distance_mpc: float


@dataclass(frozen=True)
class TimedNotice:
    """A notice and when it is sent."""

    available_mjd_tai: float
    event_key: str
    name: str
    """File name: order, mission and stage."""
    payload: bytes
    localization: Localization | None
    """What the notice says of the position; None for a retraction."""


@dataclass(frozen=True)
class SimulatedEvent:
    """An event, its notices in order of time, and the truth about it."""

    key: str
    kind: str
    """gw, grb or neutrino."""
    crowd: str
    """Crowd of unrelated things around it (`sky.CROWDS`)."""
    t0_mjd_tai: float
    notices: tuple[TimedNotice, ...]
    counterpart: Counterpart | None
    retracted: bool = False

    @property
    def localizations(self) -> list[Localization]:
        """Localizations in the order in which they are published."""
        return [notice.localization for notice in self.notices if notice.localization is not None]


Visible = Callable[[Counterpart, float], bool]
"""Says whether surveys can follow a counterpart, given the time of the event, MJD TAI."""

Place = Callable[[], tuple[float, float]]
"""Draws a position [deg] where an event may happen."""


def superevent(rng: np.random.Generator, place: Place, t0: float, number: int, visible: Visible) -> SimulatedEvent:
    """Draw a binary neutron star merger with a kilonova: a preliminary map, and a smaller one a day later."""

    def draw() -> Counterpart:
        ra, dec = place()
        distance = float(rng.uniform(55.0, 130.0))
        mag = 17.4 + 5.0 * math.log10(distance / 40.0) + float(rng.normal(0.0, 0.3))
        return Counterpart(Kind.KILONOVA, ra, dec, t0, mag, float(rng.uniform(0.9, 1.3)), distance)

    truth = _until_visible(draw, visible, t0)
    direction, radius = float(rng.uniform(0.0, 360.0)), float(rng.uniform(50.0, 80.0))
    name = superevent_name(t0, number)
    notices = []
    for order, (stage, after, sigma, far) in enumerate(
        (("PRELIMINARY", 4 * MINUTE, (1.45, 8.6), 3e-10), ("UPDATE", 0.9, (1.15, 7.0), 2e-12))
    ):
        scale = truth.distance_mpc * (0.28, 0.2)[order]
        middle = truth.distance_mpc + scale * float(np.clip(rng.normal(), -1.5, 1.5))
        sky_map = draw_map(_arc(rng, truth, direction, sigma, radius), (middle, scale))
        sent = t0 + after
        payload = lvk_alert(
            name,
            stage,
            sent,
            t0=t0 + order * 0.005 / 86400.0,
            sky_map=map_fits(sky_map, name, mjd_tai_to_iso(t0)),
            far_hz=far,
        )
        notices.append(TimedNotice(sent, f"lvk:{name}", f"lvk-{name}-{order}-{stage}.json", payload, sky_map))
    return SimulatedEvent(f"lvk:{name}", "gw", "gw", t0, tuple(notices), truth)


def retracted_superevent(rng: np.random.Generator, place: Place, t0: float, number: int) -> SimulatedEvent:
    """Draw a glitch: a preliminary map of an event that never was, retracted three days later."""
    ra, dec = place()
    name = superevent_name(t0, number)
    arc = Arc.around(ra, dec, float(rng.uniform(0.0, 360.0)), (1.0, 5.0), (0.0, 0.0), float(rng.uniform(50.0, 80.0)))
    sky_map = draw_map(arc, (180.0, 50.0))
    content = map_fits(sky_map, name, mjd_tai_to_iso(t0))
    sent, withdrawn = t0 + 5 * MINUTE, t0 + 3.0
    first = lvk_alert(name, "PRELIMINARY", sent, t0=t0, sky_map=content, far_hz=3e-7, p_terrestrial=0.6)
    last = lvk_alert(name, "RETRACTION", withdrawn, t0=t0, sky_map=None)
    notices = (
        TimedNotice(sent, f"lvk:{name}", f"lvk-{name}-0-PRELIMINARY.json", first, sky_map),
        TimedNotice(withdrawn, f"lvk:{name}", f"lvk-{name}-1-RETRACTION.json", last, None),
    )
    return SimulatedEvent(f"lvk:{name}", "gw", "grb", t0, notices, None, retracted=True)


def _arc(
    rng: np.random.Generator, truth: Counterpart, direction: float, sigma: tuple[float, float], radius: float
) -> Arc:
    worst = math.sqrt(-2.0 * math.log(1.0 - _WORST))
    while True:
        off = rng.normal(0.0, 1.0, 2)
        if math.hypot(*off) < worst:
            return Arc.around(truth.ra, truth.dec, direction, sigma, (float(off[0]), float(off[1])), radius)


_GBM_STAGES: tuple[tuple[GbmStage, float, tuple[float, float]], ...] = (
    ("flight", 0.3 * MINUTE, (7.0, 9.0)),
    ("ground", 1.5 * MINUTE, (5.0, 6.5)),
    ("final", 16 * MINUTE, (4.0, 5.5)),
)
"""Stage, delay after the trigger [d], range of the 68 % statistical radius [deg]."""


def gamma_ray_burst(rng: np.random.Generator, place: Place, t0: float, visible: Visible) -> SimulatedEvent:
    """Draw a long burst seen by Fermi GBM with an on-axis afterglow; its position wanders from notice to notice."""
    truth = _until_visible(lambda: _afterglow(rng, place, t0), visible, t0)
    trigger = gbm_trigger(t0)
    notices = []
    for order, (stage, after, radii) in enumerate(_GBM_STAGES):
        radius = round(float(rng.uniform(*radii)), 2)
        where = _around(rng, truth, with_systematic(truth.ra, truth.dec, radius, GBM_ROBOBA_LONG), radius)
        payload = gbm_notice(stage, trigger, t0, t0 + after, where, 200 + order)
        shape = with_systematic(where.ra, where.dec, radius, GBM_ROBOBA_LONG)
        notices.append(TimedNotice(t0 + after, f"gbm:{trigger}", f"gbm-{trigger}-{order}-{stage}.xml", payload, shape))
    return SimulatedEvent(f"gbm:{trigger}", "grb", "grb", t0, tuple(notices), truth)


def swift_burst(rng: np.random.Generator, place: Place, t0: float, visible: Visible) -> SimulatedEvent:
    """Draw a burst Swift BAT localizes to three arcminutes."""
    truth = _until_visible(lambda: _afterglow(rng, place, t0), visible, t0)
    trigger = 1_300_000 + int(t0 * 10) % 90_000
    where = _around(rng, truth, CircleLocalization(truth.ra, truth.dec, 0.05, 0.9), 0.05)
    sent = t0 + 0.4 * MINUTE
    payload = swift_notice(trigger, t0, sent, where, 101)
    notice = TimedNotice(
        sent,
        f"swift:{trigger}",
        f"swift-{trigger}-0-bat.xml",
        payload,
        CircleLocalization(where.ra, where.dec, where.radius, 0.9),
    )
    return SimulatedEvent(f"swift:{trigger}", "grb", "grb", t0, (notice,), truth)


def _afterglow(rng: np.random.Generator, place: Place, t0: float) -> Counterpart:
    ra, dec = place()
    return Counterpart(
        Kind.AFTERGLOW, ra, dec, t0, float(rng.normal(19.8, 0.5)), float(rng.uniform(0.9, 1.25)), math.nan
    )


def neutrino(rng: np.random.Generator, place: Place, t0: float, visible: Visible) -> SimulatedEvent:
    """Draw an IceCube track from a tidal disruption that has been going on for weeks."""

    def draw() -> Counterpart:
        ra, dec = place()
        onset = t0 - float(rng.uniform(35.0, 120.0))
        return Counterpart(
            Kind.TDE, ra, dec, onset, float(rng.uniform(17.6, 18.8)), float(rng.uniform(0.9, 1.25)), 230.0
        )

    truth = _until_visible(draw, visible, t0)
    track = Track(
        run=140_000 + int(t0) % 10_000,
        event=int(rng.integers(10**6, 9 * 10**7)),
        gold=bool(rng.random() < 0.5),
        energy_tev=float(rng.uniform(90.0, 400.0)),
        signalness=float(rng.uniform(0.4, 0.8)),
        far_per_year=float(rng.uniform(0.3, 2.0)),
    )
    key = f"icecube:{track.run}_{track.event}"
    notices = []
    for revision, (after, r90) in enumerate(((0.7 * MINUTE, rng.uniform(1.0, 1.2)), (0.12, rng.uniform(0.75, 1.0)))):
        radius = round(float(r90), 4)
        half = round(radius / float(rng.uniform(2.57, 2.78)), 4)
        where = _around(rng, truth, from_two_radii(truth.ra, truth.dec, half, radius), radius)
        payload = icecube_notice(track, revision, t0, t0 + after, where, half)
        shape = from_two_radii(where.ra, where.dec, half, radius)
        name = f"icecube-{track.run}_{track.event}-{revision}.xml"
        notices.append(TimedNotice(t0 + after, key, name, payload, shape))
    return SimulatedEvent(key, "neutrino", "neutrino", t0, tuple(notices), truth)


def _around(rng: np.random.Generator, truth: Counterpart, spread: RadialLocalization, radius: float) -> Position:
    """Return a published position drawn around the truth: distances on a sphere do not care which is the centre."""
    distance = spread.radius(float(rng.uniform(0.0, _WORST)))
    ra, dec = offset(truth.ra, truth.dec, distance, float(rng.uniform(0.0, 360.0)))
    return Position(round(float(ra), 4) % 360.0, round(float(dec), 4), radius)


def _until_visible(draw: Callable[[], Counterpart], visible: Visible, t0: float) -> Counterpart:
    for _ in range(_TRIES):
        truth = draw()
        if visible(truth, t0):
            return truth
    raise NothingVisibleError(f"none of {_TRIES} counterparts drawn for MJD {t0:.3f} can be followed")
