"""What a read-only query may contain, decided on its tokens before anything is sent.

The server's READ mode alone is no sandbox. It lets LOAD CSV, SHOW and ``CALL dbms.*`` pass, and what one expression
does escapes both its memory limit and its time limit. So the world is closed: a query starts with a reading clause,
calls only procedures and functions on short lists, has no loop in a loop, no large `range`, no `reduce` and no regular
expression; how large its values may become and how long its loops run is estimated by `asterism.graph.cypher_cost`.
Writing clauses are refused here for a clear message; should one slip through, the query type and the operators that
EXPLAIN reports and READ mode stop it. What makes the planner itself run for minutes (thousands of NOT, of clauses) is
refused by counting.

What remains possible is to be slow: the time limit ends that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asterism.graph.cypher_cost import check_cost
from asterism.graph.cypher_tokens import Kind, Token
from asterism.graph.cypher_words import BEFORE_BRACKET, FUNCTION_NAMESPACES, FUNCTIONS, PROCEDURES
from asterism.graph.errors import CypherRefusedError

MAX_CHARACTERS = 10_000
"""Longest query."""
MAX_RANGE = 10_000
"""Most elements all calls of `range` make, multiplied."""
MAX_TOKENS = 2500
"""Most words, numbers and symbols of a query."""
MAX_CLAUSES = 80
"""Most clauses of a query: planning takes longer than in proportion."""
MAX_CASES = 10
"""Deepest nesting of CASE: the planner recurses over it."""
MAX_CHAIN = 300
"""Most operators of one kind, or steps of a pattern: the planner recurses over them, too."""
MAX_STEPS = 20
"""Most relationships in the patterns of a query: planning their order takes longer than in proportion."""
MAX_XOR = 4
"""Most XOR: the planner doubles the predicate at each."""
MAX_SIGNS = 8
"""Most prefixes (NOT, +, -) in a row: the planner recurses over them."""
MAX_DEPTH = 40
"""Deepest nesting of brackets."""

STARTERS = frozenset({"MATCH", "OPTIONAL", "UNWIND", "WITH", "RETURN", "CALL"})
"""Words a query may start with."""

_CLAUSES = frozenset({"MATCH", "WITH", "RETURN", "UNWIND", "CALL", "UNION"})
_WRITING = frozenset({"CREATE", "MERGE", "SET", "DELETE", "DETACH", "NODETACH", "REMOVE", "DROP", "FOREACH", "INSERT"})
_OTHER_CLAUSES = frozenset({"LOAD", "SHOW", "USE", "TERMINATE", "ALTER", "GRANT", "DENY", "REVOKE"})
_LOOPING = frozenset({"ALL", "ANY", "NONE", "SINGLE"})
_CHAINED = frozenset("+-*/%^=<>|&!.:[(") | {"AND", "OR", "NOT", "IS", "IN", "CONTAINS", "STARTS", "ENDS", "WHEN"}
_OPEN, _CLOSE = ("(", "[", "{"), (")", "]", "}")
_END = Token(Kind.SYMBOL, "", -1)


def check_query(tokens: Sequence[Token], parameters: Mapping[str, Any] | None = None) -> None:
    """Refuse a query that is more than a bounded read of the graph.

    Parameters
    ----------
    tokens : sequence of Token
        The query.
    parameters : mapping, optional
        Values of its ``$`` parameters: how long they are counts.

    Raises
    ------
    CypherRefusedError
        Saying what must be changed.
    """
    if not tokens:
        raise CypherRefusedError("the query is empty", hint="try MATCH (o:Object) RETURN o LIMIT 5")
    if tokens[0].word not in STARTERS:
        raise CypherRefusedError(
            f"a query may not start with {tokens[0].text:.40}",
            hint=f"start with one of {', '.join(sorted(STARTERS))}",
        )
    _check_clauses(tokens)
    _check_calls(tokens)
    _check_size(tokens)
    _check_work(tokens)
    _check_nesting(tokens)
    check_cost(tokens, parameters or {})


def without_semicolon(tokens: list[Token], text: str) -> tuple[list[Token], str]:
    """Drop the semicolon that may end a query."""
    if tokens and tokens[-1].is_symbol(";"):
        return tokens[:-1], text[: tokens[-1].start]
    return tokens, text


def _neighbours(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token, Token, Token]]:
    """Yield each token with the two before and the one after."""
    padded = [_END, _END, *tokens, _END]
    yield from ((padded[i - 2], padded[i - 1], padded[i], padded[i + 1]) for i in range(2, len(padded) - 1))


def _is_name(two_before: Token, before: Token, after: Token) -> bool:
    """Tell whether a keyword stands where only a name can: ``n.set``, ``:Set``, ``{set: 1}``, ``set.key``."""
    after_dot = before.is_symbol(".") and two_before.kind is not Kind.NUMBER and not two_before.is_symbol(".")
    return after_dot or before.is_symbol(":") or after.is_symbol(":", ".")


def _check_clauses(tokens: Sequence[Token]) -> None:
    for two_before, before, token, after in _neighbours(tokens):
        word = token.word
        if token.is_symbol(";"):
            raise CypherRefusedError("more than one statement", hint="send one query at a time")
        if word not in _WRITING | _OTHER_CLAUSES | {"TRANSACTIONS"} or _is_name(two_before, before, after):
            continue
        if word in _WRITING:
            raise CypherRefusedError(
                f"{word} writes, and this door only reads",
                hint=f"if it is a name, put it in back-ticks: `{token.text}`",
            )
        raise CypherRefusedError(
            f"{word} is not allowed here", hint=f"only reads of the graph are; as a name write `{token.text}`"
        )


def _check_calls(tokens: Sequence[Token]) -> None:
    previous: list[str] = []
    for index, (two_before, before, token, after) in enumerate(_neighbours(tokens)):
        is_call = token.word == "CALL" and not _is_name(two_before, before, after)
        if is_call and not after.is_symbol("{", "("):
            name = _dotted(tokens, index + 1)
            if name not in PROCEDURES:
                raise CypherRefusedError(
                    f"procedure {name[:80]!r} is not allowed",
                    hint=f"allowed: {', '.join(sorted(PROCEDURES))}",
                )
            previous.append(name)
        if token.name and after.is_symbol("("):
            _check_function(tokens, index, previous)


def _dotted(tokens: Sequence[Token], index: int) -> str:
    """Return the name, with its namespace, that starts at a token."""
    parts = []
    while index < len(tokens) and tokens[index].name:
        parts.append(tokens[index].text)
        if index + 1 >= len(tokens) or not tokens[index + 1].is_symbol("."):
            break
        index += 2
    return ".".join(parts)


def _check_function(tokens: Sequence[Token], index: int, procedures: Sequence[str]) -> None:
    """Check the function whose name ends at a token; `procedures` were allowed already."""
    parts = [tokens[index].text]
    at = index
    while at >= 2 and tokens[at - 1].is_symbol(".") and tokens[at - 2].name:
        at -= 2
        parts.insert(0, tokens[at].text)
    name = ".".join(parts)
    namespace, dot, _ = name.rpartition(".")
    if dot and namespace.lower() not in FUNCTION_NAMESPACES and name not in procedures:
        raise CypherRefusedError(
            f"function {name[:80]!r} is not allowed",
            hint=f"allowed namespaces: {', '.join(sorted(FUNCTION_NAMESPACES))}",
        )
    if name.lower() in {"reduce", "allreduce"}:
        raise CypherRefusedError(
            f"{name} cannot be bounded", hint="UNWIND the list and aggregate with sum() or collect()"
        )
    if not dot and name.lower() not in FUNCTIONS and tokens[index].word not in BEFORE_BRACKET:
        raise CypherRefusedError(f"function {name[:80]!r} is not allowed", hint=_similar(name))
    if name.lower() == "replace" and _last_argument(tokens, index + 1).kind not in (
        Kind.STRING,
        Kind.PARAMETER,
    ):
        raise CypherRefusedError(
            "replace with a computed text cannot be bounded", hint="replace with a string or a parameter"
        )


def _similar(name: str) -> str:
    known = sorted(one for one in FUNCTIONS if one[:2] == name.lower()[:2])
    return (
        f"functions that begin alike: {', '.join(known)}"
        if known
        else "Neo4j's own scalar, list and math functions are"
    )


def _last_argument(tokens: Sequence[Token], opening: int) -> Token:
    """Return the last token before a bracket's end if it is an argument by itself."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += tokens[index].is_symbol(*_OPEN) - tokens[index].is_symbol(*_CLOSE)
        if depth == 0:
            return tokens[index - 1] if tokens[index - 2].is_symbol(",") else _END
    return _END


def _check_size(tokens: Sequence[Token]) -> None:
    if len(tokens) > MAX_TOKENS:
        raise CypherRefusedError(f"the query has {len(tokens)} words and symbols", hint=f"at most {MAX_TOKENS}")
    clauses = sum(token.word in _CLAUSES for token in tokens)
    if clauses > MAX_CLAUSES:
        raise CypherRefusedError(
            f"the query has {clauses} clauses", hint=f"at most {MAX_CLAUSES}; send several queries"
        )
    _check_recursion(tokens)
    signs = 0
    for token in tokens:
        signs = signs + 1 if token.word == "NOT" or token.is_symbol("+", "-") else 0
        if signs > MAX_SIGNS:
            raise CypherRefusedError(f"more than {MAX_SIGNS} signs in a row", hint="leave out what cancels")


def _check_recursion(tokens: Sequence[Token]) -> None:
    """Refuse what the planner descends into too deeply: it would not come back, and its thread with it."""
    cases = deepest = steps = 0
    for _, before, token, after in _neighbours(tokens):
        steps += token.is_symbol("-") and after.is_symbol("-", "[") and before.is_symbol(")", "<")
        if before.is_symbol(".") or after.is_symbol(".", ":"):
            continue
        cases = max(0, cases + (token.word == "CASE") - (token.word == "END"))
        deepest = max(deepest, cases)
    if deepest > MAX_CASES:
        raise CypherRefusedError(f"CASE in CASE, {deepest} deep", hint=f"at most {MAX_CASES}; a CASE has many WHENs")
    if steps > MAX_STEPS:
        raise CypherRefusedError(f"patterns of {steps} relationships", hint=f"at most {MAX_STEPS}; use -[*1..n]-")
    counts = Counter(token.text.upper() for token in tokens)
    if counts["XOR"] > MAX_XOR:
        raise CypherRefusedError(f"{counts['XOR']} times XOR", hint=f"at most {MAX_XOR}; use <>")
    for name, count in counts.items():
        if name in _CHAINED and count > MAX_CHAIN:
            raise CypherRefusedError(f"{count} times {name}", hint=f"at most {MAX_CHAIN}; pass lists as parameters")


def _check_work(tokens: Sequence[Token]) -> None:
    elements = 1
    for index, (_, _, token, after) in enumerate(_neighbours(tokens)):
        if token.is_symbol("~"):
            raise CypherRefusedError(
                "a regular expression can run for ever",
                hint="use STARTS WITH, ENDS WITH, CONTAINS or a list with IN",
            )
        if token.name.lower() == "range" and after.is_symbol("("):
            elements *= _range_length(tokens, index + 2)
    if elements > MAX_RANGE:
        raise CypherRefusedError(
            f"range() makes {elements} elements, at most {MAX_RANGE}", hint="pass a list with --param"
        )


def _range_length(tokens: Sequence[Token], index: int) -> int:
    """Return how many elements the call of `range` makes whose arguments start at a token."""
    if _counts_a_list(tokens, index):
        return 1
    text = ""
    while index < len(tokens) and not tokens[index].is_symbol(")"):
        text += tokens[index].text
        index += 1
    try:
        start, stop, *step = (int(argument) for argument in text.split(","))
    except ValueError:
        raise CypherRefusedError(
            f"range({text:.60}) has bounds that are no plain integers",
            hint="write them out, use 0, size(name) - 1, or pass a list with --param",
        ) from None
    stride = max(1, *map(abs, step)) if step else 1
    return abs(stop - start) // stride + 1


def _counts_a_list(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether the bounds are ``0, size(name)`` less some number: no more than the list has."""
    texts = [token.text.lower() for token in tokens[index : index + 9]]
    head = texts[:4] in (["0", ",", "size", "("], ["1", ",", "size", "("])
    if not (head and len(texts) > 6 and tokens[index + 4].name and texts[5] == ")"):
        return False
    return texts[6] == ")" or (texts[6] == "-" and len(texts) > 8 and texts[7].isdigit() and texts[8] == ")")


def _check_nesting(tokens: Sequence[Token]) -> None:
    """Refuse loops inside loops, which the server neither times nor counts, and deep brackets."""
    groups: list[bool] = []
    for index, (_, before, token, after) in enumerate(_neighbours(tokens)):
        if token.is_symbol(*_OPEN):
            iterates = after.name != "" and index + 2 < len(tokens) and tokens[index + 2].word == "IN"
            loop = iterates and (token.is_symbol("[") or before.name.upper() in _LOOPING)
            groups.append(loop)
            if loop and sum(groups) > 1:
                raise CypherRefusedError("a loop over a list inside another", hint="use UNWIND for the outer one")
            if len(groups) > MAX_DEPTH:
                raise CypherRefusedError(f"brackets nested deeper than {MAX_DEPTH}", hint="simplify the query")
        elif token.is_symbol(*_CLOSE) and groups:
            groups.pop()
