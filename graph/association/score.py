"""Likelihood ratios, posteriors and chance counts of the candidates of one event. Pure NumPy; natural logarithms.

For candidate i of event e (new transient, and active source with a flat time prior; DESIGN "Association")::

    L_i = p_e(Omega_i) f(t_i - t0) / b(Omega_i, t_i) x s(x_i) / n(x_i)

p_e in deg^-2, f in d^-1, b in deg^-2 d^-1: L is a pure number. A missing datum drops its factor: it is NaN here and
adds nothing. ``P_i = q L_i / (1 - q + q sum_j L_j)`` and ``P_none = (1 - q) / (same)`` hold for a Poisson
background.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from asterism.graph.association.prior import time_density
from asterism.graph.association.rules import Fade, Kind

Floats = NDArray[np.float64]
WELL_MEASURED = 0.15
"""Off-source fade rates with a larger error say nothing of the shape of the background [mag/d]."""
FEWEST_MEASURED = 30
"""With fewer of them the rule set's density is used."""
KERNEL = 0.08
"""Width of the kernels [mag/d]."""
UNSEEN_WEIGHT, UNSEEN_SIGMA = 0.02, 1.0
"""A broad part of the background that a finite sample may have missed: weight, and width [mag/d]."""

TERMS = ("position", "time", "background", "fade")
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

    @property
    def log_sum_l(self) -> float:
        """Natural log of the sum of all L; -inf without candidates."""
        return float(logsumexp(self.log_l)) if self.log_l.size else -np.inf


def score(
    density: ArrayLike,
    delay_days: ArrayLike,
    rate: ArrayLike,
    kind: Kind,
    fade: tuple[ArrayLike, ArrayLike] | None = None,
    off_source: tuple[Floats, Floats] | None = None,
) -> Scores:
    """Score the candidates of one event.

    Parameters
    ----------
    density : array_like
        p_e at the candidates [deg^-2].
    delay_days : array_like
        First detection minus t0 [d].
    rate : array_like
        b at the candidates [deg^-2 d^-1], broadcast.
    kind : Kind
        Priors of this kind of event.
    fade : tuple of array_like, optional
        Fade rate and its 1 sigma [mag/d, positive fades]; NaN where unknown.
    off_source : tuple of ndarray, optional
        The same of unrelated objects, from which the background's density is measured.
    """
    with np.errstate(divide="ignore"):
        terms = {
            "position": np.log(np.asarray(density, dtype=np.float64)),
            "time": np.log(time_density(delay_days, kind.time)),
            "background": -np.log(np.broadcast_to(np.asarray(rate, dtype=np.float64), np.shape(density))),
        }
    if fade is not None:
        sample = off_source or (np.empty(0), np.empty(0))
        terms["fade"] = measured_fade_term(np.asarray(fade[0]), np.asarray(fade[1]), kind.fade, *sample)
    return Scores(terms, total(terms))


def total(terms: Mapping[str, Floats], without: str | None = None) -> Floats:
    """Return log L: the sum of the terms, missing ones adding nothing; optionally with one term left out."""
    kept = [np.where(np.isnan(values), 0.0, values) for name, values in terms.items() if name != without]
    return np.asarray(np.sum(kept, axis=0), dtype=np.float64)


def fade_term(rate: ArrayLike, error: ArrayLike, fade: Fade) -> Floats:
    """Return ln of the ratio of the fade rate's densities under counterpart and background, each widened by the error.

    Parameters
    ----------
    rate, error : array_like
        Fade rate and 1 sigma [mag/d]; NaN gives NaN.
    fade : Fade
        Normal densities of both populations.
    """
    value, sigma = np.asarray(rate, dtype=np.float64), np.asarray(error, dtype=np.float64)
    signal = _log_normal(value, fade.signal_mean, np.hypot(fade.signal_sigma, sigma))
    background = _log_normal(value, fade.background_mean, np.hypot(fade.background_sigma, sigma))
    return np.asarray(signal - background, dtype=np.float64)


def measured_fade_term(rate: ArrayLike, error: ArrayLike, fade: Fade, sample: Floats, sample_error: Floats) -> Floats:
    """Return the same ratio with the background's density measured: a kernel estimate over off-source objects.

    Parameters
    ----------
    rate, error : array_like
        Fade rate and 1 sigma of the candidates [mag/d]; NaN gives NaN.
    fade : Fade
        Density of counterparts; the background's is used where too few off-source objects are well measured.
    sample, sample_error : ndarray
        Fade rates and 1 sigma of off-source objects [mag/d], NaN where unknown.
    """
    good = sample[sample_error <= WELL_MEASURED]
    if good.size < FEWEST_MEASURED:
        return fade_term(rate, error, fade)
    value, sigma = (np.atleast_1d(np.asarray(given, dtype=np.float64)) for given in (rate, error))
    term = np.full(value.shape, np.nan)
    known = np.isfinite(value) & np.isfinite(sigma)
    value, sigma = value[known], sigma[known]
    signal = _log_normal(value, fade.signal_mean, np.hypot(fade.signal_sigma, sigma))
    width = np.hypot(sigma, KERNEL)[:, None]
    kernels = logsumexp(_log_normal(value[:, None], good[None, :], width), axis=1) - np.log(good.size)
    unseen = _log_normal(value, 0.0, np.hypot(UNSEEN_SIGMA, sigma))
    background = np.logaddexp(np.log1p(-UNSEEN_WEIGHT) + kernels, np.log(UNSEEN_WEIGHT) + unseen)
    term[known] = signal - background
    return term


def _log_normal(value: Floats, mean: float | Floats, sigma: Floats) -> Floats:
    deviation = (value - mean) / sigma
    return np.asarray(-0.5 * deviation**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi), dtype=np.float64)


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


def chance_counts(log_l: ArrayLike, drawn_log_l: ArrayLike, expected: float) -> Floats:
    """Return N_L: how many unrelated objects are expected to score at least as high as each candidate.

    Parameters
    ----------
    log_l : array_like
        Natural log of L_i.
    drawn_log_l : array_like
        The same for random background objects drawn uniformly over the event's region and window.
    expected : float
        Expected number of unrelated objects in region and window, b x area x time.
    """
    drawn = np.sort(np.asarray(drawn_log_l, dtype=np.float64))
    above = drawn.size - np.searchsorted(drawn, np.asarray(log_l, dtype=np.float64), side="left")
    return np.asarray(expected * above / drawn.size, dtype=np.float64)
