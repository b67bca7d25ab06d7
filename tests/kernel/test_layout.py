"""The tree is what the documents say: every kernel module is held by the rule that the kernel imports no part."""

from __future__ import annotations

import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ["deploy", "gql", "simulate", "ingest", "voevent", "graph", "enrich"]


def test_every_kernel_module_is_forbidden_to_import_a_part() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    contract = next(c for c in contracts if c["name"] == "The kernel imports no part")
    modules = {path.stem for path in (REPOSITORY / "asterism").glob("*.py")} - {"__init__", "__main__"}
    folders = {path.parent.name for path in (REPOSITORY / "asterism").glob("*/__init__.py")}
    assert {f"asterism.{name}" for name in modules | folders} == set(contract["source_modules"])
    assert {f"asterism.{part}" for part in PARTS} == set(contract["forbidden_modules"])


def test_every_part_is_in_the_layers_and_in_the_wheel() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    layers = " ".join(settings["tool"]["importlinter"]["contracts"][0]["layers"])
    setup = (REPOSITORY / "setup.py").read_text(encoding="utf-8")
    for part in PARTS:
        assert f"asterism.{part}" in layers
        assert f'"{part}"' in setup
        assert (REPOSITORY / part / "__init__.py").is_file()
