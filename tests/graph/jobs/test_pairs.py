"""Pairs across surveys against a brute-force search by astropy."""

from __future__ import annotations

from itertools import combinations

import astropy.units as u
import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from pyspark.sql import SparkSession

from asterism.graph.jobs.errors import GraphJobError
from asterism.graph.jobs.pairs import cross_survey_pairs

pytestmark = pytest.mark.spark

ARCSEC = 1 / 3600


def found(
    spark: SparkSession,
    survey: list[str],
    ra: list[float | None],
    dec: list[float | None],
    radius: float = 1.0,
) -> dict[tuple[int, int], float]:
    objects = pa.table({"id": np.arange(len(survey)), "survey": survey, "ra": ra, "dec": dec})
    rows = cross_survey_pairs(spark.createDataFrame(objects), radius).collect()
    pairs = {(row.src, row.dst): row.separationArcsec for row in rows}
    assert len(pairs) == len(rows)
    return pairs


def brute_force(survey: list[str], ra: list[float], dec: list[float], radius: float) -> dict[tuple[int, int], float]:
    """Measure every pair and ask every object for its nearest of each survey."""
    sky = SkyCoord(ra, dec, unit="deg")
    separation = sky[:, None].separation(sky[None, :]).to_value(u.arcsec)

    def nearest(i: int, other: str) -> int:
        return min((j for j in range(len(survey)) if survey[j] == other), key=lambda j: (separation[i, j], j))

    return {
        (i, j): float(separation[i, j])
        for i, j in combinations(range(len(survey)), 2)
        if survey[i] != survey[j]
        and separation[i, j] <= radius
        and nearest(i, survey[j]) == j
        and nearest(j, survey[i]) == i
    }


@pytest.mark.parametrize("surveys", [("lsst", "ztf"), ("gaia", "lsst", "ztf")])
@pytest.mark.parametrize("radius", [0.3, 1.0, 20.0])
def test_pairs_equal_a_search_of_everything_with_everything(
    spark: SparkSession, surveys: tuple[str, ...], radius: float
) -> None:
    """Clumps a few radii wide, at both poles, the equator, across RA 0 and at random places."""
    rng = np.random.default_rng(int(radius * 10) + len(surveys))
    centres = [
        (0.0, 0.0),
        (123.0, 90.0),
        (77.0, -90.0),
        (359.9999999, 41.8103149),
        (45.0, 45.0),
        (210.0, -66.4),
    ]
    centres += [(float(rng.uniform(0, 360)), float(rng.uniform(-80, 80))) for _ in range(6)]
    points = [
        SkyCoord(ra, dec, unit="deg").directional_offset_by(
            rng.uniform(0, 360, 15) * u.deg, 3 * radius * np.sqrt(rng.random(15)) * u.arcsec
        )
        for ra, dec in centres
    ]
    ra = np.concatenate([p.ra.deg for p in points]).tolist()
    dec = np.concatenate([p.dec.deg for p in points]).tolist()
    survey = rng.choice(surveys, len(ra)).tolist()
    expected = brute_force(survey, ra, dec, radius)
    assert len(expected) > 20
    pairs = found(spark, survey, ra, dec, radius)
    assert pairs.keys() == expected.keys()
    for pair, separation in expected.items():
        assert pairs[pair] == pytest.approx(separation, rel=1e-6, abs=1e-9)


def test_the_radius_is_kept_to_a_millionth_of_an_arcsecond(spark: SparkSession) -> None:
    inside, outside = (1 - 1e-6) * ARCSEC, (1 + 1e-6) * ARCSEC
    survey = ["lsst", "ztf", "lsst", "ztf"]
    assert found(spark, survey, [10.0, 10.0, 20.0, 20.0], [5.0, 5.0 + inside, 5.0, 5.0 + outside]).keys() == {(0, 1)}


def test_objects_of_one_survey_never_pair(spark: SparkSession) -> None:
    assert found(spark, ["ztf", "ztf"], [10.0, 10.0], [5.0, 5.0]) == {}


def test_only_the_nearest_counts_so_that_a_crowd_does_not_chain(spark: SparkSession) -> None:
    survey = ["ztf", "lsst"] * 10
    crowd = [5.0 + i * 0.9 * ARCSEC + (i % 2) * 0.1 * ARCSEC for i in range(20)]
    pairs = found(spark, survey, [10.0] * 20, crowd, 1.0)
    members = [i for pair in pairs for i in pair]
    assert len(members) == len(set(members)) >= 18


def test_of_equally_near_objects_the_smaller_id_counts(spark: SparkSession) -> None:
    assert found(spark, ["lsst", "ztf", "ztf"], [10.0] * 3, [5.0] * 3).keys() == {(0, 1)}
    assert found(spark, ["ztf", "ztf", "lsst"], [10.0] * 3, [5.0] * 3).keys() == {(0, 2)}


def test_an_object_without_position_pairs_with_none(spark: SparkSession) -> None:
    assert found(spark, ["lsst", "ztf", "ztf"], [10.0, None, 10.0], [5.0, 5.0, None]) == {}


@pytest.mark.parametrize("radius", [0.0, -1.0, 60.1, float("nan"), float("inf")])
def test_a_radius_out_of_bounds_is_refused(spark: SparkSession, radius: float) -> None:
    with pytest.raises(GraphJobError, match="is not within"):
        found(spark, ["lsst"], [10.0], [5.0], radius)
