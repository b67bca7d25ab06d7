"""Time priors: how soon after an event a survey first sees its counterpart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asterism.graph.association.rules import TimeComponent

ONSET_DAYS = 0.01
"""Softening of the power laws [d], about the length of a survey's exposure and read-out; keeps 1/t finite at t = 0."""


def time_density(delay_days: ArrayLike, components: Sequence[TimeComponent]) -> NDArray[np.float64]:
    """Return f(t), the density of the first detection's delay.

    Parameters
    ----------
    delay_days : array_like
        First detection minus t0 [d], any shape.
    components : sequence of TimeComponent
        Terms; with u = t - start, each is ``weight * (u + ONSET_DAYS)^index`` normalised over ``start <= t <= end``.

    Returns
    -------
    ndarray
        Density [d^-1], shape of `delay_days`; integrates to the sum of the weights; 0 outside all terms.
    """
    delay = np.asarray(delay_days, dtype=np.float64)
    density = np.zeros(delay.shape)
    for term in components:
        inside = (delay >= term.start) & (delay <= term.end)
        shape = np.power(np.where(inside, delay - term.start, 0.0) + ONSET_DAYS, term.index)
        density += np.where(inside, term.weight * shape / _norm(term), 0.0)
    return density


def _norm(term: TimeComponent) -> float:
    low, high = ONSET_DAYS, term.end - term.start + ONSET_DAYS
    if term.index == -1.0:
        return float(np.log(high / low))
    power = term.index + 1.0
    return float((high**power - low**power) / power)


def time_share(delay_days: ArrayLike, components: Sequence[TimeComponent]) -> NDArray[np.float64]:
    """Return the integral of `time_density` up to a delay [d], between 0 and the sum of the weights."""
    delay = np.asarray(delay_days, dtype=np.float64)
    share = np.zeros(delay.shape)
    for term in components:
        past = np.clip(delay, term.start, term.end) - term.start + ONSET_DAYS
        if term.index == -1.0:
            done = np.log(past / ONSET_DAYS)
        else:
            power = term.index + 1.0
            done = (past**power - ONSET_DAYS**power) / power
        share += term.weight * done / _norm(term)
    return share
