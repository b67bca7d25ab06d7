"""How large values may become and how long a loop inside an expression may run, from the tokens alone.

The server looks at its clock and at its memory counter between rows only. What one expression does (a list
comprehension, a search in a text, a list of lists of lists) it does to the end, and what an expression makes is not
counted. So both are estimated here, before anything is sent:

- Every name gets a **weight**, in elements or characters: a literal or parameter its own, a property 1, what `collect`
  made `COLLECTED`; an expression weighs what its names weigh together. ``WITH [l, l] AS l`` doubles, ten of them in a
  row are a thousandfold. Weights never shrink: a name bound twice keeps the larger.
- A **loop** over n elements whose body weighs m works n x m.
- A **search** (``CONTAINS``, `split`, `replace`) takes as long as what it looks for is long, at every place.

The estimate is meant to be too high rather than too low; what is refused can be written with UNWIND, where the server's
own limits hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from asterism.graph.cypher_tokens import Kind, Token
from asterism.graph.errors import CypherRefusedError

COLLECTED = 1e6
"""Elements `collect` is taken to gather; the server counts the memory of more."""
NEIGHBOURS = 1e4
"""Elements a pattern comprehension is taken to gather: an event has up to 5,000 open candidates."""
MAX_WEIGHT = 2e7
"""Largest value, in elements or characters."""
MAX_WORK = 2e8
"""Longest loop inside an expression, in steps: about two seconds."""
MAX_SOUGHT = 200.0
"""Longest text that may be looked for in another, in characters."""

LARGE_PROPERTIES = {"record": 1e5}
"""Properties that hold long texts."""
_COUNTING = frozenset({"size", "count", "length", "isempty", "exists", "sum", "avg", "stdev", "stdevp"})
"""Functions whose result is small whatever they are given."""
_ELEMENTS = frozenset({"head", "last"})
_CLAUSES = frozenset(
    [
        "MATCH",
        "OPTIONAL",
        "WHERE",
        "ORDER",
        "SKIP",
        "OFFSET",
        "LIMIT",
        "UNWIND",
        "CALL",
        "WITH",
        "RETURN",
        "UNION",
        "FINISH",
        "FILTER",
        "LET",
    ]
)
_OPEN, _CLOSE = ("(", "[", "{"), (")", "]", "}")
_LOOPING = frozenset({"ALL", "ANY", "NONE", "SINGLE"})
_UNKNOWN = Token(Kind.SYMBOL, "", -1)


@dataclass(frozen=True)
class Weight:
    """Size of a value, and of the largest of its elements, in elements or characters."""

    total: float = 0.0
    element: float = 1.0

    def __or__(self, other: Weight) -> Weight:
        return Weight(max(self.total, other.total), max(self.element, other.element))


def check_cost(tokens: Sequence[Token], parameters: Mapping[str, Any]) -> None:
    """Refuse a query whose values or loops cannot be bounded well enough.

    Parameters
    ----------
    tokens : sequence of Token
        The query; brackets are balanced.
    parameters : mapping
        Values of its ``$`` parameters.

    Raises
    ------
    CypherRefusedError
        Saying which limit it would exceed.
    """
    _Estimate(tokens, parameters).run()


class _Estimate:
    """One walk through a query, in the order of its text, with the weights of the names bound so far."""

    def __init__(self, tokens: Sequence[Token], parameters: Mapping[str, Any]) -> None:
        self._tokens = tokens
        self._parameters = {name: _weight_of(value) for name, value in parameters.items()}
        self._names: dict[str, Weight] = {}
        self._ends = _matching(tokens)
        self._in_loop = False

    def run(self) -> None:
        for index, token in enumerate(self._tokens):
            if token.word in {"WITH", "RETURN"} and self._at(index - 1).word not in {"STARTS", "ENDS"}:
                self._project(index + 1)
            elif token.word == "UNWIND":
                self._unwind(index + 1)
            elif token.is_symbol(*_OPEN) and self._is_loop(index):
                self._loop(index)
            elif token.word == "CONTAINS" or (token.name.lower() in {"split", "replace"}):
                self._search(index)

    def _at(self, index: int) -> Token:
        return self._tokens[index] if 0 <= index < len(self._tokens) else _UNKNOWN

    def _items(self, start: int) -> tuple[list[tuple[int, int]], int]:
        """Return the spans of the items of a projection, and where it ends."""
        items, index, begin = [], start, start
        while index < len(self._tokens):
            token = self._tokens[index]
            if token.is_symbol(*_CLOSE) or (token.word in _CLAUSES and not self._inside_words(index)):
                break
            if token.is_symbol(","):
                items.append((begin, index))
                begin = index + 1
            index = self._ends.get(index, index) + 1
        return [*items, (begin, index)], index

    def _inside_words(self, index: int) -> bool:
        """Whether a word that could start a clause is part of an expression: a name, or STARTS WITH."""
        return self._at(index - 1).is_symbol(".") or self._at(index - 1).word in {"STARTS", "ENDS", "AS"}

    def _project(self, start: int) -> None:
        for begin, end in self._items(start)[0]:
            named = end - begin >= 3 and self._at(end - 2).word == "AS"
            weight = self._weigh(begin, end - 2 if named else end)
            if weight.total > MAX_WEIGHT:
                raise CypherRefusedError(
                    f"a value of about {weight.total:.0e} elements or characters",
                    hint=f"at most {MAX_WEIGHT:.0e}: do not put lists or texts together again and again",
                )
            if named:
                self._bind(self._at(end - 1).name, weight)

    def _unwind(self, start: int) -> None:
        (begin, end), *_ = self._items(start)[0]
        if self._at(end - 2).word == "AS":
            weight = self._weigh(begin, end - 2)
            self._bind(self._at(end - 1).name, Weight(weight.element, weight.element))

    def _bind(self, name: str, weight: Weight) -> None:
        self._names[name] = self._names.get(name, Weight()) | weight

    def _is_loop(self, opening: int) -> bool:
        """Whether ``[x IN ...`` or ``any(x IN ...`` starts at a bracket."""
        iterates = bool(self._at(opening + 1).name) and self._at(opening + 2).word == "IN"
        before = self._at(opening - 1).name.upper()
        return iterates and (self._at(opening).is_symbol("[") or before in _LOOPING)

    def _loop(self, opening: int) -> Weight:
        """Check one loop; return the weight of its result."""
        end = self._ends[opening]
        bar = self._find(opening + 3, end, lambda token: token.is_symbol("|"))
        where = self._find(opening + 3, end, lambda token: token.word == "WHERE")
        over = self._weigh(opening + 3, min(bar, where))
        self._bind(self._at(opening + 1).name, Weight(over.element, over.element))
        self._in_loop = True
        body = self._weigh(min(bar, where), end)
        self._in_loop = False
        work = max(over.total, 1.0) * max(body.total, 1.0) * self._sought(min(bar, where), end)
        if work > MAX_WORK:
            raise CypherRefusedError(
                f"a loop inside an expression of about {work:.0e} steps",
                hint=f"at most {MAX_WORK:.0e}: UNWIND the list and use WHERE, which can be stopped",
            )
        if bar == end:
            return over
        made = self._weigh(bar + 1, end)
        return Weight(max(over.total, 1.0) * max(made.total, 1.0), max(made.total, 1.0))

    def _find(self, start: int, end: int, wanted: Any) -> int:
        index = start
        while index < end:
            if wanted(self._tokens[index]):
                return index
            index = self._ends.get(index, index) + 1
        return end

    def _sought(self, start: int, end: int) -> float:
        """Return the length of the longest text a span looks for."""
        found = [self._operand(i + 1) for i in range(start, end) if self._at(i).word == "CONTAINS"]
        return max([1.0, *found])

    def _search(self, index: int) -> None:
        token = self._at(index)
        if token.word == "CONTAINS":
            sought = self._operand(index + 1)
        elif self._at(index + 1).is_symbol("("):
            arguments = self._arguments(index + 1)
            sought = self._weigh(*arguments[1]).total if len(arguments) > 1 else 0.0
        else:
            return
        if sought > MAX_SOUGHT:
            raise CypherRefusedError(
                f"a search for a text of about {sought:.0f} characters", hint=f"at most {MAX_SOUGHT:.0f}"
            )

    def _operand(self, index: int) -> float:
        """Return the weight of what stands behind an operator: a value, or a bracket, and what hangs on it."""
        end = index
        while self._at(end + 1).is_symbol(".", "(", "[") or self._at(end).is_symbol("."):
            end = self._ends.get(end + 1, end + 1)
        return self._weigh(index, self._ends.get(end, end) + 1).total

    def _arguments(self, opening: int) -> list[tuple[int, int]]:
        spans, begin, index = [], opening + 1, opening + 1
        while index < self._ends[opening]:
            if self._tokens[index].is_symbol(","):
                spans.append((begin, index))
                begin = index + 1
            index = self._ends.get(index, index) + 1
        return [*spans, (begin, index)]

    def _weigh(self, start: int, end: int) -> Weight:
        """Return the weight of an expression: what its parts weigh together."""
        total, element, index = 0.0, 1.0, start
        while index < end:
            part, index = self._part(index)
            total += part.total
            element = max(element, part.element)
        return Weight(total, element)

    def _part(self, index: int) -> tuple[Weight, int]:
        """Return the weight of what starts at a token, and the index behind it."""
        token, after = self._tokens[index], self._at(index + 1)
        if token.is_symbol(*_OPEN):
            return self._bracket(index), self._ends[index] + 1
        if token.kind is Kind.STRING:
            return Weight(float(len(token.text))), index + 1
        if token.kind is Kind.PARAMETER:
            return self._parameters.get(token.text[1:].strip("`"), Weight(1.0)), index + 1
        if not token.name or after.is_symbol(":"):
            return Weight(), index + 1
        if after.is_symbol("(") or (token.word in {"COLLECT", "COUNT", "EXISTS"} and after.is_symbol("{")):
            return self._call(index), self._ends[index + 1] + 1
        if after.is_symbol("."):
            return self._property(index)
        if self._at(index - 1).is_symbol("."):
            return Weight(LARGE_PROPERTIES.get(token.text, 1.0)), index + 1
        weight = self._names.get(token.name, Weight(1.0))
        if after.is_symbol("[") and not self._is_slice(index + 1):
            return Weight(weight.element, weight.element), self._ends[index + 1] + 1
        return weight, index + 1

    def _property(self, index: int) -> tuple[Weight, int]:
        """Weigh ``a.b.c``, or a function with a namespace."""
        end = index
        while self._at(end + 1).is_symbol(".") and self._at(end + 2).name:
            end += 2
        if self._at(end + 1).is_symbol("("):
            return self._call(end), self._ends[end + 1] + 1
        weight = LARGE_PROPERTIES.get(self._at(end).text, 1.0)
        held = self._names.get(self._at(index).name, Weight())
        # A property of a map that was made here may hold all of it.
        return Weight(max(weight, held.total if held.total > 1.0 else 0.0), held.element), max(end, index) + 1

    def _is_slice(self, opening: int) -> bool:
        inside = self._tokens[opening + 1 : self._ends[opening]]
        return any(one.is_symbol(".") and two.is_symbol(".") for one, two in pairwise(inside))

    def _bracket(self, opening: int) -> Weight:
        if self._is_loop(opening):
            return self._loop(opening)
        end = self._ends[opening]
        inner = self._weigh(opening + 1, end)
        if self._at(opening).is_symbol("("):
            return inner
        if self._is_pattern_comprehension(opening):
            made = self._weigh(self._find(opening + 1, end, lambda token: token.is_symbol("|")), end)
            return Weight(NEIGHBOURS * max(made.total, 1.0), max(made.total, 1.0))
        return Weight(inner.total + 1.0, max(inner.total, 1.0))

    def _is_pattern_comprehension(self, opening: int) -> bool:
        first = opening + 1 if self._at(opening + 2).text != "=" else opening + 3
        has_bar = self._find(opening + 1, self._ends[opening], lambda token: token.is_symbol("|")) < self._ends[opening]
        return self._at(opening).is_symbol("[") and self._at(first).is_symbol("(") and has_bar

    def _call(self, index: int) -> Weight:
        name, opening = self._at(index).name.lower(), index + 1
        if name in _LOOPING or name.upper() in _LOOPING:
            if self._is_loop(opening):
                self._loop(opening)
            return Weight(1.0)
        inner = self._weigh(opening + 1, self._ends[opening])
        match name:
            case _ if name in _COUNTING:
                # Its value is small; but in a loop what it counts is made anew at each turn.
                is_name = self._ends[opening] == opening + 2
                return Weight(inner.total if self._in_loop and not is_name else 1.0)
            case "collect":
                return Weight(max(COLLECTED, inner.total), max(inner.total, 1.0))
            case "range":
                return Weight(_range_weight(self._tokens[opening + 1 : self._ends[opening]], self._names))
            case "nodes" | "relationships" | "keys" | "labels":
                return Weight(100.0)
            case "replace":
                return self._replaced(opening)
            case _ if name in _ELEMENTS:
                return Weight(inner.element, inner.element)
            case _:
                return Weight(max(inner.total, 1.0), inner.element)

    def _replaced(self, opening: int) -> Weight:
        spans = self._arguments(opening)
        if len(spans) != 3:
            return Weight(1.0)
        text, sought, new = (self._weigh(*span).total for span in spans)
        sought_token = self._at(spans[1][0])
        least = max(1.0, sought - 2.0 if sought_token.kind is Kind.STRING else 1.0)
        return Weight(max(text, 1.0) * max(1.0, new / least))


def _range_weight(tokens: Sequence[Token], names: Mapping[str, Weight]) -> float:
    bounds = [float(token.text) for token in tokens if token.kind is Kind.NUMBER]
    known = [names[token.name].total for token in tokens if token.name in names]
    return max([1.0, *bounds, *known]) + 1.0


def _weight_of(value: Any) -> Weight:
    """Return the weight of a parameter: what it is as JSON, in characters, if it is more than a number."""
    if isinstance(value, str):
        return Weight(float(len(value)))
    if isinstance(value, list | tuple):
        return Weight(float(len(json.dumps(value))), max(map(_size, value), default=1.0))
    if isinstance(value, dict):
        size = float(len(json.dumps(value)))
        return Weight(size, size)
    return Weight(1.0)


def _size(value: Any) -> float:
    return float(len(json.dumps(value))) if isinstance(value, str | list | tuple | dict) else 1.0


def _matching(tokens: Sequence[Token]) -> dict[int, int]:
    """Return the index of the closing bracket of each opening one.

    Raises
    ------
    CypherRefusedError
        If brackets do not match.
    """
    ends: dict[int, int] = {}
    waiting: list[int] = []
    for index, token in enumerate(tokens):
        if token.is_symbol(*_OPEN):
            waiting.append(index)
        elif token.is_symbol(*_CLOSE):
            if not waiting or _OPEN.index(tokens[waiting[-1]].text) != _CLOSE.index(token.text):
                raise CypherRefusedError(f"a {token.text} that closes nothing", hint="balance the brackets")
            ends[waiting.pop()] = index
    if waiting:
        raise CypherRefusedError(f"a {tokens[waiting[-1]].text} that is not closed", hint="balance the brackets")
    return ends
