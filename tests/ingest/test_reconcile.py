"""The balance counts each delivery once and notices what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from asterism.ingest.reconcile import packets_received, reconcile
from asterism.lake import Lake
from asterism.records import DEAD_LETTER, DETECTION


def outcome(start: int, end: int, packets: int | None = None, **values: Any) -> dict[str, Any]:
    row = {"topic": "t", "partition": 0, "survey": "ztf", "night": 1, "code": None, "start": start, "end": end}
    return row | {"packets": end - start if packets is None else packets} | values


def ledger(lake: Lake, *batches: list[dict[str, Any]]) -> None:
    for number, outcomes in enumerate(batches):
        lake.write_ledger("alerts", str(number), {"outcomes": outcomes})


def test_windows_that_follow_each_other_add_up(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    ledger(lake, [outcome(0, 10)], [outcome(10, 15)], [outcome(0, 3, partition=1)])
    assert packets_received(lake) == 18


def test_offsets_covered_twice_count_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    ledger(lake, [outcome(0, 10)], [outcome(0, 10)], [outcome(5, 12)], [outcome(2, 4)])
    assert packets_received(lake) == 12


def test_a_window_of_alerts_and_dead_letters_is_one_window(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    ledger(lake, [outcome(0, 9, 8), outcome(3, 4, 1, code="ingest.empty", survey=None, night=None)])
    assert packets_received(lake) == 9


def test_offsets_that_hold_no_packet_are_not_counted(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    ledger(lake, [outcome(0, 100, 60)])
    assert packets_received(lake) == 60


def test_a_packet_that_left_no_trace_breaks_the_balance(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    row = dict.fromkeys(DETECTION.names) | {"alertKey": "ztf:1", "survey": "ztf", "sourceId": "1", "night": 1}
    row |= {"mjdTai": 1.0, "ra": 1.0, "dec": 1.0, "hpx29": 1, "public": True, "topic": "t", "partition": 0, "offset": 0}
    lake.write_detections(pa.Table.from_pylist([row, row | {"offset": 1}], schema=DETECTION))
    letter = {"topic": "t", "partition": 0, "offset": 2, "publishedMs": None, "code": "ingest.empty", "message": ""}
    lake.write_dead_letters(pa.Table.from_pylist([letter | {"payload": b""}], schema=DEAD_LETTER))
    ledger(lake, [outcome(0, 3)])
    balance = reconcile(lake, 1)
    assert (balance.packets_in, balance.alerts, balance.duplicates, balance.dead_letters) == (3, 1, 1, 1)
    assert balance.reconciled
    assert not reconcile(lake, 0).reconciled, "the graph lacks an alert"
    ledger(lake, [outcome(0, 3)], [outcome(3, 4)])
    assert not reconcile(lake, 1).reconciled, "offset 3 was received and is nowhere"
    assert "NOT RECONCILED" in reconcile(lake, 1).as_text()
