"""Following the ledger: which batches finished since one last looked."""

from __future__ import annotations

import json
from collections.abc import Iterator

from asterism.lake import Lake


class LedgerTail:
    """Names the delivery windows of batches that finished, or were repeated, since the last call; of all at first.

    Parameters
    ----------
    lake : Lake
        Whose ledger is followed.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._seen: set[tuple[str, int]] = set()

    def new_windows(self) -> Iterator[str]:
        """Yield the windows; a batch counts as seen once all of its windows were taken."""
        for path, written in self._lake.ledger_files():
            if (path.name, written) not in self._seen:
                yield from json.loads(path.read_text(encoding="utf-8"))["windows"]
                self._seen.add((path.name, written))
