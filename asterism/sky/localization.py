"""What every localization answers, whatever shape its instrument published.

A localization is a probability density on the sphere that integrates to 1. Conventions shared by all kinds:

* ``density`` is per deg2; multiply by ``(180/pi)**2`` for sr-1 and by the 41,253 deg2 of the sphere for
  ``4 pi p``, the ratio to an isotropic sky.
* ``credible_level`` of a position is the probability of all strictly denser points (searched probability):
  0 at the peak, 1 where the density is 0. Inside the 90 % region means level < 0.9; the pixel of a map that
  crosses 0.9 is inside.
* ``ranges`` may hold more than the region, never less. The final test of one object is its credible level.
* What a kind cannot know (distance of a circle) is None, never a number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asterism.errors import SkyError
from asterism.sky.distance import Distances
from asterism.sky.healpix import MAX_ORDER, Ranges

DEG2_PER_SR = (180.0 / np.pi) ** 2
"""Square degrees in a steradian."""

Record = dict[str, Any]
"""A localization as JSON-ready values; ``kind`` says which class reads it back."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """Quadrature nodes: the mean of any smooth f over a localization is ``sum(weight * f(ra, dec))``."""

    ra: NDArray[np.float64]
    """Right ascension [deg]."""
    dec: NDArray[np.float64]
    """Declination [deg]."""
    weight: NDArray[np.float64]
    """Probability each node stands for; the sum is 1."""


class Localization(ABC):
    """A probability density on the sky; see the module for the conventions of all kinds.

    Positions are ICRS degrees, scalars or arrays that broadcast; results have their shape. A malformed
    position raises `SkyError`.
    """

    kind: ClassVar[str]
    """Name of this kind in records."""

    @abstractmethod
    def density(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the probability density [deg-2] at positions [deg]."""

    @abstractmethod
    def credible_level(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the probability, 0 to 1, of all points denser than positions [deg]."""

    @abstractmethod
    def searched_area(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the area [deg2] of all points denser than positions [deg]."""

    @abstractmethod
    def area(self, level: float) -> float:
        """Return the area [deg2] of the smallest region that holds probability `level`, in (0, 1]."""

    @abstractmethod
    def ranges(self, level: float, max_order: int = MAX_ORDER, max_ranges: int = 256) -> Ranges:
        """Return order-29 ranges that contain the credible region.

        Parameters
        ----------
        level : float
            Probability the region holds, in (0, 1].
        max_order : int
            Finest HEALPix order used.
        max_ranges : int
            Most ranges returned; the region grows where it does not fit.
        """

    @abstractmethod
    def mode(self) -> tuple[float, float]:
        """Return right ascension and declination [deg] of the densest point."""

    @abstractmethod
    def nodes(self) -> Nodes:
        """Return quadrature nodes that follow the density."""

    @abstractmethod
    def as_record(self) -> Record:
        """Return the localization as JSON-ready values, containment and all."""

    @classmethod
    @abstractmethod
    def from_record(cls, record: Record) -> Localization:
        """Build from what `as_record` returned.

        Raises
        ------
        SkyError
            If a value is missing or impossible.
        """

    def distance(self, ra: ArrayLike, dec: ArrayLike) -> Distances | None:
        """Return the conditional distance at positions [deg], or None if this localization has none."""
        del ra, dec
        return None

    def overlap(self, other: Localization) -> float:
        """Return ``I = 4 pi * integral of p1 p2 dOmega``, the odds that both share a direction.

        1 means no information, 0 disjoint, much more than 1 agreement (isotropic prior; Ashton et al. 2018).
        Closed form between circles and mixtures, exact between maps, quadrature to about 1e-3 otherwise.
        """
        from asterism.sky.overlap import overlap_integral

        return overlap_integral(self, other)


def check_level(level: float) -> float:
    """Return `level`.

    Raises
    ------
    SkyError
        If it is outside (0, 1].
    """
    if not 0.0 < level <= 1.0:
        raise SkyError(f"credible level {level} is outside (0, 1]")
    return level


def check_containment(containment: float) -> float:
    """Return `containment`.

    Raises
    ------
    SkyError
        If it is outside (0, 1): a region that holds everything has no width.
    """
    if not 0.0 < containment < 1.0:
        raise SkyError(f"containment {containment} is outside (0, 1)")
    return containment
