"""``asterism enrich``: the science modules there are."""

from __future__ import annotations

from typing import Any

import click

from asterism.cli import json_option, print_result
from asterism.enrich.match import CatalogueMatch
from asterism.enrich.module import ScienceModule
from asterism.enrich.risefade import RiseFade

MODULES: tuple[type[ScienceModule], ...] = (CatalogueMatch, RiseFade)


@click.group()
def enrich() -> None:
    """Science modules: what is computed from alerts."""


@enrich.command(name="list")
@json_option
def list_modules(as_json: bool) -> None:
    """List the science modules with their versions, inputs and outputs."""
    modules = [_described(module) for module in MODULES]
    print_result(modules, as_json, lambda: "\n\n".join(map(_text, modules)))


def _described(module: type[ScienceModule]) -> dict[str, Any]:
    columns = {
        name: [{"name": f.name, "type": str(f.type), "required": not f.nullable} for f in schema]
        for name, schema in (("inputs", module.inputs), ("outputs", module.outputs))
    }
    return {"name": module.name, "version": module.version, "what": (module.__doc__ or "").split("\n")[0]} | columns


def _text(module: dict[str, Any]) -> str:
    lines = [f"{module['name']} {module['version']}: {module['what']}"]
    lines += [f"  {way:8} {', '.join(column['name'] for column in module[way])}" for way in ("inputs", "outputs")]
    return "\n".join(lines)
