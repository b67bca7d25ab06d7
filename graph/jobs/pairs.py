"""Positional pairs: which objects of different surveys may be one source, by distance on the sky alone.

Spark has no join on the sphere. Positions become unit vectors, space is cut into cubes a few match radii
wide, one side is copied into every cube its ball touches (about two), and an equality join on the cube finds
all candidates; then the exact separation decides. Unlike cells on the sphere, cubes have no poles, no seam
and no neighbours to look up.

**Percolation guard.** In crowded fields "closer than r" chains through half the field. A pair therefore
counts only if each is the nearest of the other's survey to the other (`mutual nearest`). With two surveys an
identity then has two members at most; with more it can hold two objects of one survey only where the surveys
disagree about who is nearest.
"""

from __future__ import annotations

import math

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

from asterism.graph.jobs import MAX_RADIUS_ARCSEC
from asterism.graph.jobs.errors import GraphJobError
from asterism.graph.jobs.inputs import spark_errors

_RADII_PER_CUBE = 8
_ARCSEC_PER_RADIAN = math.degrees(1) * 3600


def cross_survey_pairs(objects: DataFrame, radius_arcsec: float) -> DataFrame:
    """Return the pairs of objects of different surveys that are mutually nearest and within a radius.

    Parameters
    ----------
    objects : DataFrame
        ``id`` (int64, distinct), ``survey`` (string), ``ra`` and ``dec`` (ICRS [deg]). Rows without a
        position pair with none.
    radius_arcsec : float
        Largest separation [arcsec], at most `MAX_RADIUS_ARCSEC`.

    Returns
    -------
    DataFrame
        ``src`` < ``dst`` (ids) and ``separationArcsec`` (great-circle distance, relative error below 1e-6
        above 1e-3 arcsec), each pair once. Of equally near objects the one with the smaller id counts.

    Raises
    ------
    GraphJobError
        If the radius is not within its limits.
    GraphEngineError
        If Spark cannot read `objects`.
    """
    if not 0 < radius_arcsec <= MAX_RADIUS_ARCSEC:
        raise GraphJobError(
            f"radius {radius_arcsec} arcsec is not within 0 .. {MAX_RADIUS_ARCSEC:g}",
            hint="about 1 arcsec is usual",
        )
    chord = 2 * math.sin(radius_arcsec / _ARCSEC_PER_RADIAN / 2)
    with spark_errors("pairing objects by position"):
        points = objects.select("id", "survey", *_unit_vector())
        return _mutual_nearest(_within(points, chord))


def _unit_vector() -> tuple[Column, ...]:
    ra, dec = sf.radians("ra"), sf.radians("dec")
    return (
        (sf.cos(dec) * sf.cos(ra)).alias("x"),
        (sf.cos(dec) * sf.sin(ra)).alias("y"),
        sf.sin(dec).alias("z"),
    )


def _within(points: DataFrame, chord: float) -> DataFrame:
    """Return every object with its neighbours of other surveys: unit vectors at most `chord` apart."""
    size = _RADII_PER_CUBE * chord
    reach = chord * (1 + 1e-9) + 1e-15  # a position on the face of a cube must not be lost to rounding
    copies, owners = points, points
    for axis in ("x", "y", "z"):
        first, last = sf.floor((sf.col(axis) - reach) / size), sf.floor((sf.col(axis) + reach) / size)
        copies = copies.withColumn(f"c{axis}", sf.explode(sf.sequence(first, last)))
        owners = owners.withColumn(f"c{axis}", sf.floor(sf.col(axis) / size))
    a, b = copies.alias("a"), owners.alias("b")
    same_cube = [sf.col(f"a.{cube}") == sf.col(f"b.{cube}") for cube in ("cx", "cy", "cz")]
    across = sf.col("a.survey") != sf.col("b.survey")
    apart = sf.sqrt(sum(((sf.col(f"a.{axis}") - sf.col(f"b.{axis}")) ** 2 for axis in "xyz"), sf.lit(0.0)))
    return (
        a.join(b, [*same_cube, across])
        .select(
            sf.col("a.id").alias("id"),
            sf.col("b.id").alias("other"),
            sf.col("b.survey").alias("otherSurvey"),
            apart.alias("chord"),
        )
        .where(sf.col("chord") <= chord)
    )


def _mutual_nearest(neighbours: DataFrame) -> DataFrame:
    """Return each pair of which both directions are nearest ones."""
    nearest_first = Window.partitionBy("id", "otherSurvey").orderBy("chord", "other")
    nearest = neighbours.withColumn("rank", sf.row_number().over(nearest_first)).where("rank = 1")
    pair = (sf.least("id", "other").alias("src"), sf.greatest("id", "other").alias("dst"))
    mutual = nearest.groupBy(*pair).agg(sf.count("*").alias("directions"), sf.min("chord").alias("chord"))
    separation = 2 * sf.asin(sf.col("chord") / 2) * _ARCSEC_PER_RADIAN
    return mutual.where("directions = 2").select("src", "dst", separation.alias("separationArcsec"))
