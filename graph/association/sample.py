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

from asterism.fade import fade_rates
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
    usable = pc.and_(pc.fill_null(alerts["isPositive"], True), pc.is_valid(alerts["band"]))
    band = np.unique(np.asarray([b or "" for b in alerts["band"].to_pylist()], dtype=np.str_), return_inverse=True)[1]
    mag = np.where(usable.to_numpy(), _floats(alerts, "mag"), np.nan)
    return fade_rates(owner, objects, band, _floats(alerts, "mjdTai"), mag, _floats(alerts, "magErr"))


def _floats(alerts: pa.Table, column: str) -> Floats:
    return np.asarray(alerts[column].to_numpy(zero_copy_only=False), dtype=np.float64)
