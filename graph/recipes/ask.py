"""Recipes made ready to be sent, and asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neo4j import Driver, ManagedTransaction

from asterism.graph.connection import read
from asterism.graph.cypher import CypherLimits, CypherQuery, CypherResult, answer
from asterism.graph.errors import RecipeError
from asterism.graph.events import load_localization
from asterism.graph.recipes.book import Recipe
from asterism.sky.localization import check_level

_LOCALIZATION = """
MATCH (e:Event {key: $event})
OPTIONAL MATCH (l:Localization {key: e.currentLocalization})
RETURN e.t0MjdTai AS t0, l.record AS record
"""
MAX_RANGES = 256
"""Ranges a region is covered with; fewer make it larger, never smaller."""


def ask_recipe(
    driver: Driver,
    recipe: Recipe,
    given: Mapping[str, Any],
    *,
    database: str,
    maps: Path,
    limits: CypherLimits | None = None,
    show_nonpublic: bool = False,
) -> CypherResult:
    """Answer a recipe whole; raises what `prepare` and `asterism.graph.cypher.run_cypher` do."""
    query = prepare(driver, recipe, given, database=database, maps=maps, show_nonpublic=show_nonpublic)
    return answer(driver, query, database=database, limits=limits, show_nonpublic=show_nonpublic)


def prepare(
    driver: Driver, recipe: Recipe, given: Mapping[str, Any], *, database: str, maps: Path, show_nonpublic: bool
) -> CypherQuery:
    """Return a recipe as a query that may be sent.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver; asked for the event's region where a recipe needs it.
    recipe : Recipe
        What to ask.
    given : mapping
        Values of its parameters; what is left out takes its default.
    database : str
        Name of the database.
    maps : Path
        The lake's folder of sky maps.
    show_nonpublic : bool
        Restricted rows are shown, too.

    Raises
    ------
    RecipeError
        If the parameters do not fit, or the event has no region.
    SkyError
        If the event's map cannot be read.
    GraphError
        If the database cannot be reached.
    """
    values = recipe.bound(given)
    if "$ranges" in recipe.query:
        with driver.session(database=database) as session:
            t0, record = read(session, _current_localization, values["event"])
        values |= _region(record, t0, values, maps)
    return CypherQuery(recipe.query, values | {"showNonpublic": show_nonpublic}, hides=True)


def _current_localization(tx: ManagedTransaction, event: str) -> tuple[float | None, str]:
    found = tx.run(_LOCALIZATION, event=event).single()
    if found is None:
        raise RecipeError(f"there is no event {event!r:.80}", hint="keys look like lvk:S190814bv")
    if found["record"] is None:
        raise RecipeError(
            f"event {event!r:.80} has no current localization", hint="its notices gave none, or withdrew it"
        )
    return found["t0"], found["record"]


def _region(record: str, t0: float | None, values: Mapping[str, Any], maps: Path) -> dict[str, Any]:
    if not 0.0 < values["level"] < 1.0:
        raise RecipeError(f"parameter level is {values['level']}", hint="between 0 and 1, such as 0.9")
    ranges = load_localization(record, maps).ranges(check_level(values["level"]), max_ranges=MAX_RANGES)
    start = t0 if values["from"] == "event" else values["from"]
    if start is None:
        raise RecipeError("the event's time is not known", hint="give from=MJD")
    pairs = [[int(lo), int(hi)] for lo, hi in zip(ranges.lo, ranges.hi, strict=True)]
    return {"ranges": pairs, "from": start}
