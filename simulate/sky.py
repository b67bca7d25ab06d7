"""What is in the sky: populations with light curves, on the patches around a night's events.

A night has a budget of packets, and an all-sky population would spend it where no event is. So objects live on
*patches*: the HEALPix cells that cover the 99 % regions, whose coarse cells reach beyond them and leave some
off-source sky. The rates of what can be mistaken for a counterpart are set per kind of event, so that each has the
crowd its region would really have; what the cuts remove (catalogued variables, known asteroids, most artefacts) fills
the budget.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from asterism.simulate.lightcurves import Kind
from asterism.simulate.survey import ecliptic_latitude, galactic_latitude
from asterism.sky.healpix import MAX_ORDER, Ranges, centers, pixel_area_deg2
from asterism.sky.localization import Localization

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS = tuple(Kind)
"""`Objects.kind` counts in this order."""


@dataclass(frozen=True)
class Crowd:
    """How much of what can be mistaken for a counterpart a patch has."""

    supernovae: float
    """Explosions [deg-2 d-1], brighter than 21.5 mag at peak."""
    dwarf_novae: float
    """Outbursts of stars no catalogue has [deg-2 d-1], at high Galactic latitude."""
    unknown_asteroids: float
    """Detections of moving objects without orbit, each survey [deg-2 d-1], near the ecliptic."""
    bogus: float
    """Artefacts with a reliability above 0.5, each survey [deg-2 d-1]."""
    area_deg2: float
    """99 % region for which these rates hold; a smaller one gets a denser crowd, so that it is no emptier [deg2]."""
    nuclear_flares: float = 0.02
    """Flares of nuclei no catalogue has, begun within 200 d [deg-2]."""
    tdes: float = 0.002
    """Tidal disruptions begun within 200 d [deg-2]."""
    fast_transients: float = 0.0
    """Fast blue transients in galaxies [deg-2 d-1]."""
    afterglows: float = 0.0
    """Afterglows of bursts that nobody told of [deg-2 d-1]."""

    def scaled(self, factor: float) -> Crowd:
        """Return a crowd denser by a factor."""
        dense = {f.name: getattr(self, f.name) * factor for f in fields(self) if f.name != "area_deg2"}
        return replace(self, **dense)


CROWDS = {
    "gw": Crowd(0.015, 0.024, 0.009, 0.006, area_deg2=240.0, fast_transients=0.055),
    "grb": Crowd(0.006, 0.008, 0.003, 0.002, area_deg2=420.0, fast_transients=0.003, afterglows=0.004),
    "neutrino": Crowd(0.03, 0.03, 0.05, 0.05, nuclear_flares=0.5, area_deg2=6.0),
    "gw170817": Crowd(0.20, 0.10, 0.05, 0.04, area_deg2=32.0),
    "quiet": Crowd(0.020, 0.010, 0.008, 0.006, area_deg2=230.0),
}
"""Crowds by kind of event. What resembles a counterpart is rarer in the real sky: fast transients and afterglows no one
told of by a factor of a hundred and more, flares of nuclei by ten. Here there are enough for a few in every region that
match a counterpart in all but time or place, so that a ranking without the one or the other goes wrong."""

_SUPERNOVA_DAYS = 60.0
_FLARE_DAYS = 200.0
_OUTBURST_DAYS = 12.0
_FAST_DAYS = 6.0
_AFTERGLOW_DAYS = 2.0
_SLOPE = 0.45
"""Numbers rise as 10**(slope mag): 0.6 in Euclidean space, less because distant ones are redshifted and extincted."""


@dataclass(frozen=True, eq=False)
class Patch:
    """Sky around one event: equal HEALPix cells, nested."""

    order: int
    cells: Ints
    crowd: Crowd

    @property
    def area_deg2(self) -> float:
        """Area [deg2]."""
        return len(self.cells) * float(pixel_area_deg2(self.order))

    @classmethod
    def around(cls, localizations: list[Localization], crowd: Crowd) -> Self:
        """Return the cells that cover the 99 % regions, of a size that suits the smallest of them."""
        smallest = min(item.area(0.99) for item in localizations)
        order = 5 if smallest > 100.0 else 6 if smallest > 20.0 else 7
        step = 2 * (MAX_ORDER - order)
        covers = [item.ranges(0.99, order, 4096) for item in localizations]
        region = Ranges(np.concatenate([c.lo for c in covers]), np.concatenate([c.hi for c in covers]))
        pairs = zip((region.lo >> step).tolist(), (region.hi - 1 >> step).tolist(), strict=True)
        scale = float(np.clip(crowd.area_deg2 / localizations[-1].area(0.99), 0.7, 2.5))
        return cls(order, np.concatenate([np.arange(lo, hi + 1) for lo, hi in pairs]), crowd.scaled(scale))

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """Return n positions [deg], uniform over the patch."""
        inside = 2 * (MAX_ORDER - self.order)
        cell = self.cells[rng.integers(0, len(self.cells), n)]
        return centers((cell << inside) + rng.integers(0, 1 << inside, n))


@dataclass(frozen=True, eq=False)
class Objects:
    """Things that stay where they are, one array element each; see `lightcurves.difference_flux` for the last three."""

    kind: Ints
    """Index into `KINDS`."""
    ra: Floats
    """ICRS [deg]."""
    dec: Floats
    epoch: Floats
    """MJD TAI."""
    mag: Floats
    shape: Floats

    def __len__(self) -> int:
        return len(self.ra)

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Return all objects of the parts, in order."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    @classmethod
    def of(cls, kind: Kind, ra: Floats, dec: Floats, epoch: Floats, mag: Floats, shape: Floats) -> Self:
        """Return objects of one kind."""
        return cls(np.full(len(ra), KINDS.index(kind)), ra, dec, epoch, mag, shape)


def draw_crowd(rng: np.random.Generator, patch: Patch, first: float, last: float) -> Objects:
    """Draw everything on a patch that the catalogue does not know.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every draw.
    patch : Patch
        Where, and how much.
    first, last : float
        The run, MJD TAI; what began before and is still visible is drawn too.
    """
    crowd, span = patch.crowd, last - first
    parts = [
        _begun(rng, patch, Kind.SUPERNOVA, crowd.supernovae * (_SUPERNOVA_DAYS + span), first - _SUPERNOVA_DAYS, last),
        _begun(rng, patch, Kind.NUCLEAR_FLARE, crowd.nuclear_flares, first - _FLARE_DAYS, last),
        _begun(rng, patch, Kind.TDE, crowd.tdes, first - _FLARE_DAYS, last),
        _begun(rng, patch, Kind.FAST_TRANSIENT, crowd.fast_transients * (_FAST_DAYS + span), first - _FAST_DAYS, last),
        _begun(rng, patch, Kind.AFTERGLOW, crowd.afterglows * (_AFTERGLOW_DAYS + span), first - _AFTERGLOW_DAYS, last),
        _begun(rng, patch, Kind.OFF_AXIS_AFTERGLOW, 0.002, first - 40.0, last),
        _begun(rng, patch, Kind.FADED_STAR, 0.015, first - 400.0, first),
    ]
    outbursts = crowd.dwarf_novae * (_OUTBURST_DAYS + span)
    novae = _begun(rng, patch, Kind.DWARF_NOVA, 2.0 * outbursts, first - _OUTBURST_DAYS, last)
    kept = rng.random(len(novae)) < 0.5 * stellar_density(novae.ra, novae.dec)
    parts.append(Objects(*(getattr(novae, f.name)[kept] for f in fields(Objects))))
    return Objects.join(parts)


_BRIGHTEST = {
    Kind.SUPERNOVA: 17.5,
    Kind.NUCLEAR_FLARE: 18.3,
    Kind.TDE: 18.0,
    Kind.OFF_AXIS_AFTERGLOW: 19.5,
    Kind.FADED_STAR: 17.0,
    Kind.DWARF_NOVA: 17.0,
    Kind.FAST_TRANSIENT: 17.5,
    Kind.AFTERGLOW: 18.5,
}
_FAINTEST = {
    Kind.SUPERNOVA: 21.5,
    Kind.NUCLEAR_FLARE: 20.5,
    Kind.DWARF_NOVA: 20.5,
    Kind.FADED_STAR: 19.5,
    Kind.FAST_TRANSIENT: 20.5,
    Kind.AFTERGLOW: 20.5,
}


def _begun(rng: np.random.Generator, patch: Patch, kind: Kind, per_deg2: float, first: float, last: float) -> Objects:
    """Draw objects of one kind that began between two times; more of them faint."""
    n = int(rng.poisson(per_deg2 * patch.area_deg2))
    ra, dec = patch.draw(rng, n)
    faintest = _FAINTEST.get(kind, 21.0)
    lowest = 10.0 ** (-_SLOPE * (faintest - _BRIGHTEST[kind]))
    mag = faintest + np.log10(rng.uniform(lowest, 1.0, n)) / _SLOPE
    return Objects.of(kind, ra, dec, rng.uniform(first, last, n), mag, rng.uniform(0.8, 1.25, n))


def draw_catalogued(rng: np.random.Generator, patches: list[Patch], stars: int, agn: int, first: float) -> Objects:
    """Draw variables the catalogue knows, stars denser towards the Galactic plane."""
    parts = []
    for kind, n in ((Kind.VARIABLE_STAR, stars), (Kind.AGN, agn)):
        ra, dec = draw_anywhere(rng, patches, 4 * n)
        weight = stellar_density(ra, dec) if kind is Kind.VARIABLE_STAR else np.ones(len(ra))
        chosen = rng.choice(len(ra), n, replace=False, p=weight / weight.sum()) if n else np.zeros(0, dtype=np.int64)
        mag, shape = rng.uniform(16.5, 19.5, n), rng.uniform(0.0, 1.0, n)
        parts.append(Objects.of(kind, ra[chosen], dec[chosen], np.full(n, first), mag, shape))
    return Objects.join(parts)


def draw_anywhere(rng: np.random.Generator, patches: list[Patch], n: int) -> tuple[Floats, Floats]:
    """Return n positions [deg], uniform over all patches together."""
    area = np.array([patch.area_deg2 for patch in patches])
    shares = rng.multinomial(n, area / area.sum())
    drawn = [patch.draw(rng, int(share)) for patch, share in zip(patches, shares, strict=True)]
    ra, dec = (np.concatenate(column) for column in zip(*drawn, strict=True))
    order = rng.permutation(n)
    return ra[order], dec[order]


def stellar_density(ra: Floats, dec: Floats) -> Floats:
    """Return how many stars there are relative to latitude 40 deg: a disc, never more than 2 nor less than 0.5."""
    return np.clip(np.exp((40.0 - np.abs(galactic_latitude(ra, dec))) / 30.0), 0.5, 2.0)


def asteroid_density(ra: Floats, dec: Floats) -> Floats:
    """Return how many asteroids there are relative to latitude 10 deg of the ecliptic, between 0.3 and 1.5."""
    return np.clip(np.exp((10.0 - np.abs(ecliptic_latitude(ra, dec))) / 15.0), 0.3, 1.5)
