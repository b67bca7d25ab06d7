"""Ellipses and asymmetric boxes: Gaussians with a width of their own to each of four sides.

Worked in Lambert's azimuthal equal-area plane around the centre, where a point at distance s lies at ``rho =
2 sin(s / 2)``: areas, hence densities, are those of the sphere, and an isotropic Gaussian in it *is* the von
Mises-Fisher distribution, so an ellipse with equal axes equals the circle. The plane ends at rho = 2; widths
are limited such that less than 1e-7 of the probability would lie beyond.

With ``q**2 = (x / sigma_x)**2 + (y / sigma_y)**2``, each sigma that of the point's own side, contours of q
are four quarter-ellipses, hold ``1 - exp(-q**2 / 2)`` and cover ``pi q**2 (sx+ + sx-) (sy+ + sy-) / 4``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import override

from asterism.errors import SkyError
from asterism.sky.cone import cover, offset, position_angle_deg, separation_deg
from asterism.sky.healpix import MAX_ORDER, SKY_DEG2, Ranges, check_positions
from asterism.sky.localization import (
    DEG2_PER_SR,
    Localization,
    Nodes,
    Record,
    check_containment,
    check_level,
)
from asterism.sky.record import numbers

_MAX_SIGMA = 0.35
_RINGS, _SPOKES = 64, 128


@dataclass(frozen=True)
class EllipseLocalization(Localization):
    """A two-piece Gaussian: four half-axes at a stated probability.

    Raises
    ------
    SkyError
        If the centre is no position, a half-axis is not above 0 or so wide that the plane cannot hold it
        (43 deg at 90 %), or the containment is outside (0, 1).
    """

    kind: ClassVar[str] = "ellipse"

    ra: float
    """Right ascension of the centre [deg, ICRS]."""
    dec: float
    """Declination of the centre [deg, ICRS]."""
    ahead_deg: float
    """Half-axis [deg] towards the position angle (north when it is 0)."""
    behind_deg: float
    """Half-axis [deg] away from the position angle (south)."""
    left_deg: float
    """Half-axis [deg] towards the position angle + 90 deg (east)."""
    right_deg: float
    """Half-axis [deg] towards the position angle - 90 deg (west)."""
    containment: float
    """Probability inside the contour through the half-axes."""
    position_angle_deg: float = 0.0
    """Angle of the axis ``ahead`` from north through east [deg]."""

    def __post_init__(self) -> None:
        ra, dec = check_positions(self.ra, self.dec)
        check_containment(self.containment)
        if not math.isfinite(self.position_angle_deg):
            raise SkyError(f"position angle {self.position_angle_deg} is not finite")
        for half in (self.ahead_deg, self.behind_deg, self.left_deg, self.right_deg):
            if not 0.0 < half <= 180.0:
                raise SkyError(f"half-axis {half} is outside (0, 180] deg")
        object.__setattr__(self, "ra", float(ra))
        object.__setattr__(self, "dec", float(dec))
        if max(self._sigmas()) > _MAX_SIGMA:
            raise SkyError(
                f"an ellipse with sigma {math.degrees(max(self._sigmas())):.1f} deg is wider than 20 deg",
                hint="use a circle or a map",
            )

    @classmethod
    def symmetric(
        cls,
        ra: float,
        dec: float,
        semi_major_deg: float,
        semi_minor_deg: float,
        angle_deg: float,
        containment: float,
    ) -> Self:
        """Return an ellipse from semi-axes [deg] and the major one's angle from north through east [deg]."""
        return cls(ra, dec, semi_major_deg, semi_major_deg, semi_minor_deg, semi_minor_deg, containment, angle_deg)

    @classmethod
    def from_box(
        cls,
        ra: float,
        dec: float,
        ra_errors_deg: tuple[float, float],
        dec_errors_deg: tuple[float, float],
        containment: float,
    ) -> Self:
        """Return the two-piece Gaussian of an asymmetric box, as IceCube circulars give it.

        Parameters
        ----------
        ra, dec : float
            Best position [deg, ICRS].
        ra_errors_deg : tuple of float
            Half-widths (plus, minus) in coordinate right ascension [deg], both positive; multiplied by
            cos(dec).
        dec_errors_deg : tuple of float
            Half-widths (plus, minus) in declination [deg], both positive.
        containment : float
            Probability the contour holds. The contour is the four quarter-ellipses inscribed in the box, so
            its area is pi/4 of the box's.
        """
        scale = math.cos(math.radians(dec))
        east, west = (_in_plane(half * scale) for half in ra_errors_deg)
        north, south = (_in_plane(half) for half in dec_errors_deg)
        return cls(ra, dec, north, south, east, west, containment)

    @classmethod
    def from_corners(cls, corners: Sequence[tuple[float, float]], containment: float) -> Self:
        """Return the Gaussian whose contour is the ellipse inscribed in a rectangle on the sky.

        Parameters
        ----------
        corners : sequence of tuple of float
            Four corners (ra, dec) [deg, ICRS], in any order.
        containment : float
            Probability the contour holds.
        """
        ra_deg, dec_deg = check_positions(*zip(*corners, strict=True))
        ra, dec = np.radians(ra_deg), np.radians(dec_deg)
        x, y, z = (np.mean(part) for part in (np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)))
        centre = math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))
        length = separation_deg(*centre, ra_deg, dec_deg)
        turn = np.radians(position_angle_deg(*centre, ra_deg, dec_deg))
        plane = (length * np.exp(1j * turn))[np.argsort(turn)]
        one = ((plane[0] - plane[3]) + (plane[1] - plane[2])) / 2.0
        two = ((plane[1] - plane[0]) + (plane[2] - plane[3])) / 2.0
        angle = math.degrees(math.atan2(one.imag, one.real)) % 180.0
        return cls.symmetric(*centre, abs(one) / 2.0, abs(two) / 2.0, angle, containment)

    @override
    def density(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the probability density [deg-2] at positions [deg]."""
        peak = 2.0 / (math.pi * self._spread()) / DEG2_PER_SR
        return np.asarray(peak * np.exp(-self._q2(ra, dec) / 2.0), dtype=np.float64)

    @override
    def credible_level(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of the contour through positions [deg]."""
        return np.asarray(-np.expm1(-self._q2(ra, dec) / 2.0), dtype=np.float64)

    @override
    def searched_area(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the area [deg2] of the contour through positions [deg]."""
        area = math.pi / 4.0 * self._spread() * DEG2_PER_SR * self._q2(ra, dec)
        return np.asarray(np.minimum(area, SKY_DEG2), dtype=np.float64)

    @override
    def area(self, level: float) -> float:
        """Return the area [deg2] of the contour that holds probability `level`."""
        return float(min(math.pi / 4.0 * self._spread() * DEG2_PER_SR * _q2_of(level), SKY_DEG2))

    def box_area(self) -> float:
        """Return the area [deg2] of the box around the contour through the half-axes, 4 / pi times the contour's."""
        return 4.0 / math.pi * self.area(self.containment)

    @override
    def ranges(self, level: float, max_order: int = MAX_ORDER, max_ranges: int = 256) -> Ranges:
        """Return order-29 ranges that contain the contour of probability `level`.

        A pixel is dropped when even the point of it nearest in q must lie outside: q changes by at most
        ``stretch / min(sigma)`` per radian, where the plane stretches by ``1 / cos(s / 2)``.
        """
        q = math.sqrt(_q2_of(level))
        reach = math.degrees(2.0 * math.asin(min(q * max(self._sigmas()) / 2.0, 1.0)))
        narrowest = min(self._sigmas())

        def classify(pixels: NDArray[np.float64], radius: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
            x, y, z = pixels
            ra, dec = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
            near = separation_deg(self.ra, self.dec, ra, dec) <= reach + radius
            if reach + radius >= 170.0:
                return near, np.zeros_like(near)
            change = math.radians(radius) / math.cos(math.radians(reach + radius) / 2.0) / narrowest
            q_centre = np.sqrt(self._q2(ra, dec))
            return near & (q_centre <= q + change), near & (q_centre + change <= q)

        return cover(classify, max_ranges, max_order)

    @override
    def mode(self) -> tuple[float, float]:
        """Return the centre [deg]."""
        return self.ra, self.dec

    @override
    def nodes(self) -> Nodes:
        """Return contours placed by Gauss-Legendre in probability, equal steps of area along each."""
        x, ring_weight = np.polynomial.legendre.leggauss(_RINGS)
        q = np.sqrt(-2.0 * np.log1p(-(x + 1.0) / 2.0))
        turn = (np.arange(_SPOKES) + 0.5) * (2.0 * math.pi / _SPOKES)
        ahead, behind, left, right = self._sigmas()
        sigma_x = np.where(np.cos(turn) > 0, ahead, behind)
        sigma_y = np.where(np.sin(turn) > 0, left, right)
        x_plane = (q[:, None] * sigma_x * np.cos(turn)).ravel()
        y_plane = (q[:, None] * sigma_y * np.sin(turn)).ravel()
        distance = np.degrees(2.0 * np.arcsin(np.minimum(np.hypot(x_plane, y_plane) / 2.0, 1.0)))
        angle = self.position_angle_deg + np.degrees(np.arctan2(y_plane, x_plane))
        share = sigma_x * sigma_y / (sigma_x * sigma_y).sum()
        return Nodes(*offset(self.ra, self.dec, distance, angle), np.outer(ring_weight / 2.0, share).ravel())

    @override
    def as_record(self) -> Record:
        """Return the ellipse as JSON-ready values."""
        return {"kind": self.kind, **{name: getattr(self, name) for name in _FIELDS}}

    @override
    @classmethod
    def from_record(cls, record: Record) -> Self:
        """Build from what `as_record` returned."""
        return cls(*numbers(record, *_FIELDS))

    def _sigmas(self) -> tuple[float, float, float, float]:
        """Return the widths ahead, behind, left, right in the plane [rad]."""
        per_sigma = math.sqrt(_q2_of(self.containment))
        ahead, behind, left, right = (
            2.0 * math.sin(math.radians(half) / 2.0) / per_sigma
            for half in (self.ahead_deg, self.behind_deg, self.left_deg, self.right_deg)
        )
        return ahead, behind, left, right

    def _spread(self) -> float:
        ahead, behind, left, right = self._sigmas()
        return (ahead + behind) * (left + right)

    def _q2(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        ra_deg, dec_deg = check_positions(ra, dec)
        rho = 2.0 * np.sin(np.radians(separation_deg(self.ra, self.dec, ra_deg, dec_deg)) / 2.0)
        turn = np.radians(position_angle_deg(self.ra, self.dec, ra_deg, dec_deg) - self.position_angle_deg)
        x, y = rho * np.cos(turn), rho * np.sin(turn)
        ahead, behind, left, right = self._sigmas()
        return np.asarray((x / np.where(x > 0, ahead, behind)) ** 2 + (y / np.where(y > 0, left, right)) ** 2)


_FIELDS = (
    "ra",
    "dec",
    "ahead_deg",
    "behind_deg",
    "left_deg",
    "right_deg",
    "containment",
    "position_angle_deg",
)


def _in_plane(length_deg: float) -> float:
    """Return the distance [deg] on the sphere that is `length_deg` long in the equal-area plane."""
    return math.degrees(2.0 * math.asin(min(math.radians(length_deg) / 2.0, 1.0)))


def _q2_of(level: float) -> float:
    check_level(level)
    return -2.0 * math.log1p(-level) if level < 1.0 else math.inf
