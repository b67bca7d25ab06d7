"""The graph from lake and journal alone: what to do when the database is lost, or its format moves on.

Detections are created in bulk where the graph holds none, else merged window by window; notices come from the journal,
what people said from the lake's curation table; classes and links follow from them, cross-survey sources are made by
their job, and the hot window is swept as it was. Every step only adds what is missing, so a rebuild that was killed is
run again, and one beside a running application does no harm. What only the graph knew, the validity of links closed in
the past, is not in lake or journal: the current state is the same (``asterism graph digest --current``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pyarrow as pa
from neo4j import Driver

from asterism import hotwindow
from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
from asterism.graph.bulk import create_detections, holds_detections
from asterism.graph.connection import connect
from asterism.graph.curation.replay import replay_acts
from asterism.graph.enrichment import write_matches
from asterism.graph.errors import GraphQueryError
from asterism.graph.runs import REBUILD, begin_run, end_run, new_run
from asterism.graph.schema import initialise
from asterism.graph.sweep import sweep_before
from asterism.ingest.hot import HotLane
from asterism.ingest.science import Classifier, catalogue_matches
from asterism.journal import Journal
from asterism.lake import Lake
from asterism.logs import get_logger
from asterism.progress import Advance
from asterism.settings import Settings
from asterism.voevent.project import Delivery, maps_folder, project

_AT_ONCE = 50_000
_log = get_logger("deploy.rebuild")


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild wrote.

    Attributes
    ----------
    detections : int
        Rows of the lake.
    notices, events : int
        Deliveries of the journal, and the events they tell of.
    classified : int
        Objects classified.
    judged : int
        Events whose candidates were judged.
    acts : int
        Vettings, comments, tags and watches.
    seconds : float
        Time taken [s].
    """

    detections: int
    notices: int
    events: int
    classified: int
    judged: int
    acts: int
    seconds: float

    def as_dict(self) -> dict[str, float]:
        """Return it as ``--json`` prints it."""
        return asdict(self)


def rebuild(settings: Settings, advance: Advance) -> Rebuilt:
    """Write everything that lake and journal hold into the graph.

    Parameters
    ----------
    settings : Settings
        Lake, journal and graph.
    advance : Advance
        Called with the number of detections and notices finished.

    Raises
    ------
    LakeError, JournalError, GraphError
        If one of them fails; running again goes on.
    """
    started, run = time.monotonic(), new_run()
    with connect(settings) as driver, driver.session(database=settings.neo4j_database) as session:
        initialise(driver, settings.neo4j_database)
        begin_run(session, run, REBUILD)
        detections = _write_detections(settings, driver, advance)
        done = project(
            _counted(Journal(settings.journal_path), advance),
            driver,
            database=settings.neo4j_database,
            maps=maps_folder(settings),
        )
        acts = replay_acts(settings, driver)
        classified, judged = _follow(settings, driver)
        night = hotwindow.first_night(Lake(settings.lake_path))
        if night is not None:
            sweep_before(driver, night, database=settings.neo4j_database)
        end_run(session, run)
    elapsed = round(time.monotonic() - started, 3)
    return Rebuilt(detections, done.read, len(done.events), classified, judged, acts, elapsed)


def _write_detections(settings: Settings, driver: Driver, advance: Advance) -> int:
    if not holds_detections(driver, database=settings.neo4j_database):
        try:
            return _create_detections(settings, driver, advance)
        except GraphQueryError as error:
            _log.info("somebody else writes the graph, merging instead", reason=error.message)
    lake, lane, total = Lake(settings.lake_path), HotLane(home=settings.home), 0
    for rows in _portions(lake):
        lane.write_graph(rows)
        total += rows.num_rows
        advance(rows.num_rows)
    return total


def _portions(lake: Lake) -> Iterator[pa.Table]:
    """Yield the lake's detections night by night, at most `_AT_ONCE` at a time."""
    for table in lake.by_night():
        for start in range(0, table.num_rows, _AT_ONCE):
            yield table.slice(start, _AT_ONCE)


def _create_detections(settings: Settings, driver: Driver, advance: Advance) -> int:
    """Write the lake's detections into a graph without any, night by night."""
    lake, database = Lake(settings.lake_path), settings.neo4j_database
    total = create_detections(driver, lake.by_night, database=database, advance=advance)
    if settings.catalogues:
        for rows in _portions(lake):
            matches = catalogue_matches(settings, rows)
            if matches is not None:
                write_matches(driver, matches, database=database)
    return total


def _counted(journal: Journal, advance: Advance) -> Iterator[Delivery]:
    for entry in journal.read():
        yield Delivery.of(entry)
        advance(1)


def _follow(settings: Settings, driver: Driver) -> tuple[int, int]:
    """Do the work that follows the stream until there is none left; return the objects and the events it concerned."""
    classifier, associator = Classifier(driver, settings), Associator(driver, settings, load_rules())
    classified, judged = classifier.round(), associator.round()
    return classified, len(judged)
