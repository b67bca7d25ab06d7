"""B5: in which of many active events' regions does each alert of a batch lie, with density and level there.

Ours: one binary search among the borders of all regions (`asterism.graph.association.regions.RegionSet`), then density
and level of the pairs that were found, by event. Beside it, in the same run: PostgreSQL with the published join of
healpix-alchemy restricted to the batch (wall clock), and mocpy's containment, map by map, which gives no density (CPU
time). A pair is an alert and an event, found or not: 10,000 alerts x 100 maps. All three must find the same before any
is timed. What ours does with 50 error circles more is stated.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psycopg
from astropy import units as u
from astropy.coordinates import Latitude, Longitude
from mocpy import MOC
from numpy.typing import NDArray

from asterism.graph.association.regions import EventRegion, RegionSet
from asterism.sky.circle import CircleLocalization
from asterism.sky.localization import Localization
from asterism.sky.skymap import SkyMapLocalization
from benchmarks.b4 import published_level
from benchmarks.harness import Bench
from benchmarks.postgres import copy_rows, postgres
from benchmarks.region_maps import Sky, arc_map, even_sky

ALERTS, MAPS, CIRCLES = 10_000, 100, 50
NOW = 61_000.0
PAIRS = """
SELECT b.id, t.map, t.density FROM batch b JOIN tiles t ON t.hpx @> b.hpx
JOIN thresholds h ON h.map = t.map AND t.density >= h.density
"""

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


class Events:
    """Active events with their regions."""

    def __init__(self, localizations: Sequence[Localization], levels: Sequence[float]) -> None:
        self._localizations = localizations
        regions = []
        for number, (one, level) in enumerate(zip(localizations, levels, strict=True)):
            ranges = one.ranges(level)
            name = f"bench:{number}"
            regions.append(EventRegion(name, f"{name}:0", "gw", NOW, NOW - 1.0, NOW + 14.0, ranges.lo, ranges.hi))
        self.regions = RegionSet(1, tuple(regions))

    def pairs(self, sky: Sky, mjd: NDArray[np.float64]) -> Pairs:
        """Return alert, event, density [deg^-2] and level of each pair."""
        alert, event = self.regions.matches(sky.hpx29, mjd)
        order = np.argsort(event, kind="stable")
        alert, event = alert[order], event[order]
        bounds = np.searchsorted(event, np.arange(len(self._localizations) + 1))
        density, level = np.empty(alert.size), np.empty(alert.size)
        for number, one in enumerate(self._localizations):
            mine = slice(bounds[number], bounds[number + 1])
            who = alert[mine]
            if isinstance(one, SkyMapLocalization):
                density[mine], level[mine] = one.density_at(sky.hpx29[who]), one.credible_level_at(sky.hpx29[who])
            elif who.size:
                density[mine], level[mine] = (
                    one.density(sky.ra[who], sky.dec[who]),
                    one.credible_level(sky.ra[who], sky.dec[who]),
                )
        return alert, event, density, level


def fill(connection: psycopg.Connection[Any], sky: Sky, maps: Sequence[SkyMapLocalization]) -> None:
    """Load the batch, the tiles of all maps and their thresholds."""
    connection.execute(
        "CREATE TABLE batch (id int, hpx bigint); CREATE TABLE tiles (map int, hpx int8range, density float8); "
        "CREATE TABLE thresholds (map int, density float8)"
    )
    copy_rows(connection, "batch", (range(len(sky)), sky.hpx29.tolist()))
    for number, one in enumerate(maps):
        tiles = [f"[{a},{b})" for a, b in zip(one.lo.tolist(), one.hi.tolist(), strict=True)]
        copy_rows(connection, "tiles", ([number] * len(tiles), tiles, one.density_deg2.tolist()))
        inside = one.credible_level_at(one.lo) < published_level(one)
        copy_rows(connection, "thresholds", ([number], [float(one.density_deg2[inside].min())]))
    connection.execute("CREATE INDEX ON tiles USING spgist (hpx); ANALYZE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("B5", arguments)
    sky, mjd = even_sky(ALERTS, 5), np.full(ALERTS, NOW + 1.0)
    areas = np.random.default_rng(5).choice([30.0, 100.0, 1000.0], bench.size(MAPS))
    maps = [arc_map(float(area), 1000 + number) for number, area in enumerate(areas)]
    levels = [published_level(one) for one in maps]
    events = Events(maps, levels)
    mocs = [
        MOC.from_depth29_ranges(29, np.stack([r.lo, r.hi], axis=1).astype(np.uint64)) for r in events.regions.regions
    ]
    lon, lat = Longitude(sky.ra, u.deg), Latitude(sky.dec, u.deg)

    def by_mocpy() -> list[NDArray[np.bool_]]:
        return [moc.contains_lonlat(lon, lat) for moc in mocs]

    with TemporaryDirectory(prefix="asterism-b5-") as name, postgres(Path(name) / "postgres") as connection:
        fill(connection, sky, maps)
        alert, event, density, _ = events.pairs(sky, mjd)
        found = sorted(zip(alert.tolist(), event.tolist(), density.round(12).tolist(), strict=True))
        theirs = sorted((a, b, round(c, 12)) for a, b, c in connection.execute(PAIRS.encode()).fetchall())
        inside = {(a, number) for number, one in enumerate(by_mocpy()) for a in np.flatnonzero(one).tolist()}
        if found != theirs or {(a, b) for a, b, _ in found} != inside:
            raise RuntimeError(f"the pairs differ: {len(found)}, {len(theirs)} and {len(inside)}")
        pairs = ALERTS * len(maps)
        bench.facts = {"alerts": ALERTS, "maps": len(maps), "tiles": sum(map(len, maps)), "found": len(found)}
        bench.compare(
            "postgres",
            pairs,
            "pairs/s",
            lambda: events.pairs(sky, mjd),
            lambda: connection.execute(PAIRS.encode()).fetchall(),
            clock=time.perf_counter,
        )
        bench.compare("mocpy", pairs, "pairs/s", lambda: events.pairs(sky, mjd), by_mocpy)
    rng = np.random.default_rng(6)
    circles = [
        CircleLocalization(float(rng.uniform(0, 360)), float(rng.uniform(-80, 80)), float(rng.uniform(0.05, 8.0)), 0.68)
        for _ in range(bench.size(CIRCLES))
    ]
    both = Events([*maps, *circles], [*levels, *[0.9] * len(circles)])
    both.pairs(sky, mjd)
    took = []
    for _ in range(bench.rounds):
        start = time.perf_counter()
        both.pairs(sky, mjd)
        took.append(time.perf_counter() - start)
    bench.state("with_circles", 1000.0 * float(np.median(took)), "ms a batch")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
