"""The ``asterism`` command. Sub-commands are found by entry point (group ``asterism.commands``).

Conventions every command keeps: results on stdout, everything else on stderr; ``--json`` prints one JSON document
(or one a line); exit 0 done, 1 refused or failed with a coded error, 2 wrong usage; Ctrl-C ends with 130 and leaves
nothing half done.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import click
from typing_extensions import override

import asterism
from asterism.errors import AsterismError
from asterism.logs import configure_logs
from asterism.progress import console
from asterism.settings import load_settings

GROUP = "asterism.commands"

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
"""The ``--json`` flag; arrives as ``as_json``."""


class PartCommands(click.Group):
    """A group that also has the commands which parts declare for it; they are loaded when they are asked for.

    Parameters
    ----------
    entries : str
        The entry-point group they are declared in.
    """

    def __init__(self, *args: Any, entries: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._entries = entries

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names without importing any part."""
        return sorted({*super().list_commands(ctx), *entry_points(group=self._entries).names})

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one part that owns the command."""
        for point in entry_points(group=self._entries, name=cmd_name):
            command: click.Command = point.load()
            return command
        return super().get_command(ctx, cmd_name)


@click.command(
    cls=PartCommands, entries=GROUP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(asterism.__version__, prog_name="asterism")
def cli() -> None:
    """Which object is the counterpart, how sure are we, and why?"""
    settings = load_settings()
    configure_logs(settings.log_level, as_json=settings.log_json)


def print_json(document: Any) -> None:
    """Print one JSON document on one line of stdout; NaN and infinity are refused, they are not JSON."""
    click.echo(json.dumps(document, allow_nan=False, default=str))


def print_result(document: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Print a result as JSON, or as `text` makes it."""
    if as_json:
        print_json(document)
    else:
        click.echo(text())


def main() -> None:
    """Run the command line and turn every error into an exit code and one line that says what to do."""
    try:
        outcome = cli.main(standalone_mode=False)
    except AsterismError as error:
        _report(error)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        console.print("interrupted", style="yellow")
        sys.exit(130)
    if isinstance(outcome, int):
        sys.exit(outcome)  # what a command gave to ctx.exit()


def _report(error: AsterismError) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": error.as_dict()}), err=True)
        return
    console.print(f"[red]{error.code}[/red] ", end="")
    console.print(error.message, markup=False, highlight=False)
    if error.advice:
        console.print(f"  {error.advice}", markup=False, highlight=False, style="dim")
