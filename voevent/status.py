"""What the feeds are doing: the file the listener writes each second, and what the journal and the graph say to it.

The file is a courtesy: nothing depends on it, it is not synced to the disk, and a listener that was killed leaves its
last one behind, which is why its age and the process are looked at before it is believed. What was delivered is counted
in the journal, what was projected in the graph; a graph that does not answer makes null of that, and says so.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from asterism.errors import AsterismError, JournalError
from asterism.graph.connection import connect
from asterism.graph.notice_counts import NoticeCounts, notice_counts
from asterism.journal import Journal, Position
from asterism.settings import Settings
from asterism.voevent.intake import CHANNEL, Intake
from asterism.voevent.liveness import Feed

FILE_NAME = "status.json"
_STALE_SECONDS = 10.0


class StatusFile:
    """The file in which a listener says how its feeds are.

    Parameters
    ----------
    folder : Path
        Where it lies; made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = time.time()

    def write(self, feeds: Sequence[Feed], intake: Intake, *, running: bool = True) -> None:
        """Replace the file; raises and clears the alarms of the feeds on the way.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        states = [feed.look().as_dict() for feed in feeds]
        deliveries, last = intake.journalled()
        document = {
            "pid": os.getpid(),
            "running": running,
            "started": self._started,
            "written": time.time(),
            "feeds": states,
            "journal": {
                "deliveries": deliveries,
                "last": None if last is None else {"segment": last.segment, "offset": last.offset},
            },
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{FILE_NAME}.{os.getpid()}.tmp"
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(self._folder / FILE_NAME)


def read_status(settings: Settings) -> dict[str, Any]:
    """Return how the feeds are, what the journal holds and what the graph has of it.

    Parameters
    ----------
    settings : Settings
        Home and graph.

    Returns
    -------
    dict
        ``listening``, ``feeds``, ``journal``, ``projected``, ``unreadable``, ``unprojected`` and ``graph`` (what is
        wrong with it, or None). Unknown values are None.

    Raises
    ------
    JournalError
        If the journal is damaged.
    """
    written = _read(settings.feeds_path / FILE_NAME)
    now = time.time()
    listening = bool(written) and written["running"] and now - written["written"] < _STALE_SECONDS
    listening = listening and psutil.pid_exists(written["pid"])
    deliveries = _journalled(settings.journal_path, written.get("journal", {}))
    projected, problem = _projected(settings)
    return {
        "listening": listening,
        "pid": written["pid"] if listening else None,
        "feeds": [_feed(feed, deliveries, projected, now) for feed in written.get("feeds", ())],
        "deliveries": sum(deliveries.values()),
        "projected": None if projected is None else _known(deliveries, projected),
        "unprojected": None if projected is None else sum(deliveries.values()) - _known(deliveries, projected),
        "unreadable": None if projected is None else projected.unreadable,
        "graph": problem,
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _journalled(root: Path, counted: dict[str, Any]) -> Counter[str]:
    """Count deliveries by channel: those the listener counted, and what stands behind them in the journal."""
    if not root.is_dir():
        return Counter()
    total: Counter[str] = Counter(counted.get("deliveries", {}))
    last = None if counted.get("last") is None else Position(**counted["last"])
    try:
        for entry in Journal(root).read(last):
            if entry.position != last:
                total[entry.headers[CHANNEL]] += 1
    except JournalError:
        if last is None:
            raise
        return _journalled(root, {})  # the file speaks of another journal
    return total


def _projected(settings: Settings) -> tuple[NoticeCounts | None, str | None]:
    try:
        with connect(settings) as driver:
            return notice_counts(driver, database=settings.neo4j_database), None
    except AsterismError as error:
        return None, f"{error.code}: {error.message}"


def _known(deliveries: Counter[str], projected: NoticeCounts) -> int:
    """Return how many deliveries of the journal the graph has; it may have others, from another journal."""
    return sum(min(number, projected.deliveries.get(channel, 0)) for channel, number in deliveries.items())


def _feed(feed: dict[str, Any], deliveries: Counter[str], projected: NoticeCounts | None, now: float) -> dict[str, Any]:
    name = feed["name"]
    own = Counter({channel: n for channel, n in deliveries.items() if f"{channel}:".startswith(f"{name}:")})
    sent = feed["last_heartbeat"]
    return feed | {
        "heartbeat_age_seconds": None if sent is None else round(now - datetime.fromisoformat(sent).timestamp(), 3),
        "deliveries": sum(own.values()),
        "projected": None if projected is None else _known(own, projected),
    }
