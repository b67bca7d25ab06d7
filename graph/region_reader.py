"""Named reads of the stored regions, for exports."""

from __future__ import annotations

from asterism.graph.reader import StoreReader

REGION_OF_EVENT = """
MATCH (e:Event {key: $event})
MATCH (l:Localization {key: e.currentLocalization})
RETURN l.key AS key, l.record AS record
"""

REGION = "MATCH (l:Localization {key: $localization}) RETURN l.key AS key, l.record AS record"


class RegionReader(StoreReader):
    """Reads of localizations as they are stored."""

    async def region(self, event: str | None, localization: str | None) -> tuple[str, str] | None:
        """Return key and record of the localization that holds for an event, or of the one named; None without one."""
        if event is not None:
            rows = await self._read(REGION_OF_EVENT, {"event": event})
        else:
            rows = await self._read(REGION, {"localization": localization})
        return (rows[0]["key"], rows[0]["record"]) if rows and rows[0]["record"] else None
