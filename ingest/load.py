"""Files to lake and graph by the code of the streaming path, without Spark: for a laptop with one tarball."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import pyarrow as pa

from asterism.batches import running_batch
from asterism.formats import ensure_format
from asterism.graph.association.regions import latest_version
from asterism.ingest.archive import ArchiveWriter
from asterism.ingest.decode import Decoder
from asterism.ingest.files import iter_packets
from asterism.ingest.hot import OUTCOME, SHUFFLED, HotLane, alerts_of, outcomes_of
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.ingest.source import INGESTED, ingested_rows
from asterism.lake import Lake, window_name
from asterism.progress import Advance
from asterism.settings import Settings

LEDGER = "files"
_CHUNK = 1000

Packet = tuple[Position, bytes]


def load_files(settings: Settings, paths: Sequence[Path], advance: Advance) -> pa.Table:
    """Read packets from files, folders and archives into archive, lake and graph.

    Parameters
    ----------
    settings : Settings
        Where lake and graph are, where schemas of framed packets come from.
    paths : sequence of Path
        Avro files, folders of them, ZTF public ``.tar.gz`` archives.
    advance : Advance
        Called with the number of packets finished.

    Returns
    -------
    pyarrow.Table
        What became of the packets (schema `asterism.ingest.hot.OUTCOME`).
    """
    ensure_format(settings.archive_path, "archive")
    decoder = Decoder(SchemaSource.of(settings))
    lane = HotLane(home=settings.home)
    outcomes = []
    lake = Lake(settings.lake_path)
    for chunk in _chunks(iter_packets(paths)):
        started = time.monotonic()
        _archive(settings.archive_path, chunk)
        decoded = decoder.decode([payload for _, payload in chunk], [position for position, _ in chunk])
        rows = pa.Table.from_batches(ingested_rows(decoded), schema=INGESTED)
        with running_batch(lake, LEDGER, partial(latest_version, lake)) as version:
            window = window_name(rows)
            lane.write_lake(rows, version, window)
            passed_on = rows.select(SHUFFLED.names).cast(SHUFFLED)
            lane.write_graph(alerts_of(passed_on))
            outcomes.append(outcomes_of(passed_on))
            lane.record(outcomes[-1], [window], version, LEDGER, time.monotonic() - started)
        advance(len(chunk))
    return pa.concat_tables([OUTCOME.empty_table(), *outcomes])


def _chunks(packets: Iterator[Packet]) -> Iterator[list[Packet]]:
    while chunk := list(islice(packets, _CHUNK)):
        yield chunk


def _archive(root: Path, chunk: list[Packet]) -> None:
    for (topic, partition), group in groupby(chunk, key=lambda packet: packet[0][:2]):
        packets = list(group)
        with ArchiveWriter(root, topic, partition, packets[0][0].offset, packets[-1][0].offset + 1) as archive:
            archive.append([position for position, _ in packets], [payload for _, payload in packets])
