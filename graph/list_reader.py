"""Named reads of long lists of objects, for the API: all objects, sources seen by several surveys, a sky region.

The invariants of `asterism.graph.reader` hold. Lists follow an index (keys, or ``hpx29``), so a page costs the same
wherever it is. A filter that no index answers looks at most `MAX_SCAN` nodes a page: where few pass, a page is short
and says up to which key it has looked. So no filter can make the store read its whole label at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Generic, TypeVar

from asterism.graph.reader import VISIBLE_OBJECT, StoreReader
from asterism.graph.rows import ObjectRow, SourceRow

T = TypeVar("T")

MAX_SCAN = 10_000
"""Most nodes looked at for one page of a filtered list."""

_END = "\uffff"

_PASSES = f"""{VISIBLE_OBJECT}
  AND ($s.first_from IS NULL OR o.firstMjdTai >= $s.first_from)
  AND ($s.first_to IS NULL OR o.firstMjdTai <= $s.first_to)
  AND ($s.last_from IS NULL OR o.lastMjdTai >= $s.last_from)
  AND ($s.last_to IS NULL OR o.lastMjdTai <= $s.last_to)
  AND ($s.min_detections IS NULL OR o.nDetections >= $s.min_detections)
  AND ($s.brighter_than IS NULL OR o.lastMag <= $s.brighter_than)
  AND ($s.class_name IS NULL OR EXISTS {{ MATCH (o)-[:CLASSIFIED_AS]->(k:Classification)
       WHERE k.current AND k.class = $s.class_name AND ($showNonpublic OR k.public) }})
"""

OBJECTS = f"""
CALL () {{
  MATCH (o:Object) WHERE o.key > $after AND o.key < $end
  WITH o ORDER BY o.key LIMIT $scan
  RETURN collect(o) AS scanned
}}
CALL (scanned) {{
  UNWIND scanned AS o
  WITH o WHERE {_PASSES}
  WITH o LIMIT $first
  RETURN collect({ObjectRow.projection("o")}) AS objects
}}
RETURN objects, size(scanned) AS looked, scanned[-1].key AS last
"""

COUNT_OBJECTS = f"MATCH (o:Object) WHERE o.key > $after AND o.key < $end AND {_PASSES} RETURN count(o) AS total"

SHARED_SOURCES = f"""
CALL () {{
  MATCH (s:Source) WHERE s.key > $after
  WITH s ORDER BY s.key LIMIT $scan
  RETURN collect(s) AS scanned
}}
CALL (scanned) {{
  UNWIND scanned AS s
  WITH s WHERE all(survey IN $surveys WHERE EXISTS {{ MATCH (s)<-[:SAME_AS]-(o:Object)
    WHERE o.survey = survey AND {VISIBLE_OBJECT}
      AND ($s.last_from IS NULL OR o.lastMjdTai >= $s.last_from)
      AND ($s.last_to IS NULL OR o.lastMjdTai <= $s.last_to) }})
  WITH s LIMIT $first
  RETURN collect({SourceRow.projection("s")}) AS sources
}}
RETURN sources, size(scanned) AS looked, scanned[-1].key AS last
"""

# The inner order is the index's own, the outer one that of the ranges: rows come sorted, and LIMIT ends the reading.
REGION = f"""
UNWIND $ranges AS r
CALL (r) {{
  MATCH (o:Object) WHERE o.hpx29 >= r[0] AND o.hpx29 < r[1]
    AND ($afterCell IS NULL OR o.hpx29 > $afterCell OR (o.hpx29 = $afterCell AND o.key > $afterKey))
    AND {_PASSES}
  RETURN o ORDER BY o.hpx29, o.key
}}
WITH o LIMIT $first
RETURN {ObjectRow.projection("o")} AS object
"""


@dataclass(frozen=True, slots=True)
class ObjectSearch:
    """Which objects are asked for.

    Parameters
    ----------
    survey : str, optional
        Only this survey's.
    first_from, first_to, last_from, last_to : float, optional
        Bounds of first and last detection [MJD TAI], included.
    min_detections : int, optional
        Least number of detections, by the survey's own count.
    brighter_than : float, optional
        Faintest magnitude of the latest alert [mag].
    class_name : str, optional
        Only those with a current classification of this class.
    """

    survey: str | None = None
    first_from: float | None = None
    first_to: float | None = None
    last_from: float | None = None
    last_to: float | None = None
    min_detections: int | None = None
    brighter_than: float | None = None
    class_name: str | None = None

    @property
    def filters(self) -> bool:
        """Whether there are objects that are looked at and do not pass, restricted ones aside."""
        return replace(self, survey=None) != ObjectSearch()


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A page of what passed, and how far was looked.

    Parameters
    ----------
    rows : list
        What passed, in the order of the list.
    looked_to : str, optional
        Key up to which was looked where that is not the end of the list; None where it is, or the rows tell.
    """

    rows: list[T]
    looked_to: str | None


class ListReader(StoreReader):
    """Reads of long lists that answer users."""

    async def objects(self, search: ObjectSearch, first: int, after: str | None) -> Found[ObjectRow]:
        """Return up to `first` objects by key, behind key `after`."""
        scan = MAX_SCAN if search.filters else first
        asked = {**_span(search, after), "scan": scan, "first": first}
        (row,) = await self._read(OBJECTS, asked)
        rows = [ObjectRow.from_values(values) for values in row["objects"]]
        return Found(rows, _looked_to(len(rows), first, row["looked"], scan, row["last"]))

    async def count_objects(self, search: ObjectSearch) -> int:
        """Return how many objects there are; time grows with their number and is limited."""
        (row,) = await self._read(COUNT_OBJECTS, _span(search, None))
        return int(row["total"])

    async def shared_sources(
        self, surveys: Sequence[str], search: ObjectSearch, first: int, after: str | None
    ) -> Found[SourceRow]:
        """Return up to `first` sources by key, behind key `after`, that have an object of each survey, each last
        detected within the bounds of `search`."""
        asked = {**_span(search, after), "surveys": list(surveys), "scan": MAX_SCAN, "first": first}
        (row,) = await self._read(SHARED_SOURCES, asked)
        rows = [SourceRow.from_values(values) for values in row["sources"]]
        return Found(rows, _looked_to(len(rows), first, row["looked"], MAX_SCAN, row["last"]))

    async def region(
        self, ranges: Sequence[tuple[int, int]], search: ObjectSearch, first: int, after: tuple[int, str] | None
    ) -> list[ObjectRow]:
        """Return up to `first` objects in ranges of ``hpx29`` (sorted, end exclusive), by (hpx29, key).

        Parameters
        ----------
        ranges : sequence of (int, int)
            Order-29 nested HEALPix ranges.
        search : ObjectSearch
            Filters; the survey is none of them.
        first : int
            Most objects returned.
        after : (int, str), optional
            ``hpx29`` and key of the last object of the page before.
        """
        cell, key = (None, None) if after is None else after
        left = [[low, high] for low, high in ranges if cell is None or high > cell]
        asked = {**_span(search, None), "ranges": left, "afterCell": cell, "afterKey": key, "first": first}
        return [ObjectRow.from_values(row["object"]) for row in await self._read(REGION, asked)]


def _span(search: ObjectSearch, after: str | None) -> dict[str, object]:
    """Return the parameters of a list by key; a survey is a span of keys."""
    first, end = ("", _END) if search.survey is None else (f"{search.survey}:", f"{search.survey};")
    return {"s": asdict(search), "after": max(first, after or ""), "end": end}


def _looked_to(found: int, first: int, looked: int, scan: int, last: str | None) -> str | None:
    return last if found < first and looked == scan else None
