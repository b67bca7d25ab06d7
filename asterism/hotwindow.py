"""The hot window: the nights whose alerts the graph still holds.

Alerts of older nights are swept from the graph (`asterism.graph.sweep`) and stay in the lake. Where the window begins
stands in the lake, for a graph made anew must begin there too. No window means that nothing was ever swept.
"""

from __future__ import annotations

import json
from datetime import date, timedelta

from asterism.formats import replace_file
from asterism.lake import Lake

_FILE = "hot_window.json"


def first_night(lake: Lake) -> int | None:
    """Return the first night (YYYYMMDD) of the hot window; None where nothing was ever swept."""
    try:
        return int(json.loads((lake.root / _FILE).read_text(encoding="utf-8"))["firstNight"])
    except FileNotFoundError:
        return None


def begin(lake: Lake, night: int) -> None:
    """Let the hot window begin with a night (YYYYMMDD)."""
    replace_file(lake.root / _FILE, json.dumps({"firstNight": night}).encode())


def nights_before(night: int, count: int) -> int:
    """Return the night (YYYYMMDD) that many nights before another."""
    return int(f"{_date(night) - timedelta(days=count):%Y%m%d}")


def mjd_of(night: int) -> float:
    """Return MJD at 0 h of the date that names a night (YYYYMMDD)."""
    return float((_date(night) - date(1858, 11, 17)).days)


def _date(night: int) -> date:
    return date(night // 10000, night // 100 % 100, night % 100)
