"""Plays a night: into a folder, or alerts into Kafka and notices to whoever sends them, at a chosen speed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from asterism.formats import replace_file
from asterism.progress import progress
from asterism.simulate.errors import OutputExistsError
from asterism.simulate.events import TimedNotice
from asterism.simulate.night import AlertMessage, Night
from asterism.simulate.publish import Publisher, ensure_topics
from asterism.simulate.schema_lsst import write_schemas
from asterism.simulate.stream import TOPICS
from asterism.simulate.truth import Truth

SendNotice = Callable[[TimedNotice], None]
"""Delivers one notice; called in the timeline's order, between the alerts before and after it."""

_SECONDS_PER_DAY = 86400.0


def write_night(night: Night, folder: Path) -> dict[str, Any]:
    """Write a night into a folder and return its truth.

    ``ztf/`` and ``lsst/`` hold the packets, ``notices/`` the notices, ``schemas/`` LSST's schema; ``timeline.jsonl``
    lists both in order of time. ``truth.json``, ``catalogue.parquet`` and ``objects.parquet`` are the night's own.

    Raises
    ------
    OutputExistsError
        If the folder holds something already.
    """
    _make_empty(folder)
    truth, lines = Truth(), []
    for name in (*TOPICS, "notices"):
        (folder / name).mkdir()
    with progress("writing a night", sum(night.counts().values())) as advance:
        for number, item in enumerate(night.timeline()):
            if isinstance(item, AlertMessage):
                path = Path(item.message.topic, f"{number:08}.avro")
                (folder / path).write_bytes(item.message.payload)
                truth.add(item.message.truth)
            else:
                path = Path("notices", item.name)
                (folder / path).write_bytes(item.payload)
            lines.append(json.dumps({"available_mjd_tai": item.available_mjd_tai, "file": str(path)}))
            advance()
    write_context(night, folder)
    replace_file(folder / "timeline.jsonl", ("\n".join(lines) + "\n").encode())
    return write_truth(night, truth, folder)


def publish_night(
    night: Night,
    bootstrap: str,
    send_notice: SendNotice,
    *,
    prefix: str = "",
    partitions: int = 4,
    speed: float | None = None,
) -> Truth:
    """Publish the alerts of a night and hand on its notices, and return the truth of the alerts delivered.

    Parameters
    ----------
    night : Night
        The night.
    bootstrap : str
        Kafka's bootstrap servers.
    send_notice : callable
        Delivers a notice; what it raises ends the night.
    prefix : str
        Put before the topics ``ztf`` and ``lsst``.
    partitions : int
        Partitions of a topic that is made.
    speed : float, optional
        Simulated seconds per second; as fast as possible if not given.

    Raises
    ------
    BrokerError, DeliveryError
        If Kafka does not answer, or refuses a topic or a message.
    """
    ensure_topics(bootstrap, [prefix + topic for topic in TOPICS], partitions)
    publisher = Publisher(bootstrap, prefix)
    start, origin = time.monotonic(), None
    try:
        with progress("playing a night", sum(night.counts().values())) as advance:
            for item in night.timeline():
                now = item.available_mjd_tai
                origin = origin or now
                if speed is not None:
                    publisher.pause(start + (now - origin) * _SECONDS_PER_DAY / speed)
                if isinstance(item, AlertMessage):
                    publisher.send(item.message)
                else:
                    send_notice(item)
                advance()
        publisher.flush()
    except BaseException:
        publisher.abandon()
        raise
    return publisher.delivered


def write_context(night: Night, folder: Path) -> None:
    """Write what a reader of the night needs before its first alert: catalogue and LSST schema."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(night.catalogue, folder / "catalogue.parquet")
    write_schemas(folder / "schemas", night.wire.schema_id, night.wire.schema)


def write_truth(night: Night, alerts: Truth, folder: Path) -> dict[str, Any]:
    """Write what is true of a night into a folder; return it."""
    truth = night.truth | {"alerts": alerts.as_dict()}
    replace_file(folder / "truth.json", json.dumps(truth, indent=1, allow_nan=False).encode())
    pq.write_table(night.objects, folder / "objects.parquet")
    return truth


def _make_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
