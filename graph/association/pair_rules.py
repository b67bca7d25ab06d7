"""What a rule set says of two events that may be one source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PairRule:
    """When events of two kinds may be one source.

    Attributes
    ----------
    first, second : str
        Kinds of the events.
    start_s, end_s : float
        Window of the second's time minus the first's [s].
    per_year : float
        Unrelated events of the second kind a year, whole sky.
    p_joint : float
        Probability that an event of the first kind has one of the second.
    source : str
        Where the numbers are from.
    unmodelled : bool, optional
        The first is of no class of compact binary, or is of one; None: either.
    """

    first: str
    second: str
    start_s: float
    end_s: float
    per_year: float
    p_joint: float
    source: str
    unmodelled: bool | None = None


@dataclass(frozen=True)
class CoincidenceRule:
    """How coincident events are judged.

    Attributes
    ----------
    min_odds : float
        Pairs of smaller odds are not linked.
    pairs : tuple of PairRule
        The first that fits is used.
    true_per_year : dict
        Rate of true events a year, by kind and class; ``any`` where no class is named. No false-alarm rate is smaller.
    targeted_hz : dict
        Thresholds of targeted searches [Hz], by kind of the first and authority of the second.
    """

    min_odds: float
    pairs: tuple[PairRule, ...]
    true_per_year: dict[str, dict[str, float]]
    targeted_hz: dict[str, float] = field(default_factory=dict)


def coincidence_rule(values: dict[str, Any]) -> CoincidenceRule:
    """Build it from the values of a rule set's file.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a value is missing, of the wrong type, or impossible.
    """
    pairs = tuple(PairRule(**one) for one in values["pairs"])
    if any(p.end_s <= p.start_s or p.per_year <= 0 or not 0 < p.p_joint < 1 for p in pairs):
        raise ValueError("a pair of events has no window, rate or probability")
    return CoincidenceRule(float(values["min_odds"]), pairs, values["true_per_year"], values.get("targeted_hz", {}))
