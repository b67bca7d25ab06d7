"""The recipes as files: a question, a statement, its parameters and its columns.

Each statement hides restricted rows by itself (``$showNonpublic``), starts from keys or indexes, and bounds its rows
by ``$first``. Tests hold every recipe to that and to brute force.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from asterism.graph.errors import RecipeError

Kind = Literal["string", "integer", "number", "strings"]
MAX_FIRST = 10_000
"""Most rows a recipe may be asked for."""
_REQUIRED = object()
_SHOWN = {"string": "text", "integer": "an integer", "number": "a number", "strings": "a list of texts"}


@dataclass(frozen=True)
class Parameter:
    """What a recipe must or may be told.

    Parameters
    ----------
    type : str
        string, integer, number or strings.
    about : str
        What it means, with its unit.
    default : object, optional
        What is taken if it is not given; without one it must be given.
    """

    type: Kind
    about: str
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        """It has no default."""
        return self.default is _REQUIRED

    def checked(self, name: str, value: Any) -> Any:
        """Return a value given for it.

        Raises
        ------
        RecipeError
            If it is of another type.
        """
        number = isinstance(value, int | float) and not isinstance(value, bool)
        match self.type:
            case "string" if isinstance(value, str):
                return value
            case "strings" if isinstance(value, list) and all(isinstance(item, str) for item in value):
                return value
            case "integer" if number and isinstance(value, int):
                return value
            case "number" if number:
                return float(value)
        raise RecipeError(f"parameter {name} is {value!r:.80}", hint=f"{self.about}: {_SHOWN[self.type]}")


@dataclass(frozen=True)
class Recipe:
    """A named question.

    Parameters
    ----------
    name : str
        What it is asked by.
    number : int
        Its place in the list.
    question : str
        What it answers.
    query : str
        The statement.
    parameters : mapping of str to Parameter
        What it is told.
    columns : mapping of str to str
        What its columns mean, in order.
    """

    name: str
    number: int
    question: str
    query: str
    parameters: Mapping[str, Parameter]
    columns: Mapping[str, str]

    def bound(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return values for all parameters.

        Raises
        ------
        RecipeError
            If one is unknown, missing or of another type.
        """
        wanted = ", ".join(self.parameters)
        for name in given:
            if name not in self.parameters:
                raise RecipeError(f"recipe {self.name} has no parameter {name!r:.80}", hint=f"it has {wanted}")
        values = {}
        for name, parameter in self.parameters.items():
            if name in given:
                values[name] = parameter.checked(name, given[name])
            elif parameter.required:
                raise RecipeError(f"recipe {self.name} needs {name}", hint=f"--param {name}=... : {parameter.about}")
            else:
                values[name] = parameter.default
        if not 1 <= values["first"] <= MAX_FIRST:
            raise RecipeError(f"parameter first is {values['first']}", hint=f"1 .. {MAX_FIRST}")
        return values

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as ``--json`` prints it."""
        parameters = {
            name: {"type": one.type, "about": one.about} | ({} if one.required else {"default": one.default})
            for name, one in self.parameters.items()
        }
        return {
            "name": self.name,
            "question": self.question,
            "parameters": parameters,
            "columns": dict(self.columns),
            "query": self.query,
        }


@cache
def recipes() -> Mapping[str, Recipe]:
    """Return all recipes by name, in the order of their numbers."""
    folder = files(__package__)
    found = (
        _recipe(path.name.removesuffix(".toml"), tomllib.loads(path.read_text(encoding="utf-8")))
        for path in folder.iterdir()
        if path.name.endswith(".toml")
    )
    return {recipe.name: recipe for recipe in sorted(found, key=lambda recipe: recipe.number)}


def find_recipe(name: str) -> Recipe:
    """Return a recipe.

    Raises
    ------
    RecipeError
        If there is none of this name.
    """
    known = recipes()
    if name not in known:
        raise RecipeError(f"there is no recipe {name!r:.80}", hint=f"there are {', '.join(known)}")
    return known[name]


def _recipe(name: str, values: dict[str, Any]) -> Recipe:
    parameters = {key: Parameter(**one) for key, one in values["parameters"].items()}
    return Recipe(name, values["number"], values["question"], values["query"].strip(), parameters, values["columns"])
