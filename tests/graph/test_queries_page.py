"""Every query of docs/queries.md runs and finds something; the page names every recipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from neo4j import Driver

from asterism.graph.cypher import run_cypher
from asterism.graph.recipes.book import recipes
from benchmarks.recipe_world import make_world, write_world

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```cypher\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_names_every_recipe_and_its_parameters() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGE, re.MULTILINE))
    assert list(rows) == list(recipes())
    for name, given in rows.items():
        assert set(re.findall(r"`(\w+)`", given)) == set(recipes()[name].parameters) - {"first"}


@pytest.mark.services
def test_every_query_of_the_page_finds_something(empty_graph: Driver) -> None:
    world = make_world(300, 3, 8, 60)
    for row in (*world.objects, *world.alerts, *world.classifications, *world.matches):
        row["public"] = True
    write_world(empty_graph, world, database="neo4j")
    values = {"event": "lvk:S0000", "object": world.hosts[0]["from"], "objects": ["ztf:0", "lsst:1"], "since": 0.0}
    assert len(QUERIES) >= 8
    for query in QUERIES:
        parameters = {name: value for name, value in values.items() if re.search(rf"\${name}\b", query)}
        assert run_cypher(empty_graph, query, parameters, database="neo4j").rows, query
