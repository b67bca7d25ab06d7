"""JSON as parameters of a VOEvent, and back without loss.

Each scalar becomes one ``Param``. Its ``utype`` says where in the JSON it stands, so its name, group and unit are free
to be what people's scripts and XPath filters expect. Places are written ``event/classification/BNS`` and
``event_details[0]/ra``; a ``/``, ``[``, ``]`` or ``~`` inside a name is escaped. Text and numbers carry their
``dataType``; true, false, null and empty containers stand as JSON under a ``utype`` of their own.

`unflatten` trusts nothing: it reads what strangers wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from asterism.voevent.document import Param
from asterism.voevent.errors import NoticeSchemaError

VALUE, LITERAL = "json:", "json-literal:"
"""What a utype begins with: a text or number; JSON as it stands."""

JsonPath = tuple[str | int, ...]
"""Names of members and indices of arrays, from the outside in."""

_LITERALS = {"true": True, "false": False, "null": None}
_ESCAPES = {"~": "~0", "/": "~1", "[": "~2", "]": "~3"}
_ESCAPED = re.compile(r"~[0-3]")
_STEP = re.compile(r"(?P<name>[^/\[\]]*)(?P<indices>(\[\d{1,5}\])*)")
_DEEPEST = 16
_LONGEST_NUMBER = 400


def flatten(value: Any, path: JsonPath = ()) -> Iterator[tuple[JsonPath, Any]]:
    """Yield every scalar and every empty container of a JSON value with its path, in order."""
    if not value or not isinstance(value, dict | list):
        yield path, value
        return
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for step, member in members:
        yield from flatten(member, (*path, step))


def path_text(path: JsonPath) -> str:
    """Return a path as it stands in a utype."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts[-1] += f"[{step}]"
        else:
            parts.append("".join(_ESCAPES.get(mark, mark) for mark in step))
    return "/".join(parts)


def as_param(path: JsonPath, value: Any, name: str, unit: str | None = None, ucd: str | None = None) -> Param:
    """Return the parameter that carries a scalar or an empty container, outside any group."""
    place = path_text(path)
    if isinstance(value, str):
        return Param(name, value, unit, ucd, data_type="string", utype=VALUE + place)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Param(name, repr(value), unit, ucd, data_type=type(value).__name__, utype=VALUE + place)
    return Param(name, json.dumps(value), unit, ucd, utype=LITERAL + place)


def unflatten(params: Iterable[Param], more: Mapping[JsonPath, Any] | None = None) -> dict[str, Any]:
    """Return the JSON object whose members parameters carry.

    Parameters
    ----------
    params : iterable of Param
        Those without a utype of ours are passed over.
    more : mapping of JsonPath to JSON value, optional
        Members that stand elsewhere.

    Raises
    ------
    NoticeSchemaError
        If they contradict each other or name no place in JSON.
    """
    tree = _Branch()
    found: dict[JsonPath, Any] = dict(more or {})
    for param in params:
        place = _place(param)
        if place is not None:
            path = read_path(place)
            if path in found:
                raise NoticeSchemaError(f"{place[:80]} has two values")
            found[path] = _value(param)
    for path, value in found.items():
        _plant(tree, path, value)
    return {str(name): _joined(member) for name, member in tree.items()}


def read_path(text: str) -> JsonPath:
    """Return the path a text names.

    Raises
    ------
    NoticeSchemaError
        If it is none.
    """
    path: list[str | int] = []
    for part in text.split("/"):
        step = _STEP.fullmatch(part)
        if step is None:
            raise NoticeSchemaError(f"{text[:80]!r} names no place in JSON")
        path.append(_ESCAPED.sub(lambda mark: "~/[]"[int(mark[0][1])], step["name"]))
        path += [int(index) for index in re.findall(r"\d+", step["indices"])]
    if len(path) > _DEEPEST:
        raise NoticeSchemaError(f"{text[:80]!r} lies deeper than {_DEEPEST} levels")
    return tuple(path)


def _place(param: Param) -> str | None:
    utype = param.utype or ""
    return next((utype.removeprefix(mark) for mark in (VALUE, LITERAL) if utype.startswith(mark)), None)


def _value(param: Param) -> Any:
    text = param.value
    if (param.utype or "").startswith(LITERAL):
        if text in ("{}", "[]"):
            return {} if text == "{}" else []
        if text not in _LITERALS:
            raise NoticeSchemaError(f"{text[:40]!r} is no literal of JSON")
        return _LITERALS[text]
    if param.data_type not in ("int", "float"):
        return text
    try:
        if len(text) > _LONGEST_NUMBER:
            raise ValueError(f"{len(text)} digits")
        return int(text) if param.data_type == "int" else float(text)
    except ValueError as error:
        raise NoticeSchemaError(f"{text[:40]!r} is no number") from error


class _Branch(dict[str | int, Any]):
    """Members or elements whose values are still being collected; any other value is a leaf."""


def _plant(tree: _Branch, path: JsonPath, value: Any) -> None:
    here = tree
    for step in path[:-1]:
        inner = here.setdefault(step, _Branch())
        if not isinstance(inner, _Branch):
            raise NoticeSchemaError(f"{path_text(path)[:80]} lies inside a value")
        here = inner
    if path[-1] in here:
        raise NoticeSchemaError(f"{path_text(path)[:80]} has members and a value")
    here[path[-1]] = value


def _joined(tree: Any) -> Any:
    """Return a tree with the branches whose steps are indices as lists."""
    if not isinstance(tree, _Branch):
        return tree
    names = [step for step in tree if isinstance(step, str)]
    if len(names) == len(tree):
        return {name: _joined(tree[name]) for name in names}
    if names or set(tree) != set(range(len(tree))):
        raise NoticeSchemaError("an array has members with names, or gaps")
    return [_joined(tree[index]) for index in range(len(tree))]
