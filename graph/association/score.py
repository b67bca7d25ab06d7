"""Likelihood ratios, posteriors and chance counts of the candidates of one event. Pure NumPy; natural logarithms.

For candidate i of event e (new transient, and active source; DESIGN "Association")::

    L_i = p_e(Omega_i) f(t_i - t0) / b(Omega_i, t_i) x s(x_i) / n(x_i)

p_e in deg^-2, f in d^-1, b in deg^-2 d^-1: L is a pure number. A missing datum drops its factor: it is NaN here and
adds nothing. ``P_i = q L_i / (1 - q + q sum_j L_j)`` and ``P_none = (1 - q) / (same)`` hold for a Poisson
background; the sum runs over sources: of several objects that are one source, the best counts.

b(t) is the mean rate times a shape in time: the mean makes the term *background*, the shape stands under f in the term
*time*, so that leaving out *time* leaves out all that the time of first detection says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from asterism.graph.association.prior import time_density
from asterism.graph.association.rules import Kind

Floats = NDArray[np.float64]
TERMS = ("position", "time", "background", "fade", "persistence", "distance", "coincidence")
"""Names of the terms, in the order in which they are shown."""


@dataclass(frozen=True)
class Scores:
    """Candidates of one event, all arrays of one length.

    Attributes
    ----------
    terms : dict of ndarray
        Natural log of each factor; NaN where the datum is missing.
    log_l : ndarray
        Sum of the known terms; -inf where a factor is 0.
    """

    terms: dict[str, Floats]
    log_l: Floats


def score(
    density: ArrayLike,
    delay_days: ArrayLike,
    rate: ArrayLike,
    kind: Kind,
    features: Mapping[str, Floats] | None = None,
    unevenness: ArrayLike = 1.0,
) -> Scores:
    """Score new transients as candidates of one event.

    Parameters
    ----------
    density : array_like
        p_e at the candidates [deg^-2].
    delay_days : array_like
        First detection minus t0 [d].
    rate : array_like
        Mean of b over the time seen [deg^-2 d^-1], broadcast.
    kind : Kind
        Priors of this kind of event.
    features : mapping, optional
        The terms of features, ln s/n; NaN where unknown.
    unevenness : array_like
        b at the delays relative to its mean, broadcast.
    """
    with np.errstate(divide="ignore"):
        terms = {
            "position": np.log(np.asarray(density, dtype=np.float64)),
            "time": np.log(time_density(delay_days, kind.time) / np.asarray(unevenness, dtype=np.float64)),
            "background": -np.log(np.broadcast_to(np.asarray(rate, dtype=np.float64), np.shape(density))),
        }
    terms |= features or {}
    return Scores(terms, total(terms))


def log_sum(log_l: ArrayLike, source: NDArray[np.str_]) -> float:
    """Return the natural log of the sum of L over sources, each counted once by its best object; -inf without any.

    Parameters
    ----------
    log_l : array_like
        Natural log of L_i.
    source : ndarray of str
        Key of the source of each object.
    """
    values = np.asarray(log_l, dtype=np.float64)
    if not values.size:
        return -np.inf
    _, member = np.unique(source, return_inverse=True)
    best = np.full(member.max() + 1, -np.inf)
    np.maximum.at(best, member, values)
    return float(logsumexp(best))


def total(terms: Mapping[str, Floats], without: str | None = None) -> Floats:
    """Return log L: the sum of the terms, missing ones adding nothing; optionally with one term left out."""
    kept = [np.where(np.isnan(values), 0.0, values) for name, values in terms.items() if name != without]
    return np.asarray(np.sum(kept, axis=0), dtype=np.float64)


def posteriors(log_l: ArrayLike, q: float, log_sum_l: float | None = None) -> tuple[Floats, float]:
    """Return P_i of every candidate and P_none.

    Parameters
    ----------
    log_l : array_like
        Natural log of L_i.
    q : float
        Prior probability that the counterpart is among what could be detected, 0 < q < 1.
    log_sum_l : float, optional
        Log of the sum over all candidates, if `log_l` holds only some of them.
    """
    values = np.asarray(log_l, dtype=np.float64)
    if log_sum_l is None:
        log_sum_l = float(logsumexp(values)) if values.size else -np.inf
    denominator = np.logaddexp(np.log1p(-q), np.log(q) + log_sum_l)
    return np.exp(np.log(q) + values - denominator), float(np.exp(np.log1p(-q) - denominator))


def chance_counts(log_l: ArrayLike, drawn_log_l: ArrayLike, expected: ArrayLike) -> Floats:
    """Return N_L: how many unrelated objects are expected to score at least as high as each candidate.

    Parameters
    ----------
    log_l : array_like
        Natural log of L_i.
    drawn_log_l : array_like
        The same for random background objects drawn over the event's region and window.
    expected : array_like
        Expected number of unrelated objects in region and window, b x area x time; or, of draws that do not all stand
        for equally many, the number that each stands for.
    """
    drawn = np.asarray(drawn_log_l, dtype=np.float64)
    order = np.argsort(drawn)
    number = np.asarray(expected, dtype=np.float64)
    place = np.searchsorted(drawn[order], np.asarray(log_l, dtype=np.float64), side="left")
    if not number.ndim:
        return np.asarray(number * (drawn.size - place) / max(drawn.size, 1), dtype=np.float64)
    return np.asarray(np.append(np.cumsum(number[order][::-1])[::-1], 0.0)[place], dtype=np.float64)


def as_one_of(counts: ArrayLike, expected: float, distinct: int) -> Floats:
    """Return chance counts no finer than the background they were read from.

    A candidate that is unrelated is one more object like those of the background. Counted among them, its rank is as
    likely to be any of ``distinct + 1``: ``N (k + 1) / (M + 1)`` in place of ``N k / M``, which is 0 for what outdoes
    all M (Monte Carlo tests: Davison & Hinkley 1997, section 4.2).

    Parameters
    ----------
    counts : array_like
        Expected unrelated objects that score at least as high.
    expected : float
        Expected unrelated objects, whatever they score.
    distinct : int
        How many different objects the draws were made from, M.
    """
    return np.asarray((np.asarray(counts, dtype=np.float64) * distinct + expected) / (distinct + 1), dtype=np.float64)
