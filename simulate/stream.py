"""A seeded stream of alert packets of both surveys, in order of time, with the truth of every message.

The same arguments give the same bytes on every machine. Duplicates and broken packets come on top of the
alerts and do not change them: each kind of draw has its own random sequence.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from asterism.ids import make_key
from asterism.simulate.faults import FAULTS, corrupt
from asterism.simulate.history import Exposures
from asterism.simulate.identifiers import Identifiers
from asterism.simulate.measurement import SimulatedDetection
from asterism.simulate.packets_lsst import lsst_packet
from asterism.simulate.packets_ztf import ztf_packet
from asterism.simulate.population import BANDS, FIRST_NIGHT_MJD, FLUX_ERROR, NIGHTS, Plan, draw_plans
from asterism.simulate.truth import MessageTruth, Outcome

TOPICS = ("ztf", "lsst")
"""Topics of a stream, named as the surveys."""

_LATEST_DUPLICATE = 50
"""Most alerts between a packet and its re-delivery."""

_HISTORY_MEDIAN, _HISTORY_SPREAD, _HISTORY_LONGEST = 21.0, 0.35, 90
"""Entries of ``prv_candidates``: log-normal, as measured on the stream (10-90 %: 16-43, longest 91)."""

_PROGRAMMES = (1,) * 17 + (2,) * 2 + (3,)
"""programid of 20 alerts."""


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka message."""

    topic: str
    key: bytes
    payload: bytes
    truth: MessageTruth


def generate_stream(
    seed: int, n_ztf: int, n_lsst: int, *, duplicates: float = 0.0, corrupted: float = 0.0
) -> Iterator[Message]:
    """Generate alert packets.

    Parameters
    ----------
    seed : int
        Non-negative; ids of different seeds differ.
    n_ztf, n_lsst : int
        Distinct alerts of each survey.
    duplicates : float
        Fraction of alerts delivered a second time, unchanged, up to 50 alerts later.
    corrupted : float
        Fraction of alerts followed by a broken copy.

    Yields
    ------
    Message
        n_ztf + n_lsst alerts, duplicates and broken packets between them.
    """
    again, broken = np.random.default_rng([seed, 2]), np.random.default_rng([seed, 3])
    waiting: list[tuple[int, int, Message]] = []
    for number, message in enumerate(_alerts(seed, n_ztf, n_lsst)):
        yield message
        if again.random() < duplicates:
            copy = replace(message, truth=replace(message.truth, outcome=Outcome.DUPLICATE))
            heapq.heappush(waiting, (number + int(again.integers(0, _LATEST_DUPLICATE)), number, copy))
        if broken.random() < corrupted:
            yield _break(message, broken)
        while waiting and waiting[0][0] <= number:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def _break(message: Message, rng: np.random.Generator) -> Message:
    faults = FAULTS[message.topic]
    fault = faults[int(rng.integers(0, len(faults)))]
    payload = corrupt(message.payload, message.topic, fault, rng)
    truth = replace(message.truth, outcome=Outcome.DEAD_LETTER, fault=fault)
    return replace(message, payload=payload, truth=truth)


def _alerts(seed: int, n_ztf: int, n_lsst: int) -> Iterator[Message]:
    ztf, lsst = draw_plans(np.random.default_rng([seed, 0]), n_ztf, n_lsst)
    names = Identifiers(seed, lsst.site)
    streams = (
        _ztf_alerts(np.random.default_rng([seed, 4]), ztf, names, set(lsst.site.tolist())),
        _lsst_alerts(np.random.default_rng([seed, 5]), lsst, names, set(ztf.site.tolist())),
    )
    for _, message in heapq.merge(*streams, key=lambda timed: timed[0]):
        yield message


def _exposures(rng: np.random.Generator, survey: str, days: float, per_night: int) -> Exposures:
    end = FIRST_NIGHT_MJD + NIGHTS
    start = FIRST_NIGHT_MJD - days
    return Exposures(rng, BANDS[survey], start, end, per_night=per_night, flux_err=FLUX_ERROR[survey])


def _ztf_alerts(
    rng: np.random.Generator, plan: Plan, names: Identifiers, shared: set[int]
) -> Iterator[tuple[float, Message]]:
    exposures = _exposures(rng, "ztf", days=30.0, per_night=20)
    earlier: dict[int, tuple[SimulatedDetection, ...]] = {}
    for i in range(len(plan)):
        site = int(plan.site[i])
        near_body = rng.random() < 0.03
        detection = replace(
            _detection(plan, i, names.candid(i, float(plan.mjd_tai[i])), names.ztf_object(site)),
            program_id=_PROGRAMMES[int(rng.integers(0, len(_PROGRAMMES)))],
            reliability=float(rng.uniform(0.3, 1.0)),
            ss_object_id=str(rng.integers(1, 800_000)) if near_body else None,
            ss_distance=float(rng.uniform(0.1, 12.0)) if near_body else None,
        )
        seen = earlier.get(site, ())
        entries = min(_HISTORY_LONGEST, round(_HISTORY_MEDIAN * float(rng.lognormal(0.0, _HISTORY_SPREAD))))
        history = exposures.history(
            rng,
            detection,
            earlier=seen,
            n_limits=max(0, entries - len(seen)),
            n_forced=int(rng.integers(5, 30)),
        )
        earlier[site] = (*seen, detection)
        twin = make_key("lsst", names.lsst_object(site)) if site in shared else None
        yield detection.mjd_tai, _message("ztf", detection, twin, ztf_packet(detection, history))


def _lsst_alerts(
    rng: np.random.Generator, plan: Plan, names: Identifiers, shared: set[int]
) -> Iterator[tuple[float, Message]]:
    exposures = _exposures(rng, "lsst", days=365.0, per_night=4)
    earlier: dict[int, tuple[SimulatedDetection, ...]] = {}
    for i in range(len(plan)):
        site = int(plan.site[i])
        moving = site < 0
        detection = replace(
            _detection(plan, i, names.dia_source(i), None if moving else names.lsst_object(site)),
            reliability=float(rng.uniform(0.1, 1.0)),
            ss_object_id=names.ss_object(i) if moving else None,
            ss_distance=float(rng.uniform(0.0, 0.5)) if moving else None,
        )
        seen = earlier.get(site, ())
        history = exposures.history(rng, detection, earlier=seen, n_forced=3 * len(seen), days=365.0)
        if not moving:
            earlier[site] = (*seen, detection)
        twin = make_key("ztf", names.ztf_object(site)) if site in shared and not moving else None
        yield detection.mjd_tai, _message("lsst", detection, twin, lsst_packet(detection, history))


def _detection(plan: Plan, i: int, source_id: int, object_id: str | None) -> SimulatedDetection:
    return SimulatedDetection(
        object_id=object_id,
        source_id=source_id,
        ra=float(plan.ra[i]),
        dec=float(plan.dec[i]),
        mjd_tai=float(plan.mjd_tai[i]),
        band=BANDS[plan.survey][int(plan.band[i])],
        flux=float(plan.flux[i]),
        flux_err=float(plan.flux_err[i]),
    )


def _message(survey: str, detection: SimulatedDetection, twin: str | None, payload: bytes) -> Message:
    name = detection.object_id
    truth = MessageTruth(
        Outcome.ALERT,
        make_key(survey, detection.source_id),
        None if name is None else make_key(survey, name),
        twin,
        public=detection.program_id == 1,
    )
    return Message(survey, (name or f"ss{detection.ss_object_id}").encode(), payload, truth)
