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

from asterism.graph.association.sample import ObjectSample
from asterism.sky.localization import Localization

Floats = NDArray[np.float64]

CATALOGUE_MATCHES = "catalogue_matches"
"""The lake's side table of catalogue matches (`asterism.records.CATALOGUE_MATCH`)."""

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


class Hosts:
    """Distances of hosts, gathered from catalogue matches as they come: of each object the nearest galaxy counts.

    Attributes
    ----------
    mpc : dict of str to float
        Luminosity distance of the host of each object that has one [Mpc].
    """

    def __init__(self) -> None:
        self.mpc: dict[str, float] = {}
        self._arcsec: dict[str, float] = {}

    def add(self, matches: pa.Table) -> None:
        """Take in catalogue matches: galaxies with a distance, within `HOST_ARCSEC` of an object.

        Parameters
        ----------
        matches : pa.Table
            Columns ``objectKey``, ``class``, ``distanceMpc`` and ``separationArcsec``.
        """
        near = pc.less_equal(matches["separationArcsec"], HOST_ARCSEC)
        known = pc.and_(pc.equal(matches["class"], "galaxy"), pc.is_valid(matches["distanceMpc"]))
        rows = matches.filter(pc.and_(near, known))
        columns = (rows[name].to_pylist() for name in ("objectKey", "separationArcsec", "distanceMpc"))
        for key, separation, distance in zip(*columns, strict=True):
            if separation < self._arcsec.get(key, np.inf):
                self._arcsec[key], self.mpc[key] = separation, distance


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
