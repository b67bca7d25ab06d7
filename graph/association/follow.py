"""The one writer of candidate and coincidence links: searches new regions, re-scores touched events, misses no pair.

Each round:

1. the events of the graph become the region set; a change publishes a new version, and what changed, or
   coincides with what did, is *dirty*;
2. finished batches (the lake's ledger) name the delivery windows whose alerts lie in regions: their events are dirty;
3. dirty events are judged from all that graph and lake hold, and their links written absolutely: changed events first,
   then the others, those judged longest ago first, until the time for re-scores is used up or there is news. Where one
   event changed the next may be under way: re-scores then wait for another round, but no longer than `REST_SECONDS`;
4. an event that changed with version v stays *unsettled* until no batch that began before v is running, and is then
   judged once more: what such a batch wrote was never tested against the new region;
5. when nothing is dirty, events that were judged against an older state of the lake are judged anew: what is unrelated
   to them has changed. So whoever followed the stream and whoever begins at its end come to the same links.

Judging is a function of graph and lake, so a round may be repeated or killed anywhere.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile

from neo4j import Driver, Session

from asterism.batches import older_batch_runs
from asterism.graph.association.associate import Verdict
from asterism.graph.association.coincidence import find_coincidences, with_partners
from asterism.graph.association.coincidence_links import write_coincidences
from asterism.graph.association.events import ActiveEvent, EventBook, Identity
from asterism.graph.association.history import ScoreLog
from asterism.graph.association.judge_now import judge_now
from asterism.graph.association.lakesky import LakeSky
from asterism.graph.association.links import close_links, write_verdict
from asterism.graph.association.regions import REGION_MATCHES, publish_regions
from asterism.graph.association.rules import RuleSet
from asterism.graph.runs import ASSOCIATE, begin_run, end_run, new_run
from asterism.lake import Lake
from asterism.ledger import LedgerTail
from asterism.logs import get_logger
from asterism.settings import Settings
from asterism.times import now_mjd_tai

REST_SECONDS = 60.0
"""Longest time without a re-score while events keep changing [s]."""

_log = get_logger("graph.association")


@dataclass
class Associator:
    """Keeps the candidate links of all events up to date.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    settings : Settings
        Database, lake, visibility.
    rules : RuleSet
        The rule set in force.
    wait_for_batches : bool
        Steps 4 and 5 above; switched off only to show that pairs are then missed.
    rescore_seconds : float
        Time for re-scores in one round [s]; changed events are judged whatever the time.
    stop : threading.Event
        Ends a round before the next event; what is left is done in the next round, or by the next process.
    """

    driver: Driver
    settings: Settings
    rules: RuleSet
    wait_for_batches: bool = True
    rescore_seconds: float = math.inf
    stop: threading.Event = field(default_factory=threading.Event)
    _known: dict[str, object] = field(default_factory=dict, init=False)
    _changed: set[str] = field(default_factory=set, init=False)
    _dirty: set[str] = field(default_factory=set, init=False)
    _unsettled: dict[str, int] = field(default_factory=dict, init=False)
    _overlaps: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    _judged: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)
    _windows: list[str] = field(default_factory=list, init=False)
    _count: int = field(default=0, init=False)
    _rescored: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        self.lake = Lake(self.settings.lake_path)
        self.tail = LedgerTail(self.lake.ledger_root)
        self.tail.skip()  # the first round reads the lake whole, and every event is new to it
        self.book = EventBook(self.settings.lake_path / "maps", self.rules)
        self.sky = LakeSky(self.lake, self.rules)
        self.run = new_run()
        self.log = ScoreLog(self.lake, self.run)

    def round(self) -> list[Verdict]:
        """Do one round; return the verdicts written. What an error left undone stays dirty for the next one.

        Where events are waited for, news that came meanwhile is dealt with at once, in a second pass.
        """
        verdicts = self._pass()
        return verdicts + self._pass() if self._hurried and self.news() else verdicts

    def _pass(self) -> list[Verdict]:
        self._take_windows()
        self.sky.update(self._windows)  # whether there are events or not: the first must not wait for the whole lake
        self._windows.clear()
        with self.driver.session(database=self.settings.neo4j_database) as session:
            events = self.book.read(session)
            regions = publish_regions(self.lake, [self.book.region(event) for event in events])
            close_links(session, [event.key for event in events], now_mjd_tai())
            events = self._with_partners(session, events)
            self._mark(events, regions.version)
            if not (self._changed or self._dirty) and not self._stale(events):
                return []
            begin_run(session, self.run, ASSOCIATE)
            turn = takewhile(lambda _: not self.stop.is_set(), self._turn(events))
            verdicts = [self._judge(session, event) for event in turn]
            end_run(session, self.run)
            return [verdict for verdict in verdicts if verdict is not None]

    def news(self) -> bool:
        """Tell whether an event was announced, changed or retracted since the last round; cheap."""
        with self.driver.session(database=self.settings.neo4j_database) as session:
            return self.book.has_news(session)

    @property
    def settled(self) -> bool:
        """No event waits for a batch that began before its region was known."""
        return not self._unsettled

    def _turn(self, events: list[ActiveEvent]) -> Iterator[ActiveEvent]:
        """Yield the events to judge in this round: changed ones, then others until the time is used up."""
        known = {event.key: event for event in events}
        changed = sorted(self._changed & known.keys())
        for key in changed:
            yield known[key]
        started = time.monotonic()
        if self._hurried and changed and started - self._rescored < REST_SECONDS:
            return
        waiting = (self._dirty or self._stale(events)) & known.keys()
        for key in sorted(waiting, key=lambda key: (self._judged.get(key, (0, 0)), key)):
            yield known[key]
            if time.monotonic() - started > self.rescore_seconds or (self._hurried and self.news()):
                return

    def _stale(self, events: list[ActiveEvent]) -> set[str]:
        """Return the events that were judged against an older state of the lake."""
        if not self.wait_for_batches:
            return set()
        return {e.key for e in events if self._judged.get(e.key, (0, -1))[1] < self.sky.version}

    def _mark(self, events: list[ActiveEvent], version: int) -> None:
        """Mark as dirty what changed, and once more what waited for older batches that are done now."""
        active = {event.key for event in events}
        for event in events:
            if self._known.get(event.key) != _rests_on(event):
                self._changed.add(event.key)
                if self.wait_for_batches:
                    self._unsettled[event.key] = version
        self._known = {event.key: _rests_on(event) for event in events}
        done = {key for key, since in self._unsettled.items() if not older_batch_runs(self.lake, since)}
        for key in done:
            del self._unsettled[key]
        self._dirty = (self._dirty | done) & active
        self._changed &= active

    def _with_partners(self, session: Session, events: list[ActiveEvent]) -> list[ActiveEvent]:
        """Write which events coincide; return the events with their partners."""
        if self.rules.coincidence is None:
            return events
        pairs = find_coincidences(events, self.rules.coincidence, self._overlaps)
        write_coincidences(session, pairs, self.rules.name, now_mjd_tai())
        partners = with_partners(events, pairs)
        return [replace(event, partners=partners[event.key]) for event in events]

    @property
    def _hurried(self) -> bool:
        """A round may leave re-scores to the next one."""
        return self.rescore_seconds < math.inf

    def _judge(self, session: Session, event: ActiveEvent) -> Verdict | None:
        """Judge an event and write what was found; a re-score that news overtakes is left to another round."""
        rescored = event.key not in self._changed
        way = self._make_way if rescored else lambda: None
        region = self.book.region(event)
        try:
            verdict, misses = judge_now(session, event, region, self.sky, self.rules, self.settings, way)
            way()
        except _Overtaken:
            return None
        now = now_mjd_tai()
        self.log.add(verdict, now)
        if rescored:
            self._rescored = time.monotonic()
        written = write_verdict(session, verdict, now, misses, self.run)
        self._changed.discard(event.key)
        self._dirty.discard(event.key)
        self._count += 1
        self._judged[event.key] = (self._count, self.sky.version)
        _log.info("event judged", event_key=event.key, candidates=written)
        return verdict

    def _make_way(self) -> None:
        """Raise `_Overtaken` where a re-score should be given up for news; never if none was finished for long."""
        if self._hurried and time.monotonic() - self._rescored < 2.0 * REST_SECONDS and self.news():
            raise _Overtaken

    def _take_windows(self) -> None:
        """Take the windows of batches that finished since the last round, and the events in whose regions they found
        alerts."""
        for window in self.tail.new_windows():
            rows = self.lake.side_table(REGION_MATCHES, window, ["eventKey"])
            self._dirty.update([] if rows is None else rows["eventKey"].unique().to_pylist())
            self._windows.append(window)


class _Overtaken(Exception):  # noqa: N818 - no error: the event is judged in another round
    """There is news that does not wait for a re-score."""


def _rests_on(event: ActiveEvent) -> tuple[Identity, tuple[tuple[str, str], ...]]:
    """Return what a verdict on an event rests on beside alerts."""
    return event.identity, tuple((partner.key, partner.localization_key) for partner in event.partners)
