"""Grades of rule sets that are cuts: what Fink_MM's topics bronze, silver and gold ask for.

The probability of a chance coincidence of a burst is ``P_space P_time``: the share of a night's transients that lie in
the circle, and the probability of a burst in the delay, ``1 - exp(-rate x share of the sky x delay)`` (Fink_MM
grb_prob.py, corrected as the rule set's file says).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.rules import ChanceRule, RuleSet
from asterism.graph.association.sample import ObjectSample
from asterism.sky.healpix import SKY_DEG2

Floats = NDArray[np.float64]

DAYS_PER_YEAR = 365.25


def chance_probability(radius_deg: float | None, delay_days: Floats, authority: str, rule: ChanceRule | None) -> Floats:
    """Return Fink_MM's probability of a chance coincidence; NaN where the rule does not tell.

    Parameters
    ----------
    radius_deg : float, optional
        Published error radius [deg].
    delay_days : ndarray
        First detection minus t0 [d].
    authority : str
        Of the event.
    rule : ChanceRule, optional
        Densities and rates.
    """
    yearly = None if rule is None else rule.events_per_year.get(authority)
    if rule is None or yearly is None or radius_deg is None:
        return np.full(delay_days.shape, np.nan)
    space = min(1.0, rule.transients_deg2 * np.pi * radius_deg**2 / rule.transients)
    observed = rule.transients / rule.transients_deg2 / SKY_DEG2
    return np.asarray(-space * np.expm1(-yearly * observed * np.maximum(delay_days, 0.0) / DAYS_PER_YEAR))


def grades(
    objects: ObjectSample, reliability: Floats, radius_deg: float | None, chance: Floats, rules: RuleSet
) -> NDArray[np.str_]:
    """Return the grade of each candidate, the last whose conditions hold; empty for none.

    Parameters
    ----------
    objects : ObjectSample
        Candidates.
    reliability : ndarray
        Real/bogus score of their newest alerts; NaN where unknown.
    radius_deg : float, optional
        Published error radius of the event [deg].
    chance : ndarray
        `chance_probability`; NaN reaches no grade that asks for one.
    rules : RuleSet
        The grades.
    """
    found = np.full(len(objects), "", dtype="U16")
    score = np.where(np.isnan(reliability), -np.inf, reliability)
    for grade in rules.grades:
        holds = np.ones(len(objects), dtype=np.bool_)
        if grade.min_reliability > 0.0:
            holds &= score >= grade.min_reliability
        if grade.max_chance < 1.0:
            holds &= chance <= grade.max_chance
        if grade.min_abs_fade > 0.0:
            holds &= np.abs(objects.fade) > grade.min_abs_fade
        if grade.max_radius_deg < 180.0:
            holds &= radius_deg is not None and radius_deg <= grade.max_radius_deg
        found[holds] = grade.name
    return found
