"""The distance term: does the galaxy a candidate lies in stand at the distance the event's map gives there?

The ratio of two densities of the host's distance [Mpc^-1]: that of the map along the candidate's direction, and that
of the hosts of off-source objects. The nearest galaxy is not always the host, nor every catalogued distance right: in
a share `WRONG_HOST` of cases the distance says nothing. A candidate without a known host, or an event without
distances, has no term.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from asterism.graph.association.background import CATALOGUE_MATCHES
from asterism.graph.association.sample import ObjectSample
from asterism.lake import Lake
from asterism.sky.localization import Localization

Floats = NDArray[np.float64]

HOST_ARCSEC = 15.0
"""A galaxy within this angle of an object is taken for its host [arcsec]: 7 kpc at 100 Mpc (judgement)."""
WRONG_HOST = 0.2
"""Share of hosts, or their distances, that are wrong (judgement)."""
KERNEL = 0.3
"""Width of the kernels in ln distance."""
UNSEEN_SHARE, WIDEST_MPC = 0.05, (10.0, 3000.0)
"""Share of a density flat in ln distance, over these distances [Mpc]; all of it where fewer hosts are known than
`FEWEST`."""
FEWEST = 20

_NUMBERS = ("distanceMpc", "separationArcsec")
_MATCHED = pa.schema([("objectKey", pa.string()), ("class", pa.string()), *((name, pa.float64()) for name in _NUMBERS)])


def lake_hosts(lake: Lake) -> dict[str, float]:
    """Return the distance [Mpc] of the nearest galaxy within `HOST_ARCSEC` of objects that have one."""
    rows = lake.side_rows(CATALOGUE_MATCHES, _MATCHED)
    near = pc.and_(pc.equal(rows["class"], "galaxy"), pc.less_equal(rows["separationArcsec"], HOST_ARCSEC))
    rows = rows.filter(pc.and_(near, pc.is_valid(rows["distanceMpc"]))).sort_by([("separationArcsec", "descending")])
    return dict(zip(rows["objectKey"].to_pylist(), rows["distanceMpc"].to_pylist(), strict=True))


def distance_term(objects: ObjectSample, localization: Localization, off_source: Floats) -> Floats:
    """Return ln of the ratio of the densities of the hosts' distances; NaN where one is not known.

    Parameters
    ----------
    objects : ObjectSample
        Candidates; ``host_mpc`` is used.
    localization : Localization
        The event's.
    off_source : ndarray
        Distances of the hosts of off-source objects [Mpc]; NaN where unknown.
    """
    along = localization.distance(objects.ra, objects.dec)
    if along is None:
        return np.full(len(objects), np.nan)
    background = _density(objects.host_mpc, off_source[np.isfinite(off_source)])
    signal = (1.0 - WRONG_HOST) * along.pdf(objects.host_mpc) + WRONG_HOST * background
    return np.asarray(np.log(signal / background), dtype=np.float64)


def _density(distance: Floats, sample: Floats) -> Floats:
    """Return the density of a distance [Mpc^-1] among unrelated hosts; NaN gives NaN."""
    flat = np.asarray(1.0 / np.log(WIDEST_MPC[1] / WIDEST_MPC[0]) / distance, dtype=np.float64)
    if sample.size < FEWEST:
        return flat
    pull = (np.log(distance)[:, None] - np.log(sample)) / KERNEL
    kernels = np.mean(np.exp(-0.5 * pull**2), axis=1) / (np.sqrt(2.0 * np.pi) * KERNEL * distance)
    return np.asarray((1.0 - UNSEEN_SHARE) * kernels + UNSEEN_SHARE * flat, dtype=np.float64)
