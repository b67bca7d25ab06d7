"""Sky maps as a gravitational-wave network draws them: an arc on the sky, multi-order, with distance layers.

Two detectors measure one arrival-time difference, so their map is a piece of a ring around the line between them:
Gaussian across the ring and along it. An event's true position is drawn from that very density, so that the map's
credible levels mean what they say.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from asterism.sky.cone import offset, position_angle_deg, separation_deg
from asterism.sky.distance import Distances
from asterism.sky.healpix import order_ipix_to_uniq, pixel_area_deg2, pixel_centers, uniq_to_order_ipix
from asterism.sky.localization import DEG2_PER_SR
from asterism.sky.skymap import SkyMapLocalization

Floats = NDArray[np.float64]

_COARSEST, _FINEST = 3, 8
_CORE = 1e-3
"""Pixels with more probability than this are divided, down to the finest order."""
_FLOOR = 1e-4
"""Probability spread over the whole sky: no direction is impossible."""


@dataclass(frozen=True)
class Arc:
    """A Gaussian piece of a ring on the sky."""

    pole_ra: float
    """Centre of the ring [deg, ICRS]."""
    pole_dec: float
    radius: float
    """Radius of the ring [deg]."""
    angle: float
    """Direction of the arc's middle from the pole, from north through east [deg]."""
    width: float
    """1 sigma across the ring [deg]."""
    length: float
    """1 sigma along the ring [deg]."""

    @classmethod
    def around(
        cls,
        ra: float,
        dec: float,
        direction: float,
        sigma: tuple[float, float],
        off: tuple[float, float],
        radius: float,
    ) -> Self:
        """Return the arc in which a position lies `off` sigma (across, along) from the middle.

        Parameters
        ----------
        ra, dec : float
            The position [deg, ICRS].
        direction : float
            Direction from the position to the centre of the ring, from north through east [deg].
        sigma : tuple of float
            Width and length, 1 sigma [deg].
        off : tuple of float
            Offset of the position in units of those.
        radius : float
            Radius of the ring [deg].
        """
        width, length = sigma
        to_pole = radius + off[0] * width
        pole_ra, pole_dec = (float(x) for x in offset(ra, dec, to_pole, direction))
        here = float(position_angle_deg(pole_ra, pole_dec, ra, dec))
        angle = here - math.degrees(math.radians(off[1] * length) / math.sin(math.radians(radius)))
        return cls(pole_ra, pole_dec, radius, angle, width, length)

    def density(self, ra: Floats, dec: Floats) -> Floats:
        """Return the density at positions [deg], not normalised."""
        across = (separation_deg(self.pole_ra, self.pole_dec, ra, dec) - self.radius) / self.width
        turn = position_angle_deg(self.pole_ra, self.pole_dec, ra, dec) - self.angle
        along = ((turn + 180.0) % 360.0 - 180.0) * math.sin(math.radians(self.radius)) / self.length
        return np.asarray(np.exp(-0.5 * (across**2 + along**2)), dtype=np.float64)


def draw_map(arc: Arc, distance: tuple[float, float] | None) -> SkyMapLocalization:
    """Return the map of an arc.

    Parameters
    ----------
    arc : Arc
        Where.
    distance : tuple of float, optional
        Location and scale of the distance [Mpc], the same in all directions; none makes a map without distance.
    """
    peak = 1.0 / (2.0 * math.pi * arc.width * arc.length)
    order, ipix = _COARSEST, np.arange(12 * 4**_COARSEST, dtype=np.int64)
    uniq, density = [], []
    while True:
        value = arc.density(*pixel_centers(order, ipix)) * peak
        near = _nearby(arc, order, ipix) if order < 6 else np.zeros(len(ipix), dtype=np.bool_)
        divide = (near | (value * pixel_area_deg2(order) > _CORE)) & (order < _FINEST)
        uniq.append(order_ipix_to_uniq(order, ipix[~divide]))
        density.append(value[~divide])
        if not divide.any():
            break
        order, ipix = order + 1, (4 * ipix[divide][:, None] + np.arange(4)).ravel()
    pixels, values = np.concatenate(uniq), np.concatenate(density)
    area = pixel_area_deg2(uniq_to_order_ipix(pixels)[0])
    values = (1.0 - _FLOOR) * values / float((values * area).sum()) + _FLOOR / float(area.sum())
    return SkyMapLocalization(pixels, values, None if distance is None else _layers(*distance, len(pixels)))


def _nearby(arc: Arc, order: int, ipix: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which coarse pixels may hide a piece of the arc that their centre does not see."""
    ra, dec = pixel_centers(order, ipix)
    wide = 60.0 / 2**order
    padded = Arc(arc.pole_ra, arc.pole_dec, arc.radius, arc.angle, arc.width + wide / 2.0, arc.length + wide)
    return np.asarray(padded.density(ra, dec) > 0.02)


def _layers(mu: float, sigma: float, rows: int) -> Distances:
    """Return the same distance in every direction; the norm makes ``r**2 N(r)`` integrate to 1 over r > 0."""
    z = mu / sigma
    below = 0.5 * math.erfc(z / math.sqrt(2.0))
    edge = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    moment = (mu**2 + sigma**2) * (1.0 - below) + mu * sigma * edge
    return Distances(np.full(rows, mu), np.full(rows, sigma), np.full(rows, 1.0 / moment))


def map_fits(localization: SkyMapLocalization, name: str, date_obs: str) -> bytes:
    """Return a map as a multi-order FITS file.

    Parameters
    ----------
    localization : SkyMapLocalization
        The map.
    name : str
        Name of the event (keyword OBJECT).
    date_obs : str
        Time of the event, ISO 8601 UTC.
    """
    columns = [
        fits.Column("UNIQ", "K", array=localization.uniq),
        fits.Column("PROBDENSITY", "D", unit="sr-1", array=localization.density_deg2 * DEG2_PER_SR),
    ]
    layers = localization.distances
    if layers is not None:
        columns += [
            fits.Column("DISTMU", "D", unit="Mpc", array=layers.mu),
            fits.Column("DISTSIGMA", "D", unit="Mpc", array=layers.sigma),
            fits.Column("DISTNORM", "D", unit="Mpc-2", array=layers.norm),
        ]
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update({"PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C", "INDXSCHM": "EXPLICIT"})
    table.header.update({"OBJECT": name, "DATE-OBS": date_obs, "CREATOR": "asterism simulate"})
    table.header["MOCORDER"] = int(uniq_to_order_ipix(localization.uniq)[0].max())
    moments = localization.distance_moments()
    if moments is not None:
        table.header.update({"DISTMEAN": moments[0], "DISTSTD": moments[1]})
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return stream.getvalue()
