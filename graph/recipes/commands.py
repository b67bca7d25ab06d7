"""``asterism graph recipes``: the questions analysts ask, by name."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asterism.cli import json_option, print_result
from asterism.graph.connection import connect
from asterism.graph.cypher import MAX_SECONDS, CypherLimits
from asterism.graph.cypher_table import table_text
from asterism.graph.recipes.ask import ask_recipe
from asterism.graph.recipes.book import MAX_FIRST, Parameter, find_recipe, recipes
from asterism.graph.schema import check_format
from asterism.settings import load_settings


@click.command("recipes")
@click.argument("name", required=False)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the recipe.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, MAX_SECONDS, min_open=True),
    default=10.0,
    show_default=True,
    help="Longest run [s].",
)
@json_option
def recipes_command(name: str | None, params: tuple[str, ...], timeout: float, as_json: bool) -> None:
    """Answer the recipe NAME, or list them all with their parameters."""
    if name is None:
        documents = [recipe.as_dict() for recipe in recipes().values()]
        print_result({"recipes": documents}, as_json, _list_text)
        return
    recipe = find_recipe(name)
    values = dict(_value(text, recipe.parameters) for text in params)
    settings = load_settings()
    with connect(settings) as driver:
        check_format(driver, settings.neo4j_database)
        result = ask_recipe(
            driver,
            recipe,
            values,
            database=settings.neo4j_database,
            maps=settings.lake_path / "maps",
            limits=CypherLimits(MAX_FIRST, timeout),
            show_nonpublic=settings.show_nonpublic,
        )
    print_result(result.as_dict(), as_json, lambda: table_text(result))


def _value(text: str, parameters: Any) -> tuple[str, Any]:
    """Read NAME=VALUE: JSON where the recipe wants more than a text; lists may be written a,b,c."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
    wanted = parameters[name].type if name in parameters else "string"
    if wanted == "string":
        return name, value
    if wanted == "strings" and not value.startswith("["):
        return name, [item for item in value.split(",") if item]
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{name}: {error}", param_hint="--param") from error


def _list_text() -> str:
    table = Table("recipe", "answers", "--param", show_lines=True)
    for recipe in recipes().values():
        lines = [_parameter_text(name, parameter) for name, parameter in recipe.parameters.items()]
        table.add_row(recipe.name, escape(recipe.question), escape("\n".join(lines)))
    console = Console(width=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def _parameter_text(name: str, parameter: Parameter) -> str:
    return f"{name}" if parameter.required else f"{name}={json.dumps(parameter.default)}"
