"""Batches in flight: which region version each running micro-batch tests its alerts against.

A back-search for region version v is complete only when no batch is running that began with an older version: such a
batch may still add objects that it did not test. The order of steps makes that exact. A batch first says that it runs,
*then* looks up the newest version, then says which one it took. So whoever sees no older batch after v was published
knows that every later batch uses v or newer.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from asterism.formats import replace_file
from asterism.lake import Lake

UNKNOWN = -1
"""Version of a batch that runs but has not said which version it took: older than all."""


@contextmanager
def running_batch(lake: Lake, query: str, newest_version: Callable[[], int]) -> Iterator[int]:
    """Hold a batch in the list of running ones while the block runs, also through an error: it will be run again.

    Parameters
    ----------
    lake : Lake
        Where the list is kept.
    query : str
        Name of the query; it runs one batch at a time.
    newest_version : callable
        Looks up the newest region version.

    Yields
    ------
    int
        The version this batch uses.
    """
    path = _folder(lake) / f"{query}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    _announce(path, UNKNOWN)
    version = newest_version()
    _announce(path, version)
    yield version
    path.unlink(missing_ok=True)


def older_batch_runs(lake: Lake, version: int) -> bool:
    """Tell whether a batch is running that uses a region version before `version`.

    The batch of a dead process of this host does not count: it either never runs again, or begins anew with the newest
    version.
    """
    for path in _folder(lake).glob("*.json"):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        dead = entry["host"] == socket.gethostname() and not _alive(entry["pid"], entry["started"])
        if not dead and entry["version"] < version:
            return True
    return False


def _folder(lake: Lake) -> Path:
    return lake.root / "running"


def _announce(path: Path, version: int) -> None:
    me = psutil.Process()
    entry = {"version": version, "host": socket.gethostname(), "pid": os.getpid(), "started": me.create_time()}
    replace_file(path, json.dumps(entry).encode())


def _alive(pid: int, started: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        return False
