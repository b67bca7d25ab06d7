"""Dead letters again: list what was refused, and read it anew after the cause is gone.

A replay decodes the kept bytes at their old positions. What can be read now goes the way of a batch (lake, graph,
ledger); what cannot stays a dead letter. A position with a detection is a dead letter no more (`Lake.dead_letters`), so
nothing is deleted, and replaying twice changes nothing. A replay that was killed after the lake and before the graph is
finished by the next.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from asterism.batches import running_batch
from asterism.graph.association.regions import latest_version
from asterism.ingest.decode import Decoded, Decoder
from asterism.ingest.hot import HotLane
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.ingest.source import INGESTED, ingested_rows
from asterism.lake import POSITION_COLUMNS, Lake, window_name
from asterism.progress import Advance
from asterism.records import DEAD_LETTER
from asterism.settings import Settings

LEDGER = "replays"
"""Name of replays in the ledger. Their entries count no packets: those were counted when they arrived."""

_POSITION = [*POSITION_COLUMNS, "publishedMs"]
_CHUNK = 250
_PREFIX = "replay-"


@dataclass(frozen=True)
class Replayed:
    """What a replay did.

    Attributes
    ----------
    tried : int
        Dead letters decoded again.
    accepted : int
        Those that are alerts now.
    refused : dict of str to int
        Those that are not, by code.
    """

    tried: int
    accepted: int
    refused: dict[str, int]

    def as_dict(self) -> dict[str, object]:
        """Return it as ``--json`` prints it."""
        return asdict(self)


def chosen(lake: Lake, code: str | None) -> pa.Table:
    """Return the dead letters of a code, of all codes if None (schema `DEAD_LETTER`), by position."""
    rows = lake.dead_letters()
    if code is not None:
        rows = rows.filter(pc.equal(rows["code"], code))
    return rows.sort_by([(column, "ascending") for column in POSITION_COLUMNS])


def replay(settings: Settings, letters: pa.Table, advance: Advance) -> Replayed:
    """Decode dead letters again and ingest those that can be read now.

    Parameters
    ----------
    settings : Settings
        Where lake and graph are, and where writer schemas come from.
    letters : pa.Table
        Schema `DEAD_LETTER`.
    advance : Advance
        Called with the number of packets tried.

    Raises
    ------
    LakeError, GraphError
        If they cannot be written; replaying again is harmless.
    """
    decoder = Decoder(SchemaSource.of(settings))
    lane, lake = HotLane(home=settings.home), Lake(settings.lake_path)
    for window in _unfinished(lake):
        _finish(lane, lake, window, latest_version(lake))
    tried, accepted, refused = 0, 0, Counter[str]()
    for batch in letters.to_batches(max_chunksize=_CHUNK):
        rows = batch.select(_POSITION).to_pylist()
        positions = [Position(r["topic"], r["partition"], r["offset"], r["publishedMs"]) for r in rows]
        decoded = decoder.decode(batch["payload"].to_pylist(), positions)
        refused.update(decoded.dead_letters["code"].to_pylist())
        tried, accepted = tried + len(positions), accepted + decoded.detections.num_rows
        if decoded.detections.num_rows:
            _ingest(lane, lake, decoded)
        advance(len(positions))
    return Replayed(tried, accepted, dict(sorted(refused.items())))


def _ingest(lane: HotLane, lake: Lake, decoded: Decoded) -> None:
    accepted = Decoded(decoded.detections, DEAD_LETTER.empty_table())
    rows = pa.Table.from_batches(ingested_rows(accepted), schema=INGESTED)
    window = _PREFIX + window_name(rows)
    with running_batch(lake, LEDGER, partial(latest_version, lake)) as version:
        lane.write_lake(rows, version, window)
        _finish(lane, lake, window, version)


def _finish(lane: HotLane, lake: Lake, window: str, version: int) -> None:
    """Bring what a replay wrote to the lake into the graph, and say so in the ledger."""
    alerts = lake.detections_of(window)
    lane.write_graph(alerts)
    name = hashlib.sha256(window.encode()).hexdigest()[:24]
    entry = {"query": LEDGER, "packets": 0, "replayed": alerts.num_rows, "windows": [window], "outcomes": []}
    lake.write_ledger(LEDGER, name, entry | {"regionVersion": version})


def _unfinished(lake: Lake) -> list[str]:
    """Return the windows of replays that were killed between lake and ledger."""
    finished = {window for entry in lake.ledger() if entry["query"] == LEDGER for window in entry["windows"]}
    return sorted(set(lake.detection_windows(_PREFIX)) - finished)
