"""``asterism graph job``: jobs on the whole graph."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from asterism.cli import json_option, print_result
from asterism.graph.jobs import DEFAULT_RADIUS_ARCSEC, MAX_RADIUS_ARCSEC
from asterism.settings import load_settings

if TYPE_CHECKING:
    from asterism.graph.jobs.identity import IdentityReport


@click.group()
def job() -> None:
    """Run a job on the whole graph, on Spark."""


@job.command()
@click.option(
    "--radius-arcsec",
    type=click.FloatRange(0, MAX_RADIUS_ARCSEC, min_open=True),
    default=DEFAULT_RADIUS_ARCSEC,
    show_default=True,
    help="Largest separation of two objects that may be one source.",
)
@json_option
def identity(radius_arcsec: float, as_json: bool) -> None:
    """Find objects of different surveys that are one source, and link them to it."""
    # Spark takes a second to import, and the other graph commands do without it.
    from asterism.graph.connection import connect
    from asterism.graph.jobs.graphframes import graphframes_jars
    from asterism.graph.jobs.identity import identify
    from asterism.spark import spark_session

    settings = load_settings()
    with connect(settings) as driver:
        spark = spark_session(settings, "asterism graph job identity", graphframes_jars(settings.cache))
        try:
            report = identify(driver, settings.neo4j_database, spark, radius_arcsec)
        finally:
            spark.stop()
    print_result(asdict(report), as_json, lambda: _text(report))


def _text(report: IdentityReport) -> str:
    return (
        f"{report.identified} of {report.objects} objects belong to {report.sources} sources,"
        f" at most {report.largest} to one; {report.merged} sources merged into others\n"
        f"{report.pairs} pairs within {report.radius_arcsec:g} arcsec, {report.elapsed_s:.1f} s;"
        f" written: {report.sources_written} sources, {report.links_written} links\n"
        f"engine: {report.engine}"
    )
