"""Named reads of ``COINCIDENT_WITH``, the links between events that may be one, for the API.

The invariants of `asterism.graph.reader` hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asterism.graph.reader import StoreReader
from asterism.graph.rows import CoincidenceRow, EventRow

_COINCIDENCE = (
    f"[{CoincidenceRow.projection('c')}, {EventRow.projection('startNode(c)')}, {EventRow.projection('endNode(c)')}]"
)

COINCIDENCES_OF_EVENTS = f"""
UNWIND $keys AS key
MATCH (e:Event {{key: key}})
CALL (e) {{
  MATCH (e)-[c:COINCIDENT_WITH]-(x:Event) WHERE c.open OR $closed
  WITH c, x ORDER BY c.logOdds DESC, x.key, c.openedMjdTai LIMIT $first
  RETURN collect({_COINCIDENCE}) AS coincidences
}}
RETURN key, coincidences
"""

COINCIDENCES_BY_PLACE = f"""
UNWIND range(0, size($places) - 1) AS i
WITH i, $places[i] AS place
MATCH (:Event {{key: place[0]}})-[c:COINCIDENT_WITH {{firstLocalization: place[2], secondLocalization: place[3],
       ruleSet: place[4]}}]->(:Event {{key: place[1]}})
RETURN i, {_COINCIDENCE} AS coincidence
"""

Coincident = tuple[CoincidenceRow, EventRow, EventRow]
"""A coincidence and its two events, in the direction of the link."""


class CoincidenceReader(StoreReader):
    """Reads of coincidences that answer users."""

    async def of_events(self, keys: Sequence[str], first: int, *, closed: bool) -> dict[str, list[Coincident]]:
        """Return up to `first` links of each event to others, the largest odds first."""
        asked = {"keys": list(dict.fromkeys(keys)), "first": first, "closed": closed}
        rows = await self._read(COINCIDENCES_OF_EVENTS, asked)
        return {row["key"]: [_coincident(values) for values in row["coincidences"]] for row in rows}

    async def by_place(self, places: Sequence[tuple[str, str, str, str, str]]) -> list[Coincident | None]:
        """Return the link of each (event, event, localization, localization, rule set); None where there is none."""
        answers: list[Coincident | None] = [None] * len(places)
        for row in await self._read(COINCIDENCES_BY_PLACE, {"places": [list(place) for place in places]}):
            answers[row["i"]] = _coincident(row["coincidence"])
        return answers


def _coincident(values: Sequence[Any]) -> Coincident:
    link, first, second = values
    return CoincidenceRow.from_values(link), EventRow.from_values(first), EventRow.from_values(second)
