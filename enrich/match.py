"""The catalogue match: which catalogued sources lie at an alert's position.

Easy to get wrong, hence the rules:

- Each position is matched on its own: what else is in the batch changes nothing, and no source is used up.
- All sources within the radius of their class are kept, each with its separation, except that of galaxies only the
  nearest is: a host is looked for far beyond the positional error, where most neighbours are unrelated.
- A catalogue that cannot be read makes rows of status *failed*. Its silence is never taken for "no source there".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from typing_extensions import override

from asterism.enrich.catalogues import SOURCE, Catalogue, angle_arcsec, chord, load_catalogue
from asterism.enrich.errors import CatalogueError, ModuleInputError, ModuleSetupError
from asterism.enrich.module import ScienceModule
from asterism.errors import SkyError
from asterism.records import CATALOGUE_MATCH, DETECTION, Status
from asterism.sky.cone import unit_vectors

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

MAX_RADIUS_ARCSEC = 600.0
"""Beyond this, one dense catalogue would give a position more matches than anybody reads."""
ALERT = ("objectKey", "alertKey", "mjdTai", "public")
"""Columns handed through."""
_FOUND = tuple(name for name in CATALOGUE_MATCH.names if name not in {*ALERT, "module", "version"})


@dataclass(frozen=True)
class MatchRule:
    """How far sources of a class are looked for.

    Parameters
    ----------
    radius_arcsec : float
        Largest separation [arcsec].
    nearest_only : bool
        Keep the nearest source only.
    """

    radius_arcsec: float
    nearest_only: bool = False


POINT = MatchRule(1.5)
"""Point sources: the radius Fink uses for VSX, GCVS and TNS."""
GALAXY = MatchRule(60.0, nearest_only=True)
"""Galaxies: the radius Fink uses for Mangrove."""


@dataclass(frozen=True)
class CatalogueMatch(ScienceModule):
    """Matches positions of alerts with catalogues.

    Parameters
    ----------
    paths : tuple of Path
        Catalogue files (`asterism.enrich.catalogues` says what is in them).
    rules : mapping, optional
        Rule of each class; `POINT` for classes that are not named. By default galaxies follow `GALAXY`.
    """

    name: ClassVar[str] = "catalogue-match"
    version: ClassVar[int] = 1
    inputs: ClassVar[pa.Schema] = pa.schema(
        [DETECTION.field(column).with_nullable(False) for column in (*ALERT, "ra", "dec", "hpx29")]
    )
    outputs: ClassVar[pa.Schema] = CATALOGUE_MATCH

    paths: tuple[Path, ...]
    rules: Mapping[str, MatchRule] = field(default_factory=lambda: {"galaxy": GALAXY})

    @override
    def validate(self) -> None:
        if not self.paths:
            raise ModuleSetupError("no catalogue is given", hint="set ASTERISM_CATALOGUES or leave the match out")
        for name, rule in self.rules.items():
            if not 0.0 < rule.radius_arcsec <= MAX_RADIUS_ARCSEC:
                raise ModuleSetupError(f"the radius of class {name} is {rule.radius_arcsec} arcsec")

    @override
    def compute(self, table: pa.Table) -> pa.Table:
        table = table.sort_by("hpx29")  # neighbours one after the other: the same parts of the trees stay in the cache
        try:
            vectors = unit_vectors(table["ra"].to_numpy(), table["dec"].to_numpy())
        except SkyError as error:
            raise ModuleInputError(f"{self.name}: {error.message}") from error
        alone = np.ones(table.num_rows, dtype=np.bool_)
        everywhere = np.arange(table.num_rows)
        pieces, searched = [], 0
        for path in self.paths:
            try:
                catalogue = load_catalogue(path)
            except CatalogueError as error:
                pieces.append(_without_source(table, everywhere, Status.FAILED, error.message))
                continue
            searched += 1
            matches = self._pairs(catalogue, vectors)
            alone[matches.position] = False
            pieces.append(_with_source(table, catalogue, matches))
        if searched:
            pieces.append(_without_source(table, everywhere[alone], Status.NONE, None))
        return pa.concat_tables(pieces)

    def _pairs(self, catalogue: Catalogue, vectors: Floats) -> _Matches:
        """Return all pairs of a catalogue, by position and rank."""
        found = []
        for name, group in catalogue.trees.items():
            rule = self.rules.get(name, POINT)
            position, member, chords = _near(group.tree, vectors, chord(rule.radius_arcsec), rule.nearest_only)
            found.append((position, group.rows[member], angle_arcsec(chords)))
        position, source, separation = (np.concatenate(columns) for columns in zip(*found, strict=True))
        order = np.lexsort((source, separation, position))
        return _Matches(position[order], source[order], separation[order])


@dataclass(frozen=True, eq=False)
class _Matches:
    """Pairs of a position and a source (rows of their tables) with their separation [arcsec], in order of rank."""

    position: Rows
    source: Rows
    separation: Floats

    def ranks(self) -> NDArray[np.int32]:
        """Return 1, 2, ... within each position."""
        start = np.flatnonzero(np.diff(self.position, prepend=-1))
        length = np.diff(start, append=self.position.size)
        return np.asarray(np.arange(self.position.size) - np.repeat(start, length) + 1, dtype=np.int32)


def _near(tree: cKDTree, vectors: Floats, radius: float, nearest_only: bool) -> tuple[Rows, Rows, Floats]:
    """Return pairs of positions and members of a tree no farther apart than `radius`, and their distances (chords).

    Most positions have one such member or none, so the two nearest are asked for, and more only where both are near.
    """
    bound = np.nextafter(radius, np.inf)  # the tree's own bound is exclusive
    waiting, neighbours = np.arange(len(vectors)), 1 if nearest_only else 2
    found = []
    while waiting.size:
        neighbours = min(neighbours, tree.n)
        asked = np.arange(1, neighbours + 1)
        chords, member = map(np.asarray, tree.query(vectors[waiting], k=asked, distance_upper_bound=bound))
        more = np.isfinite(chords[:, -1]) & (neighbours < tree.n) & (not nearest_only)
        near = np.isfinite(chords) & ~more[:, np.newaxis]
        found.append((waiting[np.nonzero(near)[0]], member[near], chords[near]))
        waiting, neighbours = waiting[more], 4 * neighbours
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    position, members, distance = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return position, members, distance


def chance(density_deg2: Floats, separation_arcsec: Floats) -> Floats:
    """Return the probability of at least one source as near as this, at random.

    Parameters
    ----------
    density_deg2 : ndarray
        Surface density of such sources [deg^-2].
    separation_arcsec : ndarray
        Separation [arcsec].
    """
    return np.asarray(-np.expm1(-density_deg2 * np.pi * (separation_arcsec / 3600.0) ** 2))


def _with_source(table: pa.Table, catalogue: Catalogue, matches: _Matches) -> pa.Table:
    sources = catalogue.table.take(matches.source)
    size = matches.position.size
    columns = {name: sources[name] for name in SOURCE.names} | {
        "separationArcsec": pa.array(matches.separation),
        "rank": pa.array(matches.ranks()),
        "pChance": pa.array(chance(catalogue.density[matches.source], matches.separation)),
        "status": pa.repeat(Status.VALUE.value, size),
        "detail": pa.nulls(size, pa.string()),
    }
    return _rows(table, matches.position, columns)


def _without_source(table: pa.Table, rows: Rows, status: Status, detail: str | None) -> pa.Table:
    columns = {name: pa.nulls(rows.size, CATALOGUE_MATCH.field(name).type) for name in _FOUND}
    columns |= {
        "status": pa.repeat(status.value, rows.size),
        "detail": pa.repeat(pa.scalar(detail, pa.string()), rows.size),
    }
    return _rows(table, rows, columns)


def _rows(table: pa.Table, rows: Rows, columns: Mapping[str, pa.Array]) -> pa.Table:
    result = table.select(ALERT).take(rows)
    for name in _FOUND:
        result = result.append_column(name, columns[name])
    return result
