"""`asterism.voevent.json_params`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.voevent.document import Document, Param, compose, parse
from asterism.voevent.errors import NoticeSchemaError
from asterism.voevent.json_params import as_param, flatten, path_text, read_path, unflatten

XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | XML_TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(XML_TEXT, inner, max_size=4))


def carried(value: dict[str, Any]) -> tuple[Param, ...]:
    return tuple(as_param(path, member, path_text(path)) for path, member in flatten(value) if path)


@settings(max_examples=60)
@given(st.dictionaries(XML_TEXT, VALUES, max_size=5))
def test_any_json_object_survives_the_way_through_a_schema_valid_document(value: dict[str, Any]) -> None:
    document = Document("ivo://example.org/a#b", "test", params=carried(value))
    back = unflatten(parse(compose(document)).params)
    assert json.dumps(back) == json.dumps(value)


def test_the_type_of_every_value_survives_text_that_looks_like_a_number_too() -> None:
    value = {
        "id": "1",
        "n": 1,
        "x": 1.0,
        "yes": True,
        "text": "true",
        "none": None,
        "empty": {},
        "list": [[1, []], None],
    }
    assert json.dumps(unflatten(carried(value))) == json.dumps(value)


def test_places_read_as_people_write_them() -> None:
    assert path_text(("event_details", 0, "ra")) == "event_details[0]/ra"
    assert read_path("a~1b/c[2][0]/~2") == ("a/b", "c", 2, 0, "[")


@pytest.mark.parametrize(
    "params",
    [
        [Param("a", "1", utype="json:a"), Param("b", "1", utype="json:a/b")],
        [Param("b", "1", utype="json:a/b"), Param("a", "1", utype="json:a")],
        [Param("a", "1", utype="json:a"), Param("a", "2", utype="json:a")],
        [Param("a", "1", utype="json:a[1]")],
        [Param("a", "1", utype="json:a[0]"), Param("a", "1", utype="json:a/b")],
        [Param("a", "1", utype="json:a[99999]")],
        [Param("a", "1", utype="json:a[0")],
        [Param("a", "1", utype="json:" + "/a" * 17)],
        [Param("a", "one", data_type="int", utype="json:a")],
        [Param("a", "9" * 5000, data_type="int", utype="json:a")],
        [Param("a", "[1]", utype="json-literal:a")],
    ],
)
def test_parameters_that_are_no_json_object_are_refused_with_a_code(params: list[Param]) -> None:
    with pytest.raises(NoticeSchemaError):
        unflatten(params)


def test_parameters_of_others_are_passed_over() -> None:
    assert unflatten([Param("a", "1"), Param("b", "1", utype="other:b")]) == {}
