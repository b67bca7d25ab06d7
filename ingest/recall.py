"""One packet back from the raw archive, with everything the hot lane left unread: history, cutouts, every other field.

The lake knows where an alert was delivered (topic, partition, offset), the archive is searched by that position.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from asterism.formats import replace_file
from asterism.ids import split_key
from asterism.ingest.archive import read_packets
from asterism.ingest.errors import ArchiveError, PacketNotFoundError
from asterism.ingest.packets import Position
from asterism.lake import POSITION_COLUMNS, Lake

_GZIP_MAGIC = b"\x1f\x8b"
_EXACT = 2**53


@dataclass(frozen=True)
class Packet:
    """A packet as delivered, and where it was."""

    position: Position
    payload: bytes


def recall(lake: Lake, archive: Path, alert_key: str) -> Packet:
    """Return the packet of an alert; of several deliveries the first by topic, partition and offset.

    Parameters
    ----------
    lake : Lake
        Says where the alert was delivered.
    archive : Path
        Folder of the raw archive.
    alert_key : str
        ``survey:sourceId``.

    Raises
    ------
    IdError
        If `alert_key` is no key.
    PacketNotFoundError
        If the lake does not know the alert.
    ArchiveError
        If the archive does not hold what the lake says it received.
    """
    survey, _ = split_key(alert_key)
    where = (ds.field("survey") == survey) & (ds.field("alertKey") == alert_key)
    found = lake.detections([*POSITION_COLUMNS, "publishedMs"], where).to_pylist()
    if not found:
        raise PacketNotFoundError(f"no alert {alert_key} in the lake")
    position = min(Position(row["topic"], row["partition"], row["offset"], row["publishedMs"]) for row in found)
    topic, partition, offset, _ = position
    for _, payload in read_packets(archive, topic, partition, offset, offset + 1):
        return Packet(position, payload)
    raise ArchiveError(
        f"{alert_key} was delivered at {topic}/{partition}/{offset}, which the archive does not hold",
        hint="archive files may have been deleted; Kafka may still hold the offset",
    )


def stamps(record: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each image a decoded packet carries.

    An image is a top-level field that holds bytes (LSST), or a record with a member that does (ZTF).
    """
    for name, value in record.items():
        inner = value.values() if isinstance(value, Mapping) else (value,)
        yield from ((name, item) for item in inner if isinstance(item, bytes) and item)


def write_stamps(record: Mapping[str, Any], folder: Path, stem: str) -> list[Path]:
    """Write a packet's images as they are, ``<stem>_<field>.fits`` or ``.fits.gz``; return the files.

    Raises
    ------
    ArchiveError
        If they cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in stamps(record):
            suffix = ".fits.gz" if content.startswith(_GZIP_MAGIC) else ".fits"
            path = folder / f"{stem}_{name}{suffix}"
            replace_file(path, content)
            written.append(path)
    except OSError as error:
        raise ArchiveError(f"{folder} cannot be written: {error}", hint="give another folder to --cutouts") from error
    return written


def write_raw(path: Path, payload: bytes) -> None:
    """Write a packet as it was delivered.

    Raises
    ------
    ArchiveError
        If it cannot be written.
    """
    try:
        replace_file(path, payload)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error}", hint="give another file to --raw") from error


def as_document(value: Any) -> Any:
    """Return a decoded value as JSON can carry it.

    Bytes become their number, what is not finite null, an integer beyond 2**53 (an identifier) its decimal string.
    """
    if isinstance(value, Mapping):
        return {str(name): as_document(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_document(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    return value
