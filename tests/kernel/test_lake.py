"""The lake: files named by what was delivered, positions counted once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from asterism.errors import FormatError, LakeError
from asterism.lake import Lake, window_name
from asterism.records import DEAD_LETTER, DETECTION


def detection(offset: int, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(DETECTION.names)
    row |= {"alertKey": f"ztf:{offset}", "survey": "ztf", "sourceId": str(offset), "night": 20231018, "topic": "ztf"}
    row |= {"partition": 0, "offset": offset, "mjdTai": 60235.25, "ra": 1.0, "dec": 2.0, "hpx29": 7, "public": True}
    return row | changes


def detections(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=DETECTION)


def test_detections_come_back_as_written(tmp_path: Path) -> None:
    rows = detections(detection(5), detection(6, survey="lsst", night=20251013), detection(7, night=20231019))
    lake = Lake(tmp_path)
    files = lake.write_detections(rows)
    assert [f.relative_to(tmp_path).as_posix() for f in files] == [
        "detections/survey=lsst/night=20251013/ztf-0-5-8.parquet",
        "detections/survey=ztf/night=20231018/ztf-0-5-8.parquet",
        "detections/survey=ztf/night=20231019/ztf-0-5-8.parquet",
    ]
    assert lake.detections().sort_by("offset") == rows
    assert lake.detections(["sourceId"]).column_names == ["sourceId"]


def test_writing_a_window_again_leaves_the_same_files_and_rows(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    first = lake.write_detections(detections(detection(1), detection(2)))
    before = [f.read_bytes() for f in first]
    assert [f.read_bytes() for f in lake.write_detections(detections(detection(1), detection(2)))] == before
    assert lake.detections().num_rows == 2


def test_a_position_in_two_overlapping_windows_counts_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write_detections(detections(detection(1), detection(2), detection(3)))
    lake.write_detections(detections(detection(2), detection(3), detection(4)))
    assert sorted(lake.detections()["offset"].to_pylist()) == [1, 2, 3, 4]


def test_the_same_alert_at_another_position_is_kept(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write_detections(detections(detection(1), detection(2, alertKey="ztf:1", sourceId="1")))
    assert lake.detections(["alertKey"])["alertKey"].to_pylist() == ["ztf:1", "ztf:1"]


def test_dead_letters_keep_their_bytes(tmp_path: Path) -> None:
    row = {"topic": "lsst", "partition": 1, "offset": 9, "publishedMs": None, "code": "ingest.empty"}
    rows = pa.Table.from_pylist([row | {"message": "no bytes", "payload": b"\x00\xff"}], schema=DEAD_LETTER)
    lake = Lake(tmp_path)
    assert lake.write_dead_letters(rows).name == "lsst-1-9-10.parquet"
    assert lake.dead_letters() == rows


def test_an_empty_lake_reads_as_empty_tables(tmp_path: Path) -> None:
    assert Lake(tmp_path).detections().schema.names == DETECTION.names
    assert Lake(tmp_path).dead_letters().num_rows == 0


def test_several_sources_share_a_window_named_by_their_positions() -> None:
    rows = detections(detection(0, topic="file-a"), detection(0, topic="file-b"))
    name = window_name(rows)
    assert name.startswith("mixed-")
    assert name == window_name(rows.take([1, 0]))
    assert name != window_name(detections(detection(0, topic="file-a"), detection(0, topic="file-c")))


def test_a_topic_cannot_name_a_file_outside_the_lake() -> None:
    with pytest.raises(LakeError, match="safe file name"):
        window_name(detections(detection(0, topic="../../etc/cron.d/x")))


def test_the_ledger_keeps_one_entry_a_batch(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write_ledger("alerts", "0", {"packets": 3})
    lake.write_ledger("alerts", "0", {"packets": 4})
    lake.write_ledger("files", "f-1", {"packets": 1})
    assert list(lake.ledger()) == [{"packets": 4}, {"packets": 1}]


def test_a_lake_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "FORMAT.json").write_text('{"kind": "lake", "version": 999}')
    with pytest.raises(FormatError, match="999"):
        Lake(tmp_path)
