"""Where a rule set accepts candidates of an event: inside a credible level, or inside a circle by decree.

A circle by decree knows no density: it is uniform inside and nothing outside, which makes of a cut a likelihood like
any other. What an event of unknown radius, or of an authority the rule set does not know, accepts is nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.rules import RuleSet
from asterism.sky.cone import cone_ranges, separation_deg
from asterism.sky.healpix import SKY_DEG2, Ranges
from asterism.sky.localization import Localization

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Acceptance(Protocol):
    """Where candidates may be; positions are ICRS [deg]."""

    def ranges(self) -> Ranges:
        """Return order-29 ranges that hold all of it."""
        ...

    def inside(self, ra: Floats, dec: Floats) -> Bools:
        """Return which positions are accepted."""
        ...

    def density(self, ra: Floats, dec: Floats) -> Floats:
        """Return the density of the counterpart's position [deg^-2]."""
        ...


@dataclass(frozen=True, eq=False)
class Credible:
    """The smallest region that holds a probability."""

    localization: Localization
    level: float

    def ranges(self) -> Ranges:
        """Return order-29 ranges that hold the region."""
        return self.localization.ranges(self.level)

    def inside(self, ra: Floats, dec: Floats) -> Bools:
        """Return which positions are inside the level."""
        return np.asarray(self.localization.credible_level(ra, dec) < self.level)

    def density(self, ra: Floats, dec: Floats) -> Floats:
        """Return the localization's density [deg^-2]."""
        return self.localization.density(ra, dec)


@dataclass(frozen=True)
class Disc:
    """A circle, uniform inside; a radius of 0 accepts nothing.

    Attributes
    ----------
    ra, dec, radius : float
        Centre and radius [deg].
    """

    ra: float
    dec: float
    radius: float

    @property
    def area(self) -> float:
        """Area [deg2]: of the sphere, (1 - cos r) / 2."""
        return SKY_DEG2 * float(np.sin(np.radians(self.radius) / 2.0) ** 2)

    def ranges(self) -> Ranges:
        """Return order-29 ranges that hold the circle."""
        if self.radius <= 0.0:
            return Ranges(np.empty(0, np.int64), np.empty(0, np.int64))
        return cone_ranges(self.ra, self.dec, self.radius)

    def inside(self, ra: Floats, dec: Floats) -> Bools:
        """Return which positions are in the circle, its edge included."""
        return np.asarray((separation_deg(self.ra, self.dec, ra, dec) <= self.radius) & (self.radius > 0.0))

    def density(self, ra: Floats, dec: Floats) -> Floats:
        """Return one over the area inside, 0 outside [deg^-2]."""
        inside = self.inside(ra, dec)
        return np.where(inside, 1.0 / self.area if self.radius > 0.0 else 0.0, 0.0)


def accepted(event_key: str, localization: Localization, radius_deg: float | None, rules: RuleSet) -> Acceptance:
    """Return where a rule set accepts candidates.

    Parameters
    ----------
    event_key : str
        Key of the event; its authority stands before the colon.
    localization : Localization
        The event's.
    radius_deg : float, optional
        Published error radius [deg], whatever its containment; None for a map.
    rules : RuleSet
        The rules.
    """
    if rules.method == "likelihood" or localization.kind == "skymap":
        return Credible(localization, rules.level)
    ra, dec = localization.mode()
    reach = rules.reach.get(event_key.partition(":")[0])
    if reach is None or radius_deg is None or radius_deg <= 0.0:
        return Disc(ra, dec, 0.0)
    return Disc(ra, dec, min(reach.factor * radius_deg, reach.most_deg))
