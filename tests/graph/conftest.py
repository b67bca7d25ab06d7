"""Rows to write into a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from asterism.ids import make_key
from asterism.records import DETECTION
from asterism.sky.healpix import hpx29

DetectionTable = Callable[..., pa.Table]


def detection(source: int | str, object_id: int | str | None = "ZTF18abcdefg", survey: str = "ztf", **values: Any) -> dict[str, Any]:
    """Return a row of DETECTION: plausible, and every column that is not named is null."""
    row: dict[str, Any] = dict.fromkeys(DETECTION.names)
    row |= {
        "alertKey": make_key(survey, source),
        "survey": survey,
        "sourceId": str(source),
        "objectKey": None if object_id is None else make_key(survey, object_id),
        "objectId": None if object_id is None else str(object_id),
        "mjdTai": 59000.25,
        "night": 20200530,
        "ra": 150.1,
        "dec": 2.2,
        "band": "g",
        "isPositive": True,
        "flux": 3630.78,
        "mag": 22.5,
        "public": True,
        "topic": "test",
        "partition": 0,
        "offset": 0,
    }
    row |= values
    if row["hpx29"] is None:
        row["hpx29"] = int(hpx29(row["ra"], row["dec"]))
    return row


def detections(*rows: dict[str, Any]) -> pa.Table:
    """Return the rows as a table, as if delivered in this order."""
    return pa.Table.from_pylist([row | {"offset": offset} for offset, row in enumerate(rows)], schema=DETECTION)


@pytest.fixture(name="detection")
def detection_fixture() -> Callable[..., dict[str, Any]]:
    return detection


@pytest.fixture(name="detections")
def detections_fixture() -> DetectionTable:
    return detections
