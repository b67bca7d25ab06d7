"""The one writer of candidate links: back-searches new regions, re-scores touched events, misses no pair.

Each round:

1. the events of the graph become the region set; a change publishes a new version, and changed events are *dirty*;
2. finished batches (the lake's ledger) name the delivery windows whose alerts lie in regions: their events are dirty;
3. dirty events are judged from all the graph holds, and their links written absolutely;
4. an event that changed with version v stays *unsettled* until no batch that began before v is running, and is then
   judged once more: what such a batch wrote was never tested against the new region.

Judging is a function of graph and lake, so a round may be repeated or killed anywhere.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

from neo4j import Driver

from asterism.batches import older_batch_runs
from asterism.graph.association.associate import Verdict, judge
from asterism.graph.association.background import lake_objects, measure_background, observed_cells
from asterism.graph.association.candidates import region_objects
from asterism.graph.association.events import ActiveEvent, active_events
from asterism.graph.association.links import close_links, write_verdict
from asterism.graph.association.regions import REGION_MATCHES, RegionSet, publish_regions
from asterism.graph.association.rules import RuleSet
from asterism.lake import Lake
from asterism.logs import get_logger
from asterism.settings import Settings
from asterism.times import now_mjd_tai

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
        Step 4 above; switched off only to show that pairs are then missed.
    """

    driver: Driver
    settings: Settings
    rules: RuleSet
    wait_for_batches: bool = True
    _seen: set[tuple[str, int]] = field(default_factory=set, init=False)
    _known: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)
    _unsettled: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.lake = Lake(self.settings.lake_path)

    def round(self) -> list[Verdict]:
        """Do one round; return the verdicts written."""
        touched = self._touched_events()
        with self.driver.session(database=self.settings.neo4j_database) as session:
            events = active_events(session, self.settings.lake_path / "maps", tuple(self.rules.kinds))
            regions = publish_regions(self.lake, [event.region(self.rules) for event in events])
            close_links(session, [event.key for event in events], now_mjd_tai())
            dirty = [event for event in events if self._is_dirty(event, regions, touched)]
            verdicts = self._judge(dirty, regions) if dirty else []
            for verdict in verdicts:
                open_now = write_verdict(session, verdict, now_mjd_tai())
                _log.info(
                    "event judged", event_key=verdict.event.key, candidates=open_now, region_version=regions.version
                )
        self._known = {event.key: (event.localization_key, event.t0) for event in events}
        return verdicts

    def follow(self, stop: threading.Event, pause_s: float = 1.0) -> None:
        """Do rounds until `stop` is set, pausing after those that found nothing to do."""
        while not stop.is_set():
            if not self.round():
                stop.wait(pause_s)

    @property
    def settled(self) -> bool:
        """No event waits for a batch that began before its region was known."""
        return not self._unsettled

    def _is_dirty(self, event: ActiveEvent, regions: RegionSet, touched: set[str]) -> bool:
        if self._known.get(event.key) != (event.localization_key, event.t0):
            self._unsettled[event.key] = regions.version
            return True
        version = self._unsettled.get(event.key)
        if version is not None and not (self.wait_for_batches and older_batch_runs(self.lake, version)):
            del self._unsettled[event.key]
            return self.wait_for_batches
        return event.key in touched

    def _judge(self, events: list[ActiveEvent], regions: RegionSet) -> list[Verdict]:
        objects, observed = lake_objects(self.lake, self.rules), observed_cells(self.lake)
        by_key = {region.event_key: region for region in regions.regions}
        verdicts = []
        with self.driver.session(database=self.settings.neo4j_database) as session:
            for event in events:
                region = by_key[event.key]
                background = measure_background(objects, observed, region, self.rules)
                found = region_objects(session, region, self.rules.cuts, show_nonpublic=self.settings.show_nonpublic)
                verdicts.append(judge(event, region, found, background, self.rules))
        return verdicts

    def _touched_events(self) -> set[str]:
        """Return the events in whose regions batches that finished since the last round found alerts."""
        touched: set[str] = set()
        for path, written in self.lake.ledger_files():
            if (path.name, written) not in self._seen:
                self._seen.add((path.name, written))
                for window in json.loads(path.read_text(encoding="utf-8"))["windows"]:
                    rows = self.lake.side_table(REGION_MATCHES, window, ["eventKey"])
                    touched.update([] if rows is None else rows["eventKey"].unique().to_pylist())
        return touched


def associate_once(driver: Driver, settings: Settings, rules: RuleSet) -> list[Verdict]:
    """Judge every active event from all that graph and lake hold now."""
    return Associator(driver, settings, rules).round()
