"""B4: what lies in the 90 % region of a map, at 1e6 objects and regions of 30, 100 and 1,000 deg2.

Ours: ranges of the region seek an index of Neo4j (`asterism.graph.association.region_search`); and a search in memory.
Beside it PostgreSQL in the same run, over loopback, rows fetched, with the tables and indexes of healpix-alchemy:

* published: join of tiles and objects on "tile range contains object", density not below the threshold (its README);
* tuned: the same threshold, object index between the bounds of the tile: a B-tree, driven by tiles; JIT on and off;
* merged: join on the merged ranges of the region, computed beforehand.

Three questions: how many, the densest 5,000, and all, each with key and density. The threshold of the published query
leaves out the tile that crosses 90 %; ours is asked for just that region, and the answers are compared before any is
timed. Wall-clock times, for other processes do the work. With 20 maps stored instead of one ours must not take longer.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psycopg
from neo4j import Driver, Session

from asterism.graph.association.region_search import all_in_region, count_in_region, densest_in_region
from asterism.graph.association.regions import inside
from asterism.graph.connection import connect
from asterism.sky.healpix import pixel_area_deg2
from asterism.sky.skymap import SkyMapLocalization
from benchmarks.harness import Bench, seconds
from benchmarks.installation import installation
from benchmarks.postgres import copy_rows, postgres
from benchmarks.region_maps import Sky, arc_map, even_sky

OBJECTS = 1_000_000
AREAS = (30, 100, 1000)
MAPS = 20
MOST = 5000
LEVEL = 0.9
_CELL_DEG2 = float(pixel_area_deg2(29))

SCHEMA = """
CREATE TABLE objects (id text PRIMARY KEY, hpx bigint NOT NULL);
CREATE TABLE tiles (map int NOT NULL, hpx int8range NOT NULL, lo bigint NOT NULL, hi bigint NOT NULL, density float8);
CREATE TABLE merged (map int NOT NULL, lo bigint NOT NULL, hi bigint NOT NULL);
"""
INDEXES = """
CREATE INDEX ON objects (hpx); CREATE INDEX ON tiles USING spgist (hpx); CREATE INDEX ON tiles (map);
CREATE INDEX ON merged (map); ANALYZE;
"""
THRESHOLD = f"""
SELECT min(density) FROM (
SELECT density, sum(density * (hi - lo) * {_CELL_DEG2!r}) OVER (ORDER BY density DESC) AS total
FROM tiles WHERE map = %(map)s) AS ranked WHERE total <= {LEVEL}
"""
SHAPES = {
    "published": "FROM tiles t JOIN objects o ON t.hpx @> o.hpx WHERE t.map = %(map)s AND t.density >= ({threshold})",
    "tuned": "FROM tiles t JOIN objects o ON o.hpx >= t.lo AND o.hpx < t.hi "
    "WHERE t.map = %(map)s AND t.density >= ({threshold})",
    "merged": "FROM merged m JOIN objects o ON o.hpx >= m.lo AND o.hpx < m.hi WHERE m.map = %(map)s",
}
QUESTIONS = {
    "count": "SELECT count(*) {shape}",
    "top": f"SELECT o.id, t.density {{shape}} ORDER BY t.density DESC, o.id LIMIT {MOST}",
    "all": "SELECT o.id, t.density {shape}",
}


class Tables:
    """The objects and maps in PostgreSQL."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        connection.execute(SCHEMA)

    def fill(self, sky: Sky, maps: Sequence[SkyMapLocalization]) -> None:
        """Load objects and maps, each map under its number."""
        copy_rows(self._connection, "objects", (keys(sky), sky.hpx29.tolist()))
        for number, one in enumerate(maps):
            self.add_map(number, one)
        self._connection.execute(INDEXES)

    def add_map(self, number: int, one: SkyMapLocalization) -> None:
        """Load one map: its tiles, and the merged ranges of its region."""
        lo, hi = one.lo.tolist(), one.hi.tolist()
        ranges = [f"[{a},{b})" for a, b in zip(lo, hi, strict=True)]
        copy_rows(self._connection, "tiles", ([number] * len(lo), ranges, lo, hi, one.density_deg2.tolist()))
        region = one.ranges(published_level(one))
        copy_rows(self._connection, "merged", ([number] * len(region), region.lo.tolist(), region.hi.tolist()))

    def ask(self, question: str, shape: str, number: int) -> list[tuple[Any, ...]]:
        """Return the rows of a question in a shape about a map."""
        text = QUESTIONS[question].format(shape=SHAPES[shape].format(threshold=THRESHOLD))
        return self._connection.execute(text.encode(), {"map": number}).fetchall()

    def rows_of_merged(self, number: int) -> list[tuple[Any, ...]]:
        """Return key and cell of each object in the merged ranges of a map."""
        return self._connection.execute(f"SELECT o.id, o.hpx {SHAPES['merged']}".encode(), {"map": number}).fetchall()

    def jit(self, *, on: bool) -> None:
        """Switch just-in-time compilation."""
        self._connection.execute(b"SET jit = on" if on else b"SET jit = off")


class Memory:
    """The objects in memory, sorted by cell."""

    def __init__(self, sky: Sky) -> None:
        order = np.argsort(sky.hpx29)
        self._cells = sky.hpx29[order]
        self._keys = np.array(keys(sky))[order]

    def all(self, one: SkyMapLocalization, level: float) -> tuple[Any, Any]:
        """Return keys and densities of the objects in a region."""
        ranges = one.ranges(level)
        found = inside(self._cells, ranges.lo, ranges.hi)
        return self._keys[found], one.density_at(self._cells[found])


def keys(sky: Sky) -> list[str]:
    """Return the keys of the objects."""
    return [f"lsst:{number}" for number in range(len(sky))]


def published_level(one: SkyMapLocalization) -> float:
    """Return the level of the region that the published threshold keeps: whole tiles until 90 % would be passed."""
    level = one.credible_level_at(one.lo)
    upto = level + one.density_deg2 * (one.hi - one.lo) * _CELL_DEG2
    kept = upto[upto <= LEVEL].max()
    return float(level[level > kept - 1e-12].min(initial=1.0))


def fill_graph(driver: Driver, sky: Sky, batch: int = 20_000) -> None:
    """Write the objects into the graph, without alerts: what is asked here is where they are."""
    rows = list(zip(keys(sky), sky.hpx29.tolist(), strict=True))
    with driver.session() as session:
        for start in range(0, len(rows), batch):
            session.run(
                "UNWIND $rows AS r CREATE (:Object {key: r[0], hpx29: r[1], public: true})",
                rows=[list(row) for row in rows[start : start + batch]],
            ).consume()
        session.run("CALL db.awaitIndexes(300)").consume()


def check(session: Session, tables: Tables, memory: Memory, one: SkyMapLocalization, number: int) -> dict[str, Any]:
    """Show that all routes find the same objects; return how many.

    Raises
    ------
    RuntimeError
        If they do not.
    """
    level = published_level(one)
    expected = sorted((name, round(density, 12)) for name, density in tables.ask("all", "published", number))
    ours = all_in_region(session, one, level)
    found = {
        "graph": sorted(zip(ours.key, ours.density.round(12).tolist(), strict=True)),
        "memory": sorted((n, round(d, 12)) for n, d in zip(*(x.tolist() for x in memory.all(one, level)), strict=True)),
        "tuned": sorted((name, round(density, 12)) for name, density in tables.ask("all", "tuned", number)),
    }
    wrong = [name for name, rows in found.items() if rows != expected]
    top = densest_in_region(session, one, level, MOST)
    theirs = [round(density, 12) for _, density in tables.ask("top", "published", number)]
    if wrong or top.density.round(12).tolist() != theirs:
        raise RuntimeError(f"map {number}: {wrong or ['top']} differ from the published query")
    if not count_in_region(session, one, level) == len(expected) == len(tables.rows_of_merged(number)):
        raise RuntimeError(f"map {number}: counts differ")
    return {"area90_deg2": round(one.area(LEVEL), 1), "tiles": len(one), "ranges": len(one.ranges(level))} | {
        "objects": len(expected)
    }


def compare(bench: Bench, session: Session, tables: Tables, memory: Memory, one: SkyMapLocalization, area: int) -> None:
    """Time all routes on one map."""
    level, number = published_level(one), AREAS.index(area)
    graph: dict[str, Callable[[], object]] = {
        "count": lambda: count_in_region(session, one, level),
        "top": lambda: densest_in_region(session, one, level, MOST),
        "all": lambda: all_in_region(session, one, level),
    }

    def timed(figure: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int | None = None) -> None:
        bench.compare(figure, 1, "queries/s", ours, theirs, clock=time.perf_counter, rounds=rounds)

    for question, ours in graph.items():
        tables.jit(on=True)
        if question != "all" or area == AREAS[-1]:  # a published query takes seconds, whatever is asked
            timed(f"{question}_{area}_published", ours, lambda q=question: tables.ask(q, "published", number), 2)
        timed(f"{question}_{area}_tuned_jit", ours, lambda q=question: tables.ask(q, "tuned", number))
        tables.jit(on=False)
        timed(f"{question}_{area}_tuned_nojit", ours, lambda q=question: tables.ask(q, "tuned", number))
    tables.jit(on=True)
    timed(f"memory_{area}_merged", lambda: memory.all(one, level), lambda: tables.rows_of_merged(number))


def many_maps(bench: Bench, session: Session, one: SkyMapLocalization) -> None:
    """Time ours with one map stored and with many, in turns: the others are written and deleted every round."""
    level = published_level(one)
    regions = [arc_map(1000.0, 100 + number).ranges(LEVEL) for number in range(MAPS)]
    rows = [{"key": f"bench:{n}", "lo": r.lo.tolist(), "hi": r.hi.tolist()} for n, r in enumerate(regions)]

    def timed() -> float:
        return min(seconds(lambda: count_in_region(session, one, level), time.perf_counter) for _ in range(3))

    ratios = []
    for _ in range(max(9, bench.rounds)):
        alone = timed()
        session.run("UNWIND $rows AS r CREATE (l:Localization) SET l = r", rows=rows).consume()
        ratios.append(timed() / alone)
        session.run("MATCH (l:Localization) DELETE l").consume()
    bench.state("count_1000_with_20_maps_over_1", statistics.median(ratios), "ratio of times")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("B4", arguments)
    sky = even_sky(bench.size(OBJECTS), 4)
    maps = [arc_map(float(area), number) for number, area in enumerate(AREAS)]
    with (
        TemporaryDirectory(prefix="asterism-b4-") as name,
        postgres(Path(name) / "postgres") as connection,
        installation(Path(name)) as settings,
        connect(settings) as driver,
    ):
        tables, memory = Tables(connection), Memory(sky)
        tables.fill(sky, maps)
        fill_graph(driver, sky)
        with driver.session(database=settings.neo4j_database) as session:
            facts = [check(session, tables, memory, one, number) for number, one in enumerate(maps)]
            bench.facts = {"objects": len(sky), "postgres": str(connection.info.server_version), "maps": facts}
            for area, one in zip(AREAS, maps, strict=True):
                compare(bench, session, tables, memory, one, area)
            many_maps(bench, session, maps[-1])
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
