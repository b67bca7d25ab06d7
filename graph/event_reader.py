"""Named reads of events, their notices and localizations, and the links to their candidates, for the API.

The invariants of `asterism.graph.reader` hold: hidden objects are no one's candidates, queries start at keys
or at the index of event times, and reads below a list of parents take all parents at once. Links come under
the rule set their event was last scored with. An event's numbers (how many candidates, their sum of L) count
hidden objects, too: they are the mission's and ours, not the objects'.

A page of candidates reads all links of its event and sorts them: at most 5,000 are open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from asterism.graph.reader import VISIBLE_OBJECT, StoreReader
from asterism.graph.rows import EventRow, LinkRow, LocalizationRow, NoticeRow, ObjectRow

_ALWAYS = 1.7976931348623157e308
"""A time after, and minus it before, all others."""

_EVENTS = """
MATCH (e:Event)
WHERE e.t0MjdTai >= $mjdFrom AND e.t0MjdTai <= $mjdTo
  AND ($afterKey IS NULL OR e.t0MjdTai < $mjdTo OR e.key < $afterKey)
  AND e.standing = $standing AND ($kind IS NULL OR e.kind = $kind) AND ($state IS NULL OR e.state = $state)
  AND ($maxFarHz IS NULL OR e.farHz <= $maxFarHz)
  AND ($maxArea90 IS NULL OR EXISTS {
    MATCH (l:Localization {key: e.currentLocalization}) WHERE l.area90 <= $maxArea90 })
"""

EVENTS = f"""{_EVENTS}
WITH e ORDER BY e.t0MjdTai DESC, e.key DESC LIMIT $first
RETURN {EventRow.projection("e")} AS event
"""

COUNT_EVENTS = f"{_EVENTS} RETURN count(e) AS total"

EVENTS_BY_KEY = f"""
UNWIND $keys AS key
MATCH (e:Event {{key: key}})
RETURN {EventRow.projection("e")} AS event
"""

NOTICES_OF_EVENTS = f"""
UNWIND $keys AS key
MATCH (e:Event {{key: key}})
CALL (e) {{
  MATCH (e)<-[:REPORTS]-(n:Notice)
  WITH n ORDER BY coalesce(n.issuedMjdTai, 0.0) DESC, n.key LIMIT $first
  RETURN collect({NoticeRow.projection("n")}) AS notices
}}
RETURN key, notices
"""

LOCALIZATIONS_OF_EVENTS = f"""
UNWIND $keys AS key
MATCH (e:Event {{key: key}})
CALL (e) {{
  MATCH (e)<-[:REPORTS]-(n:Notice)-[:LOCALIZES]->(l:Localization)
  WITH n, l ORDER BY coalesce(l.current, false) DESC, coalesce(n.issuedMjdTai, 0.0) DESC, l.key LIMIT $first
  RETURN collect([{LocalizationRow.projection("l")}, n.key]) AS localizations
}}
RETURN key, localizations
"""

REGION_OF_EVENT = """
MATCH (e:Event {key: $key}) MATCH (l:Localization {key: e.currentLocalization})
RETURN l.key AS key, l.record AS record
"""

_HAS_HOST = """EXISTS { MATCH (o)-[m:MATCHES|HOSTED_BY]->(g:CatalogSource)
         WHERE (type(m) = 'HOSTED_BY' OR g.class = 'galaxy') AND ($showNonpublic OR coalesce(m.public, true)) }"""

# A subquery is looked at only where its filter is asked for: beside an OR, not inside a comparison.
_CANDIDATES = f"""
  MATCH (e)<-[c:CANDIDATE_FOR]-(o:Object)
  WHERE c.ruleSet = coalesce(page.rule_set, e.ruleSet)
    AND CASE WHEN page.as_of IS NULL THEN c.open OR page.closed
        ELSE c.openedMjdTai <= page.as_of AND (c.closedMjdTai IS NULL OR c.closedMjdTai > page.as_of) END
    AND (page.least_log_l IS NULL
         OR (c.logL >= page.least_log_l AND c.open AND c.localization = e.scoredLocalization))
    AND (page.level IS NULL OR c.level <= page.level)
    AND (page.first_from IS NULL OR o.firstMjdTai >= page.first_from)
    AND (page.first_to IS NULL OR o.firstMjdTai <= page.first_to)
    AND (page.last_from IS NULL OR o.lastMjdTai >= page.last_from)
    AND (page.last_to IS NULL OR o.lastMjdTai <= page.last_to)
    AND (page.min_detections IS NULL OR c.detections >= page.min_detections)
    AND (page.max_detections IS NULL OR c.detections <= page.max_detections)
    AND (page.vetting IS NULL OR c.vetting = page.vetting)
    AND {VISIBLE_OBJECT}
    AND (page.class_name IS NULL OR EXISTS {{ MATCH (o)-[:CLASSIFIED_AS]->(k:Classification)
         WHERE k.current AND k.class = page.class_name AND ($showNonpublic OR k.public) }})
    AND (NOT page.with_host OR {_HAS_HOST}) AND (NOT page.without_host OR NOT {_HAS_HOST})
    AND (page.host IS NULL OR EXISTS {{ MATCH (o)-[m:MATCHES|HOSTED_BY]->(:CatalogSource {{key: page.host}})
         WHERE $showNonpublic OR coalesce(m.public, true) }})
"""

_PAGES = """
UNWIND range(0, size($pages) - 1) AS i
WITH i, $pages[i] AS page
MATCH (e:Event {key: page.event_key})
CALL (e, page) {
"""

CANDIDATES_OF_EVENTS = f"""{_PAGES}{_CANDIDATES}
  WITH page, c, o, CASE page.sort WHEN 'level' THEN -coalesce(c.level, 2.0)
    WHEN 'first_detection' THEN coalesce(o.firstMjdTai, -$always)
    WHEN 'last_detection' THEN coalesce(o.lastMjdTai, -$always)
    WHEN 'brightness' THEN -coalesce(o.lastMag, $always)
    ELSE CASE WHEN c.logL > -$always THEN c.logL ELSE -$always END END AS place,
    c.localization + '@' + toString(coalesce(c.openedMjdTai, 0.0)) AS belief
  WHERE page.after IS NULL OR place < page.after[0]
     OR (place = page.after[0]
         AND (o.key > page.after[1] OR (o.key = page.after[1] AND belief > page.after[2])))
  WITH c, o, place, belief ORDER BY place DESC, o.key, belief LIMIT $first
  RETURN collect([{LinkRow.projection("c")}, {ObjectRow.projection("o")}, place, belief]) AS candidates
}}
RETURN i, candidates
"""

COUNT_CANDIDATES = f"""{_PAGES}{_CANDIDATES}
  RETURN count(*) AS total
}}
RETURN i, total
"""

LINKS_BY_PLACE = f"""
UNWIND range(0, size($places) - 1) AS i
WITH i, $places[i] AS place
MATCH (o:Object {{key: place[0]}})-[c:CANDIDATE_FOR {{localization: place[2], ruleSet: place[3]}}]->
      (e:Event {{key: place[1]}})
WHERE {VISIBLE_OBJECT} AND coalesce(c.openedMjdTai, 0.0) = place[4]
RETURN i, {LinkRow.projection("c")} AS link, {ObjectRow.projection("o")} AS object, {EventRow.projection("e")} AS event
"""

LINKS_OF_OBJECTS = f"""
UNWIND $keys AS key
MATCH (o:Object {{key: key}}) WHERE {VISIBLE_OBJECT}
CALL (o) {{
  MATCH (o)-[c:CANDIDATE_FOR]->(e:Event) WHERE c.ruleSet = e.ruleSet AND (c.open OR $closed)
  WITH c, e ORDER BY e.t0MjdTai DESC, e.key DESC, c.localization LIMIT $first
  RETURN collect([{LinkRow.projection("c")}, {EventRow.projection("e")}]) AS links
}}
RETURN key, links
"""


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Which events are asked for.

    Parameters
    ----------
    standing : str
        ``real``, or ``test``, ``mock``, ``injection``, ``prediction``, ``utility``.
    kind, state : str, optional
        Only those of this kind and state.
    mjd_from, mjd_to : float, optional
        Bounds of the event's time [MJD TAI], included.
    max_far_hz : float, optional
        Largest false-alarm rate [Hz].
    max_area90 : float, optional
        Largest area of the 90 % region of the localization that holds [deg2].
    """

    standing: str = "real"
    kind: str | None = None
    state: str | None = None
    mjd_from: float | None = None
    mjd_to: float | None = None
    max_far_hz: float | None = None
    max_area90: float | None = None


@dataclass(frozen=True, slots=True)
class CandidateSearch:
    """Which candidates of an event are asked for.

    Parameters
    ----------
    closed : bool
        Closed links, too.
    rule_set : str, optional
        Rule set they were scored with; the event's last one if not given.
    as_of : float, optional
        Those believed at this time [MJD TAI], instead of now.
    level : float, optional
        Only inside this credible level of their localization.
    first_from, first_to, last_from, last_to : float, optional
        Bounds of the object's first and last detection [MJD TAI], included.
    min_detections, max_detections : int, optional
        Bounds of the detections they were scored with, included.
    vetting, class_name : str, optional
        Only of this vetting state; only objects with a current classification of this class.
    has_host : bool, optional
        Only objects with a host galaxy, or only those without.
    host : str, optional
        Only objects that match, or are hosted by, this catalogued source.
    sort : str
        ``probability``, ``level``, ``first_detection``, ``last_detection`` or ``brightness``, the best, innermost,
        newest or brightest first.
    """

    closed: bool = False
    rule_set: str | None = None
    as_of: float | None = None
    level: float | None = None
    first_from: float | None = None
    first_to: float | None = None
    last_from: float | None = None
    last_to: float | None = None
    min_detections: int | None = None
    max_detections: int | None = None
    vetting: str | None = None
    class_name: str | None = None
    has_host: bool | None = None
    host: str | None = None
    sort: str = "probability"


@dataclass(frozen=True, slots=True)
class CandidatePage:
    """Which links of an event are asked for: those behind a place.

    Parameters
    ----------
    event_key : str
        The event.
    least_log_l : float, optional
        Only open links of the scored localization with at least this log L.
    search : CandidateSearch
        Filters and order.
    after : (float, str, str), optional
        The last link of the page before: its sort value, object, and what tells it from others of its object.
    """

    event_key: str
    least_log_l: float | None = None
    search: CandidateSearch = CandidateSearch()
    after: tuple[float, str, str] | None = None

    def parameters(self) -> dict[str, object]:
        """Return what the query reads."""
        page = {"event_key": self.event_key, "least_log_l": self.least_log_l, "after": self.after}
        hosts = {"with_host": self.search.has_host is True, "without_host": self.search.has_host is False}
        return {**asdict(self.search), **hosts, **page}


Ranked = tuple[LinkRow, ObjectRow, float, str]
"""A link, its object, the value it is sorted by, and what tells it from others of its object."""


class EventReader(StoreReader):
    """Reads of events that answer users."""

    async def events(self, search: EventSearch, first: int, after: tuple[float, str] | None = None) -> list[EventRow]:
        """Return events newest first, ties by key; those whose time is unknown are found by key only.

        Parameters
        ----------
        search : EventSearch
            Which.
        first : int
            Most events returned.
        after : (float, str), optional
            Time [MJD TAI] and key of the last event of the page before.
        """
        found = await self._read(EVENTS, {**_bounds(search, after), "first": first})
        return [EventRow.from_values(row["event"]) for row in found]

    async def count_events(self, search: EventSearch) -> int:
        """Return how many events there are."""
        (row,) = await self._read(COUNT_EVENTS, _bounds(search, None))
        return int(row["total"])

    async def events_by_key(self, keys: Sequence[str]) -> dict[str, EventRow]:
        """Return the events that exist, of any standing, by key."""
        rows = await self._read(EVENTS_BY_KEY, {"keys": list(dict.fromkeys(keys))})
        found = (EventRow.from_values(row["event"]) for row in rows)
        return {row.key: row for row in found}

    async def notices_of_events(self, keys: Sequence[str], first: int) -> dict[str, list[NoticeRow]]:
        """Return up to `first` notices of each event, the last issued first."""
        rows = await self._read(NOTICES_OF_EVENTS, {"keys": list(dict.fromkeys(keys)), "first": first})
        return {row["key"]: [NoticeRow.from_values(values) for values in row["notices"]] for row in rows}

    async def localizations_of_events(
        self, keys: Sequence[str], first: int
    ) -> dict[str, list[tuple[LocalizationRow, str]]]:
        """Return up to `first` localizations of each event and the notices that gave them: the current one,
        then the last issued first."""
        rows = await self._read(LOCALIZATIONS_OF_EVENTS, {"keys": list(dict.fromkeys(keys)), "first": first})
        return {
            row["key"]: [(LocalizationRow.from_values(values), notice) for values, notice in row["localizations"]]
            for row in rows
        }

    async def region_record(self, key: str) -> tuple[str, str] | None:
        """Return key and record of the localization that holds for an event; None if there is none."""
        rows = await self._read(REGION_OF_EVENT, {"key": key})
        return (rows[0]["key"], rows[0]["record"]) if rows else None

    async def candidates_of_events(self, pages: Sequence[CandidatePage], first: int) -> list[list[Ranked]]:
        """Return up to `first` links, their objects and sort values for each page: the largest value first, ties by
        object, localization and time; none of an unknown event."""
        answers: list[list[Ranked]] = [[] for _ in pages]
        asked = {"pages": [page.parameters() for page in pages], "first": first, "always": _ALWAYS}
        for row in await self._read(CANDIDATES_OF_EVENTS, asked):
            answers[row["i"]] = [
                (LinkRow.from_values(link), ObjectRow.from_values(values), place, belief)
                for link, values, place, belief in row["candidates"]
            ]
        return answers

    async def count_candidates(self, pages: Sequence[CandidatePage]) -> list[int]:
        """Return how many links there are on each page and all those behind it."""
        totals = [0] * len(pages)
        for row in await self._read(COUNT_CANDIDATES, {"pages": [page.parameters() for page in pages]}):
            totals[row["i"]] = row["total"]
        return totals

    async def links_by_place(
        self, places: Sequence[tuple[str, str, str, str, float]]
    ) -> list[tuple[LinkRow, ObjectRow, EventRow] | None]:
        """Return the link of each (object, event, localization, rule set, time it was opened [MJD TAI]); None where
        none is to be shown."""
        answers: list[tuple[LinkRow, ObjectRow, EventRow] | None] = [None] * len(places)
        for row in await self._read(LINKS_BY_PLACE, {"places": [list(place) for place in places]}):
            answers[row["i"]] = (
                LinkRow.from_values(row["link"]),
                ObjectRow.from_values(row["object"]),
                EventRow.from_values(row["event"]),
            )
        return answers

    async def links_of_objects(
        self, keys: Sequence[str], first: int, *, closed: bool = False
    ) -> dict[str, list[tuple[LinkRow, EventRow]]]:
        """Return up to `first` links of each object and their events, the newest event first."""
        asked = {"keys": list(dict.fromkeys(keys)), "first": first, "closed": closed}
        return {
            row["key"]: [(LinkRow.from_values(link), EventRow.from_values(values)) for link, values in row["links"]]
            for row in await self._read(LINKS_OF_OBJECTS, asked)
        }


def _bounds(search: EventSearch, after: tuple[float, str] | None) -> dict[str, object]:
    last = _ALWAYS if search.mjd_to is None else search.mjd_to
    return {
        "standing": search.standing,
        "kind": search.kind,
        "state": search.state,
        "mjdFrom": -_ALWAYS if search.mjd_from is None else search.mjd_from,
        "mjdTo": last if after is None else after[0],
        "afterKey": None if after is None else after[1],
        "maxFarHz": search.max_far_hz,
        "maxArea90": search.max_area90,
    }
