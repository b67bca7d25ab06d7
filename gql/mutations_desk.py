"""Where mutations are recorded: in the lake first, then in the graph.

An act that is in the lake and not in the graph, because the server died or the graph was away, gets there without
anybody's doing: `Desk.keep_up` writes all of the lake's acts when the server starts, and goes on trying what failed.
Until then whoever asked hears that the act is recorded and not yet shown.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from anyio import to_thread
from neo4j import Driver

from asterism.errors import AsterismError
from asterism.gql.errors import ActPendingError, IdempotencyError
from asterism.graph.connection import connect
from asterism.graph.curation.acts import Act
from asterism.graph.curation.log import TABLE, CurationLog
from asterism.graph.curation.write import write_acts
from asterism.graph.errors import GraphError
from asterism.logs import get_logger
from asterism.metrics import ACTS, ACTS_PENDING
from asterism.settings import Settings

RETRY_SECONDS = 5.0
"""Pause before what the graph did not take is tried again [s]."""

_log = get_logger("gql.mutations")


class Desk:
    """Records acts.

    Parameters
    ----------
    settings : Settings
        Lake and graph. Both are opened when they are first needed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._driver: Driver | None = None
        self._curation: CurationLog | None = None
        self._pending: dict[str, Act] = {}

    async def record(self, act: Act) -> Act:
        """Return an act once it is on the disk and in the graph; the first one of its id.

        Raises
        ------
        IdempotencyError
            If the act of its id has other content.
        ActPendingError
            If the graph does not take it now.
        LakeError
            If the disk does not take it; then nothing was done.
        """
        return await to_thread.run_sync(self._record, act)

    async def keep_up(self) -> None:
        """Bring all acts of the lake into the graph, then those that fail while serving; never returns."""
        started = False
        while True:
            try:
                if not started:
                    count = await to_thread.run_sync(self._replay)
                    started = True
                    _log.info("acts of the lake are in the graph", acts=count)
                elif self._pending:
                    await to_thread.run_sync(self._write_pending)
            except AsterismError as error:
                _log.warning("acts wait for the graph", code=error.code, pending=len(self._pending))
            await asyncio.sleep(RETRY_SECONDS)

    def close(self) -> None:
        """Close the connection to the graph."""
        with self._mutex:
            if self._driver is not None:
                self._driver.close()
                self._driver = None

    def _record(self, act: Act) -> Act:
        kept = self._opened_log().append(act)
        if not kept.same_as(act):
            raise IdempotencyError(f"the idempotency key was used before, for a {kept.kind} with other content")
        with self._counted():
            self._pending[kept.id] = kept
        try:
            self._write_pending()
        except GraphError as error:
            _log.warning("act waits for the graph", code=error.code, act=kept.id)
            raise ActPendingError("it is recorded, and will be shown when the graph answers again") from error
        ACTS.labels(kept.kind).inc()
        return kept

    def _write_pending(self) -> None:
        with self._mutex:
            waiting = list(self._pending.values())
        write_acts(self._opened_driver(), waiting, database=self._settings.neo4j_database)
        with self._counted():
            for act in waiting:
                self._pending.pop(act.id, None)

    def _replay(self) -> int:
        if not (self._settings.lake_path / TABLE).is_dir():
            return 0
        acts = self._opened_log().acts()
        write_acts(self._opened_driver(), acts, database=self._settings.neo4j_database)
        return len(acts)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._mutex:
            yield
            ACTS_PENDING.set(len(self._pending))

    def _opened_log(self) -> CurationLog:
        with self._mutex:
            if self._curation is None:
                self._curation = CurationLog(self._settings.lake_path)
            return self._curation

    def _opened_driver(self) -> Driver:
        with self._mutex:
            if self._driver is None:
                self._driver = connect(self._settings)
            return self._driver
