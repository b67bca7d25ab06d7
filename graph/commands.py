"""``asterism graph``: prepare, ask, compare and check the graph."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click
from neo4j import Driver

from asterism.cli import GROUP, PartCommands, json_option, print_result
from asterism.graph.association.commands import associate, candidates, compare_rules, explain
from asterism.graph.audit import RULE_COUNT, AuditReport
from asterism.graph.audit import audit as run_audit
from asterism.graph.connection import connect
from asterism.graph.cypher import MAX_ROWS, MAX_SECONDS, CypherLimits, run_cypher
from asterism.graph.cypher_table import table_text
from asterism.graph.digest import Digest
from asterism.graph.digest import digest as run_digest
from asterism.graph.errors import AuditFailedError
from asterism.graph.jobs.commands import job
from asterism.graph.lake_digest import lake_digest
from asterism.graph.recipes.commands import recipes_command
from asterism.graph.schema import check_format, initialise
from asterism.graph.sweep import HOT_NIGHTS, sweep
from asterism.lake import Lake
from asterism.progress import progress
from asterism.settings import load_settings

PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@click.group(cls=PartCommands, entries=f"{GROUP}.graph")
def graph() -> None:
    """Prepare, ask, compare and check the graph."""


for _command in (associate, candidates, compare_rules, explain, job, recipes_command):
    graph.add_command(_command)


@graph.command()
@json_option
def init(as_json: bool) -> None:
    """Prepare an empty database; does nothing to one that is ready."""
    with _database(stamped=False) as (driver, database):
        report = initialise(driver, database)
    counts = f"{len(report.constraints)} constraints, {len(report.indexes)} indexes, {report.created} of them new"
    print_result(asdict(report), as_json, lambda: f"{database}: {counts}")


@graph.command()
@click.argument("query")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A $NAME of the query: JSON, else text.",
)
@click.option("--limit", type=click.IntRange(1, MAX_ROWS), default=1000, show_default=True, help="Most rows printed.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, MAX_SECONDS, min_open=True),
    default=10.0,
    show_default=True,
    help="Longest run [s].",
)
@json_option
def cypher(query: str, params: tuple[str, ...], limit: int, timeout: float, as_json: bool) -> None:
    """Answer a read-only Cypher QUERY; refused where the graph holds restricted alerts, unless all are shown."""
    limits = CypherLimits(limit, timeout)
    values = dict(map(_parameter, params))
    shown = load_settings().show_nonpublic
    with _database() as (driver, database):
        result = run_cypher(driver, query, values, database=database, limits=limits, show_nonpublic=shown)
    print_result(result.as_dict(), as_json, lambda: table_text(result))


@graph.command()
@click.option(
    "--history/--current",
    default=False,
    show_default="current",
    help="Include closed links and replaced classifications, which depend on the order things came in.",
)
@click.option("--lake", is_flag=True, help="Hash the lake's tables instead of the graph.")
@json_option
def digest(history: bool, lake: bool, as_json: bool) -> None:
    """Hash all labels, types and properties: equal graphs, equal digests."""
    if lake:
        tables = lake_digest(Lake(load_settings().lake_path))
        document = {"hex": tables.hex, "rows": tables.nodes}
        print_result(document, as_json, lambda: _digest_text(tables))
        return
    with _database() as (driver, database):
        result = run_digest(driver, database, history=history)
    print_result(asdict(result), as_json, lambda: _digest_text(result))


@graph.command()
@json_option
def audit(as_json: bool) -> None:
    """Check what must be true of the graph; exit 1 if anything is not."""
    with (
        _database(stamped=False) as (driver, database),
        progress("Auditing the graph", RULE_COUNT) as advance,
    ):
        report = run_audit(driver, database, advance)
    print_result(asdict(report), as_json, lambda: _audit_text(report))
    if report.violations:
        raise AuditFailedError(f"{len(report.violations)} of {report.rules} rules do not hold")


@graph.command("sweep")
@click.option("--nights", type=click.IntRange(1), default=HOT_NIGHTS, show_default=True, help="Nights to keep.")
@json_option
def sweep_alerts(nights: int, as_json: bool) -> None:
    """Take alerts older than the hot window from the graph; the lake keeps them, objects and evidence stay."""
    lake = Lake(load_settings().lake_path)
    with _database() as (driver, database):
        done = sweep(driver, lake, database=database, nights=nights)
    print_result(done.as_dict(), as_json, lambda: f"{done.alerts} alerts before night {done.first_night} swept")


@contextmanager
def _database(*, stamped: bool = True) -> Iterator[tuple[Driver, str]]:
    """Open the database of the settings, by default only if it carries our format stamp."""
    settings = load_settings()
    with connect(settings) as driver:
        if stamped:
            check_format(driver, settings.neo4j_database)
        yield driver, settings.neo4j_database


def _parameter(text: str) -> tuple[str, Any]:
    match = PARAMETER.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
    name, value = match.groups()
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _digest_text(result: Digest) -> str:
    counts = [f"{count:12,d}  {name}" for name, count in (result.nodes | result.relationships).items()]
    return "\n".join([result.hex, *counts])


def _audit_text(report: AuditReport) -> str:
    if not report.violations:
        return f"{report.rules} rules hold"
    lines = [f"{item.count:8,d}  not true that {item.rule}: {', '.join(item.examples)}" for item in report.violations]
    return "\n".join([*lines, f"{report.rules - len(report.violations)} of {report.rules} rules hold"])
