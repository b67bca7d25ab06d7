"""``asterism export``: any result as a file, without a server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from asterism.cli import json_option, print_result
from asterism.gql.errors import ExportError
from asterism.gql.export_formats import FORMATS, written
from asterism.gql.export_queries import AlertsExport, CandidatesExport, ConeExport, Export, ObjectsExport
from asterism.gql.export_region import MEDIA_TYPES, moc, region_record
from asterism.gql.readers import Readers
from asterism.gql.search import checked_cone
from asterism.graph.reader import open_driver
from asterism.settings import load_settings

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def export() -> None:
    """Write a result as VOTable, CSV, JSON or Parquet, or a region as MOC."""


def _table_options(command: Command) -> Command:
    for option in (
        json_option,
        click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write; stdout if not given."),
        click.option(
            "--format", "form", type=click.Choice(list(FORMATS)), default="votable", show_default=True, help="Format."
        ),
    ):
        command = option(command)
    return command


@export.command()
@click.option("--ra", type=float, required=True, help="Centre, right ascension [deg, ICRS].")
@click.option("--dec", type=float, required=True, help="Centre, declination [deg, ICRS].")
@click.option("--radius-arcsec", type=float, required=True, help="Radius [arcsec].")
@click.option("--mjd-from", type=float, help="Only objects seen at or after this time [MJD TAI].")
@click.option("--mjd-to", type=float, help="Only objects first seen at or before this time [MJD TAI].")
@_table_options
def cone(
    ra: float,
    dec: float,
    radius_arcsec: float,
    mjd_from: float | None,
    mjd_to: float | None,
    form: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Export the objects in a cone, nearest first."""
    _write_table(ConeExport(checked_cone(ra, dec, radius_arcsec, mjd_from, mjd_to)), form, output, as_json)


@export.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@_table_options
def objects(keys: tuple[str, ...], form: str, output: Path | None, as_json: bool) -> None:
    """Export objects by their keys."""
    _write_table(ObjectsExport(keys), form, output, as_json)


@export.command()
@click.argument("key")
@_table_options
def alerts(key: str, form: str, output: Path | None, as_json: bool) -> None:
    """Export the alerts of the object KEY, newest first."""
    _write_table(AlertsExport(key), form, output, as_json)


@export.command()
@click.argument("key")
@click.option("--include-closed", is_flag=True, help="Those no longer believed, too.")
@_table_options
def candidates(key: str, include_closed: bool, form: str, output: Path | None, as_json: bool) -> None:
    """Export the candidates of the event KEY, the largest log L first."""
    _write_table(CandidatesExport(key, include_closed), form, output, as_json)


@export.command("moc")
@click.option("--event", help="The localization that holds for this event.")
@click.option("--localization", help="This localization.")
@click.option("--level", type=float, default=0.9, show_default=True, help="Probability the region holds.")
@click.option("--format", "form", type=click.Choice(list(MEDIA_TYPES)), default="fits", show_default=True)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write; stdout if not given.")
@json_option
def region(
    event: str | None, localization: str | None, level: float, form: str, output: Path | None, as_json: bool
) -> None:
    """Export the region of a localization that holds some probability as a MOC."""
    settings = load_settings()

    async def read() -> str:
        async with open_driver(settings) as driver:
            readers = Readers.of(driver, settings.neo4j_database, show_nonpublic=settings.show_nonpublic)
            return (await region_record(readers.regions, event, localization))[1]

    content = moc(asyncio.run(read()), settings.maps_path, level, form)
    with _Output(output, as_json) as stream:
        stream.write(content)
    _report(output, len(content), as_json)


def _write_table(export: Export, form: str, output: Path | None, as_json: bool) -> None:
    settings = load_settings()

    async def write(stream: IO[bytes]) -> int:
        size = 0
        async with open_driver(settings) as driver:
            readers = Readers.of(driver, settings.neo4j_database, show_nonpublic=settings.show_nonpublic)
            async for piece in written(FORMATS[form](export.table), export.rows(readers)):
                size += stream.write(piece)
        return size

    with _Output(output, as_json) as stream:
        size = asyncio.run(write(stream))
    _report(output, size, as_json)


class _Output:
    """Stdout, or a file that appears when it is whole."""

    def __init__(self, path: Path | None, as_json: bool) -> None:
        if path is None and as_json:
            raise click.UsageError("--json reports on a file: name it with --output")
        self._path = path
        self._temporary = None if path is None else path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._stream: IO[bytes] = sys.stdout.buffer

    def __enter__(self) -> IO[bytes]:
        if self._temporary is not None:
            try:
                self._stream = self._temporary.open("wb")
            except OSError as error:
                raise ExportError(f"{self._path} cannot be written: {error.strerror}") from error
        return self._stream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._path is None or self._temporary is None:
            self._stream.flush()
            return
        try:
            self._stream.close()
            if kind is None:
                self._temporary.replace(self._path)
        except OSError as failure:
            raise ExportError(f"{self._path} cannot be written: {failure.strerror}") from failure
        finally:
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ExportError(f"{self._path} cannot be written: {error.strerror}") from error


def _report(output: Path | None, size: int, as_json: bool) -> None:
    if output is not None:
        print_result({"file": str(output), "bytes": size}, as_json, lambda: f"{output}: {size} bytes")
