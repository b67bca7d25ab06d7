"""Sky maps: probability on pixels of many sizes, sorted along the order-29 index.

Every map, flat or multi-order, is held as rows of disjoint pixels. A look-up is one binary search; credible
level and searched area of every row are computed once. Rows of equal density share their level, so that
"inside 90 %" does not depend on their order, and the region contains the row that crosses 90 %. What no row
covers has density 0.

Probabilities are divided by their sum, which must be 1 within 1 %: enough for the rounding of float32 maps,
and far from the factor 3283 that a density per sr read as per deg2 would make.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import override

from asterism.errors import SkyError
from asterism.sky.distance import Distances
from asterism.sky.healpix import (
    MAX_ORDER,
    N_CELLS,
    SKY_DEG2,
    Ranges,
    hpx29,
    ipix_to_range29,
    pixel_centers,
    uniq_to_order_ipix,
)
from asterism.sky.localization import Localization, Nodes, Record, check_level

SUM_TOLERANCE = 0.01
"""How far from 1 the probabilities of a map may sum."""

_ROUNDING = 1e-12
"""Sums this close to 1 are left alone, so that a stored map comes back bit by bit."""
MAX_ROWS = 2**24
"""Most rows a record may claim."""

_LAYERS = ("mu", "sigma", "norm")
_FARTHEST = 1e9
"""Larger locations and scales of a distance [Mpc], and scales below its inverse, are damage: 1e5 times the horizon."""


@dataclass(frozen=True, eq=False)
class SkyMapLocalization(Localization):
    """A multi-order map. Rows may come in any order; they are sorted, normalised and made read-only.

    Raises
    ------
    SkyError
        If a row is no pixel, rows overlap or differ in number, a density is negative or not finite, or the
        probabilities do not sum to 1.
    """

    kind: ClassVar[str] = "skymap"

    uniq: NDArray[np.int64]
    """Pixel of each row, ``ipix + 4**(order + 1)``, nested, ICRS."""
    density_deg2: NDArray[np.float64]
    """Probability density of each row [deg-2]."""
    distances: Distances | None = None
    """Distance layers of the rows."""
    lo: NDArray[np.int64] = field(init=False, repr=False)
    """First order-29 cell of each row, ascending."""
    hi: NDArray[np.int64] = field(init=False, repr=False)
    """Cell after the last of each row."""
    _level: NDArray[np.float64] = field(init=False, repr=False)
    _searched: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        uniq = np.asarray(self.uniq, dtype=np.int64)
        density = np.asarray(self.density_deg2, dtype=np.float64)
        if uniq.ndim != 1 or uniq.shape != density.shape or not uniq.size:
            raise SkyError(f"map has {uniq.shape} pixels and {density.shape} densities")
        if not bool(np.isfinite(density).all()) or bool((density < 0.0).any()):
            raise SkyError("map has a negative or non-finite probability density")
        lo, hi = ipix_to_range29(*uniq_to_order_ipix(uniq))
        by_cell = np.argsort(lo, kind="stable")
        lo, hi, density = lo[by_cell], hi[by_cell], density[by_cell]
        if bool((lo[1:] < hi[:-1]).any()):
            raise SkyError("map pixels overlap")
        area = (hi - lo) * (SKY_DEG2 / N_CELLS)
        with np.errstate(over="ignore"):  # an infinite sum is no 1 either
            total = float((density * area).sum())
        if not abs(total - 1.0) <= SUM_TOLERANCE:
            raise SkyError(f"map probabilities sum to {total:.6g}, not 1", hint="check the unit of the density")
        if abs(total - 1.0) > _ROUNDING:
            density = density / total
        level, searched = _levels(density, area)
        for name, value in [
            ("uniq", uniq[by_cell]),
            ("density_deg2", density),
            ("lo", lo),
            ("hi", hi),
            ("_level", level),
            ("_searched", searched),
        ]:
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        if self.distances is not None:
            object.__setattr__(self, "distances", _sorted_layers(self.distances, by_cell))

    def __len__(self) -> int:
        return int(self.uniq.size)

    @override
    def density(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the probability density [deg-2] at positions [deg]."""
        return self.density_at(hpx29(ra, dec))

    def density_at(self, cell: ArrayLike) -> NDArray[np.float64]:
        """Return the probability density [deg-2] of order-29 cells: the fast way for stored keys."""
        return self._look_up(self.density_deg2, cell, 0.0)

    @override
    def credible_level(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of all denser pixels at positions [deg]."""
        return self.credible_level_at(hpx29(ra, dec))

    def credible_level_at(self, cell: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of all pixels denser than those of order-29 cells."""
        return self._look_up(self._level, cell, 1.0)

    @override
    def searched_area(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the area [deg2] of all pixels denser than those at positions [deg]."""
        support = float(self._areas()[self.density_deg2 > 0.0].sum())
        return self._look_up(self._searched, hpx29(ra, dec), support)

    @override
    def area(self, level: float) -> float:
        """Return the area [deg2] of the pixels inside `level`, the one that crosses it included."""
        return float(self._areas()[self._level < check_level(level)].sum())

    @override
    def ranges(self, level: float, max_order: int = MAX_ORDER, max_ranges: int = 2000) -> Ranges:
        """Return the order-29 ranges of the pixels inside `level`: exactly these if they fit the limits.

        Compact-binary maps need fewer than 400 at 90 % even for 10,000 deg2, noisy burst maps some thousand.
        """
        inside = self._level < check_level(level)
        lo, hi = self.lo[inside], self.hi[inside]
        if not 0 <= max_order <= MAX_ORDER:
            raise SkyError(f"HEALPix order {max_order} is outside 0 .. {MAX_ORDER}")
        step = 2 * (MAX_ORDER - max_order)
        return Ranges((lo >> step) << step, (((hi - 1) >> step) + 1) << step).coarsened(max_ranges)

    @override
    def mode(self) -> tuple[float, float]:
        """Return the centre [deg] of the densest pixel; of equals, the first along the index."""
        ra, dec = pixel_centers(*uniq_to_order_ipix(self.uniq[int(self.density_deg2.argmax())]))
        return float(ra), float(dec)

    @override
    def nodes(self) -> Nodes:
        """Return the centres of all pixels with some probability."""
        some = self.density_deg2 > 0.0
        ra, dec = pixel_centers(*uniq_to_order_ipix(self.uniq[some]))
        return Nodes(ra, dec, (self.density_deg2 * self._areas())[some])

    def pixel_area(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Return the area [deg2] of the pixels at positions [deg], 0 where there is none."""
        return self._look_up(self._areas(), hpx29(ra, dec), 0.0)

    @override
    def distance(self, ra: ArrayLike, dec: ArrayLike) -> Distances | None:
        """Return the conditional distance at positions [deg], NaN outside the map; None for a 2D map."""
        if self.distances is None:
            return None
        cell = hpx29(ra, dec)
        mu, sigma, norm = (self._look_up(getattr(self.distances, name), cell, np.nan) for name in _LAYERS)
        return Distances(mu, sigma, norm)

    def distance_moments(self) -> tuple[float, float] | None:
        """Return mean and standard deviation [Mpc] of the distance over the whole map, or None if it has
        none.

        Sum of probability times the moments along each direction. Pixels without distance information are left out
        and the rest renormalised. The header's DISTMEAN can differ: BAYESTAR writes this mean (equal to 1e-12 where no
        pixel is left out), but a map made from posterior samples carries the samples' own, up to a per cent away.
        """
        if self.distances is None:
            return None
        mean, std = self.distances.moments()
        weight = self.density_deg2 * self._areas()
        known = np.isfinite(mean) & np.isfinite(std) & (weight > 0.0)
        if not bool(known.any()):
            return None
        weight, mean, std = weight[known] / weight[known].sum(), mean[known], std[known]
        overall = float((weight * mean).sum())
        return overall, float(np.sqrt((weight * (std**2 + (mean - overall) ** 2)).sum()))

    @override
    def as_record(self) -> Record:
        """Return the rows as JSON-ready values: little-endian columns, deflated, base64."""
        columns = {"uniq": self.uniq, "density_deg2": self.density_deg2}
        if self.distances is not None:
            columns |= {name: getattr(self.distances, name) for name in _LAYERS}
        return {
            "kind": self.kind,
            "rows": len(self),
            "columns": {name: _pack(column) for name, column in columns.items()},
        }

    @override
    @classmethod
    def from_record(cls, record: Record) -> Self:
        """Build from what `as_record` returned."""
        rows, columns = record.get("rows"), record.get("columns")
        if not isinstance(rows, int) or not 0 < rows <= MAX_ROWS or not isinstance(columns, dict):
            raise SkyError("map record has no rows or columns, or too many")
        layers = None
        if all(name in columns for name in _LAYERS):
            layers = Distances(*(_unpack(columns[name], rows, "<f8") for name in _LAYERS))
        uniq = _unpack(columns.get("uniq"), rows, "<i8").astype(np.int64)
        return cls(uniq, _unpack(columns.get("density_deg2"), rows, "<f8"), layers)

    def _areas(self) -> NDArray[np.float64]:
        return np.asarray((self.hi - self.lo) * (SKY_DEG2 / N_CELLS), dtype=np.float64)

    def _look_up(self, column: NDArray[np.float64], cell: ArrayLike, outside: float) -> NDArray[np.float64]:
        cells = np.asarray(cell, dtype=np.int64)
        row = np.maximum(np.searchsorted(self.lo, cells, side="right") - 1, 0)
        covered = (cells >= self.lo[row]) & (cells < self.hi[row])
        return np.asarray(np.where(covered, column[row], outside), dtype=np.float64)


def _levels(density: NDArray[np.float64], area: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return probability and area [deg2] of all strictly denser rows, for each row."""
    by_density = np.argsort(-density, kind="stable")
    ranked = density[by_density]
    first = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    group = np.maximum.accumulate(np.where(first, np.arange(ranked.size), 0))
    ranked_area = area[by_density]
    result = []
    for amount in (ranked * ranked_area, ranked_area):
        before = np.concatenate([[0.0], np.cumsum(amount)[:-1]])[group]
        back = np.empty_like(before)
        back[by_density] = before
        result.append(back)
    level, searched = result
    level = np.where(density > 0.0, np.minimum(level, np.nextafter(1.0, 0.0)), 1.0)
    return level, searched


def _sorted_layers(layers: Distances, by_cell: NDArray[np.int64]) -> Distances:
    """Sort the layers like the rows; a pixel whose distance is not finite, or absurd, has none."""
    mu, sigma, norm = (np.asarray(getattr(layers, name), dtype=np.float64) for name in _LAYERS)
    if not mu.shape == sigma.shape == norm.shape == by_cell.shape:
        raise SkyError("distance layers and pixels differ in number")
    known = (np.abs(mu) < _FARTHEST) & (sigma > 1.0 / _FARTHEST) & (sigma < _FARTHEST) & (norm > 0.0)
    known &= np.isfinite(norm)
    sorted_columns = [np.where(known, column, np.nan)[by_cell] for column in (mu, sigma, norm)]
    for column in sorted_columns:
        column.setflags(write=False)
    return Distances(*sorted_columns)


def _pack(column: NDArray[np.generic]) -> str:
    little = column.astype(column.dtype.newbyteorder("<"))
    return base64.b64encode(zlib.compress(little.tobytes(), 6)).decode("ascii")


def _unpack(text: object, rows: int, dtype: str) -> NDArray[np.float64]:
    """Inflate one column; never more than `rows` values."""
    try:
        if not isinstance(text, str):
            raise SkyError("map record lacks a column")
        content = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), rows * 8 + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise SkyError(f"map record is damaged: {error}") from error
    if len(content) != rows * 8:
        raise SkyError(f"map record has {len(content)} bytes for {rows} rows")
    return np.frombuffer(content, dtype=dtype)
