"""One event under several rule sets, side by side: who ranks where, how probable, and how probable that it is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asterism.graph.association.associate import Verdict
from asterism.graph.association.score import posteriors


@dataclass(frozen=True)
class Column:
    """What one rule set says of the event.

    Attributes
    ----------
    rule_set, title : str
        Its name and a line about it.
    judged : bool
        False where it knows no events of this kind, or accepts no place for this one; the rest is then None or 0.
    p_none, q : float or None
        Probability that none of the candidates is the counterpart, and the prior.
    candidates, overflow : int
        Candidates it links, and those beyond.
    background_deg2_d : float or None
        Rate of unrelated objects that pass its cuts [deg^-2 d^-1].
    """

    rule_set: str
    title: str
    judged: bool
    p_none: float | None = None
    q: float | None = None
    candidates: int = 0
    overflow: int = 0
    background_deg2_d: float | None = None


@dataclass(frozen=True)
class Placed:
    """Where one object stands under one rule set; objects of equal L share the best rank."""

    rank: int
    probability: float
    log_l: float
    n_chance: float


@dataclass(frozen=True)
class Comparison:
    """One event under several rule sets.

    Attributes
    ----------
    event : str
        Its key.
    columns : tuple of Column
        One a rule set.
    rows : tuple of (object, tuple of Placed or None)
        Objects that are among the best of any rule set, in the order of the first rule set that ranks them; one entry
        a column, None where the object is no candidate.
    """

    event: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Placed | None, ...]], ...]


def compare(event: str, titles: Mapping[str, str], verdicts: Sequence[Verdict], best: int = 10) -> Comparison:
    """Set verdicts of one event side by side.

    Parameters
    ----------
    event : str
        Key of the event.
    titles : mapping
        A line about each rule set, by name, in the order of the columns.
    verdicts : sequence of Verdict
        At most one a rule set.
    best : int
        How many of the best of each are shown.
    """
    by_rules = {verdict.rules.name: verdict for verdict in verdicts}
    columns, places = [], []
    for name, title in titles.items():
        verdict = by_rules.get(name)
        columns.append(_column(name, title, verdict))
        places.append({} if verdict is None else _places(verdict))
    shown = dict.fromkeys(key for place in places for key in list(place)[:best])
    return Comparison(event, tuple(columns), tuple((key, tuple(p.get(key) for p in places)) for key in shown))


def _column(name: str, title: str, verdict: Verdict | None) -> Column:
    if verdict is None:
        return Column(name, title, judged=False)
    return Column(
        rule_set=name,
        title=title,
        judged=True,
        p_none=posteriors(verdict.scores.log_l, verdict.q, verdict.log_sum_l)[1],
        q=verdict.q,
        candidates=len(verdict.objects),
        overflow=verdict.overflow,
        background_deg2_d=verdict.background.rate,
    )


def _places(verdict: Verdict) -> dict[str, Placed]:
    """Return the place of each candidate, best first."""
    log_l = verdict.scores.log_l
    probability = posteriors(log_l, verdict.q, verdict.log_sum_l)[0]
    rank = 1 + np.searchsorted(np.sort(-log_l), -log_l, side="left")
    values = zip(rank.tolist(), probability.tolist(), log_l.tolist(), verdict.chance.tolist(), strict=True)
    return {key: Placed(*one) for key, one in zip(verdict.objects.key.tolist(), values, strict=True)}
