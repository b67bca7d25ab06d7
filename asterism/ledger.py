"""Following the ledger: which batches finished since one last looked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from asterism.lake import Lake


class LedgerTail:
    """Names the delivery windows of batches that finished, or were repeated, since the last call.

    At first those of all: whoever begins by reading the lake whole lets them be (`skip`), for window by window it takes
    hours where there are many nights.

    A ledger grows by a file a batch, and is looked at in every round: names and inodes, which a listing has, tell which
    files are new without touching the others. A batch that is repeated replaces its file, hence its inode.

    Parameters
    ----------
    lake : Lake
        Whose ledger is followed.
    """

    def __init__(self, lake: Lake) -> None:
        self._folder = lake.root / "ledger"
        self._seen: dict[str, int] = {}

    def new_windows(self) -> Iterator[str]:
        """Yield the windows; a batch counts as seen once all of its windows were taken."""
        for path, inode in self._new_files():
            yield from json.loads(Path(path).read_text(encoding="utf-8"))["windows"]
            self._seen[path] = inode

    def skip(self) -> None:
        """Take everything that is there as seen."""
        self._seen.update(self._new_files())

    def _new_files(self) -> list[tuple[str, int]]:
        """Return path and inode of the files that are not the ones seen, oldest first."""
        folders = os.scandir(self._folder) if self._folder.is_dir() else ()
        files = (file for folder in folders for file in os.scandir(folder.path) if file.name.endswith(".json"))
        new = (file for file in files if self._seen.get(file.path) != file.inode())
        found = sorted((file.stat().st_mtime_ns, file.path, file.inode()) for file in new)
        return [(path, inode) for _, path, inode in found]
