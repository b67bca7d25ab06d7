"""Every error a user can meet has a stable code of its own, says what happened and, where it can, what to do."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import asterism
from asterism.errors import AsterismError, IdError

REPOSITORY = Path(asterism.__file__).resolve().parent.parent
FOLDERS = ("asterism", "deploy", "enrich", "gql", "graph", "ingest", "simulate", "voevent")
SOURCES = sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))


def tree(kind: type[AsterismError]) -> Iterator[type[AsterismError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def all_errors() -> list[type[AsterismError]]:
    """Import every ``errors.py`` and return the whole tree."""
    for path in SOURCES:
        if path.name == "errors.py":
            name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
            importlib.import_module(name if name.startswith("asterism.") else f"asterism.{name}")
    return [kind for kind in tree(AsterismError) if kind.__module__.startswith("asterism.")]


def codes_in(source: Path) -> list[str]:
    """Return every string a class of a module assigns to ``code``, imported or not."""
    return [
        statement.value.value
        for kind in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(kind, ast.ClassDef) and any("Error" in ast.unparse(base) for base in kind.bases)
        for statement in kind.body
        if isinstance(statement, ast.Assign)
        and ast.unparse(statement.targets[0]) == "code"
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    ]


def test_no_code_is_used_twice_in_the_whole_source() -> None:
    used = Counter(code for source in SOURCES for code in codes_in(source))
    assert len(used) > 20
    assert [code for code, times in used.items() if times > 1] == []


def test_every_error_has_a_well_formed_code_of_its_own_and_a_docstring() -> None:
    for kind in all_errors():
        assert "code" in vars(kind), f"{kind.__name__} has no code of its own"
        assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", kind.code), kind.code
        assert inspect.getdoc(kind), kind.__name__


def test_a_drawn_tree_shows_every_class() -> None:
    for kind in all_errors():
        drawing = inspect.getdoc(inspect.getmodule(kind)) or ""
        assert "::" not in drawing or kind.__name__ in drawing, f"{kind.__name__} is not in its module's drawing"


def test_hints_are_one_line_without_a_full_stop() -> None:
    for kind in all_errors():
        assert "\n" not in kind.hint, kind.__name__
        assert not kind.hint.endswith("."), kind.__name__


def test_an_error_says_what_happened_and_what_to_do() -> None:
    assert IdError("id 'x y' is bad").as_dict() == {
        "code": "id.malformed",
        "message": "id 'x y' is bad",
        "hint": IdError.hint,
    }
    assert IdError("bad", hint="try another").as_dict()["hint"] == "try another"
    assert IdError("bad", hint="").advice == ""
    assert str(IdError("bad")) == "bad"


@pytest.mark.parametrize("kind", [kind for kind in tree(AsterismError) if kind.__module__ == "asterism.errors"])
def test_the_kernel_s_errors_survive_pickling(kind: type[AsterismError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what", hint="do this")))
    assert (type(error), error.message, error.advice) == (kind, "what", "do this")
