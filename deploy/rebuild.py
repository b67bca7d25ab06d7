"""The graph from lake and journal alone: what to do when the database is lost, or its format moves on.

Detections are written window by window, notices from the journal, what people said from the lake's curation table;
classes and links follow from them, cross-survey sources are made by their job. Every step only adds what is missing,
so a rebuild that was killed is run again, and one beside a running application does no harm. What only the graph knew,
the validity of links closed in the past, is not in lake or journal: the current state is the same (``asterism graph
digest --current``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from neo4j import Driver

from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
from asterism.graph.connection import connect
from asterism.graph.curation.replay import replay_acts
from asterism.graph.schema import initialise
from asterism.ingest.hot import HotLane
from asterism.ingest.science import Classifier
from asterism.journal import Journal
from asterism.lake import Lake
from asterism.progress import Advance
from asterism.settings import Settings
from asterism.voevent.project import Delivery, maps_folder, project


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
    started = time.monotonic()
    with connect(settings) as driver:
        initialise(driver, settings.neo4j_database)
        detections = _write_detections(settings, advance)
        done = project(
            _counted(Journal(settings.journal_path), advance),
            driver,
            database=settings.neo4j_database,
            maps=maps_folder(settings),
        )
        acts = replay_acts(settings, driver)
        classified, judged = _follow(settings, driver)
    elapsed = round(time.monotonic() - started, 3)
    return Rebuilt(detections, done.read, len(done.events), classified, judged, acts, elapsed)


def _write_detections(settings: Settings, advance: Advance) -> int:
    lake, lane, total = Lake(settings.lake_path), HotLane(home=settings.home), 0
    for window in lake.detection_windows():
        rows = lake.detections_of(window)
        lane.write_graph(rows)
        total += rows.num_rows
        advance(rows.num_rows)
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
