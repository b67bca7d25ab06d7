"""Alerts, and small catalogues in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asterism.records import DETECTION
from asterism.sky.healpix import hpx29

Positions = Sequence[tuple[float, float]]


def make_positions(places: Positions) -> pa.Table:
    """Return alerts at the places [deg], numbered from 0, with the columns of positions."""
    rows = [
        {
            "objectKey": f"ztf:o{n}",
            "alertKey": f"ztf:{n}",
            "mjdTai": 60000.0 + n,
            "public": True,
            "ra": ra,
            "dec": dec,
            "hpx29": int(hpx29(ra, dec)),
        }
        for n, (ra, dec) in enumerate(places)
    ]
    names = ("objectKey", "alertKey", "mjdTai", "public", "ra", "dec", "hpx29")
    return pa.Table.from_pylist(rows, schema=pa.schema([DETECTION.field(name) for name in names]))


@pytest.fixture
def positions() -> Callable[[Positions], pa.Table]:
    """Make alerts: ``positions([(ra, dec), ...])``."""
    return make_positions


@pytest.fixture
def catalogue(tmp_path: Path) -> Callable[..., Path]:
    """Write a catalogue: ``catalogue([(ra, dec), ...], cls="star", name="test", **columns)``."""

    def write(places: Positions, cls: str | list[str] = "star", name: str = "test", **columns: Any) -> Path:
        size = len(places)
        values = {
            "catalogue": [name] * size,
            "release": ["dr1"] * size,
            "id": [f"s{n}" for n in range(size)],
            "ra": [ra for ra, _ in places],
            "dec": [dec for _, dec in places],
            "class": [cls] * size if isinstance(cls, str) else cls,
        }
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table(values | columns), path)
        return path

    return write
