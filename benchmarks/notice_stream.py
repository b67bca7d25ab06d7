"""A stream of notices as a busy network would send it: of 50, 26 Fermi GBM, 12 Swift BAT, 7 IceCube, 4 INTEGRAL, 1 LVK.

Four notices make a GBM burst (two flight positions, ground, final), two an IceCube event (a revision replaces the
first), three an LVK superevent. The LVK map has the size of a BAYESTAR map, 20,000 rows with distances, 1 MB in base64.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

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
from asterism.sky.distance import Distances
from asterism.sky.skymap import SkyMapLocalization
from asterism.times import mjd_tai_to_iso
from asterism.voevent.document import Document, Param, compose

MIX = {"gbm": 26, "swift": 12, "icecube": 7, "integral": 4, "lvk": 1}
"""Notices of each mission among 50."""

_DAY = 61000.0
_SECOND = 1.0 / 86400.0
_BURST: tuple[tuple[GbmStage, float], ...] = (("flight", 12.0), ("flight", 7.0), ("ground", 4.0), ("final", 1.5))
"""Stage and 68 % statistical radius [deg] of the notices of one burst."""


def notice_stream(seed: int) -> Iterator[bytes]:
    """Yield notices without end: VOEvents, and JSON from LVK, the order of missions shuffled in every 50.

    Parameters
    ----------
    seed : int
        Of positions and order; the same seed gives the same bytes.
    """
    chance = random.Random(seed)
    makers: dict[str, Callable[[int], bytes]] = {
        "gbm": _gbm,
        "swift": _swift,
        "icecube": _icecube,
        "integral": _integral,
        "lvk": _LvkAlerts(seed),
    }
    numbers = {mission: count() for mission in MIX}
    while True:
        turn = [mission for mission, share in MIX.items() for _ in range(share)]
        chance.shuffle(turn)
        for mission in turn:
            yield makers[mission](next(numbers[mission]))


def _place(event: int, radius: float) -> Position:
    """Return a position that belongs to an event and changes a little with its radius [deg]."""
    at = random.Random(event)
    return Position(at.uniform(0.0, 350.0) + radius / 10.0, at.uniform(-80.0, 80.0), radius)


def _gbm(number: int) -> bytes:
    burst, step = divmod(number, len(_BURST))
    stage, radius = _BURST[step]
    t0 = _DAY + 2.0 * burst * _SECOND
    return gbm_notice(stage, gbm_trigger(t0), t0, t0 + (10 + 30 * step) * _SECOND, _place(burst, radius), 100 + step)


def _swift(number: int) -> bytes:
    t0 = _DAY + 3.0 * number * _SECOND
    return swift_notice(1_300_000 + number, t0, t0 + 15.0 * _SECOND, _place(number + 1_000_000, 0.05), number % 1000)


def _icecube(number: int) -> bytes:
    event, revision = divmod(number, 2)
    t0 = _DAY + 5.0 * event * _SECOND
    track = Track(140_000, 1000 + event, event % 2 == 0, 180.0, 0.5, 1.2)
    where = _place(event + 2_000_000, 1.6 if revision else 2.0)
    return icecube_notice(track, revision, t0, t0 + (40 + 3600 * revision) * _SECOND, where, where.radius / 2.6)


def _integral(number: int) -> bytes:
    t0, where = _DAY + 7.0 * number * _SECOND, _place(number + 3_000_000, 0.06)
    time = mjd_tai_to_iso(t0)
    return compose(
        Document(
            ivorn=f"ivo://asterism.simulated/INTEGRAL#Wakeup_Pos_{time}_{20000 + number}-0-{number}",
            role="observation",
            author_ivorn="ivo://asterism.simulated/author",
            date=mjd_tai_to_iso(t0 + 20.0 * _SECOND),
            params=(Param("Packet_Type", "53"), Param("TrigID", str(20000 + number), ucd="meta.id")),
            coord_system="UTC-FK5-GEO",
            iso_time=time,
            position_unit="deg",
            c1=f"{where.ra:.4f}",
            c2=f"{where.dec:.4f}",
            error2radius=f"{where.radius:.4f}",
        )
    )


class _LvkAlerts:
    """Makes LVK alerts; the map's pixels are drawn once, its file is another one for each event and alert."""

    def __init__(self, seed: int) -> None:
        drawn = draw_map(Arc(40.0, 20.0, 70.0, 100.0, 3.0, 28.0), None)
        uniq = (4 * drawn.uniq[:, np.newaxis] + np.arange(4)).ravel()  # the four parts of every pixel
        rng = np.random.default_rng(seed)
        sigma = rng.uniform(20.0, 90.0, len(uniq))
        layers = Distances(sigma * rng.normal(2.4, 2.0, len(uniq)), sigma, np.full(len(uniq), 1e-5))
        self._map = SkyMapLocalization(uniq, np.repeat(drawn.density_deg2, 4), layers)

    def __call__(self, number: int) -> bytes:
        """Return the alert of a number."""
        event, step = divmod(number, 3)
        t0 = _DAY + 11.0 * event * _SECOND
        name = superevent_name(t0, event)
        content = map_fits(self._map, f"{name}-{step}", mjd_tai_to_iso(t0))
        kind = ("PRELIMINARY", "INITIAL", "UPDATE")[step]
        return lvk_alert(name, kind, t0 + (120 + 900 * step) * _SECOND, t0=t0, sky_map=content)
