"""Score one event: candidates from the graph, background from the lake, terms, posteriors and chance counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.acceptance import Acceptance
from asterism.graph.association.background import Background
from asterism.graph.association.chance import Draws, draw_unrelated, region_area
from asterism.graph.association.coincidence import coincidence_term
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.fading import FadeRates, fade_term
from asterism.graph.association.grades import chance_probability, grades
from asterism.graph.association.hosts import distance_term
from asterism.graph.association.persistence import persistence_term
from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import CataloguedClass, Kind, RuleSet
from asterism.graph.association.sample import ObjectSample, surveys
from asterism.graph.association.score import Scores, as_one_of, chance_counts, log_sum, score, total
from asterism.graph.association.temporal import catalogued_source, expected_sources

Floats = NDArray[np.float64]


_HUGE = 1e300
"""Every object that is possible at all has a log L above minus this."""


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
        Prior probability that the counterpart is among what the surveys detected: p_astro x P(optical) x coverage.
    background : Background
        What it was compared with.
    coverage : float, optional
        Share of the map observed times share of the time prior passed; None where it is not known, and taken for 1.
    rates : ndarray
        Background each candidate was compared with, mean over time: of new transients [deg^-2 d^-1], of catalogued
        sources [deg^-2].
    unrelated : float
        Unrelated objects expected to be candidates, whatever they score.
    resolution : float
        Least N_L that the background can tell: what a candidate has that outdoes all of it.
    grade : ndarray of str
        Of rule sets that are cuts: grade of each candidate; empty else.
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
    coverage: float | None = None
    rates: Floats = field(default_factory=lambda: np.empty(0))
    unrelated: float = 0.0
    resolution: float = 0.0
    grade: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))


def judge(
    event: ActiveEvent, region: EventRegion, objects: ObjectSample, background: Background, rules: RuleSet
) -> Verdict:
    """Score the candidates of one event. A pure function: nothing is read, whatever the rule set.

    Parameters
    ----------
    event : ActiveEvent
        The event with its localization.
    region : EventRegion
        Its region under `rules`.
    objects : ObjectSample
        Objects of the region that pass the cuts; those the rules do not accept are dropped here.
    background : Background
        Rate of unrelated objects.
    rules : RuleSet
        Priors and limits.
    """
    kind, place = rules.kinds[event.kind], event.acceptance(rules)
    objects = objects.select(place.inside(objects.ra, objects.dec))
    rate = background.rate_at(objects.hpx29, surveys(objects))
    delay = objects.first - event.t0
    scores = _score(objects, delay, rate, event, region, kind, place, background)
    order = np.lexsort((objects.key, -scores.log_l))
    order = order[np.isfinite(scores.log_l[order])]
    linked = order[: rules.max_links]
    chosen, log_l = objects.select(linked), scores.log_l[linked]
    area = event.localization.searched_area(chosen.ra, chosen.dec)
    coverage = None if background.observed is None else background.observed.coverage(event.localization, event.t0, kind)
    chance = _chance(np.append(log_l, [-_HUGE, _HUGE]), event, region, kind, place, background, rules)
    told = chance_probability(event.radius_deg, delay[linked], event.authority, rules.chance)
    known = kind.p_optical * event.p_astro * (1.0 if coverage is None else coverage)
    return Verdict(
        event=event,
        region=region,
        rules=rules,
        objects=chosen,
        scores=Scores({name: values[linked] for name, values in scores.terms.items()}, log_l),
        log_sum_l=log_sum(scores.log_l, objects.source),
        overflow=max(0, order.size - rules.max_links),
        level=event.localization.credible_level(chosen.ra, chosen.dec),
        searched_area=area,
        chance=chance[:-2],
        unrelated=float(chance[-2]),
        resolution=float(chance[-1]),
        chance_area=_chance_area(chosen, objects, area, event, region, kind, background),
        q=float(np.clip(known, 1e-6, 1 - 1e-6)),
        background=background,
        coverage=coverage,
        rates=_compared_with(chosen, rate[linked], kind),
        grade=grades(chosen, chosen.reliability, event.radius_deg, told, rules),
    )


def _score(
    objects: ObjectSample,
    delay: Floats,
    rate: Floats,
    event: ActiveEvent,
    region: EventRegion,
    kind: Kind,
    place: Acceptance,
    background: Background,
) -> Scores:
    """Score objects, each by the formula of its temporal class."""
    density = place.density(objects.ra, objects.dec)
    features = _features(objects, event, region, kind, background)
    found = score(density, delay, rate, kind, features, background.unevenness(delay))
    terms = dict(found.terms)
    for one in kind.catalogued:
        there, known = objects.known == one.name, catalogued_source(density, one.sigma_deg2)
        for name in terms:
            if name != "coincidence":  # which says of a place, not of what stands there
                terms[name] = np.where(there, known.get(name, np.nan), terms[name])
    return Scores(terms, total(terms))


def _features(
    objects: ObjectSample, event: ActiveEvent, region: EventRegion, kind: Kind, background: Background
) -> dict[str, Floats]:
    """Return the terms decided by what an object does, where it lives and what else happened there."""
    off = background.off_source
    terms = {}
    if kind.fade is not None:
        found = FadeRates(objects.fade, objects.fade_err, objects.middle - event.t0, objects.spread)
        terms["fade"] = fade_term(found, kind.fade, *_fades(off))
        terms["distance"] = distance_term(objects, event.localization, np.empty(0) if off is None else off.host_mpc)
    if kind.p_again is not None and off is not None:
        now = min(region.end, max(float(objects.last.max(initial=-np.inf)), float(off.last.max())))
        lasted, waited = objects.last - objects.first, now - objects.first
        terms["persistence"] = persistence_term(lasted, waited, kind.p_again, off.last - off.first, now - off.first)
    if event.partners:
        terms["coincidence"] = coincidence_term(event.localization, event.partners, objects.ra, objects.dec)
    return terms


def _chance(
    log_l: Floats,
    event: ActiveEvent,
    region: EventRegion,
    kind: Kind,
    place: Acceptance,
    background: Background,
    rules: RuleSet,
) -> Floats:
    """Return N_L: unrelated new transients and catalogued sources that score at least as high."""
    seed = f"{event.localization_key}/{rules.name}"
    drawn = draw_unrelated(region, place, kind, background, rules.draws, seed)
    counts = chance_counts(log_l, _drawn_log_l(drawn, event, region, kind, place, background), drawn.weight)
    if drawn.distinct is not None:
        counts = as_one_of(counts, float(drawn.weight.sum()), drawn.distinct)
    for one in kind.catalogued:
        counts = counts + _chance_catalogued(log_l, drawn, one, event, region, place)
    return counts


def _drawn_log_l(
    drawn: Draws, event: ActiveEvent, region: EventRegion, kind: Kind, place: Acceptance, background: Background
) -> Floats:
    if drawn.objects is not None:
        objects = replace(drawn.objects, known=np.full(len(drawn.objects), "", dtype=np.str_))
        return _score(objects, drawn.delay, drawn.rate, event, region, kind, place, background).log_l
    features = {}
    if event.partners:
        features["coincidence"] = coincidence_term(event.localization, event.partners, drawn.ra, drawn.dec)
    return score(place.density(drawn.ra, drawn.dec), drawn.delay, drawn.rate, kind, features).log_l


def _chance_catalogued(
    log_l: Floats, drawn: Draws, one: CataloguedClass, event: ActiveEvent, region: EventRegion, place: Acceptance
) -> Floats:
    """Return how many catalogued sources of a class score at least as high: Sigma x area, place by place."""
    if not drawn.ra.size:
        return np.zeros(log_l.shape)
    terms = catalogued_source(place.density(drawn.ra, drawn.dec), one.sigma_deg2)
    if event.partners:
        terms["coincidence"] = coincidence_term(event.localization, event.partners, drawn.ra, drawn.dec)
    per_place = drawn.place_weight * expected_sources(one.sigma_deg2, region_area(region)) / drawn.ra.size
    return chance_counts(log_l, total(terms), per_place)


def _chance_area(
    chosen: ObjectSample,
    objects: ObjectSample,
    area: Floats,
    event: ActiveEvent,
    region: EventRegion,
    kind: Kind,
    background: Background,
) -> Floats:
    """Return N_area: b x searched area x time seen, or Sigma x searched area of a catalogued source's class."""
    seen_until = min(region.end, float(objects.last.max(initial=event.t0)))
    counts = background.rate * area * max(seen_until - region.start, 0.0)
    for one in kind.catalogued:
        counts = np.where(chosen.known == one.name, expected_sources(one.sigma_deg2, area), counts)
    return np.asarray(counts, dtype=np.float64)


def _compared_with(chosen: ObjectSample, rate: Floats, kind: Kind) -> Floats:
    for one in kind.catalogued:
        rate = np.where(chosen.known == one.name, one.sigma_deg2, rate)
    return rate


def _fades(off: ObjectSample | None) -> tuple[Floats | None, Floats | None]:
    return (None, None) if off is None else (off.fade, off.fade_err)
