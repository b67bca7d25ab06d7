"""``asterism voevent journal``: verify the only copy of every notice, and make another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from asterism.cli import json_option, print_result
from asterism.journal import Journal
from asterism.logs import configure_logs
from asterism.settings import Settings, load_settings
from asterism.voevent.backup import export_journal, verify_journal


@click.group()
def journal() -> None:
    """Look after the journal, the only copy of every notice."""


@journal.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@json_option
def verify(path: Path | None, as_json: bool) -> None:
    """Read every record and check its checksum: of the journal, or of the copy at PATH (folder or .tar)."""
    settings = _settings()
    report = Journal(settings.journal_path).verify() if path is None else verify_journal(path)
    text = f"{report.records} notices in {report.segments} files, {report.payload_bytes} bytes"
    print_result(asdict(report), as_json, lambda: "\n".join([text, *report.damage]))
    if report.damage:
        raise click.exceptions.Exit(1)


@journal.command()
@click.argument("target", type=click.Path(path_type=Path))
@json_option
def export(target: Path, as_json: bool) -> None:
    """Copy the journal to TARGET, a new folder or .tar file, and read the copy back. Receivers may go on.

    `asterism voevent journal verify TARGET` checks the copy later, `asterism voevent replay --from TARGET` rebuilds a
    graph from it, and a folder may take the journal's place.
    """
    copy = export_journal(_settings().journal_path, target)
    text = f"{copy.records} notices in {copy.segments} files, {copy.payload_bytes} bytes copied to {copy.path}"
    print_result(asdict(copy), as_json, lambda: text)


def _settings() -> Settings:
    settings = load_settings()
    configure_logs(settings.log_level, as_json=settings.log_json)
    return settings
