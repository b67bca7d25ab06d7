"""``asterism voevent``: receive, read, send and project notices."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from asterism.cli import json_option, print_json, print_result
from asterism.graph.connection import connect
from asterism.graph.schema import check_format
from asterism.journal import Journal
from asterism.logs import configure_logs
from asterism.progress import console, progress
from asterism.settings import Settings, load_settings
from asterism.voevent.backup import opened
from asterism.voevent.bridge_command import bridge
from asterism.voevent.errors import NoticeFileError, NoticeRefusedError
from asterism.voevent.intake import FILE, Intake
from asterism.voevent.journal_command import journal
from asterism.voevent.listen_command import listen, status
from asterism.voevent.notice import Notice
from asterism.voevent.project import Delivery, Projection, maps_folder, project
from asterism.voevent.read import read_notice
from asterism.voevent.send import DEFAULT_PORT
from asterism.voevent.send import send as send_notice

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, allow_dash=True))
_SUFFIXES = {".xml", ".json"}


@click.group()
def voevent() -> None:
    """Receive, read, send and project notices."""


voevent.add_command(bridge)
voevent.add_command(journal)
voevent.add_command(listen)
voevent.add_command(status)


@voevent.command()
@_FILES
@json_option
def parse(files: tuple[Path, ...], as_json: bool) -> None:
    """Show what is read of notices: FILES are VOEvents or LVK alerts, folders of them, or - for stdin."""
    refused = False
    for path in _expanded(files):
        try:
            notice = read_notice(_content(path))
        except NoticeRefusedError as error:
            refused = True
            if as_json:
                print_json({"file": str(path), "error": error.as_dict()})
            else:
                console.print(f"{path}: {error.code} {error.message}", markup=False, style="red")
            continue
        print_result({"file": str(path), **notice.as_cli()}, as_json, partial(_summary, notice))
    if refused:
        raise click.exceptions.Exit(1)


@voevent.command()
@_FILES
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the receiver listens.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Its port.")
@click.option("--journal", "to_journal", is_flag=True, help="Append to the journal instead: JSON cannot travel by VTP.")
@json_option
def send(files: tuple[Path, ...], host: str, port: int, to_journal: bool, as_json: bool) -> None:
    """Send VOEvents to a VTP receiver, each as it is in its file, and wait for every answer."""
    sent = 0
    if to_journal:
        with Journal(_settings().journal_path) as journal:
            intake = Intake(journal)
            for path in _expanded(files):
                intake.accept(_content(path), FILE, peer=str(path))
                sent += 1
    else:
        for path in _expanded(files):
            send_notice(_content(path), host, port)
            sent += 1
    print_result({"sent": sent}, as_json, lambda: f"{sent} acknowledged")


@voevent.command(name="project")
@json_option
def project_command(as_json: bool) -> None:
    """Bring what is in the journal, and not yet in the graph, into the graph."""
    _project(as_json, again=False)


@voevent.command()
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="A copy of the journal to read instead: folder or .tar, as journal export makes them.",
)
@json_option
def replay(source: Path | None, as_json: bool) -> None:
    """Read the whole journal again and write every notice, event and sky map anew: the journal alone suffices."""
    _project(as_json, source, again=True)


def _settings() -> Settings:
    settings = load_settings()
    configure_logs(settings.log_level, as_json=settings.log_json)
    return settings


def _project(as_json: bool, source: Path | None = None, *, again: bool) -> None:
    settings = _settings()
    with ExitStack() as stack:
        journal = Journal(settings.journal_path) if source is None else stack.enter_context(opened(source))
        driver, advance = stack.enter_context(connect(settings)), stack.enter_context(progress("projecting notices"))
        check_format(driver, settings.neo4j_database)

        def counted() -> Iterator[Delivery]:
            for entry in journal.read():
                yield Delivery.of(entry)
                advance(1)

        done = project(counted(), driver, database=settings.neo4j_database, maps=maps_folder(settings), again=again)
    print_result(_counts(done), as_json, lambda: _projected(done))


def _counts(done: Projection) -> dict[str, Any]:
    return {**asdict(done), "events": list(done.events)}


def _projected(done: Projection) -> str:
    return (
        f"{done.read} deliveries: {done.created} new notices, {done.known} known, {done.refused} refused; "
        f"{len(done.events)} events brought up to date"
    )


def _expanded(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those of folders that look like notices, sorted."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
        else:
            yield path


def _content(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoticeFileError(f"{path} cannot be read: {error.strerror}") from error


def _summary(notice: Notice) -> str:
    values = notice.as_cli()
    region = values["localization"]
    place = "no position"
    if region is not None:
        place = f"{region['type']} at {region['ra_deg']:.4f} {region['dec_deg']:+.4f}"
        if region["radius_deg"] is not None:
            place += f", {region['radius_deg']} deg ({region['containment']})"
    lines = [f"{notice.event_key}  {notice.stage}  {notice.standing}", f"  t0 {values['t0_utc']}  {place}"]
    if notice.classification:
        lines.append("  " + json.dumps(dict(notice.classification)))
    if notice.flags:
        lines.append("  " + " ".join(notice.flags))
    return "\n".join(lines)
