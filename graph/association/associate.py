"""Score one event: candidates from the graph, background from the lake, terms, posteriors and chance counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.background import Background
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.fading import FadeRates, fade_term
from asterism.graph.association.hosts import distance_term
from asterism.graph.association.persistence import persistence_term
from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import Kind, RuleSet
from asterism.graph.association.sample import ObjectSample
from asterism.graph.association.score import Scores, chance_counts, log_sum, score
from asterism.sky.healpix import centers

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Verdict:
    """Everything association says of one event under one localization and rule set.

    Attributes
    ----------
    event, region, rules : ActiveEvent, EventRegion, RuleSet
        What was asked.
    objects : ObjectSample
        The linked candidates, best first, at most ``rules.max_links``.
    scores : Scores
        Terms and log L of the linked candidates.
    log_sum_l : float
        Natural log of the sum of L over **all** candidates, each source counted once; -inf if there are none.
    overflow : int
        Candidates beyond the linked ones.
    level, searched_area : ndarray
        Credible level of each position, and area of everything denser [deg2].
    chance : ndarray
        N_L: unrelated objects expected to score as well.
    chance_area : ndarray
        N_area: unrelated objects expected in the searched area and the time seen so far.
    q : float
        Prior probability that the counterpart is among what the surveys could have detected.
    background : Background
        What it was compared with.
    """

    event: ActiveEvent
    region: EventRegion
    rules: RuleSet
    objects: ObjectSample
    scores: Scores
    log_sum_l: float
    overflow: int
    level: Floats
    searched_area: Floats
    chance: Floats
    chance_area: Floats
    q: float
    background: Background


def judge(
    event: ActiveEvent, region: EventRegion, objects: ObjectSample, background: Background, rules: RuleSet
) -> Verdict:
    """Score the candidates of one event.

    Parameters
    ----------
    event : ActiveEvent
        The event with its localization.
    region : EventRegion
        Its region under `rules`.
    objects : ObjectSample
        Objects of the region that pass the cuts; those outside the credible level are dropped here.
    background : Background
        Rate of unrelated objects.
    rules : RuleSet
        Priors and limits.
    """
    kind = rules.kinds[event.kind]
    objects = objects.select(event.localization.credible_level(objects.ra, objects.dec) < rules.level)
    density = event.localization.density(objects.ra, objects.dec)
    delay = objects.first - event.t0
    features = _features(objects, event, region, kind, background)
    scores = score(density, delay, background.rate, kind, features, background.unevenness(delay))
    keep = np.lexsort((objects.key, -scores.log_l))
    keep = keep[np.isfinite(scores.log_l[keep])]
    linked, overflow = keep[: rules.max_links], max(0, keep.size - rules.max_links)
    chosen = ObjectSample(**{name: getattr(objects, name)[linked] for name in ObjectSample.__dataclass_fields__})
    area = event.localization.searched_area(chosen.ra, chosen.dec)
    seen_until = min(region.end, float(objects.last.max(initial=event.t0)))
    days = max(seen_until - region.start, 0.0)
    drawn = _drawn_log_l(event, region, background, rules)
    seen = background.days if background.measured else region.end - region.start
    expected = background.rate * _area(region) * seen
    return Verdict(
        event=event,
        region=region,
        rules=rules,
        objects=chosen,
        scores=Scores({name: values[linked] for name, values in scores.terms.items()}, scores.log_l[linked]),
        log_sum_l=log_sum(scores.log_l, objects.source),
        overflow=overflow,
        level=event.localization.credible_level(chosen.ra, chosen.dec),
        searched_area=area,
        chance=chance_counts(scores.log_l[linked], drawn, expected),
        chance_area=background.rate * area * days,
        q=float(np.clip(event.p_astro * kind.p_optical, 1e-6, 1 - 1e-6)),
        background=background,
    )


def _drawn_log_l(event: ActiveEvent, region: EventRegion, background: Background, rules: RuleSet) -> Floats:
    """Score random unrelated objects: off-source ones, with their times and fade rates, anywhere in the region."""
    seed = hashlib.sha256(f"{event.localization_key}/{rules.name}".encode()).digest()[:8]
    rng, kind = np.random.default_rng(int.from_bytes(seed, "big")), rules.kinds[event.kind]
    length = (region.hi - region.lo).astype(np.float64)
    chosen = rng.choice(region.lo.size, rules.draws, p=length / length.sum())
    cell = region.lo[chosen] + (rng.random(rules.draws) * length[chosen]).astype(np.int64)
    ra, dec = centers(cell)
    density = event.localization.density(ra, dec)
    if background.off_source is None:
        delay = rng.uniform(region.start - event.t0, region.end - event.t0, rules.draws)
        return score(density, delay, background.rate, kind).log_l
    who = rng.integers(0, background.delay.size, rules.draws)
    drawn, delay = replace(background.off_source.select(who), ra=ra, dec=dec), background.delay[who]
    features = _features(drawn, event, region, kind, background)
    return score(density, delay, background.rate, kind, features, background.unevenness(delay)).log_l


def _features(
    objects: ObjectSample, event: ActiveEvent, region: EventRegion, kind: Kind, background: Background
) -> dict[str, NDArray[np.float64]]:
    """Return the terms decided by what an object does and where it lives, not by where and when it appeared."""
    off = background.off_source
    found = FadeRates(objects.fade, objects.fade_err, objects.middle - event.t0, objects.spread)
    if off is None:
        return {
            "fade": fade_term(found, kind.fade),
            "distance": distance_term(objects, event.localization, np.empty(0)),
        }
    now = min(region.end, max(float(objects.last.max(initial=-np.inf)), float(off.last.max())))
    lasted, waited = objects.last - objects.first, now - objects.first
    return {
        "fade": fade_term(found, kind.fade, off.fade, off.fade_err),
        "persistence": persistence_term(lasted, waited, kind.p_again, off.last - off.first, now - off.first),
        "distance": distance_term(objects, event.localization, off.host_mpc),
    }


def _area(region: EventRegion) -> float:
    """Return the area of the region's ranges [deg2]; an order-29 cell is 4 pi / (12 x 4^29) sr."""
    sphere = 4.0 * np.pi * (180.0 / np.pi) ** 2
    return float(np.sum((region.hi - region.lo).astype(np.float64)) * sphere / (12.0 * 4.0**29))
