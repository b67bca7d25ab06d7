"""Rising or fading: a first, light classifier that needs nothing but magnitudes and times.

The fade rate and its error (`asterism.fade`) give the probabilities that the object fades faster than
`SLOWEST` [mag/d], rises faster than that, or does neither, for a normal error and no prior. The class is the most
probable of the three; it stays *unknown* where there is no rate, or none is more probable than not.

Only alerts that everybody may see are looked at, unless an object has none of these.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import ndtr
from typing_extensions import override

from asterism.enrich.module import ScienceModule
from asterism.fade import fade_rates
from asterism.records import CLASSIFICATION, DETECTION, Status

Floats = NDArray[np.float64]

SLOWEST = 0.1
"""Slowest change that counts [mag/d]; judgement: most supernovae stay below it after their first days, kilonovae and
afterglows do not."""
CLASSES = np.array(["fading", "rising", "flat"])
UNKNOWN = "unknown"

_REQUIRED = ("objectKey", "sourceId", "mjdTai", "public")
_OPTIONAL = ("band", "mag", "magErr", "isPositive")


class RiseFade(ScienceModule):
    """Tells from all alerts of an object whether it rises, fades or does neither.

    It must be given every known alert of an object: the newest names the classification.
    """

    name: ClassVar[str] = "rise-fade"
    version: ClassVar[int] = 1
    inputs: ClassVar[pa.Schema] = pa.schema(
        [DETECTION.field(name).with_nullable(False) for name in _REQUIRED]
        + [DETECTION.field(name) for name in _OPTIONAL]
    )
    outputs: ClassVar[pa.Schema] = CLASSIFICATION

    @override
    def compute(self, table: pa.Table) -> pa.Table:
        alerts = in_order(visible(table))
        keys, start, owner, count = np.unique(
            np.asarray(alerts["objectKey"].to_pylist(), dtype=np.str_), True, True, True
        )
        usable = _usable(alerts)
        bands = pc.fill_null(alerts["band"], "").combine_chunks().dictionary_encode().indices.to_numpy()
        mag = np.where(usable, _floats(alerts, "mag"), np.nan)
        rate, error = fade_rates(owner, keys.size, bands, _floats(alerts, "mjdTai"), mag, _floats(alerts, "magErr"))
        label, probability = classify(rate, error)
        newest = alerts.take(start + count - 1)
        return pa.table(
            {
                "objectKey": pa.array(keys, pa.string()),
                "lastSourceId": newest["sourceId"],
                "lastMjdTai": newest["mjdTai"],
                "public": newest["public"],
                "alerts": pa.array(count, pa.int32()),
                "detections": pa.array(np.bincount(owner, usable, keys.size), pa.int32()),
                "class": pa.array(label, pa.string()),
                "prob": pa.array(probability, from_pandas=True),
                "fadeRate": pa.array(rate, from_pandas=True),
                "fadeRateErr": pa.array(error, from_pandas=True),
                "status": pa.array(np.where(label == UNKNOWN, Status.NONE.value, Status.VALUE.value), pa.string()),
                "detail": pa.nulls(keys.size, pa.string()),
            }
        )


def classify(rate: Floats, error: Floats) -> tuple[NDArray[np.str_], Floats]:
    """Return the class of each fade rate and its probability.

    Parameters
    ----------
    rate, error : ndarray, shape (n,)
        Fade rate and 1 sigma [mag/d, positive fades]; NaN where unknown.

    Returns
    -------
    label : ndarray of str, shape (n,)
        One of `CLASSES`, or `UNKNOWN`.
    probability : ndarray, shape (n,)
        Of that class, > 0.5; NaN where unknown.
    """
    fading = ndtr((rate - SLOWEST) / error)
    rising = ndtr((-rate - SLOWEST) / error)
    each = np.nan_to_num(np.column_stack([fading, rising, 1.0 - fading - rising]), nan=0.0)
    best = each.argmax(axis=1)
    probability = each[np.arange(best.size), best]
    known = probability > 0.5
    return np.where(known, CLASSES[best], UNKNOWN), np.where(known, probability, np.nan)


def visible(alerts: pa.Table) -> pa.Table:
    """Return the public alerts, and all alerts of objects that have no public one."""
    seen = alerts.filter(alerts["public"])["objectKey"].unique()
    return alerts.filter(pc.or_(alerts["public"], pc.invert(pc.is_in(alerts["objectKey"], seen))))


def in_order(alerts: pa.Table) -> pa.Table:
    """Return each alert once, by object, time and source id; ids of the same time as the integers they stand for.

    Of packets of one alert that differ, the one with the smallest values is taken: any rule will do, if it does not
    depend on the order of the rows.
    """
    alone = ["objectKey", "sourceId"]
    rest = [name for name in alerts.column_names if name not in alone]
    ordered = alerts.sort_by([(name, "ascending") for name in (*alone, *rest)])
    once = ordered.group_by(alone, use_threads=False).aggregate([(name, "first") for name in rest])
    named = once.rename_columns([name.removesuffix("_first") for name in once.column_names])
    by = [(name, "ascending") for name in ("objectKey", "mjdTai", "length", "sourceId")]
    return named.append_column("length", pc.utf8_length(named["sourceId"])).sort_by(by)


def _usable(alerts: pa.Table) -> NDArray[np.bool_]:
    """Return which alerts are detections of a brightening with magnitude, error and band."""
    measured = np.isfinite(_floats(alerts, "mag")) & np.isfinite(_floats(alerts, "magErr"))
    known = pc.and_(pc.fill_null(alerts["isPositive"], True), pc.is_valid(alerts["band"]))
    return np.asarray(measured & known.to_numpy(), dtype=np.bool_)


def _floats(alerts: pa.Table, column: str) -> Floats:
    return np.asarray(alerts[column].to_numpy(zero_copy_only=False), dtype=np.float64)
