"""Sweeping the hot window: alerts of old nights leave the graph, objects and evidence stay.

The lake keeps every alert; the graph keeps those of about thirty nights, so that it does not grow without bound. Kept
whatever their age are the alerts of objects that are or were a candidate of an event, or are classified: they are the
evidence. No count depends on what is swept, for counts come from the survey or from the lake. Where the window begins
is written to the lake first, so that books balance also if the sweep is killed; sweeping again goes on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from neo4j import Driver, ManagedTransaction

from asterism import hotwindow
from asterism.graph.connection import mapped_errors, write
from asterism.lake import Lake

HOT_NIGHTS = 30
"""Nights kept; longer than any event's window for a new transient."""

_LATEST_NIGHT_ENDS = 1.0
"""A night ends at most this many days after 0 h of the date that names it [d], Rubin's at 12 h of the next."""

_SWEEP = """
MATCH (a:Alert) WHERE a.night < $night
  AND NOT EXISTS { (a)<-[:HAS_ALERT]-(:Object)-[:CANDIDATE_FOR|CLASSIFIED_AS]->() }
CALL (a) { DETACH DELETE a } IN TRANSACTIONS OF 5000 ROWS
"""

_MARK = """
MERGE (w:Asterism {key: 'hot-window'}) SET w.firstNight = $night, w.fromMjdTai = $mjd
"""


@dataclass(frozen=True)
class Swept:
    """What a sweep did.

    Attributes
    ----------
    first_night : int or None
        First night of the hot window, YYYYMMDD; None if the lake holds no night.
    alerts : int
        Alerts that left the graph.
    """

    first_night: int | None
    alerts: int

    def as_dict(self) -> dict[str, int | None]:
        """Return it as ``--json`` prints it."""
        return asdict(self)


def sweep(driver: Driver, lake: Lake, *, database: str, nights: int = HOT_NIGHTS) -> Swept:
    """Move the hot window up to the newest night of the lake, never back, and take older alerts from the graph.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    lake : Lake
        Holds the alerts; remembers where the window begins.
    database : str
        Name of the database.
    nights : int
        Length of the window.

    Raises
    ------
    GraphError
        If Neo4j does not do it; sweeping again goes on.
    """
    newest, known = lake.newest_night(), hotwindow.first_night(lake)
    if newest is None:
        return Swept(known, 0)
    night = max(hotwindow.nights_before(newest, nights - 1), known or 0)
    hotwindow.begin(lake, night)
    return sweep_before(driver, night, database=database)


def sweep_before(driver: Driver, night: int, *, database: str) -> Swept:
    """Take alerts of the nights before one (YYYYMMDD) from the graph."""
    with driver.session(database=database) as session:
        write(session, _mark, night)
        with mapped_errors("sweeping the graph"):
            counters = session.run(_SWEEP, night=night).consume().counters
    return Swept(night, counters.nodes_deleted)


def _mark(tx: ManagedTransaction, night: int) -> None:
    tx.run(_MARK, night=night, mjd=hotwindow.mjd_of(night) + _LATEST_NIGHT_ENDS).consume()
