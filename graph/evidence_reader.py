"""Named reads of evidence on objects, for the API: catalogued sources, hosts and classifications.

The invariants of `asterism.graph.reader` hold. Evidence made from restricted alerts has a flag of its own, ``public``,
and is demanded beside that of its object.

A host is what the graph says with ``HOSTED_BY``; where it says nothing, the matched galaxy that is the least likely
there by chance.
"""

from __future__ import annotations

from collections.abc import Sequence

from asterism.graph.reader import VISIBLE_OBJECT, StoreReader
from asterism.graph.rows import CatalogSourceRow, ClassificationRow, MatchRow, ObjectRow

_VISIBLE_MATCH = "($showNonpublic OR coalesce(m.public, true))"
_VISIBLE_CLASS = "($showNonpublic OR k.public)"

MATCHES_OF_OBJECTS = f"""
UNWIND $keys AS key
MATCH (o:Object {{key: key}}) WHERE {VISIBLE_OBJECT}
CALL (o) {{
  MATCH (o)-[m:MATCHES]->(c:CatalogSource) WHERE {_VISIBLE_MATCH}
  WITH m, c ORDER BY m.separationArcsec, c.key LIMIT $first
  RETURN collect([{MatchRow.projection("m")}, {CatalogSourceRow.projection("c")}]) AS matches
}}
RETURN key, matches
"""

HOSTS_OF_OBJECTS = f"""
UNWIND $keys AS key
MATCH (o:Object {{key: key}}) WHERE {VISIBLE_OBJECT}
CALL (o) {{
  MATCH (o)-[m:MATCHES|HOSTED_BY]->(c:CatalogSource)
  WHERE (type(m) = 'HOSTED_BY' OR c.class = 'galaxy') AND {_VISIBLE_MATCH}
  RETURN m, c ORDER BY type(m), m.pChance, m.separationArcsec, c.key LIMIT 1
}}
RETURN key, {MatchRow.projection("m")} AS match, {CatalogSourceRow.projection("c")} AS source
"""

CLASSIFICATIONS_OF_OBJECTS = f"""
UNWIND $keys AS key
MATCH (o:Object {{key: key}}) WHERE {VISIBLE_OBJECT}
CALL (o) {{
  MATCH (o)-[:CLASSIFIED_AS]->(k:Classification) WHERE (k.current OR $replaced) AND {_VISIBLE_CLASS}
  WITH k ORDER BY k.lastMjdTai DESC, k.key LIMIT $first
  RETURN collect({ClassificationRow.projection("k")}) AS classes
}}
RETURN key, classes
"""

OBJECTS_OF_CATALOG_SOURCES = f"""
UNWIND $keys AS key
MATCH (c:CatalogSource {{key: key}})
CALL (c) {{
  MATCH (c)<-[m:MATCHES]-(o:Object) WHERE {VISIBLE_OBJECT} AND {_VISIBLE_MATCH}
  WITH m, o ORDER BY m.separationArcsec, o.key LIMIT $first
  RETURN collect([{MatchRow.projection("m")}, {ObjectRow.projection("o")}]) AS objects
}}
RETURN key, objects
"""


class EvidenceReader(StoreReader):
    """Reads of evidence that answer users."""

    async def matches_of_objects(
        self, keys: Sequence[str], first: int
    ) -> dict[str, list[tuple[MatchRow, CatalogSourceRow]]]:
        """Return up to `first` catalogued sources of each object, the nearest first."""
        rows = await self._read(MATCHES_OF_OBJECTS, {"keys": list(dict.fromkeys(keys)), "first": first})
        return {
            row["key"]: [
                (MatchRow.from_values(match), CatalogSourceRow.from_values(source)) for match, source in row["matches"]
            ]
            for row in rows
        }

    async def hosts_of_objects(self, keys: Sequence[str]) -> dict[str, tuple[MatchRow, CatalogSourceRow]]:
        """Return each object's host galaxy; objects without one are left out."""
        rows = await self._read(HOSTS_OF_OBJECTS, {"keys": list(dict.fromkeys(keys))})
        return {
            row["key"]: (MatchRow.from_values(row["match"]), CatalogSourceRow.from_values(row["source"]))
            for row in rows
        }

    async def classifications_of_objects(
        self, keys: Sequence[str], first: int, *, replaced: bool
    ) -> dict[str, list[ClassificationRow]]:
        """Return up to `first` classifications of each object, that of the newest alert first.

        Parameters
        ----------
        keys : sequence of str
            Objects.
        first : int
            Most rows per object.
        replaced : bool
            Those that newer ones have replaced, too.
        """
        asked = {"keys": list(dict.fromkeys(keys)), "first": first, "replaced": replaced}
        rows = await self._read(CLASSIFICATIONS_OF_OBJECTS, asked)
        return {row["key"]: [ClassificationRow.from_values(values) for values in row["classes"]] for row in rows}

    async def objects_of_catalog_sources(
        self, keys: Sequence[str], first: int
    ) -> dict[str, list[tuple[MatchRow, ObjectRow]]]:
        """Return up to `first` objects at each catalogued source, the nearest first."""
        asked = {"keys": list(dict.fromkeys(keys)), "first": first}
        return {
            row["key"]: [
                (MatchRow.from_values(match), ObjectRow.from_values(values)) for match, values in row["objects"]
            ]
            for row in await self._read(OBJECTS_OF_CATALOG_SOURCES, asked)
        }
