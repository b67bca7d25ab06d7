"""Cypher text as tokens, read so strictly that the server cannot read it otherwise.

The gateway decides on tokens what may pass, so the one thing that must never happen is that Neo4j sees other tokens
than we do. Hence a closed world: whatever Neo4j's lexers treat specially, or differently between versions, is refused
rather than imitated:

- ``\\uXXXX`` anywhere: Cypher 5 replaces it before it looks for quotes and keywords, Cypher 25 only inside strings;
- characters beyond ASCII outside strings, comments and back-ticks: some are white space;
- control characters anywhere;
- a carriage return without line feed: does it end a ``//`` comment?

Comments are blanked before the query is sent; lengths are kept, so positions in the server's messages fit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from asterism.graph.errors import CypherRefusedError


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    NUMBER = auto()
    PARAMETER = auto()
    SYMBOL = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query.

    Parameters
    ----------
    kind : Kind
        What it is.
    text : str
        As written; of a name in back-ticks, the name without them.
    start : int
        Index of its first character in the query.
    """

    kind: Kind
    text: str
    start: int

    @property
    def word(self) -> str:
        """The upper-case word if it could be a keyword, else an empty string."""
        return self.text.upper() if self.kind is Kind.WORD else ""

    @property
    def name(self) -> str:
        """The name if it could be one, else an empty string."""
        return self.text if self.kind in (Kind.WORD, Kind.QUOTED) else ""

    def is_symbol(self, *symbols: str) -> bool:
        """Tell whether this is one of the given single characters."""
        return self.kind is Kind.SYMBOL and self.text in symbols


_TOKEN = re.compile(
    r"""
      (?P<SPACE>   [ \t\n\r]+ )
    | (?P<COMMENT> //[^\n]* | /\*.*?\*/ )
    | (?P<STRING>  '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
    | (?P<QUOTED>  `(?:[^`]|``)*` )
    | (?P<PARAMETER> \$ (?: [A-Za-z0-9_]+ | `(?:[^`]|``)+` ) )
    | (?P<WORD>    [A-Za-z_][A-Za-z0-9_]* )
    | (?P<NUMBER>  0[xX][0-9a-fA-F]+ | 0[oO][0-7]+ | [0-9]+ (?:\.[0-9]+)? (?:[eE][+-]?[0-9]+)? )
    | (?P<SYMBOL>  [()\[\]{},.:;|&!%=<>+\-*^~$] | /(?!\*) )
    """,
    re.VERBOSE | re.DOTALL,
)
_ALNUM = re.compile(r"[A-Za-z0-9_]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def tokenize(query: str) -> tuple[list[Token], str]:
    """Split a query into tokens.

    Parameters
    ----------
    query : str
        Cypher text.

    Returns
    -------
    tokens : list of Token
        Without white space and comments.
    blanked : str
        The query with spaces in place of comments: the text to send.

    Raises
    ------
    CypherRefusedError
        If something could be read in two ways, or is not closed.
    """
    _refuse_ambiguous(query)
    tokens: list[Token] = []
    pieces: list[str] = []
    position = 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        if match is None:
            raise _unreadable(query, position)
        kind, text = str(match.lastgroup), match.group()
        if kind == "COMMENT":
            pieces.append(re.sub(r"[^\n\r]", " ", text))
        else:
            pieces.append(text)
            if kind != "SPACE":
                tokens.append(Token(Kind[kind], _bare(text) if kind == "QUOTED" else text, position))
        if kind == "NUMBER" and _ALNUM.match(query, match.end()):
            raise _refused(query, position, "a number runs into a letter", "put a space between them")
        position = match.end()
    return tokens, "".join(pieces)


def quoted(name: str) -> str:
    """Return a label, type or property name as Cypher takes it literally, in back-ticks.

    Raises
    ------
    CypherRefusedError
        If the name holds a backslash, which Neo4j would read as the start of an escape.
    """
    if "\\" in name:
        raise CypherRefusedError(f"name {name!r:.80} holds a backslash", hint="rename it")
    return f"`{name.replace('`', '``')}`"


def _bare(text: str) -> str:
    return text[1:-1].replace("``", "`")


def _refuse_ambiguous(query: str) -> None:
    checks = (
        (
            re.search(r"\\u", query, re.IGNORECASE),
            "an escape \\u",
            "write the character itself, or pass it with --param",
        ),
        (re.search(r"\r(?!\n)", query), "a carriage return without line feed", "end lines with a line feed"),
        (_CONTROL.search(query), "a control character", "remove it"),
    )
    for match, what, hint in checks:
        if match:
            raise _refused(query, match.start(), what, hint)


def _unreadable(query: str, position: int) -> CypherRefusedError:
    character = query[position]
    if character in "'\"`" or query.startswith("/*", position):
        return _refused(query, position, "a quote or comment that is not closed", "close it")
    return _refused(
        query,
        position,
        f"the character {character!r} outside a string",
        "put names in back-ticks, values in --param",
    )


def _refused(query: str, position: int, what: str, hint: str) -> CypherRefusedError:
    line = query.count("\n", 0, position) + 1
    column = position - query.rfind("\n", 0, position)
    return CypherRefusedError(f"line {line}, column {column}: {what}", hint=hint)
