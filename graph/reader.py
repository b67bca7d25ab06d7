"""Named reads of the graph, for the API: every Cypher text that answers a user stands here and, for events,
in `asterism.graph.event_reader`.

Invariants:

- **Visibility.** Each query that returns alerts or objects demands ``public = true`` of every one of them,
  unless the reader was made to show non-public data. Whoever reads through these classes cannot forget it.
- **Anchored.** Queries start from keys or from ranges of ``hpx29``; none scans a label for a user's argument.
- **Batched.** Reads below a list of parents take all parents at once (one ``UNWIND``).
- Ids and cursors are strings and exact floats; what the store cannot say is None.

Reads run in READ transactions with a time limit on the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neo4j import (
    AsyncDriver,
    AsyncGraphDatabase,
    NotificationDisabledClassification,
    Query,
    Record,
    RoutingControl,
)
from neo4j.exceptions import ConfigurationError

from asterism.errors import SettingsError
from asterism.graph.connection import CONNECT_SECONDS, mapped_errors
from asterism.graph.rows import AlertRow, ObjectRow, SourceRow, SurveyCount
from asterism.settings import Settings
from asterism.sky.cone import cone_ranges

QUERY_SECONDS = 10.0
"""Time the server gives one read [s]."""
RETRY_SECONDS = 5.0
"""How long a read is repeated after lost connections [s]; a user is waiting."""

VISIBLE_OBJECT = "($showNonpublic OR o.public)"
"""What every query demands of an object ``o``."""
_VISIBLE_ALERT = "($showNonpublic OR a.public)"

OBJECTS_BY_KEY = f"""
UNWIND $keys AS key
MATCH (o:Object {{key: key}}) WHERE {VISIBLE_OBJECT}
RETURN {ObjectRow.projection("o")} AS object
"""

ALERTS_OF_OBJECTS = f"""
UNWIND range(0, size($pages) - 1) AS i
WITH i, $pages[i] AS page
MATCH (o:Object {{key: page[0]}}) WHERE {VISIBLE_OBJECT}
CALL (o, page) {{
  MATCH (o)-[:HAS_ALERT]->(a:Alert)
  WHERE {_VISIBLE_ALERT}
    AND (page[1] IS NULL OR a.mjdTai < page[1] OR (a.mjdTai = page[1] AND a.key < page[2]))
  WITH a ORDER BY a.mjdTai DESC, a.key DESC LIMIT $first
  RETURN collect({AlertRow.projection("a")}) AS alerts
}}
RETURN i, alerts
"""

COUNT_ALERTS = f"""
UNWIND $keys AS key
MATCH (o:Object {{key: key}}) WHERE {VISIBLE_OBJECT}
CALL (o) {{ MATCH (o)-[:HAS_ALERT]->(a:Alert) WHERE {_VISIBLE_ALERT} RETURN count(a) AS total }}
RETURN key, total
"""

SOURCES_OF_OBJECTS = f"""
UNWIND $keys AS key
MATCH (o:Object {{key: key}}) WHERE {VISIBLE_OBJECT}
CALL (o) {{
  MATCH (o)-[same:SAME_AS]->(s:Source)
  RETURN {SourceRow.projection("s")} AS source, same.separationArcsec AS separation
}}
RETURN key, source, separation
"""

OBJECTS_OF_SOURCES = f"""
UNWIND $keys AS key
MATCH (s:Source {{key: key}})
CALL (s) {{
  MATCH (s)<-[same:SAME_AS]-(o:Object) WHERE {VISIBLE_OBJECT}
  WITH o, same ORDER BY o.key LIMIT $first
  RETURN collect([{ObjectRow.projection("o")}, same.separationArcsec]) AS members
}}
RETURN key, members
"""

# Not Cypher's haversin(): it is computed as (1 - cos x) / 2, which loses everything below some 3 mas.
_CONE = f"""
UNWIND $ranges AS r
MATCH (o:Object) WHERE o.hpx29 >= r[0] AND o.hpx29 < r[1]
  AND {VISIBLE_OBJECT}
  AND ($mjdFrom IS NULL OR o.lastMjdTai >= $mjdFrom) AND ($mjdTo IS NULL OR o.firstMjdTai <= $mjdTo)
WITH o, sin(radians(o.dec - $dec) / 2) AS north, sin(radians(o.ra - $ra) / 2) AS east
WITH o, north * north + cos(radians($dec)) * cos(radians(o.dec)) * east * east AS h
WITH o, 3600 * degrees(2 * asin(sqrt(CASE WHEN h > 1 THEN 1.0 ELSE h END))) AS separation
WHERE separation <= $radius
"""

CONE_SEARCH = f"""{_CONE}
  AND ($afterSeparation IS NULL OR separation > $afterSeparation
       OR (separation = $afterSeparation AND o.key > $afterKey))
WITH o, separation ORDER BY separation, o.key LIMIT $first
RETURN {ObjectRow.projection("o")} AS object, separation
"""

COUNT_CONE = f"{_CONE} RETURN count(o) AS total"

TOTALS = """
CALL () { MATCH (o:Object) RETURN count(o) AS objects }
CALL () { MATCH (a:Alert) RETURN count(a) AS alerts }
CALL () { MATCH (s:Source) RETURN count(s) AS sources }
RETURN objects, alerts, sources
"""

SURVEY_COUNTS = """
UNWIND $surveys AS survey
CALL (survey) { MATCH (o:Object) WHERE o.key STARTS WITH survey + ':' RETURN count(o) AS objects }
CALL (survey) { MATCH (a:Alert) WHERE a.key STARTS WITH survey + ':' RETURN count(a) AS alerts }
RETURN survey, objects, alerts
"""

PING = "RETURN 1 AS one"


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Which alerts of an object are asked for: those older than a place, newest first.

    Parameters
    ----------
    object_key : str
        The object.
    before_mjd_tai, before_key : float, str, optional
        The last alert of the page before: its time [MJD TAI] and key.
    """

    object_key: str
    before_mjd_tai: float | None = None
    before_key: str | None = None


@dataclass(frozen=True, slots=True)
class Cone:
    """A circle on the sky and a span of time.

    Parameters
    ----------
    ra, dec : float
        Centre [deg, ICRS].
    radius_arcsec : float
        Radius [arcsec].
    mjd_from, mjd_to : float, optional
        Only objects whose span from first to last detection touches this one [MJD TAI], bounds included.
    """

    ra: float
    dec: float
    radius_arcsec: float
    mjd_from: float | None = None
    mjd_to: float | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """How many nodes of each label the graph holds."""

    objects: int
    alerts: int
    sources: int


def open_driver(settings: Settings) -> AsyncDriver:
    """Return an async driver; it connects when first used and is closed by the caller.

    Raises
    ------
    SettingsError
        If the address is not a Bolt address.
    """
    try:
        return AsyncGraphDatabase.driver(
            settings.neo4j_uri,
            auth=(settings.neo4j_user, settings.neo4j_password.get_secret_value()),
            connection_timeout=CONNECT_SECONDS,
            connection_acquisition_timeout=2 * CONNECT_SECONDS,
            max_transaction_retry_time=RETRY_SECONDS,
            notifications_disabled_classifications=[NotificationDisabledClassification.UNRECOGNIZED],
        )
    except (ConfigurationError, ValueError) as error:
        raise SettingsError(f"neo4j_uri: {error}") from error


class StoreReader:
    """Reads under one rule of visibility.

    Parameters
    ----------
    driver : neo4j.AsyncDriver
        Open driver; the caller closes it.
    database : str
        Name of the database.
    show_nonpublic : bool
        Return alerts and objects of restricted programmes too.

    Notes
    -----
    Every method raises `GraphUnreachableError` if Neo4j does not answer, `GraphAuthError` if it does not let
    us in and `GraphQueryError` if it refuses the query.
    """

    def __init__(self, driver: AsyncDriver, database: str, *, show_nonpublic: bool) -> None:
        self._driver = driver
        self._database = database
        self._show_nonpublic = show_nonpublic

    async def _read(self, text: str, parameters: Mapping[str, Any]) -> list[Record]:
        query = Query(text, timeout=QUERY_SECONDS)
        with mapped_errors("reading the graph"):
            answer = await self._driver.execute_query(
                query,
                {**parameters, "showNonpublic": self._show_nonpublic},
                routing_=RoutingControl.READ,
                database_=self._database,
            )
        return answer.records


class GraphReader(StoreReader):
    """Reads of objects, alerts and sources that answer users."""

    async def ping(self) -> None:
        """Return once the database answers."""
        await self._read(PING, {})

    async def objects_by_key(self, keys: Sequence[str]) -> dict[str, ObjectRow]:
        """Return the objects that exist and may be shown, by key."""
        rows = await self._read(OBJECTS_BY_KEY, {"keys": list(dict.fromkeys(keys))})
        found = (ObjectRow.from_values(row["object"]) for row in rows)
        return {row.key: row for row in found}

    async def alerts_of_objects(self, pages: Sequence[AlertPage], first: int) -> list[list[AlertRow]]:
        """Return up to `first` alerts for each page, newest first, ties by key; none of an unknown object."""
        asked = [[page.object_key, page.before_mjd_tai, page.before_key] for page in pages]
        answers: list[list[AlertRow]] = [[] for _ in pages]
        for row in await self._read(ALERTS_OF_OBJECTS, {"pages": asked, "first": first}):
            answers[row["i"]] = [AlertRow.from_values(values) for values in row["alerts"]]
        return answers

    async def count_alerts(self, keys: Sequence[str]) -> dict[str, int]:
        """Return how many alerts of each object may be shown; objects that may not be are left out."""
        rows = await self._read(COUNT_ALERTS, {"keys": list(dict.fromkeys(keys))})
        return {row["key"]: row["total"] for row in rows}

    async def sources_of_objects(self, keys: Sequence[str]) -> dict[str, tuple[SourceRow, float | None]]:
        """Return each object's source and its distance from it [arcsec]; objects without one are left out."""
        rows = await self._read(SOURCES_OF_OBJECTS, {"keys": list(dict.fromkeys(keys))})
        return {row["key"]: (SourceRow.from_values(row["source"]), row["separation"]) for row in rows}

    async def objects_of_sources(
        self, keys: Sequence[str], first: int
    ) -> dict[str, list[tuple[ObjectRow, float | None]]]:
        """Return up to `first` objects of each source by key, with their distance from it [arcsec]."""
        rows = await self._read(OBJECTS_OF_SOURCES, {"keys": list(dict.fromkeys(keys)), "first": first})
        return {
            row["key"]: [(ObjectRow.from_values(values), separation) for values, separation in row["members"]]
            for row in rows
        }

    async def cone_search(
        self, cone: Cone, first: int, after: tuple[float, str] | None = None
    ) -> list[tuple[ObjectRow, float]]:
        """Return the objects in a cone and their distance from its centre [arcsec], nearest first, ties by
        key.

        Parameters
        ----------
        cone : Cone
            Where and when.
        first : int
            Most objects returned.
        after : (float, str), optional
            Distance [arcsec] and key of the last object of the page before.
        """
        separation, key = after if after is not None else (None, None)
        place = {"afterSeparation": separation, "afterKey": key, "first": first}
        rows = await self._read(CONE_SEARCH, {**_cone(cone), **place})
        return [(ObjectRow.from_values(row["object"]), row["separation"]) for row in rows]

    async def count_cone(self, cone: Cone) -> int:
        """Return how many objects a cone holds."""
        (row,) = await self._read(COUNT_CONE, _cone(cone))
        return int(row["total"])

    async def totals(self) -> Totals:
        """Return how many nodes there are, restricted ones included; the database keeps these counts."""
        (row,) = await self._read(TOTALS, {})
        return Totals(row["objects"], row["alerts"], row["sources"])

    async def survey_counts(self, surveys: Sequence[str]) -> list[SurveyCount]:
        """Return objects and alerts per survey, restricted ones included; time grows with their number."""
        rows = await self._read(SURVEY_COUNTS, {"surveys": list(surveys)})
        return [SurveyCount(row["survey"], row["objects"], row["alerts"]) for row in rows]


def _cone(cone: Cone) -> dict[str, Any]:
    ranges = cone_ranges(cone.ra, cone.dec, cone.radius_arcsec / 3600.0)
    return {
        "ranges": [[int(lo), int(hi)] for lo, hi in zip(ranges.lo, ranges.hi, strict=True)],
        "ra": cone.ra,
        "dec": cone.dec,
        "radius": cone.radius_arcsec,
        "mjdFrom": cone.mjd_from,
        "mjdTo": cone.mjd_to,
    }
