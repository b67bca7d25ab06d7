"""Tables as VOTable, CSV, JSON and Parquet, written piece by piece: memory does not grow with the table.

What is unknown is an empty cell, JSON ``null``, Parquet null; in VOTable an empty ``TD``, which readers of version 1.3
and later take for null (NaN of a float). Floats are written so that they read back to the same bits. In JSON, integers
beyond 2**53 travel as decimal strings, as in GraphQL.
"""

from __future__ import annotations

import csv
import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from asterism.gql.export_columns import Column, Kind, Table

Row = tuple[Any, ...]

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SAFE_INTEGER = 2**53


class Format(ABC):
    """Writes one table.

    Parameters
    ----------
    table : Table
        What is written.
    """

    name: ClassVar[str]
    """As asked for."""
    media_type: ClassVar[str]
    """MIME type."""
    suffix: ClassVar[str]
    """Of files."""

    def __init__(self, table: Table) -> None:
        self.table = table

    @abstractmethod
    def head(self) -> bytes:
        """Return what stands before the rows."""

    @abstractmethod
    def body(self, rows: Sequence[Row]) -> bytes:
        """Return some rows."""

    @abstractmethod
    def tail(self) -> bytes:
        """Return what stands behind the rows."""


class VOTable(Format):
    """VOTable 1.4, TABLEDATA: positions refer to a COOSYS, times to a TIMESYS."""

    name = "votable"
    media_type = "application/x-votable+xml"
    suffix = ".vot"

    _TYPES: ClassVar[dict[Kind, str]] = {
        "text": 'datatype="unicodeChar" arraysize="*"',
        "float": 'datatype="double"',
        "long": 'datatype="long"',
        "int": 'datatype="int"',
        "flag": 'datatype="boolean"',
    }

    @override
    def head(self) -> bytes:
        """Return the declaration of frames and fields."""
        fields = "\n".join(map(self._field, self.table.columns))
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
<COOSYS ID="icrs" system="ICRS"/>
<TIMESYS ID="tai" timeorigin="2400000.5" timescale="TAI" refposition="TOPOCENTER"/>
<INFO name="QUERY_STATUS" value="OK"/>
<TABLE name={quoteattr(self.table.name)}>
<DESCRIPTION>{escape(self.table.meaning)}</DESCRIPTION>
{fields}
<DATA><TABLEDATA>
""".encode()

    @override
    def body(self, rows: Sequence[Row]) -> bytes:
        """Return TR elements."""
        lines = ["<TR>" + "".join(f"<TD>{self._cell(value)}</TD>" for value in row) + "</TR>\n" for row in rows]
        return "".join(lines).encode()

    @override
    def tail(self) -> bytes:
        """Return the closing tags."""
        return b"</TABLEDATA></DATA>\n</TABLE>\n</RESOURCE>\n</VOTABLE>\n"

    def _field(self, column: Column) -> str:
        known = {"unit": column.unit, "ucd": column.ucd, "ref": column.frame}
        attributes = "".join(f" {name}={quoteattr(value)}" for name, value in known.items() if value is not None)
        described = f"<DESCRIPTION>{escape(column.meaning)}</DESCRIPTION>"
        return f"<FIELD name={quoteattr(column.name)} {self._TYPES[column.kind]}{attributes}>{described}</FIELD>"

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return escape(_NO_XML.sub("\ufffd", value)) if isinstance(value, str) else repr(value)


class Csv(Format):
    """CSV with one line of names; UTF-8, lines end in a line feed."""

    name = "csv"
    media_type = "text/csv; charset=utf-8"
    suffix = ".csv"

    @override
    def head(self) -> bytes:
        """Return the names."""
        return self.body([tuple(column.name for column in self.table.columns)])

    @override
    def body(self, rows: Sequence[Row]) -> bytes:
        """Return lines."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([list(map(_plain, row)) for row in rows])
        return text.getvalue().encode()

    @override
    def tail(self) -> bytes:
        """Return nothing."""
        return b""


class Json(Format):
    """A JSON array of objects, one a line."""

    name = "json"
    media_type = "application/json"
    suffix = ".json"

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._names = [column.name for column in table.columns]
        self._first = True

    @override
    def head(self) -> bytes:
        """Return the opening bracket."""
        return b"["

    @override
    def body(self, rows: Sequence[Row]) -> bytes:
        """Return objects, each after a comma but the first."""
        lines = []
        for row in rows:
            lines.append("\n" if self._first else ",\n")
            self._first = False
            lines.append(json.dumps(dict(zip(self._names, map(_json_safe, row), strict=True)), allow_nan=False))
        return "".join(lines).encode()

    @override
    def tail(self) -> bytes:
        """Return the closing bracket."""
        return b"\n]\n"


class Parquet(Format):
    """Parquet, a row group a piece; unit, UCD and meaning stand in each field's metadata."""

    name = "parquet"
    media_type = "application/vnd.apache.parquet"
    suffix = ".parquet"

    _TYPES: ClassVar[dict[Kind, pa.DataType]] = {
        "text": pa.string(),
        "float": pa.float64(),
        "long": pa.int64(),
        "int": pa.int32(),
        "flag": pa.bool_(),
    }

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._schema = pa.schema([self._field(column) for column in table.columns])
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")

    @override
    def head(self) -> bytes:
        """Return the magic bytes."""
        return self._sink.taken()

    @override
    def body(self, rows: Sequence[Row]) -> bytes:
        """Return a row group."""
        if rows:
            columns = [
                pa.array(values, field.type)
                for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
            ]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        return self._sink.taken()

    @override
    def tail(self) -> bytes:
        """Return the footer."""
        self._writer.close()
        return self._sink.taken()

    def _field(self, column: Column) -> pa.Field:
        known = {"meaning": column.meaning, "ucd": column.ucd, "unit": column.unit, "frame": column.frame}
        metadata = {name: value for name, value in known.items() if value is not None}
        return pa.field(column.name, self._TYPES[column.kind], metadata=metadata)


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._size = 0

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, content: Any) -> int:
        self._pieces.append(bytes(content))
        self._size += len(self._pieces[-1])
        return len(self._pieces[-1])

    @override
    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content


FORMATS: dict[str, type[Format]] = {kind.name: kind for kind in (VOTable, Csv, Json, Parquet)}
"""Formats by name."""


async def written(form: Format, batches: AsyncIterator[list[Row]]) -> AsyncIterator[bytes]:
    """Yield a table in pieces: head, one for each batch of rows, tail."""
    yield form.head()
    async for rows in batches:
        yield form.body(rows)
    yield form.tail()


def _plain(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


def _json_safe(value: Any) -> Any:
    big = isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER
    return str(value) if big else value
