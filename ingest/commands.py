"""``asterism ingest``: packets from files, and what has become of every packet."""

from __future__ import annotations

from pathlib import Path

import click

from asterism.cli import json_option, print_result
from asterism.graph.connection import connect
from asterism.graph.schema import initialise
from asterism.ingest.load import load_files
from asterism.ingest.reconcile import current_balance
from asterism.progress import progress
from asterism.settings import load_settings


@click.group()
def ingest() -> None:
    """Read alert packets; see what became of them."""


@ingest.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def files(paths: tuple[Path, ...], as_json: bool) -> None:
    """Ingest Avro files, folders of them and ZTF public .tar.gz archives."""
    settings = load_settings()
    with connect(settings) as driver:
        initialise(driver, settings.neo4j_database)
    with progress("packets to lake and graph") as advance:
        outcomes = load_files(settings, paths, advance).to_pylist()
    refused = [row for row in outcomes if row["code"] is not None]
    codes = sorted({row["code"] for row in refused})
    document = {
        "packets": sum(row["packets"] for row in outcomes),
        "dead_letters": sum(row["packets"] for row in refused),
        "by_code": {code: sum(row["packets"] for row in refused if row["code"] == code) for code in codes},
    }
    print_result(document, as_json, lambda: f"{document['packets']} packets, {document['dead_letters']} refused")


@ingest.command()
@json_option
def status(as_json: bool) -> None:
    """Balance packets in against alerts, duplicates and dead letters."""
    balance = current_balance(load_settings())
    print_result(balance.as_dict(), as_json, balance.as_text)
