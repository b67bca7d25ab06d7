"""The ledger: which batches finished, with what, and following it.

A finished batch writes ``ledger/<query>/<batch>.json``, as the last thing it does. Compaction puts the files that are
there into one, ``compact~<hash>.jsonl``, a line a batch. It appears before they go: whoever looks at files first and at
compact ones afterwards meets every batch. Where several hold one batch, its own file counts, else the newest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asterism.formats import replace_file

_COMPACT = "compact~*.jsonl"


@dataclass(frozen=True)
class FinishedBatch:
    """A line of the ledger.

    Attributes
    ----------
    path : str
        The batch's own file, whether it is still there or not.
    inode : int
        That file's inode: a batch that is repeated gets another one.
    finished_ns : int
        When it finished, Unix time [ns].
    entry : dict
        What it wrote of itself.
    """

    path: str
    inode: int
    finished_ns: int
    entry: dict[str, Any]


def write_batch(folder: Path, batch: str, entry: dict[str, Any]) -> None:
    """Record one finished batch in a query's folder; the same batch again replaces its entry."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{batch}.json", json.dumps(entry, sort_keys=True, allow_nan=False).encode())


def finished_batches(root: Path) -> Iterator[FinishedBatch]:
    """Yield every finished batch once, also beside a compaction: those with a file of their own first, by name."""
    seen = set()
    for path in sorted(root.glob("*/*.json")):
        if (own := _read(path)) is not None:
            seen.add(own.path)
            yield own
    for path in sorted(root.glob(f"*/{_COMPACT}"), key=lambda path: (-path.stat().st_mtime_ns, path)):
        for batch in _lines(path):
            if batch.path not in seen:
                seen.add(batch.path)
                yield batch


def compact_batches(folder: Path) -> None:
    """Put the files of one query into one more compact file; earlier ones stay as they are."""
    found = [batch for path in sorted(folder.glob("*.json")) if (batch := _read(path)) is not None]
    if len(found) < 2:
        return
    lines = [
        {"batch": Path(b.path).stem, "inode": b.inode, "finishedNs": b.finished_ns, "entry": b.entry} for b in found
    ]
    content = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines).encode()
    replace_file(folder / f"compact~{hashlib.sha256(content).hexdigest()[:24]}.jsonl", content)
    for batch in found:
        own = Path(batch.path)
        with suppress(FileNotFoundError):
            if own.stat().st_ino == batch.inode:  # not repeated meanwhile
                own.unlink()


def _read(path: Path) -> FinishedBatch | None:
    """Read a batch's own file; None if compaction has just taken it."""
    try:
        with path.open(encoding="utf-8") as stream:
            found = os.fstat(stream.fileno())
            return FinishedBatch(str(path), found.st_ino, found.st_mtime_ns, json.loads(stream.read()))
    except FileNotFoundError:
        return None


def _lines(path: Path) -> Iterator[FinishedBatch]:
    with path.open(encoding="utf-8") as stream:
        for text in stream:
            line = json.loads(text)
            own = f"{path.parent}/{line['batch']}.json"
            yield FinishedBatch(own, line["inode"], line["finishedNs"], line["entry"])


class LedgerTail:
    """Names the delivery windows of batches that finished, or were repeated, since the last call.

    At first those of all: whoever begins by reading the lake whole lets them be (`skip`), for window by window it takes
    hours where there are many nights. A ledger grows by a file a batch, and is looked at in every round: names and
    inodes, which a listing has, tell which files are new without touching the others.

    Parameters
    ----------
    root : Path
        Folder of the ledger.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[str, int] = {}
        self._compact: set[str] = set()

    def new_windows(self) -> Iterator[str]:
        """Yield the windows; a batch counts as seen once all of its windows were taken."""
        for path, inode in self._new_files():
            if (batch := _read(Path(path))) is not None:
                yield from batch.entry["windows"]
                self._seen[path] = inode
        for path in self._new_compact():
            known = list(_lines(Path(path)))
            for batch in known:
                if self._seen.get(batch.path) != batch.inode:
                    yield from batch.entry["windows"]
            for batch in known:
                if not Path(batch.path).exists():
                    self._seen.pop(batch.path, None)
            self._compact.add(path)

    def skip(self) -> None:
        """Take everything that is there as seen."""
        self._seen.update(self._new_files())
        self._compact.update(self._new_compact())

    def _new_files(self) -> list[tuple[str, int]]:
        """Return path and inode of the files that are not the ones seen, oldest first."""
        found = []
        for folder in os.scandir(self._root) if self._root.is_dir() else ():
            for file in os.scandir(folder.path):
                if file.name.endswith(".json") and self._seen.get(file.path) != file.inode():
                    with suppress(FileNotFoundError):  # compaction has just taken it
                        found.append((file.stat().st_mtime_ns, file.path, file.inode()))
        return [(path, inode) for _, path, inode in sorted(found)]

    def _new_compact(self) -> list[str]:
        return sorted({str(path) for path in self._root.glob(f"*/{_COMPACT}")} - self._compact)
