"""Compaction leaves the lake's content, its windows and its digest as they are, killed anywhere and beside writers."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from click.testing import CliRunner

from asterism import compaction
from asterism.compaction import compact
from asterism.errors import LakeError
from asterism.graph.lake_digest import lake_digest
from asterism.ingest.commands import ingest
from asterism.lake import Lake
from asterism.records import DETECTION
from asterism.settings import Settings

NIGHTS = (20231018, 20231019)
OVERLAPPING = ("ztf-0-10-20", "ztf-0-15-25", "ztf-0-20-30")


class KilledError(BaseException):
    """What a process dies of here."""


def rows(start: int, stop: int, topic: str = "ztf") -> pa.Table:
    row: dict[str, Any] = dict.fromkeys(DETECTION.names)
    row |= {"survey": "ztf", "topic": topic, "partition": 0, "mjdTai": 60235.25, "ra": 1.0, "dec": 2.0, "hpx29": 7}
    made = [
        row | {"alertKey": f"ztf:{n}", "sourceId": f"{n}", "offset": n, "night": NIGHTS[n % 2], "public": True}
        for n in range(start, stop)
    ]
    return pa.Table.from_pylist(made, schema=DETECTION)


def filled(root: Path) -> Lake:
    """Four windows of ten deliveries and one that overlaps two of them."""
    lake = Lake(root)
    for start in range(0, 40, 10):
        lake.write_detections(rows(start, start + 10))
    lake.write_detections(rows(15, 25))
    return lake


def content(lake: Lake) -> tuple[Any, ...]:
    """Return what must stay: the digest, each window that shares no delivery, and what all windows hold together."""
    held = {
        name: sorted(lake.detections_of(name, ["offset"])["offset"].to_pylist()) for name in lake.detection_windows()
    }
    alone = {name: offsets for name, offsets in held.items() if name not in OVERLAPPING}
    return lake_digest(lake), alone, set().union(*held.values())


def files(lake: Lake) -> list[Path]:
    return sorted((lake.root / "detections").rglob("*.parquet"))


def test_a_night_becomes_one_file_and_says_the_same(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    before, names = content(lake), lake.detection_windows()
    done = compact(lake)
    assert (done.nights, done.files_before, done.files_after) == (2, 10, 2)
    assert done.bytes_after < done.bytes_before
    assert content(lake) == before
    assert lake.detection_windows() == names
    assert lake.detections_of("ztf-0-0-10").schema == DETECTION
    assert lake.detections_of("ztf-0-999-1000").num_rows == 0


def test_a_delivery_is_in_the_files_once(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    assert sum(ds.dataset(path).count_rows() for path in files(lake)) == 50
    compact(lake)
    assert sum(ds.dataset(path).count_rows() for path in files(lake)) == 40


def test_compacting_again_changes_no_file(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    compact(lake)
    before = [(path, path.stat().st_mtime_ns) for path in files(lake)]
    compact(lake)
    assert [(path, path.stat().st_mtime_ns) for path in files(lake)] == before


def test_windows_that_come_later_join_the_file(tmp_path: Path) -> None:
    lake, peaceful = filled(tmp_path / "a"), filled(tmp_path / "b")
    compact(lake)
    for each in (lake, peaceful):
        each.write_detections(rows(40, 50))
        each.write_detections(rows(0, 10))  # a batch that ran again
    assert content(lake) == content(peaceful)
    compact(lake)
    compact(peaceful)
    assert content(lake) == content(peaceful)
    assert [path.name for path in files(lake)] == [path.name for path in files(peaceful)]


@pytest.mark.parametrize("step", range(0, 14, 2))
def test_killed_anywhere_it_loses_nothing_and_the_next_ends_in_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    peaceful, lake = filled(tmp_path / "a"), filled(tmp_path / "b")
    before = content(lake)
    compact(peaceful)
    left, unlink, write = [step], Path.unlink, compaction.write_table

    def count_down() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    def dying_unlink(path: Path, missing_ok: bool = False) -> None:
        count_down()
        unlink(path, missing_ok=missing_ok)

    def dying_write(*arguments: Any, **named: Any) -> Path:
        count_down()
        return write(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dying_unlink)
        patch.setattr(compaction, "write_table", dying_write)
        try:
            compact(lake)
        except KilledError:
            assert step < 12
        else:
            assert step >= 12  # two writes and 10 files that go: every step was tried
    assert content(lake) == before
    compact(lake)
    assert content(lake) == before
    assert [path.name for path in files(lake)] == [path.name for path in files(peaceful)]


def test_a_file_that_was_written_again_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = filled(tmp_path)
    write = compaction.write_table

    def slowly(*arguments: Any, **named: Any) -> Path:
        lake.write_detections(rows(0, 12), "ztf-0-0-10")
        return write(*arguments, **named)

    monkeypatch.setattr(compaction, "write_table", slowly)
    compact(lake)
    assert sorted(lake.detections_of("ztf-0-0-10")["offset"].to_pylist()) == list(range(12))


def test_readers_beside_a_compaction_see_every_delivery(tmp_path: Path) -> None:
    lake, over = Lake(tmp_path), threading.Event()

    def write_and_compact() -> None:
        for start in range(0, 200, 10):
            lake.write_detections(rows(start + 1000, start + 1010))
            if start % 50 == 0:
                compact(lake)
        over.set()

    lake.write_detections(rows(0, 100))
    writer = threading.Thread(target=write_and_compact)
    writer.start()
    reads = 0
    while not over.is_set():
        reader = Lake(tmp_path)
        assert pc.sum(pc.less(reader.detections(["offset"])["offset"], 1000)).as_py() == 100
        assert reader.detections_of("ztf-0-0-100").num_rows == 100
        reads += 1
    writer.join()
    assert reads > 1
    assert lake.detections().num_rows == 300


def derived(lake: Lake, window: str, values: list[int]) -> None:
    lake.write_side_table("found", window, pa.table({"value": pa.array(values, pa.int64())}))


def derived_content(lake: Lake, names: str) -> list[list[int]]:
    tables = [lake.side_table("found", name, ["value"]) for name in names]
    assert lake.side_rows("found").num_rows == sum(table.num_rows for table in tables if table is not None)
    return [[-1] if table is None else table["value"].to_pylist() for table in tables]


def test_a_side_table_becomes_one_file_and_says_the_same(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for window, values in (("b", [3]), ("a", [1, 2]), ("c", [])):
        derived(lake, window, values)
    compact(lake)
    assert len(list((tmp_path / "found").iterdir())) == 1
    assert derived_content(lake, "abcd") == [[1, 2], [3], [], [-1]]
    derived(lake, "d", [4])
    compact(lake)
    assert len(list((tmp_path / "found").iterdir())) == 1
    assert derived_content(Lake(tmp_path), "abcd") == [[1, 2], [3], [], [4]]


def test_what_a_window_gave_when_it_ran_again_replaces_what_is_compact(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for window in "ab":
        derived(lake, window, [1])
    compact(lake)
    derived(lake, "a", [5, 6])
    again = lake.side_table("found", "a", ["value"])
    assert again is not None
    assert again["value"].to_pylist() == [5, 6]
    compact(lake)
    assert derived_content(lake, "ab") == [[5, 6], [1]]


def test_a_large_file_of_a_side_table_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    derived(lake, "a", list(range(50_000)))
    derived(lake, "b", [-5])
    compact(lake)
    monkeypatch.setattr(compaction, "LARGE_BYTES", 10_000)
    (first,) = (tmp_path / "found").iterdir()
    derived(lake, "c", [7])
    derived(lake, "d", [])
    compact(lake)
    assert first.exists()
    assert len(list((tmp_path / "found").iterdir())) == 2
    assert derived_content(lake, "bcda")[:3] == [[-5], [7], []]


def test_entries_of_a_table_within_a_folder_come_by_name_before_and_after(tmp_path: Path) -> None:
    lake, schema = Lake(tmp_path), pa.schema([("value", pa.int64())])
    for name in ("x-2", "y-1", "x-1"):
        lake.write_side_table("log/one", name, pa.table({"value": [int(name[-1])]}))
    for _ in range(2):
        assert [t["value"].to_pylist() for t in lake.side_entries("log/one", "x-", schema)] == [[1], [2]]
        assert lake.side_entries("log/one", "z-", schema) == lake.side_entries("log/none", "x-", schema) == []
        compact(lake)
        assert len(list((tmp_path / "log/one").iterdir())) == 1
    lake.write_side_table("log/one", "x-3", pa.table({"value": [3]}))
    lake.write_side_table("log/one", "x-1", pa.table({"value": [7]}))
    for _ in range(2):
        assert [t["value"].to_pylist() for t in lake.side_entries("log/one", "x-", schema)] == [[7], [2], [3]]
        compact(lake)


def test_the_ledger_is_compacted_too(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    for name in "abc":
        lake.write_ledger("alerts", name, {"packets": 1})
    assert (compact(lake).files_before, len(list(lake.ledger()))) == (13, 3)
    assert compact(lake).files_before == 3


def test_other_tools_read_what_is_there_before_and_after(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    for _ in range(2):
        frame = pd.read_parquet(tmp_path / "detections", dtype_backend="pyarrow").drop_duplicates("offset")
        assert len(frame) == 40
        assert set(frame["night"].astype(int)) == set(NIGHTS)
        assert sorted(frame.columns) == sorted(DETECTION.names)
        by_night = ds.dataset(tmp_path / "detections", partitioning="hive").to_table(
            filter=ds.field("night") == NIGHTS[0]
        )
        assert pc.count_distinct(by_night["offset"]).as_py() == 20
        compact(lake)


def test_a_second_compaction_at_once_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = filled(tmp_path)
    write, told = compaction.write_table, list[str]()

    def meanwhile(*arguments: Any, **named: Any) -> Path:
        with pytest.raises(LakeError, match="another compaction") as refused:
            compact(Lake(tmp_path))
        told.append(refused.value.advice)
        return write(*arguments, **named)

    monkeypatch.setattr(compaction, "write_table", meanwhile)
    compact(lake)
    assert told == ["let it finish"] * 2
    assert len(files(lake)) == 2


def test_the_command_says_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(Settings(home=tmp_path).lake_path)
    monkeypatch.setenv("ASTERISM_HOME", str(tmp_path))
    answer = CliRunner().invoke(ingest, ["compact"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.startswith("2 nights, side tables and ledger: 10 files to 2, ")
    again = json.loads(CliRunner().invoke(ingest, ["compact", "--json"]).stdout)
    assert (again["files_before"], again["files_after"]) == (2, 2)
