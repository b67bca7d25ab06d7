"""An answer of the Cypher door reads back the same in every format."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pytest

from asterism.gql.cypher_errors import NotAcceptableError
from asterism.gql.cypher_formats import ArrowStream, Csv, Format, Json, JsonLines, negotiate

COLUMNS = ["id", "n", "x", "flag", "list"]
ROWS: list[list[Any]] = [
    ["9007199254740993", 2**53 + 1, 0.1, True, [1, "a"]],
    [None, None, 2, False, None],
    ['é,"\n', -1, None, None, {"k": 1}],
]


def written(made: type[Format], chunks: list[list[list[Any]]], **summary: Any) -> bytes:
    rendering = made(COLUMNS)
    return b"".join(map(rendering.rows, chunks)) + rendering.end(summary)


@pytest.mark.parametrize("chunks", [[ROWS], [ROWS[:1], ROWS[1:]], [[]], [[row] for row in ROWS]])
def test_json_and_json_lines_hold_columns_rows_and_summary(chunks: list[list[list[Any]]]) -> None:
    rows = [row for chunk in chunks for row in chunk]
    document = json.loads(written(Json, chunks, rows=len(rows), truncated=False, elapsed_ms=1.0))
    assert document == {"columns": COLUMNS, "rows": rows, "truncated": False, "elapsed_ms": 1.0}
    lines = [json.loads(line) for line in written(JsonLines, chunks, rows=len(rows)).splitlines()]
    assert lines == [{"columns": COLUMNS}, *rows, {"summary": {"rows": len(rows)}}]


def test_an_answer_that_fails_underway_ends_with_the_error() -> None:
    error = {"code": "graph.cypher_timeout"}
    assert json.loads(written(Json, [ROWS], error=error))["error"] == error
    assert json.loads(written(JsonLines, [ROWS], error=error).splitlines()[-1]) == {"error": error}


def test_csv_has_a_header_and_empty_fields_for_null() -> None:
    rows = list(csv.reader(io.StringIO(written(Csv, [ROWS]).decode(), newline="")))
    assert rows[0] == COLUMNS
    assert rows[1] == ["9007199254740993", str(2**53 + 1), "0.1", "true", '[1, "a"]']
    assert rows[2] == ["", "", "2", "false", ""]
    assert rows[3] == ['é,"\n', "-1", "", "", '{"k": 1}']


def test_arrow_keeps_64_bit_integers_and_types() -> None:
    table = pa.ipc.open_stream(written(ArrowStream, [ROWS[:1], ROWS[1:]], truncated=True)).read_all()
    assert table.schema.types == [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.string()]
    assert table["n"].to_pylist() == [2**53 + 1, None, -1]
    assert table["x"].to_pylist() == [0.1, 2.0, None]
    assert json.loads(table["list"][2].as_py()) == {"k": 1}
    assert table.schema.metadata == {b"asterism-truncated": b"true"}
    assert pa.ipc.open_stream(written(ArrowStream, [[]])).read_all().num_rows == 0


@pytest.mark.parametrize(
    ("accept", "made"),
    [
        ("", JsonLines),
        ("*/*", JsonLines),
        ("application/json", Json),
        ("text/csv", Csv),
        ("text/*", Csv),
        ("application/vnd.apache.arrow.stream", ArrowStream),
        ("text/html, application/json;q=0.5, text/csv;q=0.9", Csv),
        ("application/json;q=0.1, */*;q=0.01", Json),
    ],
)
def test_the_client_gets_the_format_it_likes_best(accept: str, made: type[Format]) -> None:
    assert negotiate(accept) is made


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*", "text/csv;q=x"])
def test_a_client_that_takes_none_of_them_is_told_which_there_are(accept: str) -> None:
    with pytest.raises(NotAcceptableError) as caught:
        negotiate(accept)
    assert "text/csv" in caught.value.advice
