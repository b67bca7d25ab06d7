from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.gql.connections import (
    MAX_PAGE,
    Position,
    decode_cursor,
    encode_cursor,
    list_name,
    page_size,
)
from asterism.gql.errors import ArgumentError, CursorError


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 2**63 - 1),
    st.sampled_from(["", "f" * 64 + ":0"]),
)
def test_a_cursor_gives_back_the_exact_place_it_was_made_of(value: float, source: int, rest: str) -> None:
    place = Position(value, f"lsst:{source}", rest)
    assert decode_cursor("list", encode_cursor("list", place)) == place


@given(st.one_of(st.text(max_size=600), st.binary(max_size=200).map(lambda b: base64.urlsafe_b64encode(b).decode())))
def test_any_text_that_is_no_cursor_is_refused_with_a_code(text: str) -> None:
    with pytest.raises(CursorError):
        decode_cursor("list", text)


@pytest.mark.parametrize(
    "document",
    [
        ["list", 1.0],
        ["list", "1.0", "ztf:a"],
        ["list", True, "ztf:a"],
        ["list", 1.0, 7],
        ["list", 1.0, "ztf:a", 7],
        ["list", 1.0, "ztf:a", "\ud800"],
        ["list", 1.0, "ztf:a", "b", "c"],
        ["list", 1.0, "no key"],
        ["list", float("nan"), "ztf:a"],
        {"list": 1},
        None,
    ],
)
def test_a_cursor_of_the_right_form_with_wrong_values_is_refused(document: object) -> None:
    with pytest.raises(CursorError):
        decode_cursor("list", base64.urlsafe_b64encode(json.dumps(document).encode()).decode())


def test_a_cursor_is_refused_by_every_other_list() -> None:
    cursor = encode_cursor(list_name("coneSearch", 10.0, 20.0, 5.0), Position(1.5, "ztf:a"))
    with pytest.raises(CursorError, match="another list"):
        decode_cursor(list_name("coneSearch", 10.0, 20.0, 6.0), cursor)


@pytest.mark.parametrize("first", [-1, 0, MAX_PAGE + 1, 2**31 - 1])
def test_pages_have_a_size_limit(first: int) -> None:
    with pytest.raises(ArgumentError):
        page_size(first)
