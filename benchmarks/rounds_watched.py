"""How old the links of an installation are: the time since the follower last finished a round in which it judged."""

from __future__ import annotations

import threading
from typing import Any

from neo4j import ManagedTransaction

from asterism.graph.connection import connect, read
from asterism.graph.runs import ASSOCIATE
from asterism.settings import Settings
from asterism.times import now_mjd_tai

_SECONDS = 5.0
_NEWEST = "MATCH (r:Run {kind: $kind}) RETURN max(r.endedMjdTai) AS ended"


class RoundsWatched:
    """Looks every five seconds while its block runs.

    Parameters
    ----------
    settings : Settings
        Where the graph is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ages: list[float] = []
        """Seconds since the end of the newest round, in order."""

    def __enter__(self) -> RoundsWatched:
        """Look from now on."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Look no longer."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with connect(self._settings) as driver, driver.session(database=self._settings.neo4j_database) as session:
            while not self._stop.wait(_SECONDS):
                ended = read(session, _newest)
                if ended is not None:
                    self.ages.append(86400.0 * (now_mjd_tai() - ended))


def _newest(tx: ManagedTransaction) -> Any:
    return tx.run(_NEWEST, kind=ASSOCIATE).single(strict=True)["ended"]
