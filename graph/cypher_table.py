"""An answer as a table for people."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asterism.graph.cypher import CypherResult


def table_text(result: CypherResult) -> str:
    """Return the rows as a table, and a line that says how many there are and whether some were left out."""
    table = Table(*map(escape, result.columns))
    for row in result.rows:
        table.add_row(*(escape(_cell(value)) for value in row))
    console = Console(width=None)
    with console.capture() as captured:
        console.print(table)
    more = f", more were left out by --limit {len(result.rows)}" if result.truncated else ""
    return f"{captured.get()}{len(result.rows)} rows in {result.elapsed_ms:.0f} ms{more}"


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
