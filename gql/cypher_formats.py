"""Answers of the Cypher door in the format a client accepts.

JSON and JSON lines go out as rows come. CSV and Arrow have no place to say that rows were left out or that the rest
failed, and Arrow needs its types first: they are made whole (32 MiB at most), and a header says the former.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa
from typing_extensions import override

from asterism.errors import AsterismError
from asterism.gql.cypher_errors import NotAcceptableError

TRUNCATED = "asterism-truncated"
"""Header, and key of Arrow's metadata: whether rows were left out."""

Rows = Sequence[Sequence[Any]]


class Format(ABC):
    """How an answer is written; one object an answer.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns.
    """

    media_type: ClassVar[str]
    streams: ClassVar[bool]
    """Rows may go out before all are there."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)

    @abstractmethod
    def rows(self, rows: Rows) -> bytes:
        """Return the next rows, behind what must stand before them."""

    @abstractmethod
    def end(self, summary: dict[str, Any]) -> bytes:
        """Return what stands behind the last row.

        Parameters
        ----------
        summary : dict
            ``rows``, ``truncated``, ``elapsed_ms``; or ``error`` if it ended early.
        """


class JsonLines(Format):
    """One JSON document a line: the columns, each row as a list, and a summary or an error."""

    media_type = "application/x-ndjson"
    streams = True
    _started = False

    @override
    def rows(self, rows: Rows) -> bytes:
        lines: list[Any] = [] if self._started else [{"columns": self._columns}]
        self._started = True
        return b"".join(map(_line, [*lines, *rows]))

    @override
    def end(self, summary: dict[str, Any]) -> bytes:
        return self.rows([]) + _line(summary if "error" in summary else {"summary": summary})


class Json(Format):
    """One JSON document, as `asterism graph cypher --json` prints it."""

    media_type = "application/json"
    streams = True
    _separator = ""

    @override
    def rows(self, rows: Rows) -> bytes:
        if not self._separator:
            head = f'{{"columns": {json.dumps(self._columns)}, "rows": ['
        else:
            head = self._separator if rows else ""
        self._separator = ", " if rows or self._separator == ", " else " "
        return (head + ", ".join(json.dumps(row, allow_nan=False) for row in rows)).encode()

    @override
    def end(self, summary: dict[str, Any]) -> bytes:
        start = self.rows([]) if not self._separator else b""
        rest = {name: value for name, value in summary.items() if name != "rows"}
        return start + b"], " + json.dumps(rest).encode()[1:]


class Csv(Format):
    """Comma-separated values with a header; null is empty, lists and maps are JSON."""

    media_type = "text/csv; charset=utf-8"
    streams = False

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(columns)
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(self._columns)

    @override
    def rows(self, rows: Rows) -> bytes:
        self._writer.writerows([[_cell(value) for value in row] for row in rows])
        return b""

    @override
    def end(self, summary: dict[str, Any]) -> bytes:
        return self._text.getvalue().encode()


class ArrowStream(Format):
    """An Arrow IPC stream; columns of mixed or nested values are JSON texts."""

    media_type = "application/vnd.apache.arrow.stream"
    streams = False

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(columns)
        self._rows: list[Sequence[Any]] = []

    @override
    def rows(self, rows: Rows) -> bytes:
        self._rows += rows
        return b""

    @override
    def end(self, summary: dict[str, Any]) -> bytes:
        values = [_array([row[index] for row in self._rows]) for index in range(len(self._columns))]
        fields = [pa.field(name, array.type) for name, array in zip(self._columns, values, strict=True)]
        truncated = json.dumps(summary.get("truncated"))
        table = pa.Table.from_arrays(values, schema=pa.schema(fields, metadata={TRUNCATED: truncated}))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
        return bytes(sink.getvalue())


FORMATS: tuple[type[Format], ...] = (JsonLines, Json, Csv, ArrowStream)


def negotiate(accept: str) -> type[Format]:
    """Return the format a client likes best; JSON lines if it takes anything.

    Raises
    ------
    NotAcceptableError
        If it takes none of them.
    """
    liked: list[tuple[float, type[Format]]] = []
    for item in (accept or "*/*").split(","):
        kind, _, rest = item.strip().partition(";")
        for made in FORMATS:
            plain = made.media_type.split(";")[0]
            if kind.strip() in {plain, "*/*", f"{plain.split('/')[0]}/*"}:
                liked.append((_quality(rest), made))
                break
    best = max(liked, key=lambda one: one[0], default=(0.0, JsonLines))
    if best[0] <= 0.0:
        raise NotAcceptableError(f"accept: {accept:.200}")
    return best[1]


def error_summary(error: AsterismError) -> dict[str, Any]:
    """Return the summary of an answer that an error ended."""
    return {"error": error.as_dict()}


def _quality(rest: str) -> float:
    for piece in rest.split(";"):
        name, _, value = piece.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _line(document: Any) -> bytes:
    return json.dumps(document, allow_nan=False).encode() + b"\n"


def _cell(value: Any) -> Any:
    if isinstance(value, bool | list | dict):
        return json.dumps(value)
    return value


def _array(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        values, kinds = [None if value is None else float(value) for value in values], {float}
    if len(kinds) == 1 and (kind := kinds.pop()) in _TYPES:
        return pa.array(values, _TYPES[kind])
    return pa.array(
        [value if value is None or isinstance(value, str) else json.dumps(value) for value in values], pa.string()
    )


_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
