"""Objects from their alerts: what association needs to know of each, the same for candidates and for the background.

Input is a table of alerts (`ALERTS`), any order; output one entry an object. Fade rates are weighted straight lines
through magnitude against time, one a band, combined by inverse variance; two detections of one band are the least.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from asterism.graph.association.rules import Cuts

Floats = NDArray[np.float64]

ALERTS = pa.schema(
    [
        ("objectKey", pa.string()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("hpx29", pa.int64()),
        ("firstMjdTai", pa.float64()),
        ("mjdTai", pa.float64()),
        ("band", pa.string()),
        ("mag", pa.float64()),
        ("magErr", pa.float64()),
        ("isPositive", pa.bool_()),
        ("reliability", pa.float64()),
        ("rb", pa.float64()),
        ("ssDistance", pa.float64()),
    ]
)
"""One row per alert; ``firstMjdTai`` is the first detection known with that alert (null: the alert's own time)."""

MAG_FLOOR = 0.03
"""Added in quadrature to every magnitude error [mag]: calibration and colour terms the survey's error leaves out."""
SHORTEST_BASELINE_DAYS = 0.02
"""A fade rate needs detections at least this far apart."""


@dataclass(frozen=True)
class ObjectSample:
    """Objects, all arrays of one length, sorted by key.

    Attributes
    ----------
    key : ndarray of str
        Object keys.
    ra, dec : ndarray
        Position of the earliest alert, ICRS [deg].
    hpx29 : ndarray of int64
        Sky index of that position.
    first, last : ndarray
        First detection known and newest alert, MJD TAI.
    detections : ndarray of int64
        Alerts.
    passes : ndarray of bool
        The newest alert passes the cuts.
    fade, fade_err : ndarray
        Fade rate and 1 sigma [mag/d, positive fades]; NaN where it cannot be measured.
    """

    key: NDArray[np.str_]
    ra: Floats
    dec: Floats
    hpx29: NDArray[np.int64]
    first: Floats
    last: Floats
    detections: NDArray[np.int64]
    passes: NDArray[np.bool_]
    fade: Floats
    fade_err: Floats

    def __len__(self) -> int:
        return int(self.key.size)

    def select(self, chosen: NDArray[np.bool_]) -> ObjectSample:
        """Return the objects where `chosen` is true."""
        return ObjectSample(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def objects_of(alerts: pa.Table, cuts: Cuts) -> ObjectSample:
    """Summarise alerts by object.

    Parameters
    ----------
    alerts : pyarrow.Table
        Schema `ALERTS`.
    cuts : Cuts
        Which newest alerts pass; unknown values do.
    """
    ordered = alerts.sort_by([("objectKey", "ascending"), ("mjdTai", "ascending")])
    keys, start, inverse, count = np.unique(
        np.asarray(ordered["objectKey"].to_pylist(), dtype=np.str_), True, True, True
    )
    newest = start + count - 1
    mjd = _floats(ordered, "mjdTai")
    known = _floats(ordered, "firstMjdTai")
    first = np.full(keys.size, np.inf)
    np.minimum.at(first, inverse, np.fmin(known, mjd))
    fade, fade_err = _fade(ordered, inverse, keys.size)
    return ObjectSample(
        key=keys,
        ra=_floats(ordered, "ra")[start],
        dec=_floats(ordered, "dec")[start],
        hpx29=np.asarray(ordered["hpx29"].to_numpy(), dtype=np.int64)[start],
        first=first,
        last=mjd[newest],
        detections=count.astype(np.int64),
        passes=_passes(ordered, cuts)[newest],
        fade=fade,
        fade_err=fade_err,
    )


def _passes(alerts: pa.Table, cuts: Cuts) -> NDArray[np.bool_]:
    score = _floats(alerts, "reliability")
    score = np.where(np.isnan(score), _floats(alerts, "rb"), score)
    distance = _floats(alerts, "ssDistance")
    positive = np.asarray(pc.fill_null(alerts["isPositive"], True).to_numpy(), dtype=np.bool_)
    return np.asarray(positive & ~(score < cuts.min_reliability) & ~(distance < cuts.solar_system_arcsec))


def _fade(alerts: pa.Table, owner: NDArray[np.int64], objects: int) -> tuple[Floats, Floats]:
    """Fit a line to each (object, band) and combine the slopes of an object."""
    mag, error, mjd = (_floats(alerts, name) for name in ("mag", "magErr", "mjdTai"))
    bands, band = np.unique(
        np.asarray([b or "" for b in alerts["band"].to_pylist()], dtype=np.str_), return_inverse=True
    )
    positive = np.asarray(pc.fill_null(alerts["isPositive"], True).to_numpy(), dtype=np.bool_)
    used = np.isfinite(mag) & np.isfinite(error) & positive
    group, size = (owner * bands.size + band)[used], objects * bands.size
    weight = 1.0 / (error[used] ** 2 + MAG_FLOOR**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.bincount(group, weight, size)
        centre = np.bincount(group, weight * mjd[used], size) / total
        offset = mjd[used] - centre[group]
        spread = np.bincount(group, weight * offset**2, size)
        slope = np.bincount(group, weight * offset * mag[used], size) / spread
        information = np.where(spread / total >= (SHORTEST_BASELINE_DAYS / 2) ** 2, spread, 0.0)
        information = information.reshape(objects, bands.size)
        summed = information.sum(axis=1)
        slopes = np.where(information > 0, slope.reshape(objects, bands.size), 0.0)
        return (slopes * information).sum(axis=1) / np.where(summed > 0, summed, np.nan), 1.0 / np.sqrt(
            np.where(summed > 0, summed, np.nan)
        )


def _floats(alerts: pa.Table, column: str) -> Floats:
    return np.asarray(alerts[column].to_numpy(zero_copy_only=False), dtype=np.float64)
