"""The catalogue match finds what an exhaustive search finds, and says what it could not search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord, search_around_sky
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asterism.enrich.errors import ModuleInputError, ModuleSetupError
from asterism.enrich.match import CatalogueMatch, MatchRule, chance
from asterism.records import CATALOGUE_MATCH

Write = Callable[..., Path]
Make = Callable[[list[tuple[float, float]]], pa.Table]

ARCSEC = 1 / 3600
CENTRES = [(0.0, 0.0), (359.9999, 12.0), (123.4, -56.7), (45.0, 90.0), (200.0, -90.0), (310.0, 89.9995)]


def near(centre: tuple[float, float], east: float, north: float) -> tuple[float, float]:
    """Return a position some arcsec from a centre, wrapped over poles and meridian by astropy."""
    place = SkyCoord(*centre, unit="deg").directional_offset_by(
        np.arctan2(east, north) * u.rad, np.hypot(east, north) * u.arcsec
    )
    return float(place.ra.deg) % 360.0, float(np.clip(place.dec.deg, -90, 90))


PLACE = st.builds(near, st.sampled_from(CENTRES), st.integers(-30, 30).map(lambda n: n / 10), st.floats(-3, 3))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PLACE, min_size=1, max_size=25), st.lists(PLACE, min_size=1, max_size=25), st.floats(0.05, 5))
def test_pairs_and_separations_are_those_of_an_exhaustive_search(
    catalogue: Write,
    positions: Make,
    alerts: list[tuple[float, float]],
    sources: list[tuple[float, float]],
    radius: float,
) -> None:
    module = CatalogueMatch((catalogue(sources),), {"star": MatchRule(radius)})
    found = module.run(positions(alerts)).to_pylist()
    a, s = (SkyCoord([p[0] for p in places], [p[1] for p in places], unit="deg") for places in (alerts, sources))
    separation = a[:, np.newaxis].separation(s[np.newaxis, :]).arcsec
    pairs = {(int(r["alertKey"][4:]), int(r["id"][1:])): r for r in found if r["status"] == "value"}
    clear = np.abs(separation - radius) > 1e-8
    for i, j in zip(*np.nonzero(clear), strict=True):
        assert ((i, j) in pairs) == (separation[i, j] < radius)
    for (i, j), row in pairs.items():
        assert row["separationArcsec"] == pytest.approx(separation[i, j], abs=1e-8)
    lonely = {int(r["alertKey"][4:]) for r in found if r["status"] == "none"}
    assert lonely == set(range(len(alerts))) - {i for i, _ in pairs}


def test_ten_thousand_positions_give_the_pairs_of_astropy(catalogue: Write, positions: Make) -> None:
    rng = np.random.default_rng(9)
    ra, dec = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    moved = dec[:5000] + rng.normal(0, 1.0, 5000) * ARCSEC
    places = list(zip([*ra[:5000], *rng.uniform(0, 360, 5000)], [*moved, *rng.uniform(-90, 90, 5000)], strict=True))
    found = CatalogueMatch((catalogue(list(zip(ra, dec, strict=True))),)).run(positions(places))
    ours = {
        (int(a[4:]), int(s[1:]))
        for a, s in zip(found["alertKey"].to_pylist(), found["id"].to_pylist(), strict=True)
        if s is not None
    }
    a, s = SkyCoord(np.array(places), unit="deg"), SkyCoord(ra, dec, unit="deg")
    theirs = set(zip(*(index.tolist() for index in search_around_sky(a, s, 1.5 * u.arcsec)[:2]), strict=True))
    assert ours == theirs
    assert len(ours) > 4000


def test_many_sources_at_one_place_are_all_kept_in_order_of_separation(catalogue: Write, positions: Make) -> None:
    ladder = [(50.0, 10.0 + n * 0.05 * ARCSEC) for n in range(40)]
    found = CatalogueMatch((catalogue(ladder),)).run(positions([(50.0, 10.0), (51.0, 10.0), (50.0, 10.0)])).to_pylist()
    for alert in ("ztf:0", "ztf:2"):
        rows = [row for row in found if row["alertKey"] == alert]
        assert [row["rank"] for row in rows] == list(range(1, 31 + 1))[: len(rows)]
        assert len(rows) in {30, 31}  # the last lies on the radius to the last digit
        assert [row["id"] for row in rows] == [f"s{n}" for n in range(len(rows))]
    assert [row["status"] for row in found if row["alertKey"] == "ztf:1"] == ["none"]


def test_of_galaxies_only_the_nearest_is_kept_and_each_class_has_its_radius(catalogue: Write, positions: Make) -> None:
    places = [(50.0, 10.0 + arcsec * ARCSEC) for arcsec in (40.0, 20.0, 1.0, 2.0, 70.0)]
    path = catalogue(places, ["galaxy", "galaxy", "agn", "agn", "galaxy"], distanceMpc=[10.0, 20.0, None, None, 30.0])
    found = CatalogueMatch((path,)).run(positions([(50.0, 10.0)])).to_pylist()
    assert [(row["id"], row["class"], row["rank"], row["distanceMpc"]) for row in found] == [
        ("s2", "agn", 1, None),
        ("s1", "galaxy", 2, 20.0),
    ]


def test_what_else_is_in_the_batch_changes_nothing(catalogue: Write, positions: Make) -> None:
    """Two alerts of one object in one batch both match, which brokers that start from the catalogue get wrong."""
    module = CatalogueMatch((catalogue([(50.0, 10.0), (50.0, 10.0002)]),))
    together = positions([(50.0, 10.0), (50.0, 10.0 + 0.1 * ARCSEC), (80.0, 0.0)])
    alone = [module.run(together.slice(n, 1)).to_pylist() for n in range(3)]
    by_alert = sorted(module.run(together).to_pylist(), key=lambda row: (row["alertKey"], row["rank"] or 0))
    assert by_alert == [row for rows in alone for row in rows]
    assert [row["status"] for row in by_alert] == ["value"] * 4 + ["none"]


def test_a_catalogue_that_cannot_be_read_fails_and_is_not_taken_for_empty_sky(
    catalogue: Write, positions: Make, tmp_path: Path
) -> None:
    module = CatalogueMatch((catalogue([(50.0, 10.0)]), tmp_path / "gone.parquet"))
    alerts = positions([(50.0, 10.0), (80.0, 0.0)])
    found = module.run(alerts).to_pylist()
    assert sorted((row["alertKey"], row["status"]) for row in found) == [
        ("ztf:0", "failed"),
        ("ztf:0", "value"),
        ("ztf:1", "failed"),
        ("ztf:1", "none"),
    ]
    assert all("gone.parquet" in row["detail"] for row in found if row["status"] == "failed")
    assert {row["status"] for row in CatalogueMatch(module.paths[1:]).run(alerts).to_pylist()} == {"failed"}
    catalogue([(80.0, 0.0)], name="gone")
    again = module.run(alerts).to_pylist()
    assert sorted((row["alertKey"], row["catalogue"]) for row in again) == [("ztf:0", "test"), ("ztf:1", "gone")]


def test_the_chance_probability_is_that_of_sources_strewn_at_random(catalogue: Write, positions: Make) -> None:
    """In a field of known density, the share of random positions with a source as near is what is promised."""
    rng = np.random.default_rng(2)
    sources = np.column_stack([rng.uniform(100, 101, 20_000), rng.uniform(0, 1, 20_000)])
    places = np.column_stack([rng.uniform(100.05, 100.95, 4000), rng.uniform(0.05, 0.95, 4000)])
    module = CatalogueMatch((catalogue([*map(tuple, sources)]),), {"star": MatchRule(10.0, nearest_only=True)})
    found = module.run(positions([*map(tuple, places)]))
    known = found["pChance"].drop_null().to_numpy()
    for level in (0.1, 0.2, 0.3):
        assert np.count_nonzero(known < level) / len(places) == pytest.approx(level, abs=0.03)
    assert chance(np.array([100.0]), np.array([0.0]))[0] == 0.0


def test_no_positions_give_an_empty_table_of_the_schema(catalogue: Write, positions: Make) -> None:
    found = CatalogueMatch((catalogue([(50.0, 10.0)]),)).run(positions([]))
    assert found.num_rows == 0
    assert found.schema == CATALOGUE_MATCH


def test_nonsense_is_refused_before_anything_is_computed(positions: Make, tmp_path: Path) -> None:
    alerts = positions([(50.0, 10.0)])
    with pytest.raises(ModuleSetupError, match="no catalogue"):
        CatalogueMatch(()).run(alerts)
    for radius in (0.0, -1.0, 1e4, float("nan")):
        with pytest.raises(ModuleSetupError, match="radius of class star"):
            CatalogueMatch((tmp_path / "x",), {"star": MatchRule(radius)}).run(alerts)
    with pytest.raises(ModuleInputError, match="not finite"):
        CatalogueMatch((tmp_path / "x",)).run(alerts.set_column(4, "ra", pa.array([float("nan")])))


REAL = {
    "vsx": ("vsx_subset.parquet", "RAJ2000", "DEJ2000", "star", "VType"),
    "gcvs": ("gcvs_subset.parquet", "ra", "dec", "star", "VarType"),
    "fourlac": ("4lac_dr3.parquet", "ra", "dec", "blazar", "class"),
    "mangrove": ("mangrove_filtered_subset.parquet", "ra", "dec", "galaxy", "HyperLEDA_name"),
}


@pytest.fixture
def real_catalogues(test_data: Path, tmp_path: Path) -> tuple[Path, ...]:
    """Published catalogues (subsets), brought into our columns; rows are their own ids, they have none."""
    paths = []
    for name, (file, ra, dec, cls, kind) in REAL.items():
        raw = pq.read_table(test_data / "catalogs" / file)
        size = raw.num_rows
        columns = {
            "catalogue": pa.repeat(name, size),
            "release": pa.repeat("subset", size),
            "id": pa.array(range(size)),
            "ra": raw[ra],
            "dec": raw[dec],
            "class": pa.repeat(cls, size),
            "type": pa.compute.utf8_trim_whitespace(raw[kind]),
        }
        if "lum_dist" in raw.column_names:
            columns["distanceMpc"] = raw["lum_dist"]
        paths.append(tmp_path / f"{name}.parquet")
        pq.write_table(pa.table(columns), paths[-1])
    return tuple(paths)


@pytest.mark.realdata
def test_published_positions_match_in_real_catalogues(real_catalogues: tuple[Path, ...], positions: Make) -> None:
    at = [(101.3520545, 24.5421872), (0.3126, 47.6859), (197.450333, -23.381472), (10.0, -80.0)]
    rules = {"galaxy": MatchRule(60.0, nearest_only=True), "blazar": MatchRule(60.0)}
    found = CatalogueMatch(real_catalogues, rules).run(positions(at)).to_pylist()
    by_alert = {n: [row for row in found if row["alertKey"] == f"ztf:{n}"] for n in range(4)}
    assert {row["catalogue"] for row in by_alert[0]} == {"vsx", "gcvs"}
    assert all(row["separationArcsec"] < 1.5 for row in by_alert[0])
    assert [(row["catalogue"], row["type"]) for row in by_alert[1]] == [("fourlac", "bcu")]
    (host,) = by_alert[2]  # AT2017gfo lies 10 arcsec from NGC 4993
    assert (host["type"], host["rank"]) == ("NGC4993", 1)
    assert host["distanceMpc"] == pytest.approx(39.354945)
    assert host["separationArcsec"] == pytest.approx(10.1, abs=0.3)
    assert [row["status"] for row in by_alert[3]] == ["none"]
