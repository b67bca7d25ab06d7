"""One hash over the lake's tables: two lakes hold the same exactly if their digests are equal.

The sum, modulo 2**256, of a SHA-256 per table and row, so that neither the order of rows nor how they were cut into
batches and files plays a part. A delivery counts once however many windows hold it, and so does a derived row. Tables
that tell how the batches ran, and not what they received, stand in ``digest_exclusions.toml`` with the reason.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from importlib.resources import files

import pyarrow as pa

from asterism.graph.digest import EXCLUSIONS_FILE, MODULUS, Digest, canonical
from asterism.lake import Lake

_ROWS = 10_000


def lake_exclusions() -> dict[str, str]:
    """Return the tables that are not looked at, and why."""
    text = files("asterism.graph").joinpath(EXCLUSIONS_FILE).read_text(encoding="utf-8")
    return {entry["table"]: entry["reason"] for entry in tomllib.loads(text).get("lake", [])}


def lake_digest(lake: Lake) -> Digest:
    """Hash the detections, the packets that are still refused, and what was derived from them.

    Parameters
    ----------
    lake : Lake
        At rest; under writers the digest is that of no moment.

    Returns
    -------
    Digest
        Rows per table stand in `Digest.nodes`.

    Raises
    ------
    LakeError
        If a table cannot be read.
    """
    total, counts = 0, {}
    for name, rows in _tables(lake):
        total = (total + _sum(name, rows)) % MODULUS
        counts[name] = rows.num_rows
    return Digest(f"{total:064x}", counts, {})


def _tables(lake: Lake) -> Iterator[tuple[str, pa.Table]]:
    yield "dead_letters", lake.dead_letters()
    yield "detections", lake.detections()
    for name in sorted(set(lake.side_tables()) - lake_exclusions().keys()):
        rows = lake.side_rows(name)
        yield name, rows.group_by(rows.column_names).aggregate([])


def _sum(table: str, rows: pa.Table) -> int:
    names, total = sorted(rows.column_names), 0
    for batch in rows.select(names).to_batches(max_chunksize=_ROWS):
        for row in batch.to_pylist():
            known = {name: value for name, value in row.items() if value is not None}
            total += int.from_bytes(hashlib.sha256(canonical([table, known])).digest(), "big")
    return total
