"""The truth about everything detected, one row for each object of each survey: what tests and the demo count from.

Known Solar System objects of LSST have no object there and no row here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from asterism.simulate.alerts import Alerts
from asterism.simulate.lightcurves import CATALOGUED, Kind
from asterism.simulate.observe import Tile
from asterism.simulate.sky import KINDS
from asterism.simulate.survey import Observatory

SCHEMA = pa.schema(
    [
        pa.field("objectKey", pa.string(), nullable=False),
        pa.field("survey", pa.string(), nullable=False),
        pa.field("site", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("ra", pa.float64(), nullable=False),
        pa.field("dec", pa.float64(), nullable=False),
        pa.field("firstMjdTai", pa.float64(), nullable=False),
        pa.field("firstAlertMjdTai", pa.float64(), nullable=False),
        pa.field("lastMjdTai", pa.float64(), nullable=False),
        pa.field("nAlerts", pa.int64(), nullable=False),
        pa.field("reliability", pa.float64(), nullable=False),
        pa.field("isPositive", pa.bool_(), nullable=False),
        pa.field("ssDistance", pa.float64()),
        pa.field("catalogueClass", pa.string()),
        pa.field("events", pa.list_(pa.string()), nullable=False),
    ]
)
"""``site`` is shared by the two surveys' objects of one thing; ``firstMjdTai`` is the survey's first detection,
``firstAlertMjdTai`` the first alert of the run; reliability, sign and distance to a known body [arcsec] are those of
the newest alert; ``events`` names the events whose counterpart it is."""


def object_table(
    specs: Sequence[Observatory],
    tiles: Sequence[list[Tile]],
    alerts: Sequence[Alerts],
    truth_sites: dict[int, list[str]],
    start: float,
) -> pa.Table:
    """Return the table of everything with an alert in the run, which begins at `start` (MJD TAI)."""
    rows: list[dict[str, Any]] = []
    for spec, seen, named in zip(specs, tiles, alerts, strict=True):
        for tile in seen:
            in_run = tile.detected & (tile.visits.mjd_tai >= start)
            shown = in_run.any(axis=1) & ((spec.name == "ztf") | (tile.body < 0))
            rows += [
                _object(spec, tile, row, in_run[row], named, truth_sites) for row in np.flatnonzero(shown).tolist()
            ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _object(
    spec: Observatory, tile: Tile, row: int, in_run: Any, named: Alerts, truth_sites: dict[int, list[str]]
) -> dict[str, Any]:
    times, columns = tile.visits.mjd_tai, np.flatnonzero(in_run)
    newest, site, kind = int(columns[-1]), int(tile.site[row]), KINDS[int(tile.kind[row])]
    distance = float(tile.body_distance[row])
    return {
        "objectKey": named.object_key(site),
        "survey": spec.name,
        "site": site,
        "kind": Kind(kind).value,
        "ra": float(tile.ra[row]),
        "dec": float(tile.dec[row]),
        "firstMjdTai": float(times[np.argmax(tile.detected[row])]),
        "firstAlertMjdTai": float(times[columns[0]]),
        "lastMjdTai": float(times[newest]),
        "nAlerts": len(columns),
        "reliability": float(tile.reliability[row, newest]),
        "isPositive": bool(tile.flux[row, newest] > 0),
        "ssDistance": None if math.isnan(distance) else distance,
        "catalogueClass": CATALOGUED.get(kind),
        "events": truth_sites.get(site, []),
    }
