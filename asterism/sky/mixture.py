"""Circles with tails: instrument systematics and neutrino tracks as mixtures around one centre."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Self

from typing_extensions import override

from asterism.errors import SkyError
from asterism.sky import vmf
from asterism.sky.healpix import check_positions
from asterism.sky.localization import Record
from asterism.sky.radial import RadialLocalization
from asterism.sky.record import numbers


@dataclass(frozen=True)
class Component:
    """One part of a mixture: a circle that holds `containment` of the part's own probability."""

    weight: float
    """Fraction of the mixture's probability, above 0."""
    radius_deg: float
    """Radius [deg]."""
    containment: float
    """Probability of the part inside the radius."""


@dataclass(frozen=True)
class MixtureLocalization(RadialLocalization):
    """A weighted sum of circles around one centre.

    Raises
    ------
    SkyError
        If the centre is no position, a component is impossible, or the weights are not positive with sum 1.
    """

    kind: ClassVar[str] = "mixture"

    ra: float
    """Right ascension of the centre [deg, ICRS]."""
    dec: float
    """Declination of the centre [deg, ICRS]."""
    components: tuple[Component, ...]
    """The parts."""
    kappas: tuple[float, ...] = field(init=False, repr=False, compare=False)
    """Concentration of each part."""

    def __post_init__(self) -> None:
        ra, dec = check_positions(self.ra, self.dec)
        weights = [part.weight for part in self.components]
        if not all(weight > 0.0 for weight in weights) or not math.isclose(sum(weights), 1.0, abs_tol=1e-9):
            raise SkyError(f"mixture weights {weights} are not positive with sum 1")
        kappas = tuple(vmf.kappa_of(part.radius_deg, part.containment) for part in self.components)
        object.__setattr__(self, "ra", float(ra))
        object.__setattr__(self, "dec", float(dec))
        object.__setattr__(self, "kappas", kappas)

    @override
    def parts(self) -> tuple[tuple[float, float], ...]:
        """Return (weight, kappa) of each component."""
        return tuple((part.weight, kappa) for part, kappa in zip(self.components, self.kappas, strict=True))

    @override
    def as_record(self) -> Record:
        """Return the mixture as JSON-ready values."""
        components = [
            {"weight": part.weight, "radius_deg": part.radius_deg, "containment": part.containment}
            for part in self.components
        ]
        return {"kind": self.kind, "ra": self.ra, "dec": self.dec, "components": components}

    @override
    @classmethod
    def from_record(cls, record: Record) -> Self:
        """Build from what `as_record` returned."""
        components = record.get("components")
        if not isinstance(components, list) or not all(isinstance(part, dict) for part in components):
            raise SkyError("mixture record has no list of components")
        parts = tuple(Component(*numbers(part, "weight", "radius_deg", "containment")) for part in components)
        ra, dec = numbers(record, "ra", "dec")
        return cls(ra, dec, parts)


@dataclass(frozen=True)
class Systematic:
    """An instrument's systematic error: a core, and a tail that takes the rest of the probability.

    Both are 68 % radii on the sphere, as Connaughton et al. 2015 give GBM's.
    """

    core_deg: float
    """68 % radius of the core [deg]."""
    core_fraction: float
    """Probability of the core, in (0, 1)."""
    tail_deg: float
    """68 % radius of the tail [deg]."""


GBM_ROBOBA_LONG = Systematic(1.9, 0.58, 4.1)
"""Fermi GBM final (RoboBA) positions of long bursts (GCN Circular 25726)."""
GBM_ROBOBA_SHORT = Systematic(2.6, 0.39, 4.4)
"""Fermi GBM final (RoboBA) positions of short bursts (GCN Circular 25726)."""
GBM_PRE_2019 = Systematic(3.7, 0.90, 14.0)
"""Fermi GBM human-guided positions before RoboBA (Connaughton et al. 2015)."""


def with_systematic(ra: float, dec: float, radius_68_deg: float, systematic: Systematic) -> MixtureLocalization:
    """Return a position whose statistical 68 % radius is widened by core and tail of a systematic error.

    Each part has radius ``hypot(statistical, systematic)``, which convolves the two while they are small.

    Parameters
    ----------
    ra, dec : float
        Centre [deg, ICRS].
    radius_68_deg : float
        Statistical 68 % radius [deg]; 0 if the systematic error is all there is.
    systematic : Systematic
        Core and tail, 68 % radii.

    Raises
    ------
    SkyError
        If the radius is negative or the result impossible.
    """
    if not radius_68_deg >= 0.0:
        raise SkyError(f"statistical radius {radius_68_deg} deg is negative")
    core = Component(systematic.core_fraction, math.hypot(radius_68_deg, systematic.core_deg), 0.68)
    tail = Component(1.0 - systematic.core_fraction, math.hypot(radius_68_deg, systematic.tail_deg), 0.68)
    return MixtureLocalization(ra, dec, (core, tail))


def from_two_radii(ra: float, dec: float, r50_deg: float, r90_deg: float) -> MixtureLocalization:
    """Return a position whose 50 % and 90 % radii are both kept: two equal von Mises-Fisher parts.

    Neutrino tracks have r90 / r50 of 2.6 to 2.8 where a Gaussian has 1.82: a narrow core with a wide tail.
    The two parts reproduce both radii and, unlike a stretched exponential, are bounded at the centre.

    Raises
    ------
    SkyError
        If the radii are impossible, or closer to each other than a Gaussian's: then use the 90 % circle.
    """
    if not 0.0 < r50_deg < r90_deg:
        raise SkyError(f"50 % radius {r50_deg} deg is not between 0 and the 90 % radius {r90_deg} deg")
    u50, u90 = vmf.versine(r50_deg), vmf.versine(r90_deg)

    def parts(wide: float) -> tuple[float, float]:
        """Return what the narrow part must hold within r50, and then both within r90."""
        narrow = 1.0 - vmf.held(vmf.kappa_of(r90_deg, wide), u50)
        return narrow, (vmf.held(vmf.kappa_of(r50_deg, narrow), u90) + wide) / 2.0

    low, high = 0.8, 0.9
    if parts(high)[1] <= 0.9:
        raise SkyError(
            f"radii {r50_deg} and {r90_deg} deg are closer than a Gaussian's",
            hint="use the 90 % circle alone",
        )
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if parts(middle)[1] < 0.9 else (low, middle)
    core = Component(0.5, r50_deg, parts(high)[0])
    tail = Component(0.5, r90_deg, high)
    return MixtureLocalization(ra, dec, (core, tail))
