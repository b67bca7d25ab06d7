"""Cypher text becomes tokens one way only, or is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.graph.cypher_tokens import Kind, quoted, tokenize
from asterism.graph.errors import CypherRefusedError


def texts(query: str) -> list[str]:
    return [token.text for token in tokenize(query)[0]]


def test_tokens_are_words_names_strings_numbers_parameters_and_symbols() -> None:
    tokens, _ = tokenize("MATCH (n:`My ``Label` {a: 'it\\'s', b: \"x\"}) WHERE n.f > 1.5e-3 RETURN $p, $`q r`[0..2]")
    kinds = {kind: [t.text for t in tokens if t.kind is kind] for kind in Kind}
    assert kinds[Kind.WORD] == ["MATCH", "n", "a", "b", "WHERE", "n", "f", "RETURN"]
    assert kinds[Kind.QUOTED] == ["My `Label"]
    assert kinds[Kind.STRING] == ["'it\\'s'", '"x"']
    assert kinds[Kind.NUMBER] == ["1.5e-3", "0", "2"]
    assert kinds[Kind.PARAMETER] == ["$p", "$`q r`"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a // LOAD\nb", ["a", "b"]),
        ("a /* LOAD\n * CSV **/ b", ["a", "b"]),
        ("a /* ' */ b // '", ["a", "b"]),
        ("'// no comment' '/* nor this */'", ["'// no comment'", "'/* nor this */'"]),
        ("'\\\\' + 'x'", ["'\\\\'", "+", "'x'"]),
        ("`// a name` /", ["// a name", "/"]),
        ("1..3", ["1", ".", ".", "3"]),
    ],
)
def test_quotes_and_comments_end_where_the_server_ends_them(query: str, expected: list[str]) -> None:
    assert texts(query) == expected


def test_what_is_sent_has_blanks_for_comments_and_keeps_every_position() -> None:
    query = "RETURN 'a // b' /* x\ny */ AS c // the end"
    _, sent = tokenize(query)
    assert sent == "RETURN 'a // b'     \n     AS c           "
    assert len(sent) == len(query)


@pytest.mark.parametrize(
    "query",
    [
        "\\u004cOAD CSV",
        "RETURN '\\u0027 LOAD CSV //'",
        "RETURN '\\\\u0027'",
        "RETURN `\\U0060`",
        "// x\rLOAD CSV FROM 'y' AS z RETURN z",
        "LOAD\u00a0CSV",
        "LOAD\u200bCSV",
        "LO\u017fAD",
        "RETURN \u201cx\u201d",
        "RETURN 'a\x00b'",
        "RETURN 'open",
        'RETURN "open',
        "RETURN `open",
        "RETURN 1 /* open",
        "RETURN 1LOAD",
        "RETURN 0x1FLOAD",
        "RETURN #",
        "RETURN @x",
        "RETURN \\",
    ],
)
def test_what_two_lexers_could_read_differently_is_refused(query: str) -> None:
    with pytest.raises(CypherRefusedError, match=r"line 1, column \d+") as caught:
        tokenize(query)
    assert caught.value.advice


def test_a_refusal_names_line_and_column() -> None:
    with pytest.raises(CypherRefusedError, match="line 2, column 5"):
        tokenize("RETURN\n1 + ☃")


@given(st.text(alphabet="ab'\"`/*\\ \n1.$", max_size=30))
def test_no_text_breaks_the_tokenizer_and_tokens_cover_all_but_space_and_comments(query: str) -> None:
    try:
        tokens, sent = tokenize(query)
    except CypherRefusedError:
        return
    assert len(sent) == len(query)
    assert "".join(sent.split()) == "".join("".join(_as_sent(sent, t.start, t.text, t.kind).split()) for t in tokens)


def _as_sent(sent: str, start: int, text: str, kind: Kind) -> str:
    length = len(text) + text.count("`") + 2 if kind is Kind.QUOTED else len(text)
    return sent[start : start + length]


@given(st.text(alphabet="ab` \n'é", min_size=1, max_size=9))
def test_a_quoted_name_reads_back_as_itself(name: str) -> None:
    (token,), _ = tokenize(quoted(name))
    assert (token.kind, token.text) == (Kind.QUOTED, name)


def test_a_name_with_a_backslash_is_not_quoted() -> None:
    with pytest.raises(CypherRefusedError):
        quoted("a\\u0060b")
