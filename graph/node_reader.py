"""Named reads of single nodes by label and key, for ``node(id)``; many keys of a label take one query.

Visibility is demanded of what carries it and, for what does not, of the object it stands on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from asterism.graph.reader import VISIBLE_OBJECT, StoreReader
from asterism.graph.rows import (
    AlertRow,
    AnnotationRow,
    CatalogSourceRow,
    ClassificationRow,
    LocalizationRow,
    NoticeRow,
    RunRow,
    SourceRow,
    _Row,
)

R = TypeVar("R", bound=_Row)

_ALWAYS = "true"
_OWN_FLAG = "($showNonpublic OR n.public)"
_OF_VISIBLE_OBJECTS = f"NOT EXISTS {{ MATCH (n)-[:ABOUT]->(o:Object) WHERE NOT {VISIBLE_OBJECT} }}"

LABELS: dict[str, tuple[type[_Row], str]] = {
    "Alert": (AlertRow, _OWN_FLAG),
    "Annotation": (AnnotationRow, _OF_VISIBLE_OBJECTS),
    "CatalogSource": (CatalogSourceRow, _ALWAYS),
    "Classification": (ClassificationRow, _OWN_FLAG),
    "Localization": (LocalizationRow, _ALWAYS),
    "Notice": (NoticeRow, _ALWAYS),
    "Run": (RunRow, _ALWAYS),
    "Source": (SourceRow, _ALWAYS),
}
"""Row and condition of visibility of every label that is read here."""

NODES_BY_KEY = {
    label: f"UNWIND $keys AS key MATCH (n:{label} {{key: key}}) WHERE {visible} RETURN {row.projection('n')} AS node"
    for label, (row, visible) in LABELS.items()
}


class NodeReader(StoreReader):
    """Reads of single nodes that answer users."""

    async def by_key(self, kind: type[R], keys: Sequence[str]) -> dict[str, R]:
        """Return the nodes that exist and may be shown, by key.

        Parameters
        ----------
        kind : type
            One of the rows of `LABELS`.
        keys : sequence of str
            Their keys.
        """
        label = next(label for label, (row, _) in LABELS.items() if row is kind)
        records = await self._read(NODES_BY_KEY[label], {"keys": list(dict.fromkeys(keys))})
        found = (kind.from_values(record["node"]) for record in records)
        return {row.key: row for row in found}  # type: ignore[attr-defined]
