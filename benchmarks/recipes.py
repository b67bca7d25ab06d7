"""recipes: how long the twelve questions take on a graph of a million alerts, and that none of them reads everything.

A made-up graph (`benchmarks.recipe_world`): 200,000 objects of five alerts, 200 events of 2,000 links under one or two
maps each, written into a Neo4j of its own. Each recipe is asked through the same code as by `asterism graph recipes`,
30 times after five that do not count, about another event or object each time; figures are milliseconds of wall clock,
with the region, the plan by EXPLAIN and the reading of all rows included. Before that its plan is looked at:
``unanchored`` counts recipes whose plan holds a scan of all nodes, of a label, of an index or of a type.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from neo4j import READ_ACCESS, Driver, GraphDatabase

from asterism.deploy.local.stack import LocalStack
from asterism.graph.cypher import explain
from asterism.graph.cypher_plan import unanchored
from asterism.graph.recipes.ask import ask_recipe, prepare
from asterism.graph.recipes.book import Recipe, recipes
from asterism.settings import load_settings
from benchmarks.harness import Bench
from benchmarks.recipe_world import World, make_world, write_world

OBJECTS, ALERTS_EACH, EVENTS, LINKS_EACH = 200_000, 5, 200, 2_000
WARM_UP, ASKED = 5, 30
MAPS = Path("/nonexistent")  # the regions of this world are circles
DATABASE = "neo4j"


def parameters_of(recipe: Recipe, world: World, turn: int) -> dict[str, Any]:
    """Return what to ask a recipe in one turn."""
    given: dict[str, Any] = {}
    if "event" in recipe.parameters:
        given["event"] = world.events[(4 * turn) % len(world.events)]["key"]
    if "object" in recipe.parameters:
        rows = {"similar": world.likenesses, "same_host": world.hosts, "explanations": world.links}
        if recipe.name in rows:
            given["object"] = rows[recipe.name][turn * 97 % len(rows[recipe.name])]["from"]
        else:
            given["object"] = world.sources[turn * 97 % len(world.sources)]["key"]
    if "run" in recipe.parameters:
        given["run"] = "run-bad"
    return given


def times(driver: Driver, recipe: Recipe, world: World) -> tuple[list[float], int]:
    """Return the times of a recipe [ms], sorted, and how many rows it gave in all."""
    taken, rows = [], 0
    for turn in range(WARM_UP + ASKED):
        given = parameters_of(recipe, world, turn)
        start = time.perf_counter()
        answer = ask_recipe(driver, recipe, given, database=DATABASE, maps=MAPS)
        if turn >= WARM_UP:
            taken.append(1000.0 * (time.perf_counter() - start))
            rows += len(answer.rows)
    return sorted(taken), rows


def scans(driver: Driver, recipe: Recipe, world: World) -> list[str]:
    """Return the operators of a recipe's plan that read everything."""
    given = parameters_of(recipe, world, 0)
    query = prepare(driver, recipe, given, database=DATABASE, maps=MAPS, show_nonpublic=False)
    with driver.session(default_access_mode=READ_ACCESS) as session, session.begin_transaction() as tx:
        return unanchored(explain(tx, query))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("recipes", arguments)
    world = make_world(bench.size(OBJECTS), ALERTS_EACH, bench.size(EVENTS), bench.size(LINKS_EACH))
    settings = load_settings()
    with (
        TemporaryDirectory(prefix="asterism-recipes-") as home,
        LocalStack(Path(home), cache=settings.cache, repository=settings.maven_repository) as stack,
        GraphDatabase.driver(stack.neo4j_uri, auth=("neo4j", stack.neo4j_password)) as driver,
    ):
        start = time.monotonic()
        write_world(driver, world, database=DATABASE)
        bench.facts["graph"] = {name: len(rows) for name, rows in vars(world).items()}
        bench.facts["written_s"] = round(time.monotonic() - start, 1)
        found = {recipe.name: scans(driver, recipe, world) for recipe in recipes().values()}
        bench.facts["scans"] = found
        bench.state("unanchored", float(sum(map(bool, found.values()))), "of 12")
        empty = 0
        for recipe in recipes().values():
            taken, rows = times(driver, recipe, world)
            empty += rows == 0
            bench.state(f"{recipe.name}_p50", statistics.median(taken), "ms")
            bench.state(f"{recipe.name}_p95", taken[int(0.95 * len(taken))], "ms")
            bench.facts[f"{recipe.name}_rows"] = rows
        bench.state("without_answer", float(empty), "of 12")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
