"""What lies in a credible region of a map: counts, the densest objects, all of them. By position alone, nothing scored.

Driven from ranges to objects: the map's merged ranges seek `Object(hpx29)`, so that the time grows with what is found
and with neither the map's pixels nor the number of maps stored. Densities are looked up here, in memory: the database
never joins objects with pixels. What a range holds travels as one row: the driver spends more on a row than on what
stands in it. For the densest objects the region is read from the inside out, in shells of twice the area, until enough
is found.
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

_SEEK = "UNWIND $ranges AS r CALL (r) {{ MATCH (o:Object) WHERE o.hpx29 >= r[0] AND o.hpx29 < r[1] {hidden}{found} }} "
_COUNT = {"found": "RETURN count(o) AS n"}, "RETURN sum(n) AS n"
_FIND = {"found": "RETURN collect(o.key) AS keys, collect(o.hpx29) AS cells"}, "RETURN keys, cells"

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
    keys, cells = read(session, _find, localization.ranges(level), show_nonpublic)
    return _sorted(keys, cells, localization, level, len(keys))


def densest_in_region(
    session: Session, localization: Localization, level: float, most: int, *, show_nonpublic: bool = False
) -> Found:
    """Return the `most` objects inside a credible level, in (0, 1], where the map is densest."""
    return read(session, _densest, localization, level, most, show_nonpublic)


def _densest(tx: ManagedTransaction, localization: Localization, level: float, most: int, nonpublic: bool) -> Found:
    whole, wanted = localization.area(level), _SLACK * most * SKY_DEG2 / max(_total(tx), 1)
    keys: list[str] = []
    cells: list[int] = []
    read_so_far: Ranges | None = None
    while True:
        inner = level if wanted >= whole else _level_of_area(localization, wanted, level)
        ranges = localization.ranges(inner)
        found = _find(tx, ranges if read_so_far is None else ranges.difference(read_so_far), nonpublic)
        keys, cells = keys + found[0], cells + found[1]
        densest = _sorted(keys, cells, localization, inner, most)
        if inner == level or len(densest.key) >= most:
            return densest
        read_so_far, wanted = ranges, 2.0 * wanted


def _level_of_area(localization: Localization, area: float, at_most: float) -> float:
    """Return a level whose region has about this area [deg2]."""
    low, high = 0.0, at_most
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if localization.area(middle) < area else (low, middle)
    return high


def _sorted(keys: list[str], cells: list[int], localization: Localization, level: float, most: int) -> Found:
    key, cell = np.array(keys, dtype=np.str_), np.array(cells, dtype=np.int64)
    if isinstance(localization, SkyMapLocalization):
        density, levels = localization.density_at(cell), localization.credible_level_at(cell)
    else:
        ra, dec = centers(cell)
        density, levels = localization.density(ra, dec), localization.credible_level(ra, dec)
    inside = np.flatnonzero(levels < level)
    order = inside[np.lexsort((key[inside], -density[inside]))][:most]
    return Found(key[order].tolist(), cell[order], density[order], levels[order])


def _count(tx: ManagedTransaction, ranges: Ranges, nonpublic: bool) -> int:
    return int(tx.run(_query(_COUNT, nonpublic), ranges=_pairs(ranges)).single(strict=True)["n"])


def _find(tx: ManagedTransaction, ranges: Ranges, nonpublic: bool) -> tuple[list[str], list[int]]:
    """Return keys and cells of the objects in ranges."""
    keys: list[str] = []
    cells: list[int] = []
    for name, cell in tx.run(_query(_FIND, nonpublic), ranges=_pairs(ranges)).values():
        keys += name
        cells += cell
    return keys, cells


def _query(asked: tuple[dict[str, str], str], nonpublic: bool) -> str:
    found, answer = asked
    return _SEEK.format(hidden="" if nonpublic else "AND o.public ", **found) + answer


def _total(tx: ManagedTransaction) -> int:
    """Return the number of objects, which the database keeps count of."""
    return int(tx.run("MATCH (o:Object) RETURN count(o) AS n").single(strict=True)["n"])


def _pairs(ranges: Ranges) -> list[list[int]]:
    pairs: list[list[int]] = np.stack([ranges.lo, ranges.hi], axis=1).tolist()
    return pairs
