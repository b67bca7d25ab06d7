"""What the scores an event and its links hold mean as probabilities. Nothing of this is stored.

P exists only while event and link speak of the same: the event is real and active, it was scored, and the
link was scored under that localization and rule set. Otherwise it is unknown. P is monotone in log L, so
"at least this probable" is a bound on log L that the store can seek. While an event is scored anew, a link
may be ahead of the sum beside it: then its own L is the sum, and no P exceeds 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asterism.graph.association.score import posteriors
from asterism.graph.rows import EventRow, LinkRow

PRIOR_FACTOR = 3.0
"""The prior q is uncertain by this factor: posteriors are also given for q / 3 and 3 q."""
_MAX_Q = 1.0 - 1e-6
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probability that a candidate is the counterpart.

    Parameters
    ----------
    value : float
        For the prior q of the rule set.
    low, high : float
        For q / `PRIOR_FACTOR` and `PRIOR_FACTOR` q.
    """

    value: float
    low: float
    high: float


def is_scored(event: EventRow) -> bool:
    """Whether the event's sum of L is valid: it is real and active, and association has judged it."""
    judged = event.q is not None and event.scored_localization is not None
    return judged and event.state == "active" and event.standing == "real"


def posterior(event: EventRow, link: LinkRow) -> Posterior | None:
    """Return the probability that a linked object is the counterpart; None where it has no meaning."""
    same = (link.localization, link.rule_set) == (event.scored_localization, event.rule_set)
    if not (is_scored(event) and link.open and same) or event.q is None:
        return None
    total = max(_log_sum_l(event), link.log_l)
    return Posterior(
        _probability(link.log_l, event.q, total),
        _probability(link.log_l, event.q / PRIOR_FACTOR, total),
        _probability(link.log_l, min(event.q * PRIOR_FACTOR, _MAX_Q), total),
    )


def p_none(event: EventRow) -> float | None:
    """Return the probability that none of the detected candidates is the counterpart; None if not scored."""
    if not is_scored(event) or event.q is None:
        return None
    return posteriors([], event.q, _log_sum_l(event))[1]


def least_log_l(event: EventRow, probability: float) -> float | None:
    """Return a bound on log L that every candidate of at least this probability reaches; None if not scored.

    The inverse of ``P = q L / (1 - q + q sum L)``, less a little for rounding: compare P itself for the last
    digit.

    Parameters
    ----------
    event : EventRow
        The event.
    probability : float
        0 to 1.
    """
    if not is_scored(event) or event.q is None:
        return None
    if probability == 0.0:
        return -math.inf
    denominator = np.logaddexp(math.log1p(-event.q), math.log(event.q) + _log_sum_l(event))
    bound = math.log(probability) - math.log(event.q) + float(denominator)
    return bound - _SLACK * (1.0 + abs(bound))


def _probability(log_l: float, q: float, log_sum_l: float) -> float:
    values, _ = posteriors([log_l], q, log_sum_l)
    return float(values[0])


def _log_sum_l(event: EventRow) -> float:
    """Return the sum's logarithm; the store keeps none for an event without candidates, whose sum is 0."""
    return -math.inf if event.log_sum_l is None else event.log_sum_l
