"""The lake's digest sees every value and not how rows were cut into files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from asterism.graph.lake_digest import lake_digest, lake_exclusions
from asterism.lake import Lake
from asterism.records import DEAD_LETTER

LETTER = {"topic": "ztf", "partition": 1, "offset": 9, "publishedMs": None, "code": "ingest.empty", "message": "none"}


@pytest.fixture
def rows(detection: Callable[..., Any], detections: Callable[..., pa.Table]) -> pa.Table:
    return detections(*(detection(n, f"ZTF{n % 3}", night=20200530 + n % 2) for n in range(7)))


OTHER = {pa.string(): "x", pa.float64(): 0.5, pa.int32(): 4, pa.bool_(): True}
"""What takes the place of an unknown value, by type."""


def filled(root: Path, rows: pa.Table, *cuts: int) -> Lake:
    lake, start = Lake(root), 0
    for stop in (*cuts, rows.num_rows):
        lake.write_detections(rows.slice(max(0, start - 1), stop - start + 1))  # windows overlap by one
        lake.write_side_table("found", f"w-{start}", pa.table({"alertKey": rows["alertKey"].slice(0, stop)}))
        start = stop
    lake.write_dead_letters(pa.Table.from_pylist([LETTER | {"payload": b"\x00"}], schema=DEAD_LETTER))
    return lake


def test_cutting_into_other_windows_changes_nothing(tmp_path: Path, rows: pa.Table) -> None:
    whole, cut = lake_digest(filled(tmp_path / "a", rows)), lake_digest(filled(tmp_path / "b", rows, 2, 5))
    assert whole == cut
    assert whole.nodes == {"dead_letters": 1, "detections": 7, "found": 7}


def test_every_column_of_a_detection_counts(tmp_path: Path, rows: pa.Table) -> None:
    digests = {lake_digest(filled(tmp_path / "same", rows)).hex}
    for name in rows.column_names:
        record = rows.to_pylist()
        value = record[3][name]
        record[3][name] = (
            (not value if isinstance(value, bool) else value + 1 if isinstance(value, int | float) else f"{value}x")
            if value is not None
            else OTHER.get(rows.schema.field(name).type, 7)
        )
        changed = pa.Table.from_pylist(record, schema=rows.schema)
        digests.add(lake_digest(filled(tmp_path / name, changed)).hex)
    assert len(digests) == 1 + rows.num_columns


def test_a_changed_derived_row_or_refused_packet_counts(tmp_path: Path, rows: pa.Table) -> None:
    lake = filled(tmp_path, rows)
    before = lake_digest(lake)
    lake.write_side_table("found", "w-0", pa.table({"alertKey": ["ztf:99"]}))
    after = lake_digest(lake)
    assert after != before
    letter = pa.Table.from_pylist([LETTER | {"payload": b"\x01"}], schema=DEAD_LETTER)
    lake.write_dead_letters(letter)
    assert lake_digest(lake) != after


def test_tables_that_tell_how_batches_ran_are_left_out_for_a_reason(tmp_path: Path, rows: pa.Table) -> None:
    lake = filled(tmp_path, rows)
    before = lake_digest(lake)
    for name, reason in lake_exclusions().items():
        assert len(reason.split()) > 3
        lake.write_side_table(name, "w-0", pa.table({"regionVersion": [4]}))
    assert lake_digest(lake) == before
