"""The fade term: how much more often counterparts fade at the measured rate than unrelated objects do.

Counterparts follow the laws of the rule set. Afterglows fall as (t - t0)^-alpha (Sari, Piran & Narayan 1998, ApJ 497,
L17; optical decays scatter around alpha = 1), so the fade rate to expect depends on when it was measured: 1.09 alpha
mag/d a day after the burst, a tenth of it after ten days. That ties the rate to t0: what fades as an afterglow of
another burst would does not fit. The unrelated are measured: a kernel density over off-source objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from asterism.graph.association.prior import ONSET_DAYS
from asterism.graph.association.rules import Fade, FadeLaw

Floats = NDArray[np.float64]

WELL_MEASURED = 0.15
"""Off-source fade rates with a larger error say nothing of the shape of the background [mag/d]."""
FEWEST_MEASURED = 30
"""With fewer of them the rule set's density is used."""
KERNEL = 0.08
"""Width of the kernels [mag/d]."""
STEP = KERNEL / 8.0
"""Off-source rates this near to each other share a kernel [mag/d]: the time does not grow with their number."""
UNSEEN_WEIGHT, UNSEEN_WIDTH = 0.02, 1.0
"""What a finite sample of the background may have missed: weight, and width [mag/d] of a Cauchy density, whose tail
keeps a fade rate never seen before from deciding alone (judgement)."""


@dataclass(frozen=True, eq=False)
class FadeRates:
    """Measured fade rates, all arrays of one length; NaN where unknown.

    Attributes
    ----------
    rate, error : ndarray
        Fade rate and 1 sigma [mag/d, positive fades].
    age, spread : ndarray
        When it was measured, and half the time it spans (`asterism.graph.association.sample`) [d after t0].
    """

    rate: Floats
    error: Floats
    age: Floats
    spread: Floats

    @classmethod
    def of(cls, rate: ArrayLike, error: ArrayLike, age: ArrayLike, spread: ArrayLike) -> FadeRates:
        """Return fade rates from anything that is an array."""
        return cls(*(np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (rate, error, age, spread)))


def fade_term(found: FadeRates, fade: Fade, sample: Floats | None = None, sample_error: Floats | None = None) -> Floats:
    """Return ln of the ratio of the fade rate's densities under counterpart and background, both widened by the error.

    Parameters
    ----------
    found : FadeRates
        The candidates'; NaN gives NaN.
    fade : Fade
        Densities; the background's is used where too few off-source objects are well measured.
    sample, sample_error : ndarray, optional
        Fade rates and 1 sigma of off-source objects [mag/d], NaN where unknown.
    """
    term = np.full(found.rate.shape, np.nan)
    known = np.isfinite(found.rate) & np.isfinite(found.error)
    rate, error = found.rate[known], found.error[known]
    signal = _signal(rate, error, unit_slope(found.age[known], found.spread[known]), fade.signal)
    good = np.empty(0) if sample is None or sample_error is None else sample[sample_error <= WELL_MEASURED]
    if good.size < FEWEST_MEASURED:
        background = _log_normal(rate, fade.background_mean, np.hypot(fade.background_sigma, error))
    else:
        places, counts = np.unique(np.round(good / STEP), return_counts=True)
        width = np.hypot(error, KERNEL)[:, None]
        kernels = logsumexp(_log_normal(rate[:, None], STEP * places[None, :], width), axis=1, b=counts / good.size)
        unseen = _log_cauchy(rate, np.hypot(UNSEEN_WIDTH, error))
        background = np.logaddexp(np.log1p(-UNSEEN_WEIGHT) + kernels, np.log(UNSEEN_WEIGHT) + unseen)
    term[known] = signal - background
    return term


def unit_slope(age: Floats, spread: Floats) -> Floats:
    """Return the fade rate of a power law of index 1 measured around an age [mag/d].

    With m = 2.5 lg(t - t0): its difference quotient between age - spread and age + spread, no nearer to t0 than
    `ONSET_DAYS`; NaN before t0, where nothing follows the law.
    """
    early = np.maximum(age - spread, ONSET_DAYS)
    late = np.maximum(age + spread, 1.0001 * early)
    slope = 2.5 * np.log10(late / early) / (late - early)
    return np.where(age > 0.0, slope, np.nan)


def _signal(rate: Floats, error: Floats, slope: Floats, laws: tuple[FadeLaw, ...]) -> Floats:
    """Return ln of the mixture's density of a fade rate; laws that do not apply leave their weight to the others."""
    densities, weights = [], []
    for law in laws:
        unit = np.where(np.isnan(slope), np.nan, slope) if law.law == "power" else np.ones(rate.shape)
        applies = np.isfinite(unit)
        unit = np.where(applies, unit, 1.0)
        density = _log_normal(rate, law.mean * unit, np.hypot(law.sigma * unit, error))
        weight = np.where(applies, law.weight, 0.0)
        weights.append(weight)
        with np.errstate(divide="ignore"):
            densities.append(np.log(weight) + density)
    with np.errstate(divide="ignore"):
        return np.asarray(logsumexp(densities, axis=0) - np.log(np.sum(weights, axis=0)), dtype=np.float64)


def _log_cauchy(value: Floats, width: Floats) -> Floats:
    return np.asarray(-np.log(np.pi * width) - np.log1p((value / width) ** 2), dtype=np.float64)


def _log_normal(value: Floats, mean: float | Floats, sigma: Floats) -> Floats:
    deviation = (value - mean) / sigma
    return np.asarray(-0.5 * deviation**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi), dtype=np.float64)
