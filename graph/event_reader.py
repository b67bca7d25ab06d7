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

EVENTS = f"""
MATCH (e:Event)
WHERE e.t0MjdTai >= $mjdFrom AND e.t0MjdTai <= $mjdTo
  AND ($afterKey IS NULL OR e.t0MjdTai < $mjdTo OR e.key < $afterKey)
  AND e.standing = $standing AND ($kind IS NULL OR e.kind = $kind) AND ($state IS NULL OR e.state = $state)
WITH e ORDER BY e.t0MjdTai DESC, e.key DESC LIMIT $first
RETURN {EventRow.projection("e")} AS event
"""

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

CANDIDATES_OF_EVENTS = f"""
UNWIND range(0, size($pages) - 1) AS i
WITH i, $pages[i] AS page
MATCH (e:Event {{key: page.event_key}})
CALL (e, page) {{
  MATCH (e)<-[c:CANDIDATE_FOR]-(o:Object)
  WHERE c.ruleSet = e.ruleSet AND (c.open OR page.closed)
    AND (page.least_log_l IS NULL
         OR (c.logL >= page.least_log_l AND c.open AND c.localization = e.scoredLocalization))
    AND (page.after IS NULL OR c.logL < page.after[0]
         OR (c.logL = page.after[0]
             AND (o.key > page.after[1] OR (o.key = page.after[1] AND c.localization > page.after[2]))))
    AND {VISIBLE_OBJECT}
  WITH c, o ORDER BY c.logL DESC, o.key, c.localization LIMIT $first
  RETURN collect([{LinkRow.projection("c")}, {ObjectRow.projection("o")}]) AS candidates
}}
RETURN i, candidates
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
    """

    standing: str = "real"
    kind: str | None = None
    state: str | None = None
    mjd_from: float | None = None
    mjd_to: float | None = None


@dataclass(frozen=True, slots=True)
class CandidatePage:
    """Which links of an event are asked for: those behind a place, best first.

    Parameters
    ----------
    event_key : str
        The event.
    least_log_l : float, optional
        Only open links of the scored localization with at least this log L.
    closed : bool
        Closed links, too.
    after : (float, str, str), optional
        The last link of the page before: its log L, object and localization.
    """

    event_key: str
    least_log_l: float | None = None
    closed: bool = False
    after: tuple[float, str, str] | None = None


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
        last = _ALWAYS if search.mjd_to is None else search.mjd_to
        parameters = {
            "standing": search.standing,
            "kind": search.kind,
            "state": search.state,
            "mjdFrom": -_ALWAYS if search.mjd_from is None else search.mjd_from,
            "mjdTo": last if after is None else after[0],
            "afterKey": None if after is None else after[1],
            "first": first,
        }
        return [EventRow.from_values(row["event"]) for row in await self._read(EVENTS, parameters)]

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

    async def candidates_of_events(
        self, pages: Sequence[CandidatePage], first: int
    ) -> list[list[tuple[LinkRow, ObjectRow]]]:
        """Return up to `first` links and their objects for each page: the largest log L first, ties by object
        and localization; none of an unknown event."""
        answers: list[list[tuple[LinkRow, ObjectRow]]] = [[] for _ in pages]
        asked = [asdict(page) for page in pages]
        for row in await self._read(CANDIDATES_OF_EVENTS, {"pages": asked, "first": first}):
            answers[row["i"]] = [
                (LinkRow.from_values(link), ObjectRow.from_values(values)) for link, values in row["candidates"]
            ]
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
