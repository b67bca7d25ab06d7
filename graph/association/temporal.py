"""The three temporal classes of candidates, and what each is compared with.

With p_e the density of the event's position [deg^-2]:

- *new transient*: ``L = p_e f(t - t0) / b``; f the time prior [d^-1], b the rate of unrelated new objects [deg^-2 d^-1]
  (`asterism.graph.association.score`);
- *active source* (tidal disruption, flare of a nucleus), which may precede the event by up to `LONGEST_DAYS`:
  ``L = p_e g / Sigma``; Sigma the density of sources of its class active at t0 [deg^-2], g a pure number, how likely
  an event then is compared with a random time of the source's activity;
- *catalogued source* (blazar), there all along: ``L = p_e / Sigma``, times a flare factor only where one was measured.

p_e over a surface density is how neutrino follow-up quotes chance coincidences, "density times area" (Stein et al.
2021, Nature Astronomy 5, 510; 2023, MNRAS 521, 5046). If f is flat over the activity and Sigma the integral of b over
it, the second equals the first: so one measured b(t) serves all objects whose class is not known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LONGEST_DAYS = 500.0
"""The earliest an active source may have begun [d before t0]: AT2019fdr began about 400 d before its neutrino."""
BEFORE_PEAK = 0.3
"""How likely an event is at a flare's onset compared with its peak and after (judgement: the three claimed tidal
disruptions had passed theirs)."""


def activity(t0: ArrayLike, onset: ArrayLike, peak: ArrayLike, end: ArrayLike) -> Floats:
    """Return g: how likely an event at t0 is, relative to a random time between onset and end.

    It rises linearly from `BEFORE_PEAK` of its height at the onset to its height at the peak and stays there to the
    end; its mean over the activity is 1. It is 0 outside, and where the onset is more than `LONGEST_DAYS` ago.

    Parameters
    ----------
    t0 : array_like
        Time of the event, MJD TAI.
    onset, peak, end : array_like
        Of the flare, MJD TAI, in this order; an end that is not known yet is the time it was last seen, or t0 if later.

    Returns
    -------
    ndarray
        Pure number.
    """
    time, start, top, stop = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (t0, onset, peak, end)))
    length = np.maximum(stop - start, 1e-9)
    rise = np.clip(top - start, 0.0, length)
    mean = (rise * (1.0 + BEFORE_PEAK) / 2.0 + (length - rise)) / length
    risen = np.clip((time - start) / np.where(rise > 0.0, rise, 1.0), 0.0, 1.0)
    height = np.where(rise > 0.0, BEFORE_PEAK + (1.0 - BEFORE_PEAK) * risen, 1.0)
    active = (time >= start) & (time <= stop) & (time - start <= LONGEST_DAYS)
    return np.where(active, height / mean, 0.0)


def active_source(density: ArrayLike, g: ArrayLike, sigma_deg2: ArrayLike) -> dict[str, Floats]:
    """Return the terms of active sources: ln p_e, ln g and -ln Sigma; -inf where a factor is 0.

    Parameters
    ----------
    density : array_like
        p_e at the sources [deg^-2].
    g : array_like
        `activity`.
    sigma_deg2 : array_like
        Surface density of sources of the class active at t0 [deg^-2].
    """
    with np.errstate(divide="ignore"):
        place, time = np.log(np.asarray(density, dtype=np.float64)), np.log(np.asarray(g, dtype=np.float64))
    return {"position": place, "time": time, "background": -np.log(_like(sigma_deg2, place))}


def catalogued_source(density: ArrayLike, sigma_deg2: ArrayLike, flare: ArrayLike = np.nan) -> dict[str, Floats]:
    """Return the terms of catalogued sources; the time term is that of the flare factor, NaN where none was measured.

    Parameters
    ----------
    density : array_like
        p_e at the sources [deg^-2].
    sigma_deg2 : array_like
        Surface density of the catalogue [deg^-2].
    flare : array_like
        How much more often counterparts flare as measured than catalogue sources do; NaN where not measured.
    """
    with np.errstate(divide="ignore"):
        place, time = np.log(np.asarray(density, dtype=np.float64)), np.log(_like(flare, density))
    return {"position": place, "time": time, "background": -np.log(_like(sigma_deg2, place))}


def expected_sources(sigma_deg2: float, area_deg2: ArrayLike) -> Floats:
    """Return N = Sigma x A, the sources of a surface density [deg^-2] expected in areas [deg2]."""
    return np.asarray(sigma_deg2 * np.asarray(area_deg2, dtype=np.float64), dtype=np.float64)


def _like(value: ArrayLike, other: ArrayLike) -> Floats:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), np.shape(other)).astype(np.float64)
