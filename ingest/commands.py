"""``asterism ingest``: packets from files, and what has become of every packet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pyarrow.compute as pc

from asterism.cli import json_option, print_json, print_result
from asterism.compaction import compact
from asterism.graph.connection import connect
from asterism.graph.schema import initialise
from asterism.ingest.deadletters import chosen, replay
from asterism.ingest.decode import Decoder
from asterism.ingest.load import load_files
from asterism.ingest.recall import as_document, recall, write_raw, write_stamps
from asterism.ingest.schemas import SchemaSource
from asterism.ingest.status import current_status
from asterism.lake import POSITION_COLUMNS, Lake
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
    """Balance packets in against what became of them; lag, rate, freshness, counts per stage and night."""
    found = current_status(load_settings())
    print_result(found.as_dict(), as_json, found.as_text)


@ingest.command("compact")
@json_option
def compact_lake(as_json: bool) -> None:
    """Put the detections of every night into one file, what else the lake holds into a few; may run beside the
    application."""
    with progress("files of the lake") as advance:
        done = compact(Lake(load_settings().lake_path), advance)
    sizes = f"{done.bytes_before / 1e6:.1f} MB to {done.bytes_after / 1e6:.1f} MB"
    text = f"{done.nights} nights, side tables and ledger: {done.files_before} files to {done.files_after}, {sizes}"
    print_result(done.as_dict(), as_json, lambda: text)


@ingest.command()
@click.argument("alert_key")
@click.option("--cutouts", type=click.Path(file_okay=False, path_type=Path), help="Write the packet's images here.")
@click.option("--raw", type=click.Path(dir_okay=False, path_type=Path), help="Write the packet here as delivered.")
def packet(alert_key: str, cutouts: Path | None, raw: Path | None) -> None:
    """Print one alert packet whole, as JSON, from the raw archive."""
    settings = load_settings()
    found = recall(Lake(settings.lake_path), settings.archive_path, alert_key)
    if raw is not None:
        write_raw(raw, found.payload)
    record = Decoder(SchemaSource.of(settings)).decode_full(found.payload)
    stem = alert_key.replace(":", "_").replace("/", "_")
    images = [] if cutouts is None else write_stamps(record, cutouts, stem)
    position = {"topic": found.position.topic, "partition": found.position.partition, "offset": found.position.offset}
    print_json({"position": position, "packet": as_document(record), "cutouts": [str(path) for path in images]})


@ingest.group()
def deadletters() -> None:
    """List refused packets; read them again once the cause is gone."""


_code = click.option("--code", help="Only those refused under this code (docs/errors.md).")


@deadletters.command("list")
@_code
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Most packets to list.")
@json_option
def list_letters(code: str | None, limit: int, as_json: bool) -> None:
    """List packets that could not be read, with the reason."""
    letters = chosen(Lake(load_settings().lake_path), code)
    counts = {row["values"]: row["counts"] for row in pc.value_counts(letters["code"]).to_pylist()}
    sizes = pc.binary_length(letters["payload"])
    shown = letters.drop_columns(["payload"]).append_column("bytes", sizes).slice(0, limit).to_pylist()
    document = {"dead_letters": letters.num_rows, "by_code": dict(sorted(counts.items())), "packets": shown}
    print_result(document, as_json, lambda: _letters_text(document))


def _letters_text(document: dict[str, Any]) -> str:
    lines = [f"{document['dead_letters']} packets refused"]
    lines += [f"  {count:>8}  {code}" for code, count in document["by_code"].items()]
    for row in document["packets"]:
        place = "/".join(str(row[name]) for name in POSITION_COLUMNS)
        lines.append(f"{place}  {row['bytes']} bytes  {row['code']}  {row['message']}")
    return "\n".join(lines)


@deadletters.command("replay")
@_code
@json_option
def replay_letters(code: str | None, as_json: bool) -> None:
    """Decode refused packets again and ingest those that can be read now."""
    settings = load_settings()
    letters = chosen(Lake(settings.lake_path), code)
    with progress("dead letters", letters.num_rows) as advance:
        done = replay(settings, letters, advance)
    print_result(done.as_dict(), as_json, lambda: f"{done.tried} tried, {done.accepted} accepted, {done.refused}")
