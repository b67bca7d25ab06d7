"""The scanner against the library: it declines or agrees."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.ingest.container import write_varint
from asterism.ingest.scan import compile_scanner

VALUES = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=200),
    "bytes": st.binary(max_size=200),
}
NEVER_WANTED = {"bytes"}


@st.composite
def records(draw: st.DrawFn) -> tuple[dict[str, Any], dict[tuple[int, int | None], str], dict[str, Any]]:
    """A flat schema, with one nested record, what is wanted of it, and a value."""
    inner: list[dict[str, Any]] = []
    value: dict[str, Any] = {}
    wanted: dict[tuple[int, int | None], str] = {}
    for number in range(draw(st.integers(1, 25))):
        base = draw(st.sampled_from(sorted(VALUES)))
        form = draw(st.sampled_from([base, ["null", base], [base, "null"]]))
        inner.append({"name": f"f{number}", "type": form})
        content = VALUES[base] if form == base else st.none() | VALUES[base]
        value[f"f{number}"] = draw(content)
        if base not in NEVER_WANTED and draw(st.booleans()):
            wanted[(1, number)] = f"f{number}"
    nested = {"type": "record", "name": "nested", "fields": inner}
    fields = [{"name": "id", "type": "long"}, {"name": "inner", "type": nested}]
    wanted[(0, None)] = "id"
    return {"type": "record", "name": "r", "fields": fields}, wanted, {"id": draw(VALUES["long"]), "inner": value}


def encode(schema: dict[str, Any], value: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


def in_order(wanted: dict[tuple[int, int | None], str]) -> dict[tuple[int, int | None], str]:
    return dict(sorted(wanted.items(), key=lambda item: (item[0][0], item[0][1] or 0)))


@settings(max_examples=150, deadline=None)
@given(records(), st.binary(max_size=5))
def test_whole_records_are_read_as_the_library_reads_them(case: Any, behind: bytes) -> None:
    schema, wanted, value = case
    data = encode(schema, value)
    scanner = compile_scanner(schema, wanted)
    assert scanner is not None
    expected = [value["id"]] + [value["inner"][name] for (_, at), name in in_order(wanted).items() if at is not None]
    assert scanner.read(b"xyz" + data + behind, 3) == (expected, 3 + len(data))


@settings(max_examples=300, deadline=None)
@given(records(), st.data())
def test_damaged_records_are_declined_or_read_as_the_library_reads_them(case: Any, data: st.DataObject) -> None:
    schema, wanted, value = case
    damaged = bytearray(encode(schema, value))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    payload = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    scanner = compile_scanner(schema, wanted)
    assert scanner is not None
    scanned = scanner.read(payload, 0)
    try:
        record: Any = fastavro.schemaless_reader(io.BytesIO(payload), schema, None)
    except (EOFError, IndexError, UnicodeDecodeError):
        return  # the scanner does not look into text that nobody wants
    if scanned is not None:
        names = [name for (_, at), name in in_order(wanted).items() if at is not None]
        assert repr(scanned[0]) == repr([record["id"]] + [record["inner"][name] for name in names])


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "array", "items": "int"},
        {"type": "map", "values": "int"},
        ["null", "int", "string"],
        ["int", "string"],
        ["null", ["null", "int"]],
        ["null", {"type": "record", "name": "n", "fields": [{"name": "a", "type": "int"}]}],
        {"type": "enum", "name": "e", "symbols": ["a"]},
        "SomeName",
    ],
)
def test_what_is_not_flat_is_left_to_the_library(kind: Any) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": kind}, {"name": "b", "type": "int"}]}
    assert compile_scanner(schema, {(1, None): "b"}) is None


def test_fixed_types_are_stepped_over() -> None:
    fixed = {"type": "fixed", "name": "f", "size": 3}
    fields = [{"name": "a", "type": fixed}, {"name": "b", "type": ["null", "f2"]}, {"name": "c", "type": "int"}]
    fields[1]["type"] = ["null", {"type": "fixed", "name": "f2", "size": 2}]
    scanner = compile_scanner({"type": "record", "name": "r", "fields": fields}, {(2, None): "c"})
    assert scanner is not None
    assert scanner.read(b"abc" + b"\x02de" + write_varint(5), 0) == ([5], 7)
    assert scanner.read(b"abc" + b"\x00" + write_varint(5), 0) == ([5], 5)


@pytest.mark.parametrize("data", [b"\xff" * 3_000_000, b"\xff" * 9 + b"\x7f", b"\x80", b""])
def test_number_that_has_no_end_is_declined_at_once(data: bytes) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "long"}]}
    for wanted in ((0, None), (1, None)):
        scanner = compile_scanner(schema, {wanted: "x"})
        assert scanner is not None
        assert scanner.read(data, 0) is None
