"""Named reads of what people said, for the API. The invariants of `asterism.graph.reader` hold: what is about a hidden
object is hidden, too."""

from __future__ import annotations

from asterism.graph.curation.acts import Kind
from asterism.graph.reader import VISIBLE_OBJECT, StoreReader
from asterism.graph.rows import EntryRow

_SHOWN = "NOT EXISTS { (a)-[:ABOUT]->(o:Object) WHERE NOT " + VISIBLE_OBJECT + " }"
ENTRIES = f"""
MATCH (a:Annotation {{name: $name}})
WHERE a.kind = $kind AND ($owner IS NULL OR a.author = $owner) AND a.current AND a.state = 'set'
  AND ($after IS NULL OR a.key > $after) AND {_SHOWN}
WITH a ORDER BY a.key LIMIT $first
RETURN {EntryRow.projection("a")} AS entry
"""

LINKED = f"""
MATCH (o:Object {{key: $object}})-[c:CANDIDATE_FOR]->(e:Event {{key: $event}}) WHERE {VISIBLE_OBJECT}
RETURN count(c) > 0 AS linked
"""


class CurationReader(StoreReader):
    """Reads of annotations that answer users."""

    async def entries(
        self, kind: Kind, name: str, first: int, owner: str | None = None, after: str | None = None
    ) -> list[EntryRow]:
        """Return what carries a tag, or stands on a watchlist, now.

        Parameters
        ----------
        kind : Kind
            ``TAG`` or ``WATCH``.
        name : str
            The tag, or the name of the watchlist.
        first : int
            Most entries returned, by key.
        owner : str, optional
            Only those this author put there; a watchlist is its author's.
        after : str, optional
            Key of the last entry of the page before.
        """
        asked = {"kind": kind, "name": name, "owner": owner, "first": first, "after": after}
        return [EntryRow.from_values(row["entry"]) for row in await self._read(ENTRIES, asked)]

    async def linked(self, object_key: str, event_key: str) -> bool:
        """Return whether an object that may be shown is, or was, a candidate of an event."""
        rows = await self._read(LINKED, {"object": object_key, "event": event_key})
        return bool(rows and rows[0]["linked"])
