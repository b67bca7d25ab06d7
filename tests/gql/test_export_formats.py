"""Every format reads back to the very values, by readers that are not ours."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
import warnings
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io import votable
from astropy.io.votable.ucd import check_ucd
from hypothesis import given
from hypothesis import strategies as st

from asterism.gql.export_columns import ALERTS, CANDIDATES, CONE, OBJECTS, Column, Table
from asterism.gql.export_formats import FORMATS, written

TABLES = (OBJECTS, CONE, CANDIDATES, ALERTS)
MIXED = Table(
    "mixed",
    "A column of every kind & <sort>.",
    tuple(
        Column(name, kind, f'"{name}" & <more>', "meta.id", lambda row: row)  # type: ignore[arg-type]
        for name, kind in (("t", "text"), ("f", "float"), ("l", "long"), ("i", "int"), ("b", "flag"))
    ),
)
rows = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=9),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.booleans(),
)
tables = st.lists(st.lists(rows, max_size=4), max_size=4)


def export(form: str, batches: list[list[Any]], table: Table = MIXED) -> bytes:
    async def pieces() -> AsyncIterator[list[Any]]:
        for batch in batches:
            yield batch

    async def whole() -> bytes:
        return b"".join([piece async for piece in written(FORMATS[form](table), pieces())])

    return asyncio.run(whole())


def read_votable(content: bytes) -> votable.tree.VOTableFile:
    """Read a VOTable; whatever astropy finds wrong with it is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return votable.parse(io.BytesIO(content), verify="exception")


def flat(batches: list[list[Any]]) -> list[Any]:
    return [row for batch in batches for row in batch]


@given(tables)
def test_astropy_reads_the_very_values_of_a_votable(batches: list[list[Any]]) -> None:
    array = read_votable(export("votable", batches)).get_first_table().array
    found = [[None if masked else value for value, masked in zip(row, mask, strict=True)] for row, mask in zip(
        array.tolist(), array.mask.tolist(), strict=True)] if len(array) else []  # fmt: skip
    for ours, theirs in zip(flat(batches), found, strict=True):
        text, number, *rest = ours
        assert (theirs[0] or "") == (text or "").strip(" \t\n\r") or (theirs[0] or "") == (text or "")
        assert theirs[2:] == rest
        assert theirs[1] == number or (number is None and (theirs[1] is None or math.isnan(theirs[1])))
        if number is not None:
            assert np.float64(theirs[1]).tobytes() == np.float64(number).tobytes()


@given(tables)
def test_arrow_reads_the_very_values_of_a_parquet_file(batches: list[list[Any]]) -> None:
    found = pq.read_table(io.BytesIO(export("parquet", batches)))
    assert [tuple(row.values()) for row in found.to_pylist()] == flat(batches)
    assert found.schema.field("t").metadata == {b"meaning": b'"t" & <more>', b"ucd": b"meta.id"}


@given(tables)
def test_json_holds_the_very_values_and_big_integers_as_text(batches: list[list[Any]]) -> None:
    found = json.loads(export("json", batches))
    for ours, theirs in zip(flat(batches), found, strict=True):
        big = ours[2] is not None and abs(ours[2]) > 2**53
        assert list(theirs.values()) == [*ours[:2], str(ours[2]) if big else ours[2], *ours[3:]]


@given(tables)
def test_csv_holds_the_very_values(batches: list[list[Any]]) -> None:
    head, *found = csv.reader(io.StringIO(export("csv", batches).decode(), newline=""))
    assert head == list("tflib")
    for ours, theirs in zip(flat(batches), found, strict=True):
        text, number, long, whole, flag = theirs
        assert text == (ours[0] or "")
        assert (float(number) if number else None) == ours[1]
        assert [int(value) if value else None for value in (long, whole)] == list(ours[2:4])
        assert flag == {None: "", True: "true", False: "false"}[ours[4]]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.name}-{len(table.columns)}")
def test_every_column_has_a_ucd_and_a_unit_of_the_vocabularies_and_its_frame(table: Table) -> None:
    for column in table.columns:
        assert check_ucd(column.ucd, check_controlled_vocabulary=True, has_colon=False), (column.name, column.ucd)
        if column.unit is not None:
            units.Unit(column.unit, format="vounit")
        assert column.meaning
        assert (column.frame == "tai") == column.name.endswith("MjdTai") or column.name == "mjdTai", column.name
        assert (column.frame == "icrs") == (column.name in ("ra", "dec")), column.name
    names = [column.name for column in table.columns]
    assert len(names) == len(set(names))
    mains = [column.ucd for column in table.columns if column.ucd == "meta.id;meta.main"]
    assert len(mains) == 1


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.name}-{len(table.columns)}")
def test_astropy_finds_frames_and_time_scale_of_every_table(table: Table) -> None:
    document = read_votable(export("votable", [[]], table))
    (resource,) = document.resources
    (system,) = resource.coordinate_systems
    (scale,) = resource.time_systems
    assert (system.ID, system.system) == ("icrs", "ICRS")
    assert (scale.ID, scale.timescale, scale.timeorigin, scale.refposition) == ("tai", "TAI", 2400000.5, "TOPOCENTER")
    fields = document.get_first_table().fields
    assert [field.name for field in fields] == [column.name for column in table.columns]
    assert {field.ref for field in fields} - {None} == {"icrs", "tai"}


def test_control_characters_do_not_break_a_votable() -> None:
    array = read_votable(export("votable", [[("a\x00\x1b]]>&<b", None, None, None, None)]])).get_first_table().array
    assert str(array["t"][0]) == "a\ufffd\ufffd]]>&<b"
