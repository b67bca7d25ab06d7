"""How fast objects fade: one estimator for association, its background and the classifiers.

A straight line through magnitude against time is fitted to each (object, band), weighted by inverse variance;
the slopes of an object's bands are then combined by inverse variance. Bands are never mixed in one fit: a colour
is no fade. The error is that of the measurements only; where a light curve bends, it does not say how badly a
line describes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MAG_FLOOR = 0.03
"""Added in quadrature to every magnitude error [mag]: calibration and colour terms the survey's error leaves out."""
SHORTEST_BASELINE_DAYS = 0.02
"""Two detections of equal weight nearer in time than this [d] give no slope; more of them by their weighted scatter."""


def fade_rates(
    owner: ArrayLike, objects: int, band: ArrayLike, mjd: ArrayLike, mag: ArrayLike, mag_err: ArrayLike
) -> tuple[Floats, Floats]:
    """Return the fade rate of each object and its 1 sigma.

    The weighted least-squares slope of one band is sum w (t - tw) m / sum w (t - tw)^2 with w = 1 / sigma^2 and tw the
    weighted mean time; its variance is the reciprocal of the denominator.

    Parameters
    ----------
    owner : array_like of int, shape (n,)
        Number of the object each detection belongs to, 0 <= owner < objects; any order.
    objects : int
        How many objects there are.
    band : array_like of int, shape (n,)
        Number of the detection's band, from 0.
    mjd : array_like, shape (n,)
        Times, any scale [d].
    mag, mag_err : array_like, shape (n,)
        Magnitudes and 1 sigma [mag]; a detection in which one of them is not finite does not count.

    Returns
    -------
    rate, error : ndarray, shape (objects,)
        [mag/d], positive fades; NaN for an object without two detections of one band far enough apart.
    """
    time, brightness, sigma = (np.asarray(column, dtype=np.float64) for column in (mjd, mag, mag_err))
    bands = np.asarray(band, dtype=np.int64)
    per_object = int(bands.max(initial=0)) + 1
    used = np.isfinite(time) & np.isfinite(brightness) & np.isfinite(sigma)
    group, size = (np.asarray(owner, dtype=np.int64) * per_object + bands)[used], objects * per_object
    weight = 1.0 / (sigma[used] ** 2 + MAG_FLOOR**2)
    total = np.bincount(group, weight, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.bincount(group, weight * time[used], size) / total
        offset = time[used] - centre[group]
        spread = np.bincount(group, weight * offset**2, size)
        slope = np.bincount(group, weight * offset * brightness[used], size) / spread
        far_enough = spread / total >= (SHORTEST_BASELINE_DAYS / 2) ** 2
    information = np.where(far_enough, spread, 0.0).reshape(objects, per_object)
    weighted = np.where(far_enough, slope, 0.0).reshape(objects, per_object) * information
    summed = information.sum(axis=1)
    summed[summed <= 0.0] = np.nan
    return weighted.sum(axis=1) / summed, 1.0 / np.sqrt(summed)
