"""The persistence term: a counterpart is seen again, artefacts and moving objects are not.

Surveys visit a place at least twice a night or every other night, so what stays put and is bright enough is detected
again; a difference of at least half an hour is what surveys ask for to tell a moving object. An object that has had the
time for it either was or was not: the probability of that under counterpart is the rule set's, that of unrelated
objects is counted off-source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LASTING_DAYS = 0.02
"""Detections at least this far apart show that something stays put [d]."""
PATIENCE_DAYS = 2.5
"""An object first seen less long ago may not have been visited again [d]: LSST returns after about two nights."""


def persistence_term(lasted: Floats, waited: Floats, p_again: float, lasted_off: Floats, waited_off: Floats) -> Floats:
    """Return ln of the ratio of the probabilities of being, or not being, seen again.

    Parameters
    ----------
    lasted : ndarray
        Last minus first detection of the candidates [d].
    waited : ndarray
        Time since the first detection [d]; those below `PATIENCE_DAYS` give NaN.
    p_again : float
        Probability that a counterpart is seen again.
    lasted_off, waited_off : ndarray
        The same of off-source objects.
    """
    counted = lasted_off[waited_off >= PATIENCE_DAYS] >= LASTING_DAYS
    background = (counted.sum() + 1.0) / (counted.size + 2.0)
    again = np.log(p_again / background)
    once = np.log((1.0 - p_again) / (1.0 - background))
    return np.where(waited >= PATIENCE_DAYS, np.where(lasted >= LASTING_DAYS, again, once), np.nan)
