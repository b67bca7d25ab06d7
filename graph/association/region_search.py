"""What lies in a credible region of a map: counts, the densest objects, all of them. By position alone, nothing scored.

Driven from ranges to objects: the map's merged ranges seek `Object(hpx29)`, so that the time grows with what is found
and with neither the map's pixels nor the number of maps stored. Densities are looked up here, in memory: the database
never joins objects with pixels. For the densest objects the region is read from the inside out, in shells of twice the
area, until enough is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from neo4j import ManagedTransaction, Session
from numpy.typing import NDArray

from asterism.graph.connection import read
from asterism.sky.healpix import SKY_DEG2, Ranges, centers
from asterism.sky.localization import Localization
from asterism.sky.skymap import SkyMapLocalization

_SEEK = "UNWIND $ranges AS r MATCH (o:Object) WHERE o.hpx29 >= r[0] AND o.hpx29 < r[1] {hidden}"
_ALL, _PUBLIC = _SEEK.format(hidden=""), _SEEK.format(hidden="AND o.public ")
COUNT, FIND = "RETURN count(o) AS n", "RETURN o.key AS key, o.hpx29 AS cell"

_SLACK = 1.15
"""How much larger the first shell is than an even sky would need."""


@dataclass(frozen=True, eq=False)
class Found:
    """Objects in a region, the densest first, ties by key.

    Attributes
    ----------
    key : list of str
        Their keys.
    hpx29 : ndarray of int64
        Their cells.
    density : ndarray
        Density of the map there [deg^-2].
    level : ndarray
        Credible level there.
    """

    key: list[str]
    hpx29: NDArray[np.int64]
    density: NDArray[np.float64]
    level: NDArray[np.float64]


def count_in_region(session: Session, localization: Localization, level: float, *, show_nonpublic: bool = False) -> int:
    """Return how many objects lie in the ranges of a credible region, in (0, 1]."""
    return read(session, _count, localization.ranges(level), show_nonpublic)


def all_in_region(session: Session, localization: Localization, level: float, *, show_nonpublic: bool = False) -> Found:
    """Return all objects inside a credible level, in (0, 1]."""
    rows = read(session, _find, localization.ranges(level), show_nonpublic)
    return _sorted(rows, localization, level, len(rows))


def densest_in_region(
    session: Session, localization: Localization, level: float, most: int, *, show_nonpublic: bool = False
) -> Found:
    """Return the `most` objects inside a credible level, in (0, 1], where the map is densest."""
    objects = read(session, _total)
    whole, wanted = localization.area(level), _SLACK * most * SKY_DEG2 / max(objects, 1)
    rows: list[tuple[str, int]] = []
    read_so_far: Ranges | None = None
    while True:
        inner = level if wanted >= whole else _level_of_area(localization, wanted, level)
        ranges = localization.ranges(inner)
        rows += read(session, _find, ranges if read_so_far is None else ranges.difference(read_so_far), show_nonpublic)
        found = _sorted(rows, localization, inner, most)
        if inner == level or len(found.key) >= most:
            return found
        read_so_far, wanted = ranges, 2.0 * wanted


def _level_of_area(localization: Localization, area: float, at_most: float) -> float:
    """Return a level whose region has about this area [deg2]."""
    low, high = 0.0, at_most
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if localization.area(middle) < area else (low, middle)
    return high


def _sorted(rows: list[tuple[str, int]], localization: Localization, level: float, most: int) -> Found:
    key = np.array([name for name, _ in rows], dtype=np.str_)
    cell = np.array([number for _, number in rows], dtype=np.int64)
    if isinstance(localization, SkyMapLocalization):
        density, levels = localization.density_at(cell), localization.credible_level_at(cell)
    else:
        ra, dec = centers(cell)
        density, levels = localization.density(ra, dec), localization.credible_level(ra, dec)
    inside = np.flatnonzero(levels < level)
    order = inside[np.lexsort((key[inside], -density[inside]))][:most]
    return Found(key[order].tolist(), cell[order], density[order], levels[order])


def _count(tx: ManagedTransaction, ranges: Ranges, nonpublic: bool) -> int:
    query = f"{_ALL if nonpublic else _PUBLIC}{COUNT}"
    return int(tx.run(query, ranges=_pairs(ranges)).single(strict=True)["n"])


def _find(tx: ManagedTransaction, ranges: Ranges, nonpublic: bool) -> list[tuple[str, int]]:
    query = f"{_ALL if nonpublic else _PUBLIC}{FIND}"
    return [(key, cell) for key, cell in tx.run(query, ranges=_pairs(ranges)).values()]


def _total(tx: ManagedTransaction) -> int:
    """Return the number of objects, which the database keeps count of."""
    return int(tx.run("MATCH (o:Object) RETURN count(o) AS n").single(strict=True)["n"])


def _pairs(ranges: Ranges) -> list[list[int]]:
    pairs: list[list[int]] = np.stack([ranges.lo, ranges.hi], axis=1).tolist()
    return pairs
