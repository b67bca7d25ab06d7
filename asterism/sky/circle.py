"""A position with an error radius, and the probability the instrument means by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

from typing_extensions import override

from asterism.sky import vmf
from asterism.sky.healpix import check_positions
from asterism.sky.localization import Record
from asterism.sky.radial import RadialLocalization
from asterism.sky.record import numbers


@dataclass(frozen=True)
class CircleLocalization(RadialLocalization):
    """A circle that holds a stated probability: a von Mises-Fisher distribution, exact at any radius.

    Raises
    ------
    SkyError
        If the centre is no position, the radius is outside (0, 180] deg, the containment outside (0, 1), or
        the circle covers more of the sphere than the probability it claims.
    """

    kind: ClassVar[str] = "circle"

    ra: float
    """Right ascension of the centre [deg, ICRS]."""
    dec: float
    """Declination of the centre [deg, ICRS]."""
    radius_deg: float
    """Radius [deg]."""
    containment: float
    """Probability inside: 0.68 for Fermi GBM, 0.9 for Swift, ...; there is no default."""
    kappa: float = field(init=False, repr=False, compare=False)
    """Concentration; 1 / sigma**2 [rad-2] for small circles."""

    def __post_init__(self) -> None:
        ra, dec = check_positions(self.ra, self.dec)
        object.__setattr__(self, "ra", float(ra))
        object.__setattr__(self, "dec", float(dec))
        object.__setattr__(self, "kappa", vmf.kappa_of(self.radius_deg, self.containment))

    @override
    def parts(self) -> tuple[tuple[float, float], ...]:
        """Return the one part."""
        return ((1.0, self.kappa),)

    @override
    def as_record(self) -> Record:
        """Return the circle as JSON-ready values."""
        return {
            "kind": self.kind,
            "ra": self.ra,
            "dec": self.dec,
            "radius_deg": self.radius_deg,
            "containment": self.containment,
        }

    @override
    @classmethod
    def from_record(cls, record: Record) -> Self:
        """Build from what `as_record` returned."""
        return cls(*numbers(record, "ra", "dec", "radius_deg", "containment"))
