"""Draws the past of a detection from a survey's exposures.

A limit belongs to an exposure, not to an object: all objects share one list of exposures, as on the sky.
(Forced fluxes are pure noise and shared too; the packets give them each object's own ids and position.)

>>> import numpy as np
>>> rng = np.random.default_rng(1)
>>> exposures = Exposures(rng, "ugrizy", 60640.0, 61000.0, per_night=2, flux_err=150.0)
>>> now = SimulatedDetection("1", 2**57, 150.0, 2.0, 61000.0, "r", 1e4, 300.0)
>>> past = exposures.history(rng, now, n_prior=100, n_forced=200, days=365.0)
>>> len(past.detections), len(past.forced)
(100, 200)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from asterism.simulate.measurement import (
    ForcedFlux,
    History,
    SimulatedDetection,
    UpperLimit,
    limiting_magnitude,
)


class Exposures:
    """The exposures of one survey in order of time.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every draw.
    bands : str
        Bands of the survey.
    first_mjd, last_mjd : float
        Span [MJD TAI].
    per_night : int
        Exposures of one position a night.
    flux_err : float
        Typical 1 sigma of a point source [nJy].
    """

    def __init__(
        self,
        rng: np.random.Generator,
        bands: str,
        first_mjd: float,
        last_mjd: float,
        *,
        per_night: int,
        flux_err: float,
    ) -> None:
        n = int((last_mjd - first_mjd) * per_night)
        self.bands = bands
        self.mjd_tai = np.sort(rng.uniform(first_mjd, last_mjd, n))
        band = rng.integers(0, len(bands), n).tolist()
        sigma = (flux_err * rng.uniform(0.8, 1.5, n)).tolist()
        noise = rng.normal(0.0, 1.0, n).tolist()
        times = self.mjd_tai.tolist()
        self._limits = [UpperLimit(times[i], bands[band[i]], limiting_magnitude(sigma[i])) for i in range(n)]
        self._forced = [ForcedFlux(times[i], bands[band[i]], sigma[i] * noise[i], sigma[i]) for i in range(n)]

    def history(
        self,
        rng: np.random.Generator,
        detection: SimulatedDetection,
        *,
        earlier: tuple[SimulatedDetection, ...] = (),
        n_prior: int = 0,
        n_limits: int = 0,
        n_forced: int = 0,
        days: float = 30.0,
    ) -> History:
        """Return what a packet tells of the `days` before its detection.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of every draw.
        detection : SimulatedDetection
            The alert the history travels with.
        earlier : tuple of SimulatedDetection
            Detections that had alerts of their own; taken over as they are.
        n_prior : int
            Further detections to invent, for packets of a given size; their ids precede the alert's own.
        n_limits, n_forced : int
            Limits and forced fluxes; fewer if there were fewer exposures.
        days : float
            Length of the window [d].
        """
        return History(
            (*earlier, *self._invented(rng, detection, n_prior, days)),
            tuple(self._limits[i] for i in self._before(rng, detection.mjd_tai, n_limits, days)),
            tuple(self._forced[i] for i in self._before(rng, detection.mjd_tai, n_forced, days)),
        )

    def _before(self, rng: np.random.Generator, mjd_tai: float, n: int, days: float) -> list[int]:
        """Return up to n exposures, evenly spread over the window and in order of time."""
        first, end = np.searchsorted(self.mjd_tai, (mjd_tai - days, mjd_tai - 0.02)).tolist()
        if n <= 0 or end <= first:
            return []
        step = max(1.0, (end - first) / n)
        start = first + float(rng.random()) * min(1.0, step)
        return [i for i in (int(start + k * step) for k in range(n)) if i < end]

    def _invented(
        self, rng: np.random.Generator, detection: SimulatedDetection, n: int, days: float
    ) -> list[SimulatedDetection]:
        return [
            replace(
                detection,
                source_id=detection.source_id - 1 - i,
                mjd_tai=self._limits[exposure].mjd_tai,
                band=self._limits[exposure].band,
                flux=detection.flux * float(rng.uniform(1.0, 1.3)),
            )
            for i, exposure in enumerate(self._before(rng, detection.mjd_tai, n, days))
        ]
