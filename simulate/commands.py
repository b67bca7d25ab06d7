"""``asterism simulate``: packets with known truth, into a folder or into Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from asterism.cli import json_option, print_result
from asterism.formats import replace_file
from asterism.progress import progress
from asterism.settings import load_settings
from asterism.simulate.errors import OutputExistsError
from asterism.simulate.night import build_night
from asterism.simulate.publish import publish
from asterism.simulate.replay import publish_night, write_context, write_night, write_truth
from asterism.simulate.scenarios import SCENARIOS
from asterism.simulate.schema_lsst import write_schemas
from asterism.simulate.stream import TOPICS, Message, generate_stream
from asterism.simulate.truth import Truth
from asterism.simulate.wire_lsst import OWN, find_wire


@click.group()
def simulate() -> None:
    """Make alert packets with known truth."""


@simulate.command()
@click.option("--ztf", "n_ztf", type=click.IntRange(0), default=300, show_default=True, help="ZTF alerts")
@click.option("--lsst", "n_lsst", type=click.IntRange(0), default=300, show_default=True, help="LSST alerts")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same bytes")
@click.option("--duplicates", type=click.FloatRange(0, 1), default=0.0, help="Fraction of alerts delivered twice")
@click.option(
    "--corrupt",
    "corrupted",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Fraction of alerts followed by a broken copy",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write files into this folder")
@click.option("--publish", "to_kafka", is_flag=True, help="Publish to Kafka (setting kafka_bootstrap)")
@click.option("--topic-prefix", default="", help="Put before the topics ztf and lsst")
@click.option("--partitions", type=click.IntRange(1), default=4, show_default=True, help="Of a topic that is made")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Most packets a second")
@json_option
def packets(
    n_ztf: int,
    n_lsst: int,
    seed: int,
    duplicates: float,
    corrupted: float,
    out: Path | None,
    to_kafka: bool,
    topic_prefix: str,
    partitions: int,
    rate: float | None,
    as_json: bool,
) -> None:
    """Generate packets and print what they must become: alerts, objects, duplicates, dead letters, pairs."""
    if (out is None) is not to_kafka:
        raise click.UsageError("give one of --out FOLDER and --publish")
    messages = generate_stream(seed, n_ztf, n_lsst, duplicates=duplicates, corrupted=corrupted)
    total = round((n_ztf + n_lsst) * (1.0 + duplicates + corrupted))
    if out is None:
        truth = publish(
            messages,
            load_settings().kafka_bootstrap,
            topics=TOPICS,
            prefix=topic_prefix,
            partitions=partitions,
            rate=rate,
            total=total,
        )
    else:
        truth = _write(messages, out, total)
    print_result(truth.as_dict(), as_json, lambda: _text(truth))


@simulate.command()
@click.option("--scenario", type=click.Choice(SCENARIOS), default="full", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same bytes")
@click.option("--ztf", "n_ztf", type=click.IntRange(0), default=12_000, show_default=True, help="ZTF alerts, or more")
@click.option("--lsst", "n_lsst", type=click.IntRange(0), default=6_000, show_default=True, help="LSST alerts, or more")
@click.option(
    "--map",
    "sky_map",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Scenario gw170817: FITS file of the published sky map",
)
@click.option(
    "--lsst-schema",
    default=OWN,
    show_default=True,
    metavar="SOURCE",
    help="Schema of LSST packets: own, package (lsst-alert-packet), a folder of schemas, or a registry's URL",
)
@click.option("--lsst-schema-id", type=click.IntRange(1), help="Which schema of that source; 1100 is version 11.0")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write files into this folder")
@click.option("--publish", "to_kafka", is_flag=True, help="Publish alerts to Kafka, notices into HOME/night/notices")
@click.option("--speed", type=click.FloatRange(0, min_open=True), help="Simulated seconds per second (--publish)")
@json_option
def night(
    scenario: str,
    seed: int,
    n_ztf: int,
    n_lsst: int,
    sky_map: Path | None,
    lsst_schema: str,
    lsst_schema_id: int | None,
    out: Path | None,
    to_kafka: bool,
    speed: float | None,
    as_json: bool,
) -> None:
    """Play nights with events, in which known counterparts hide among unrelated things."""
    if (out is None) is not to_kafka:
        raise click.UsageError("give one of --out FOLDER and --publish")
    if speed is not None and not to_kafka:
        raise click.UsageError("--speed belongs to --publish")
    if lsst_schema == OWN and lsst_schema_id is not None:
        raise click.UsageError("--lsst-schema-id belongs to another --lsst-schema than our own")
    wire = find_wire(lsst_schema, lsst_schema_id)
    drawn = build_night(scenario, seed, ztf=n_ztf, lsst=n_lsst, sky_map=sky_map, wire=wire)
    if out is None:
        settings = load_settings()
        folder = settings.home / "night"
        write_context(drawn, folder)
        (folder / "notices").mkdir(exist_ok=True)
        delivered = publish_night(
            drawn,
            settings.kafka_bootstrap,
            lambda notice: replace_file(folder / "notices" / notice.name, notice.payload),
            speed=speed,
        )
        truth = write_truth(drawn, delivered, folder)
    else:
        truth = write_night(drawn, out)
    print_result(truth, as_json, lambda: _night_text(truth))


@simulate.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
def schemas(folder: Path, as_json: bool) -> None:
    """Write the schemas that framed packets name by id into FOLDER (setting schema_folder)."""
    path = write_schemas(folder)
    print_result({"files": [str(path)]}, as_json, lambda: str(path))


def _write(messages: Iterable[Message], folder: Path, total: int) -> Truth:
    if folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} is not empty")
    for topic in TOPICS:
        (folder / topic).mkdir(parents=True, exist_ok=True)
    write_schemas(folder / "schemas")
    truth = Truth()
    with progress("writing packets", total) as advance:
        for number, message in enumerate(messages):
            (folder / message.topic / f"{number:08}.avro").write_bytes(message.payload)
            truth.add(message.truth)
            advance()
    replace_file(folder / "truth.json", json.dumps(truth.as_dict(), indent=1).encode())
    return truth


def _night_text(truth: dict[str, Any]) -> str:
    lines = [f"{name:18}{value:>10,}" for name, value in truth["counts"].items()]
    lines += [f"{'  ' + kind.replace('_', ' '):18}{n:>10,}" for kind, n in truth["alerts_by_kind"].items()]
    for event in truth["events"]:
        what = "retracted" if event["retracted"] else f"{event['counterpart']} {' '.join(event['true_objects'])}"
        lines.append(f"{event['event']}: {what}")
    return "\n".join(lines)


def _text(truth: Truth) -> str:
    counts = truth.as_dict()
    pairs, faults = counts.pop("pairs"), counts.pop("faults")
    lines = [f"{name.replace('_', ' '):18}{value:>10,}" for name, value in counts.items()]
    lines += [f"{'  ' + fault.replace('_', ' '):18}{n:>10,}" for fault, n in faults.items()]
    return "\n".join([*lines, f"{'pairs':18}{len(pairs):>10,}"])
