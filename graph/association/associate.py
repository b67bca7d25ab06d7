"""Score one event: candidates from the graph, background from the lake, terms, posteriors and chance counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.background import Background
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import RuleSet
from asterism.graph.association.sample import ObjectSample
from asterism.graph.association.score import Scores, chance_counts, score
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
        Natural log of the sum of L over **all** candidates; -inf if there are none.
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
    off_source = (background.fade, background.fade_err)
    delay = objects.first - event.t0
    scores = score(density, delay, background.rate, kind, (objects.fade, objects.fade_err), off_source)
    keep = np.lexsort((objects.key, -scores.log_l))
    keep = keep[np.isfinite(scores.log_l[keep])]
    linked, overflow = keep[: rules.max_links], max(0, keep.size - rules.max_links)
    chosen = ObjectSample(**{name: getattr(objects, name)[linked] for name in ObjectSample.__dataclass_fields__})
    area = event.localization.searched_area(chosen.ra, chosen.dec)
    seen_until = min(region.end, float(objects.last.max(initial=event.t0)))
    days = max(seen_until - region.start, 0.0)
    drawn = _drawn_log_l(event, region, background, rules)
    expected = background.rate * _area(region) * (region.end - region.start)
    return Verdict(
        event=event,
        region=region,
        rules=rules,
        objects=chosen,
        scores=Scores({name: values[linked] for name, values in scores.terms.items()}, scores.log_l[linked]),
        log_sum_l=scores.log_sum_l,
        overflow=overflow,
        level=event.localization.credible_level(chosen.ra, chosen.dec),
        searched_area=area,
        chance=chance_counts(scores.log_l[linked], drawn, expected),
        chance_area=background.rate * area * days,
        q=float(np.clip(event.p_astro * kind.p_optical, 1e-6, 1 - 1e-6)),
        background=background,
    )


def _drawn_log_l(event: ActiveEvent, region: EventRegion, background: Background, rules: RuleSet) -> Floats:
    """Score random unrelated objects: uniform over region and window, fade rates drawn from the off-source objects."""
    seed = hashlib.sha256(f"{event.localization_key}/{rules.name}".encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(seed, "big"))
    length = (region.hi - region.lo).astype(np.float64)
    chosen = rng.choice(region.lo.size, rules.draws, p=length / length.sum())
    cell = region.lo[chosen] + (rng.random(rules.draws) * length[chosen]).astype(np.int64)
    ra, dec = centers(cell)
    delay = rng.uniform(region.start - event.t0, region.end - event.t0, rules.draws)
    off_source = (background.fade, background.fade_err)
    fade = None
    if background.fade.size:
        who = rng.integers(0, background.fade.size, rules.draws)
        fade = (background.fade[who], background.fade_err[who])
    density = event.localization.density(ra, dec)
    return score(density, delay, background.rate, rules.kinds[event.kind], fade, off_source).log_l


def _area(region: EventRegion) -> float:
    """Return the area of the region's ranges [deg2]; an order-29 cell is 4 pi / (12 x 4^29) sr."""
    sphere = 4.0 * np.pi * (180.0 / np.pi) ** 2
    return float(np.sum((region.hi - region.lo).astype(np.float64)) * sphere / (12.0 * 4.0**29))
