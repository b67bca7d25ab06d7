"""The generated pages tell the truth."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = ("asterism", "deploy", "enrich", "gql", "graph", "ingest", "simulate", "voevent")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_error_codes_is_that_of_the_code(generator: ModuleType) -> None:
    assert generator.ERRORS_PAGE.read_text(encoding="utf-8") == generator.errors_page(), "run: make docs"


def test_the_table_of_benchmarks_is_that_of_their_results(generator: ModuleType) -> None:
    assert generator.README.read_text(encoding="utf-8") == generator.readme(), "run: make docs"
    assert generator.BENCHMARKS_PAGE.read_text(encoding="utf-8") == generator.benchmarks_page(), "run: make docs"
    assert generator.figures(), "no benchmark has run"


def test_every_code_written_in_the_source_is_listed(generator: ModuleType) -> None:
    listed = {error.code for error in generator.error_classes()}
    source = [path.read_text(encoding="utf-8") for part in PARTS for path in sorted((REPOSITORY / part).rglob("*.py"))]
    declared = {
        code for text in source for code in re.findall(r'^\s+code(?:: ClassVar\[str\])? = "([a-z_.]+)"', text, re.M)
    }
    assert declared, "the pattern above no longer finds how codes are declared"
    assert declared == listed


def test_no_two_errors_share_a_code(generator: ModuleType) -> None:
    codes = [error.code for error in generator.error_classes()]
    assert len(codes) == len(set(codes))


def test_every_error_says_what_happened_in_one_sentence(generator: ModuleType) -> None:
    for error in generator.error_classes():
        assert re.fullmatch(r"[^\n]+\.", (error.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")), error


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
