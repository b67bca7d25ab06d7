"""Calibration: are chance counts N_L what they say, on nights that are not all alike?

Each round draws a sky of unrelated transients as two surveys find them over six weeks: nights lost to weather, a rate
that follows the moon and grows towards the Galactic plane, footprints and depths of their own, fading that depends on
age. Between them stand the known sources that a rule set names, as dense as it says and all seen. On it lies an event
where none was: a localization like those of its kind at a random time and place (shifted in
time and right ascension). The background is measured and the objects in its region are judged by the code in use. Of
unrelated objects, as many must have N_L up to x as x says, from 0.01 to 10: over all events the counts between two
values of x are Poisson around their difference. Skies are independent of each other, so the counts are, too. No N_L
is below what the background of its event can tell (one of its few thousand objects): all that x says of smaller ones
is expected there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from asterism.graph.association.associate import judge
from asterism.graph.association.background import measure_background
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.observed import Observed
from asterism.graph.association.rules import Kind, RuleSet, load_rules
from asterism.graph.association.sample import ObjectSample, join
from asterism.sky.circle import CircleLocalization
from asterism.sky.ellipse import EllipseLocalization
from asterism.sky.healpix import contains, hpx29
from asterism.sky.localization import Localization
from asterism.sky.mixture import GBM_ROBOBA_LONG, with_systematic
from benchmarks.harness import Bench

EDGES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Chance counts between which objects are counted."""
KINDS = ("gw", "grb", "neutrino")
EVENTS = 600
RA, DEC = (120.0, 200.0), (-35.0, 15.0)
START, NIGHTS = 61000.0, 42
_LOST = 0.25
_SURVEYS = {"ztf": (-28.0, 15.0, 0.06, 20.6), "lsst": (-35.0, 5.0, 0.05, 24.3)}
"""Southern and northern end [deg], rate [deg^-2 d^-1] and limiting magnitude of each survey."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sky:
    """Unrelated objects, and what was looked at."""

    objects: ObjectSample
    observed: Observed


def draw_sky(rng: np.random.Generator) -> Sky:
    """Draw the unrelated objects of six weeks of two surveys."""
    tables = [_draw_survey(rng, name) for name in _SURVEYS]
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    key = np.array([f"{s}:{i:07d}" for i, s in enumerate(columns.pop("survey").tolist())])
    order = np.argsort(key)
    limits = {name: values[3] for name, values in _SURVEYS.items()}
    survey = np.array([one.partition(":")[0] for one in key.tolist()])
    limit = np.array([limits[one] for one in survey.tolist()])
    sample = _sample(key, "", columns)
    return Sky(sample.select(order), _observed(rng, sample.hpx29, survey, sample.first, limit))


def draw_known(rng: np.random.Generator, kind: Kind) -> list[ObjectSample]:
    """Draw the sources of each class that may be the counterpart of such an event, wherever a survey looks."""
    south, north = min(one[0] for one in _SURVEYS.values()), max(one[1] for one in _SURVEYS.values())
    drawn = []
    for one in kind.catalogued:
        n = int(rng.poisson(one.sigma_deg2 * _area(south, north)))
        columns = {name: np.full(n, np.nan) for name in ("fade", "fade_err", "middle", "spread")}
        columns |= {"first": np.full(n, START), "last": np.full(n, START + NIGHTS)}
        columns |= {"ra": rng.uniform(*RA, n), "dec": _declinations(rng, south, north, n)}
        drawn.append(_sample(np.array([f"ztf:{one.name}{i:05d}" for i in range(n)], dtype=np.str_), one.name, columns))
    return drawn


def _sample(key: NDArray[np.str_], known: str, columns: Mapping[str, NDArray[Any]]) -> ObjectSample:
    return ObjectSample(
        key=key,
        hpx29=hpx29(columns["ra"], columns["dec"]),
        detections=np.full(key.size, 2),
        passes=np.ones(key.size, dtype=np.bool_),
        source=key,
        host_mpc=np.full(key.size, np.nan),
        reliability=np.full(key.size, 0.9),
        known=np.full(key.size, known),
        **columns,
    )


def _area(south: float, north: float) -> float:
    """Return the area between two declinations [deg2]."""
    return float(np.radians(RA[1] - RA[0]) * np.diff(np.sin(np.radians([south, north])))[0] * (180.0 / np.pi) ** 2)


def _declinations(rng: np.random.Generator, south: float, north: float, n: int) -> Floats:
    return np.asarray(np.degrees(np.arcsin(rng.uniform(*np.sin(np.radians([south, north])), n))), dtype=np.float64)


def _observed(
    rng: np.random.Generator, cells: NDArray[np.int64], survey: NDArray[np.str_], first: Floats, limit: Floats
) -> Observed:
    """Return what was looked at: everything within the footprints, told by the many alerts of known things."""
    many = 30_000
    ra = rng.uniform(*RA, many)
    parts = [(cells, survey, first, limit)]
    for name, (south, north, _, depth) in _SURVEYS.items():
        dec = _declinations(rng, south, north, many)
        mjd = rng.choice(np.unique(first[survey == name]), many)
        parts.append((hpx29(ra, dec), np.full(many, name), mjd, np.full(many, depth)))
    cell, names, mjd, depth = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Observed.from_alerts(cell, names, mjd, depth)


def _draw_survey(rng: np.random.Generator, name: str) -> dict[str, NDArray[Any]]:
    south, north, rate, _ = _SURVEYS[name]
    nights = START + np.flatnonzero(rng.random(NIGHTS) > _LOST)
    moon = 1.0 + 0.5 * np.cos(2.0 * np.pi * (nights - START - rng.uniform(0.0, 29.5)) / 29.5)
    n = int(rng.poisson(2.0 * rate * _area(south, north) * moon.sum()))
    ra, dec = rng.uniform(*RA, n), _declinations(rng, south, north, n)
    plane = np.exp(-(ra - RA[0]) / 60.0)
    kept = rng.random(n) < 0.5 * plane / plane.mean().clip(0.5)
    ra, dec = ra[kept], dec[kept]
    n = ra.size
    first = rng.choice(nights, n, p=moon / moon.sum()) + rng.uniform(0.1, 0.4, n)
    fast = rng.random(n) < 0.1
    lasting = np.where(fast, rng.exponential(2.0, n), rng.exponential(20.0, n))
    fade_err = rng.uniform(0.02, 0.2, n)
    fade = np.where(fast, rng.normal(0.4, 0.2, n), rng.normal(-0.02, 0.1, n)) + fade_err * rng.normal(size=n)
    measured = lasting > 1.0
    last = np.minimum(first + lasting, START + NIGHTS)
    return {
        "survey": np.full(n, name),
        "ra": ra,
        "dec": dec,
        "first": first,
        "last": last,
        "fade": np.where(measured, fade, np.nan),
        "fade_err": np.where(measured, fade_err, np.nan),
        "middle": np.where(measured, first + np.minimum(lasting, 10.0) / 2.0, np.nan),
        "spread": np.where(measured, np.minimum(lasting, 10.0) / 4.0, np.nan),
    }


def draw_event(rng: np.random.Generator, number: int) -> ActiveEvent:
    """Draw an event of the next kind, where and when nothing happened."""
    kind = KINDS[number % len(KINDS)]
    ra, dec = float(rng.uniform(135.0, 185.0)), float(rng.uniform(-20.0, 0.0))
    t0 = float(rng.uniform(START + 12.0, START + 26.0))
    shape: Localization
    if kind == "gw":
        long, narrow = float(rng.uniform(4.0, 8.0)), float(rng.uniform(0.7, 2.0))
        shape = EllipseLocalization.symmetric(ra, dec, long, narrow, float(rng.uniform(0.0, 180.0)), 0.9)
    elif kind == "grb":
        shape = with_systematic(ra, dec, float(rng.uniform(1.0, 4.0)), GBM_ROBOBA_LONG)
    else:
        shape = CircleLocalization(ra, dec, float(rng.uniform(0.8, 2.5)), 0.9)
    return ActiveEvent(f"{kind}:{number}", kind, t0, f"{kind}:{number}:0", shape, 1.0)


def count(event: ActiveEvent, sky: Sky, known: Sequence[ObjectSample], rules: RuleSet) -> tuple[Floats, Floats]:
    """Return how many unrelated objects have N_L between the edges, and how many are expected to."""
    region = event.region(rules)
    background = measure_background(sky.objects, sky.observed, region, rules)
    if not background.measured:
        raise RuntimeError(f"the background of {event.key} was not measured")
    first = sky.objects.first
    there = contains(region.lo, region.hi, sky.objects.hpx29) & (first >= region.start) & (first <= region.end)
    objects = reduce(join, known, sky.objects.select(there))
    verdict = judge(event, region, objects, background, rules)
    measured = np.histogram(verdict.chance, EDGES)[0].astype(np.float64)
    told = np.where(np.asarray(EDGES) < verdict.resolution, 0.0, EDGES)
    return measured, np.diff(np.minimum(told, verdict.unrelated))


def misfit(measured: Floats, expected: Floats) -> tuple[float, float]:
    """Return chi2 of Poisson counts over its value at p = 0.01, and p."""
    some = expected > 0.0
    value = float(np.sum((measured[some] - expected[some]) ** 2 / expected[some]))
    return value / float(chi2.isf(0.01, some.sum())), float(chi2.sf(value, some.sum()))


def _rows(measured: Floats, expected: Floats) -> list[dict[str, float]]:
    return [
        {"from": low, "to": high, "measured": int(m), "expected": round(float(e), 2)}
        for low, high, m, e in zip(EDGES[:-1], EDGES[1:], measured, expected, strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return its exit code."""
    bench, rules = Bench("calibration", arguments), load_rules()
    events = EVENTS // 4 if bench.quick else EVENTS
    counts = {kind: np.zeros((2, len(EDGES) - 1)) for kind in KINDS}
    started = time.process_time()
    for number in range(events):
        rng = np.random.default_rng([20261126, number])
        event, sky = draw_event(rng, number), draw_sky(rng)
        counts[event.kind] += count(event, sky, draw_known(rng, rules.kinds[event.kind]), rules)
    everything = sum(counts.values(), np.zeros((2, len(EDGES) - 1)))
    bench.facts = {"events": events, "cpu_s": round(time.process_time() - started, 1)}
    for name, (measured, expected) in (counts | {"all": everything}).items():
        bench.facts[name] = _rows(measured, expected)
        for row in bench.facts[name]:
            said = f"{name:>8}: N_L {row['from']:>5} to {row['to']:>5}: {row['measured']:>6} of {row['expected']}"
            print(said, file=sys.stderr)
    for kind in KINDS:
        bench.state(f"p_value_{kind}", misfit(*counts[kind])[1], "probability")
    ratio, p = misfit(*everything)
    bench.state("misfit", ratio, "of chi2 at p = 0.01")
    bench.state("p_value", p, "probability")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
