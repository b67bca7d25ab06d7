"""The one writer of candidate and coincidence links: back-searches regions, re-scores events, misses no pair.

Each round:

1. the events of the graph become the region set; a change publishes a new version, and changed events are *dirty*;
   so are events whose coincidences with others changed;
2. finished batches (the lake's ledger) name the delivery windows whose alerts lie in regions: their events are dirty;
3. dirty events are judged from all the graph holds, and their links written absolutely;
4. an event that changed with version v stays *unsettled* until no batch that began before v is running, and is then
   judged once more: what such a batch wrote was never tested against the new region.

Judging is a function of graph and lake, so a round may be repeated or killed anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from neo4j import Driver, Session

from asterism.batches import older_batch_runs
from asterism.graph.association.associate import Verdict, judge
from asterism.graph.association.background import lake_objects, measure_background
from asterism.graph.association.candidates import region_objects
from asterism.graph.association.coincidence import find_coincidences, with_partners
from asterism.graph.association.coincidence_links import write_coincidences
from asterism.graph.association.events import ActiveEvent, EventBook
from asterism.graph.association.hosts import lake_hosts
from asterism.graph.association.links import close_links, write_verdict
from asterism.graph.association.observed import Observed
from asterism.graph.association.regions import REGION_MATCHES, publish_regions
from asterism.graph.association.rules import RuleSet
from asterism.graph.association.sample import ObjectSample, with_hosts
from asterism.lake import Lake
from asterism.ledger import LedgerTail
from asterism.logs import get_logger
from asterism.settings import Settings
from asterism.times import now_mjd_tai

_log = get_logger("graph.association")

Identity = tuple[str, float, tuple[tuple[str, str], ...]]
"""What a verdict on an event rests on beside alerts: its localization, its time, its partners' localizations."""


@dataclass(frozen=True, eq=False)
class LakeSky:
    """What one round takes from the lake: objects that pass the cuts, what was observed, distances of hosts [Mpc]."""

    objects: ObjectSample
    observed: Observed
    hosts: dict[str, float]

    @classmethod
    def of(cls, lake: Lake, rules: RuleSet) -> LakeSky:
        """Read the lake."""
        hosts = lake_hosts(lake)
        return cls(with_hosts(lake_objects(lake, rules), hosts), Observed.of(lake), hosts)


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
    _known: dict[str, Identity] = field(default_factory=dict, init=False)
    _overlaps: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    _dirty: set[str] = field(default_factory=set, init=False)
    _unsettled: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.lake = Lake(self.settings.lake_path)
        self.tail = LedgerTail(self.lake)
        self.book = EventBook(self.settings.lake_path / "maps", self.rules)

    def round(self) -> list[Verdict]:
        """Do one round; return the verdicts written. What an error left undone stays dirty for the next one."""
        verdicts = []
        self._dirty |= self._touched_events()
        with self.driver.session(database=self.settings.neo4j_database) as session:
            events = self.book.read(session)
            regions = publish_regions(self.lake, [self.book.region(event) for event in events])
            close_links(session, [event.key for event in events], now_mjd_tai())
            events = self._with_partners(session, events)
            self._mark(events, regions.version)
            sky = LakeSky.of(self.lake, self.rules) if self._dirty else None
            for event in events:
                if sky is not None and event.key in self._dirty:
                    verdict = self._judge(session, event, sky)
                    written = write_verdict(session, verdict, now_mjd_tai())
                    self._dirty.discard(event.key)
                    _log.info("event judged", event_key=event.key, candidates=written, region_version=regions.version)
                    verdicts.append(verdict)
        return verdicts

    @property
    def settled(self) -> bool:
        """No event waits for a batch that began before its region was known."""
        return not self._unsettled

    def _mark(self, events: list[ActiveEvent], version: int) -> None:
        """Mark as dirty what changed, and once more what waited for older batches that are done now."""
        active = {event.key for event in events}
        self._known = {key: identity for key, identity in self._known.items() if key in active}
        for event in events:
            partners = tuple((partner.key, partner.localization_key) for partner in event.partners)
            identity = (event.localization_key, event.t0, partners)
            if self._known.get(event.key) != identity:
                self._known[event.key] = identity
                self._dirty.add(event.key)
                if self.wait_for_batches:
                    self._unsettled[event.key] = version
        done = {key for key, since in self._unsettled.items() if not older_batch_runs(self.lake, since)}
        for key in done:
            del self._unsettled[key]
        self._dirty = (self._dirty | done) & active

    def _with_partners(self, session: Session, events: list[ActiveEvent]) -> list[ActiveEvent]:
        """Write which events coincide; return the events with their partners."""
        if self.rules.coincidence is None:
            return events
        pairs = find_coincidences(events, self.rules.coincidence, self._overlaps)
        write_coincidences(session, pairs, self.rules.name, now_mjd_tai())
        partners = with_partners(events, pairs)
        return [replace(event, partners=partners[event.key]) for event in events]

    def _judge(self, session: Session, event: ActiveEvent, sky: LakeSky) -> Verdict:
        region = self.book.region(event)
        background = measure_background(sky.objects, sky.observed, region, self.rules)
        catalogued = [one.name for one in self.rules.kinds[event.kind].catalogued]
        shown = self.settings.show_nonpublic
        found = region_objects(session, region, self.rules.cuts, catalogued, show_nonpublic=shown)
        return judge(event, region, with_hosts(found, sky.hosts), background, self.rules)

    def _touched_events(self) -> set[str]:
        """Return the events in whose regions batches that finished since the last round found alerts."""
        touched: set[str] = set()
        for window in self.tail.new_windows():
            rows = self.lake.side_table(REGION_MATCHES, window, ["eventKey"])
            touched.update([] if rows is None else rows["eventKey"].unique().to_pylist())
        return touched
