"""Objects from their alerts: what association needs to know of each, the same for candidates and for the background.

Input is a table of alerts (`ALERTS`), any order; output one entry an object. Fade rates are weighted straight lines
through magnitude against time, one a band, combined by inverse variance; two detections of one band are the least.

A fade rate is linear in the magnitudes, so what a light curve g(t) that is no line would give is known from the times
alone. Two numbers keep that, ``middle`` and ``spread``: for every cubic g, and nearly for others, the same fit gives
(g(middle + spread) - g(middle - spread)) / (2 spread).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
    middle, spread : ndarray
        Where the fade rate is measured, MJD TAI, and half the time it spans [d]; NaN where it cannot be measured.
    source : ndarray of str
        Key of the source each object belongs to: its own where it is alone.
    host_mpc : ndarray
        Distance of the galaxy each object lies in [Mpc]; NaN where it is not known.
    reliability : ndarray
        Real/bogus score of the newest alert; NaN where it is not known.
    known : ndarray of str
        Class of the catalogued source the object is; empty for a new transient.
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
    middle: Floats
    spread: Floats
    source: NDArray[np.str_]
    host_mpc: Floats
    reliability: Floats
    known: NDArray[np.str_]

    def __len__(self) -> int:
        return int(self.key.size)

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> ObjectSample:
        """Return the objects where `chosen` is true, or those of these numbers."""
        return ObjectSample(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def join(one: ObjectSample, two: ObjectSample) -> ObjectSample:
    """Return the objects of both, sorted by key; one that is in both is taken from the first."""
    key = np.concatenate([one.key, two.key])
    first = np.unique(key, return_index=True)[1]
    columns = {n: np.concatenate([getattr(one, n), getattr(two, n)])[first] for n in ObjectSample.__dataclass_fields__}
    return ObjectSample(**columns)


def surveys(sample: ObjectSample) -> NDArray[np.str_]:
    """Return the survey of each object, which its key begins with."""
    return np.array([key.partition(":")[0] for key in sample.key.tolist()], dtype=np.str_)


def with_hosts(sample: ObjectSample, host_mpc: Mapping[str, float]) -> ObjectSample:
    """Return the objects with the distances of their hosts [Mpc], by object key."""
    found = [host_mpc.get(key, np.nan) for key in sample.key.tolist()]
    return replace(sample, host_mpc=np.array(found, dtype=np.float64))


def with_classes(sample: ObjectSample, known: Mapping[str, str]) -> ObjectSample:
    """Return the objects with the classes of the catalogued sources they are, by object key."""
    return replace(sample, known=np.array([known.get(key, "") for key in sample.key.tolist()], dtype="U16"))


def join_sources(sample: ObjectSample, source: Mapping[str, tuple[str, float]]) -> ObjectSample:
    """Let objects that are one source share what is known of it.

    The source was first seen when its first object was, and the fade rates of its objects in the sample are combined
    by inverse variance, as are the moments of the times they rest on.

    Parameters
    ----------
    sample : ObjectSample
        Objects.
    source : mapping
        Key of the source and first detection of any of its objects (MJD TAI), for objects that belong to one.
    """
    own = zip(sample.key.tolist(), sample.first.tolist(), strict=True)
    known = [source.get(key, (key, first)) for key, first in own]
    name = np.array([key for key, _ in known], dtype=np.str_)
    member = np.unique(name, return_inverse=True)[1]
    size = int(member.max(initial=-1)) + 1
    first = np.full(size, np.inf)
    np.minimum.at(first, member, np.fmin(sample.first, [moment for _, moment in known]))
    last = np.full(size, -np.inf)
    np.maximum.at(last, member, sample.last)
    measured = np.isfinite(sample.fade)
    weight = np.where(measured, sample.fade_err**-2.0, 0.0)
    summed = np.bincount(member, weight, size)
    total = np.where(summed > 0.0, summed, np.nan)
    age = sample.middle - first[member]

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(member, weight * np.where(measured, values, 0.0), size) / total)[member]

    middle = mean(age)
    spread = np.sqrt(np.maximum(mean(3.0 * age**2 + sample.spread**2) - 3.0 * middle**2, 0.0))
    return replace(
        sample,
        source=name,
        first=first[member],
        last=last[member],
        fade=mean(sample.fade),
        fade_err=np.sqrt(1.0 / total[member]),
        middle=first[member] + middle,
        spread=spread,
    )


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
    fade, fade_err, middle, spread = _fade(ordered, inverse, first)
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
        middle=middle,
        spread=spread,
        source=keys,
        host_mpc=np.full(keys.size, np.nan),
        reliability=_score(ordered)[newest],
        known=np.full(keys.size, "", dtype="U16"),
    )


def _score(alerts: pa.Table) -> Floats:
    """Return the real/bogus scores: the survey's newest kind, else its older one."""
    score = _floats(alerts, "reliability")
    return np.where(np.isnan(score), _floats(alerts, "rb"), score)


def _passes(alerts: pa.Table, cuts: Cuts) -> NDArray[np.bool_]:
    score = _score(alerts)
    distance = _floats(alerts, "ssDistance")
    positive = np.asarray(pc.fill_null(alerts["isPositive"], True).to_numpy(), dtype=np.bool_)
    return np.asarray(positive & ~(score < cuts.min_reliability) & ~(distance < cuts.solar_system_arcsec))


def _fade(alerts: pa.Table, owner: NDArray[np.int64], first: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return fade rate, its error, and middle and spread of the times it rests on."""
    usable = pc.and_(pc.fill_null(alerts["isPositive"], True), pc.is_valid(alerts["band"]))
    band = np.unique(np.asarray([b or "" for b in alerts["band"].to_pylist()], dtype=np.str_), return_inverse=True)[1]
    mag = np.where(usable.to_numpy(), _floats(alerts, "mag"), np.nan)
    mjd, error = _floats(alerts, "mjdTai"), _floats(alerts, "magErr")
    age = mjd - first[owner]

    def rates(values: Floats) -> tuple[Floats, Floats]:
        return fade_rates(owner, first.size, band, mjd, np.where(np.isfinite(mag), values, np.nan), error)

    fade, fade_err = rates(mag)
    middle = rates(age**2)[0] / 2.0
    spread = np.sqrt(np.maximum(rates(age**3)[0] - 3.0 * middle**2, 0.0))
    return fade, fade_err, first + middle, spread


def _floats(alerts: pa.Table, column: str) -> Floats:
    return np.asarray(alerts[column].to_numpy(zero_copy_only=False), dtype=np.float64)
