"""Named reads of what people said: annotations of objects, events and candidates, for the API.

An annotation stands on what it is ``ABOUT``; one about a candidate stands on its object and its event and names both in
``objectKey`` and ``eventKey``. The history of vetting a candidate is what was said of that pair, whatever localization
its link had then. The invariants of `asterism.graph.reader` hold: what is said about a hidden object is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

from asterism.graph.reader import VISIBLE_OBJECT, StoreReader
from asterism.graph.rows import AnnotationRow

VETTING = "vetting"
"""Kind of an annotation that states a candidate's vetting."""

_ANNOTATIONS = f"""
  WITH n ORDER BY n.createdMjdTai DESC, n.key LIMIT $first
  RETURN collect({AnnotationRow.projection("n")}) AS annotations
"""

ANNOTATIONS_OF_OBJECTS = f"""
UNWIND $keys AS key
MATCH (o:Object {{key: key}}) WHERE {VISIBLE_OBJECT}
CALL (o) {{
  MATCH (o)<-[:ABOUT]-(n:Annotation)
{_ANNOTATIONS}
}}
RETURN key, annotations
"""

ANNOTATIONS_OF_EVENTS = f"""
UNWIND $keys AS key
MATCH (e:Event {{key: key}})
CALL (e) {{
  MATCH (e)<-[:ABOUT]-(n:Annotation)
  WHERE n.objectKey IS NULL OR EXISTS {{ MATCH (o:Object {{key: n.objectKey}}) WHERE {VISIBLE_OBJECT} }}
{_ANNOTATIONS}
}}
RETURN key, annotations
"""

ANNOTATIONS_OF_CANDIDATES = f"""
UNWIND range(0, size($pairs) - 1) AS i
WITH i, $pairs[i] AS pair
MATCH (o:Object {{key: pair[0]}}) WHERE {VISIBLE_OBJECT}
CALL (o, pair) {{
  MATCH (o)<-[:ABOUT]-(n:Annotation) WHERE n.eventKey = pair[1]
{_ANNOTATIONS}
}}
RETURN i, annotations
"""


class AnnotationReader(StoreReader):
    """Reads of annotations that answer users; always the newest first."""

    async def of_objects(self, keys: Sequence[str], first: int) -> dict[str, list[AnnotationRow]]:
        """Return up to `first` annotations about each object, or about it as a candidate."""
        return await self._of(ANNOTATIONS_OF_OBJECTS, keys, first)

    async def of_events(self, keys: Sequence[str], first: int) -> dict[str, list[AnnotationRow]]:
        """Return up to `first` annotations about each event, or about its candidates."""
        return await self._of(ANNOTATIONS_OF_EVENTS, keys, first)

    async def of_candidates(self, pairs: Sequence[tuple[str, str]], first: int) -> list[list[AnnotationRow]]:
        """Return up to `first` annotations about each pair of object and event."""
        answers: list[list[AnnotationRow]] = [[] for _ in pairs]
        asked = {"pairs": [list(pair) for pair in pairs], "first": first}
        for row in await self._read(ANNOTATIONS_OF_CANDIDATES, asked):
            answers[row["i"]] = [AnnotationRow.from_values(values) for values in row["annotations"]]
        return answers

    async def _of(self, text: str, keys: Sequence[str], first: int) -> dict[str, list[AnnotationRow]]:
        rows = await self._read(text, {"keys": list(dict.fromkeys(keys)), "first": first})
        return {row["key"]: [AnnotationRow.from_values(values) for values in row["annotations"]] for row in rows}
