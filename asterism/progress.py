"""Progress of long work on stderr: a bar for people, nothing when output is not a terminal or ``--json`` was asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

console = Console(stderr=True)
"""Everything for the reader that is not the result goes here; results go to stdout."""


class Advance(Protocol):
    """Moves a bar."""

    def __call__(self, steps: float = 1, *, total: float | None = None, note: str | None = None) -> None:
        """Advance by `steps`, optionally with a new total and a note behind the bar."""


@contextmanager
def progress(title: str, total: float | None = None) -> Iterator[Advance]:
    """Show a bar while the block runs; on a pipe, say the title once instead.

    Parameters
    ----------
    title : str
        What is being done.
    total : float, optional
        Steps in all; a spinner if unknown.
    """
    if not console.is_terminal:
        console.print(title, highlight=False)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, TextColumn("{task.fields[note]}"), console=console, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(title, total=total, note="")

        def advance(steps: float = 1, *, total: float | None = None, note: str | None = None) -> None:
            bars.update(task, advance=steps, total=total)
            if note is not None:
                bars.update(task, note=note)

        yield advance
