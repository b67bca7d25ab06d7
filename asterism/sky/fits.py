"""Sky maps from FITS files: multi-order (UNIQ, PROBDENSITY) and flat (NESTED or RING, PROB per pixel).

Units and frames are read, not assumed: densities come per sr (LVK, IceCube) or per deg2 (KM3NeT), and a map
in galactic coordinates is refused rather than believed. A flat map never exists in memory at full size with
all its columns: NESTED ones are merged block by block as they unpack.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy_healpix.core import nested_to_ring
from numpy.typing import NDArray

from asterism.errors import SkyError, SkyMapTooLargeError
from asterism.sky.distance import Distances
from asterism.sky.fitstable import Limits, TableFile
from asterism.sky.healpix import pixel_area_deg2
from asterism.sky.localization import DEG2_PER_SR
from asterism.sky.multiorder import Rows, merge_equal, thin
from asterism.sky.skymap import SkyMapLocalization

_DENSITY = "PROBDENSITY"
_PROBABILITY = ("PROB", "PROBABILITY", "TEMPERATURE")
"""Names of the probability per pixel; the last is what healpy writes when nobody chose a name."""
_LAYERS = ["DISTMU", "DISTSIGMA", "DISTNORM"]
_CELESTIAL = {"", "C", "CELESTIAL", "EQUATORIAL", "ICRS", "FK5", "J2000"}
_BLOCK_ORDER = 9
_MAX_ORDER = 13


def read_skymap(source: Path | bytes, limits: Limits | None = None) -> SkyMapLocalization:
    """Read a sky map, gzipped or not.

    Parameters
    ----------
    source : Path or bytes
        The file or its content.
    limits : Limits, optional
        Bounds on file, unpacked size and rows; the defaults read flat maps up to nside 2048.

    Raises
    ------
    SkyMapTooLargeError
        If a bound is exceeded; nothing of that size has been allocated.
    SkyError
        If the file is damaged, no sky map, not in celestial coordinates, or no probability distribution.
    """
    bounds = limits or Limits()
    with TableFile(source, bounds) as table:
        frame = str(table.header.get("COORDSYS", "")).upper()
        if frame not in _CELESTIAL:
            raise SkyError(f"map is in coordinate system {frame!r:.20}, not celestial", hint="rotate it to ICRS first")
        if "UNIQ" in table.columns:
            return _localization(_multi_order(table, bounds), _names(table, (_DENSITY,)))
        names = _names(table, (*_PROBABILITY, _DENSITY))
        return _localization(_flat(table, names, bounds), names)


def _names(table: TableFile, wanted: tuple[str, ...]) -> list[str]:
    """Return the density or probability column, then the distance layers if all are there."""
    found = [name for name in wanted if name in table.columns]
    if not found:
        raise SkyError(f"map has columns {list(table.columns)[:8]}, none of {list(wanted)}")
    return found[:1] + (_LAYERS if all(name in table.columns for name in _LAYERS) else [])


def _localization(rows: Rows, names: list[str]) -> SkyMapLocalization:
    layers = Distances(*rows.columns[:, 1:].T) if len(names) > 1 else None
    return SkyMapLocalization(rows.uniq, rows.columns[:, 0], layers)


def _multi_order(table: TableFile, limits: Limits) -> Rows:
    if table.rows > limits.rows:
        raise SkyMapTooLargeError(f"multi-order map has {table.rows} rows, more than {limits.rows}")
    if table.columns["UNIQ"].code not in "JK":
        raise SkyError("UNIQ is not an integer column")
    names = _names(table, (_DENSITY,))
    blocks = list(table.blocks(["UNIQ", *names], 2**16))
    if not blocks:
        raise SkyError("map has no rows")
    uniq = np.concatenate([block["UNIQ"] for block in blocks]).astype(np.int64)
    columns = np.concatenate([_stack(block, names) for block in blocks])
    _scale(columns, _per_deg2(table, names[0]))
    return Rows(uniq, columns)


def _flat(table: TableFile, names: list[str], limits: Limits) -> Rows:
    pixels = table.rows * table.columns[names[0]].repeat
    if pixels > limits.pixels:
        raise SkyMapTooLargeError(f"flat map has {pixels} pixels, more than {limits.pixels}")
    order = next((k for k in range(_MAX_ORDER + 1) if 12 * 4**k == pixels), None)
    if order is None or table.header.get("NSIDE", 2**order) != 2**order:
        raise SkyError(f"{pixels} pixels with NSIDE {table.header.get('NSIDE')} are no full HEALPix map of order <= 13")
    is_density = names[0] == _DENSITY or any(word in table.columns[names[0]].unit.lower() for word in ("sr", "deg"))
    scale = _per_deg2(table, names[0]) if is_density else 1.0 / float(pixel_area_deg2(order))
    ordering = str(table.header.get("ORDERING", "")).upper()
    size = min(pixels, 4**_BLOCK_ORDER)
    if ordering in {"NESTED", "NEST"}:
        blocks: Iterator[NDArray[np.float64]] = (_stack(block, names) for block in table.blocks(names, size))
    elif ordering == "RING":
        blocks = _ring_as_nested(table, names, order, size)
    else:
        raise SkyError(f"flat map has ordering {ordering!r:.20}, neither NESTED nor RING")
    pieces: list[Rows] = []
    for number, columns in enumerate(blocks):
        _scale(columns, scale)
        pieces.append(merge_equal(order, number * size, columns))
        if sum(map(len, pieces)) > 4 * limits.rows:
            pieces = [thin(Rows.concatenate(pieces), 2 * limits.rows)]
    return thin(Rows.concatenate(pieces), limits.rows)


def _ring_as_nested(table: TableFile, names: list[str], order: int, size: int) -> Iterator[NDArray[np.float64]]:
    """Yield a RING map in NESTED blocks; it must be unpacked whole first, in the precision of the file."""
    ring: dict[str, NDArray[np.generic]] = {}
    for number, block in enumerate(table.blocks(names, size)):
        for name, values in block.items():
            if name not in ring:
                ring[name] = np.empty(12 * 4**order, dtype=values.dtype)
            ring[name][number * size : number * size + len(values)] = values
    for first in range(0, 12 * 4**order, size):
        index = nested_to_ring(np.arange(first, first + size), 2**order)
        yield _stack({name: values[index] for name, values in ring.items()}, names)


def _stack(block: dict[str, NDArray[np.generic]], names: list[str]) -> NDArray[np.float64]:
    return np.stack([block[name].astype(np.float64) for name in names], axis=1)


def _scale(columns: NDArray[np.float64], factor: float) -> None:
    with np.errstate(invalid="ignore", over="ignore"):  # what is no number is found out when it is a map
        columns[:, 0] *= factor


def _per_deg2(table: TableFile, name: str) -> float:
    """Return what turns the density's unit into deg-2; one without a unit is per sr, as the format says."""
    return 1.0 if "deg" in table.columns[name].unit.lower() else 1.0 / DEG2_PER_SR
