"""``asterism enrich``."""

from __future__ import annotations

import json

from click.testing import CliRunner

from asterism.cli import cli
from asterism.records import CATALOGUE_MATCH


def test_the_modules_are_listed_with_versions_inputs_and_outputs() -> None:
    result = CliRunner().invoke(cli, ["enrich", "list", "--json"])
    assert result.exit_code == 0, result.output
    modules = {module["name"]: module for module in json.loads(result.stdout)}
    assert modules.keys() == {"catalogue-match", "rise-fade"}
    match = modules["catalogue-match"]
    assert match["version"] == 1
    assert [column["name"] for column in match["outputs"]] == CATALOGUE_MATCH.names
    assert {"name": "ra", "type": "double", "required": True} in match["inputs"]


def test_the_list_is_readable_without_json() -> None:
    result = CliRunner().invoke(cli, ["enrich", "list"])
    assert "rise-fade 1: Tells from all alerts" in result.stdout
    assert "inputs   objectKey, sourceId, mjdTai" in result.stdout
