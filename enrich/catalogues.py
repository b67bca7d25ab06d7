"""Catalogues: a Parquet file each, loaded once a process, searched by angle.

A file holds one release of one catalogue. Required columns: ``catalogue`` and ``release`` (text, the same in every
row), ``id`` (text or integer), ``ra`` and ``dec`` (ICRS [deg]), ``class`` (text: star, agn, galaxy, ...).
Optional: ``type`` (text, the catalogue's own finer type), ``distanceMpc``, ``redshift``, ``mag`` (floats; null is
unknown). Other columns are ignored.

A release is immutable: other rows need another name of the release, because keys are made from it.

Positions become unit vectors in a k-d tree for each class. The chord between two unit vectors,
2 sin(angle / 2), is exact to 1e-10 arcsec for small angles, at the poles and across right ascension 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from asterism.enrich.errors import CatalogueError
from asterism.errors import AsterismError
from asterism.ids import make_key
from asterism.sky.cone import unit_vectors
from asterism.sky.healpix import check_positions, hpx29, pixel_area_deg2

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

REQUIRED = ("catalogue", "release", "id", "ra", "dec", "class")
OPTIONAL = {"type": pa.string(), "distanceMpc": pa.float64(), "redshift": pa.float64(), "mag": pa.float64()}

SOURCE = pa.schema(
    [
        ("sourceKey", pa.string()),
        ("catalogue", pa.string()),
        ("release", pa.string()),
        ("id", pa.string()),
        ("class", pa.string()),
        ("type", pa.string()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("hpx29", pa.int64()),
        ("distanceMpc", pa.float64()),
        ("redshift", pa.float64()),
        ("mag", pa.float64()),
    ]
)
"""Columns of a loaded catalogue, as in `asterism.records.CATALOGUE_MATCH`."""

DENSITY_ORDERS = (9, 0)
"""Finest and coarsest HEALPix order whose cells give the local density (0.013 and 3,438 deg2)."""
DENSITY_SOURCES = 16
"""The finest order in which the cells that are not empty hold so many sources on average is taken."""

PLAIN_ID = r"^[A-Za-z0-9][A-Za-z0-9._+\-/]{0,127}$"
"""What `asterism.ids.id_text` lets through, for a whole column at once."""
ARCSEC_PER_RADIAN = 3600.0 * 180.0 / np.pi
_LEAF = 16


@dataclass(frozen=True, eq=False)
class ClassTree:
    """The sources of one class.

    Attributes
    ----------
    rows : ndarray of int64
        Their rows in the catalogue.
    tree : scipy.spatial.cKDTree
        Their unit vectors, in the same order.
    """

    rows: Rows
    tree: cKDTree


@dataclass(frozen=True, eq=False)
class Catalogue:
    """One release of a catalogue in memory.

    Attributes
    ----------
    table : pyarrow.Table
        Schema `SOURCE`.
    density : ndarray
        Surface density of sources of the same class around each source [deg^-2].
    trees : dict
        By class.
    """

    table: pa.Table
    density: Floats
    trees: dict[str, ClassTree]


def load_catalogue(path: Path) -> Catalogue:
    """Return a catalogue, read from its file only if the file is new or another one than before.

    Raises
    ------
    CatalogueError
        If the file is not there, cannot be read or is no catalogue.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise CatalogueError(f"catalogue {path.name} cannot be read: {error.strerror}") from error
    stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _LOADED.get(path)
    if known is None or known[0] != stamp:
        known = _LOADED[path] = (stamp, read_catalogue(path))
    return known[1]


_LOADED: dict[Path, tuple[tuple[int, int, int], Catalogue]] = {}
"""Catalogues of this process: executors are asked again and again with copies of the same module."""


def read_catalogue(path: Path) -> Catalogue:
    """Read and check a catalogue file.

    Raises
    ------
    CatalogueError
        As for `load_catalogue`.
    """
    try:
        present = pq.read_schema(path).names
        missing = [name for name in REQUIRED if name not in present]
        if missing:
            raise CatalogueError(f"catalogue {path.name} has no column {', '.join(missing)}")
        raw = pq.read_table(path, columns=[name for name in (*REQUIRED, *OPTIONAL) if name in present])
        return _catalogue(raw)
    except (pa.ArrowException, OSError) as error:
        raise CatalogueError(f"catalogue {path.name} cannot be read: {error}") from error
    except CatalogueError:
        raise
    except AsterismError as error:
        raise CatalogueError(f"catalogue {path.name}: {error.message}") from error


def chord(angle_arcsec: float) -> float:
    """Return the straight distance between two unit vectors at an angle [arcsec]."""
    return float(2.0 * np.sin(angle_arcsec / ARCSEC_PER_RADIAN / 2.0))


def angle_arcsec(chords: Floats) -> Floats:
    """Return the angles [arcsec] of straight distances between unit vectors; the inverse of `chord`."""
    return np.asarray(2.0 * np.arcsin(np.minimum(chords / 2.0, 1.0)) * ARCSEC_PER_RADIAN)


def _catalogue(raw: pa.Table) -> Catalogue:
    table = _sources(raw)
    ra, dec = (table[name].to_numpy() for name in ("ra", "dec"))
    cells = table["hpx29"].to_numpy()
    vectors = unit_vectors(ra, dec)
    density = np.zeros(table.num_rows)
    trees = {}
    classes = table["class"].combine_chunks().dictionary_encode()
    codes = classes.indices.to_numpy()
    for code, name in enumerate(classes.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        density[rows] = local_density(cells[rows])
        trees[name] = ClassTree(rows, cKDTree(vectors[rows], leafsize=_LEAF))
    return Catalogue(table, density, trees)


def local_density(cells: NDArray[np.int64]) -> Floats:
    """Return how many sources there are around each one [deg^-2].

    Sources are counted, the one itself included, in HEALPix cells just large enough to hold `DENSITY_SOURCES` on
    average where there are any.

    Parameters
    ----------
    cells : ndarray of int64, shape (n,)
        Nested order-29 cells of the sources.
    """
    finest, coarsest = DENSITY_ORDERS
    for order in range(finest, coarsest - 1, -1):
        _, member, count = np.unique(cells >> (2 * (29 - order)), return_inverse=True, return_counts=True)
        if count.size and count.mean() >= DENSITY_SOURCES:
            break
    return np.asarray(count[member] / float(pixel_area_deg2(order)))


def _sources(raw: pa.Table) -> pa.Table:
    """Return the rows as `SOURCE`, or raise if one has no key, position or class."""
    empty = [name for name in REQUIRED if raw[name].null_count]
    if empty or raw.num_rows == 0:
        raise CatalogueError(f"there are no rows, or some have no {', '.join(empty) or 'values'}")
    names = {name: raw[name].unique().to_pylist() for name in ("catalogue", "release")}
    if any(len(values) != 1 or not isinstance(values[0], str) for values in names.values()):
        raise CatalogueError("a file holds one release of one catalogue, both named by text")
    key = make_key(names["catalogue"][0], names["release"][0])
    if not pa.types.is_integer(raw["id"].type) and not pa.types.is_string(raw["id"].type):
        raise CatalogueError(f"ids are text or integers, not {raw['id'].type}")
    ids = raw["id"].cast(pa.string())
    bad = ids.filter(pc.invert(pc.match_substring_regex(ids, PLAIN_ID)))
    if len(bad):
        raise CatalogueError(f"{len(bad)} ids are not plain text, such as {bad[0].as_py()!r:.80}")
    if pc.count_distinct(ids).as_py() != len(ids):
        raise CatalogueError("an id occurs twice")
    ra, dec = check_positions(raw["ra"].cast(pa.float64()).to_numpy(), raw["dec"].cast(pa.float64()).to_numpy())
    columns = {
        "sourceKey": pc.binary_join_element_wise(key, ids, ":"),
        "catalogue": raw["catalogue"],
        "release": raw["release"],
        "id": ids,
        "class": raw["class"],
        "ra": pa.array(ra),
        "dec": pa.array(dec),
        "hpx29": pa.array(hpx29(ra, dec)),
    } | {name: _optional(raw, name, kind) for name, kind in OPTIONAL.items()}
    table = pa.table([columns[field.name].cast(field.type) for field in SOURCE], schema=SOURCE)
    return table.sort_by("hpx29").combine_chunks()  # neighbours lie near each other in memory, too


def _optional(raw: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if name not in raw.schema.names:
        return pa.nulls(raw.num_rows, kind)
    column = raw[name].cast(kind)
    return pc.if_else(pc.is_finite(column), column, None) if pa.types.is_floating(kind) else column
