from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError, build_schema, find_breaking_changes

from asterism.gql.loaders import RequestContext
from asterism.gql.schema import Schema, make_schema, stored_sdl
from asterism.graph.reader import Totals

SNAPSHOT = Path(__file__).parent.parent.parent / "gql" / "schema.graphql"
RELEASED = SNAPSHOT.with_name("schema.released.graphql")


def test_the_stored_schema_is_the_schema() -> None:
    printed = make_schema().as_str() + "\n"
    if os.environ.get("REWRITE_EXPECTED"):
        SNAPSHOT.write_text(printed, encoding="utf-8")
    assert stored_sdl() == printed, "REWRITE_EXPECTED=1 pytest tests/gql/test_schema.py writes it anew"


def breaking(old: str, new: str) -> list[str]:
    """Return the changes from one schema to another that break clients."""
    return [change.description for change in find_breaking_changes(build_schema(old), build_schema(new))]


def test_a_client_of_the_last_release_is_not_broken() -> None:
    """``schema.released.graphql`` is the schema of the last release: copy ``schema.graphql`` over it when releasing."""
    assert breaking(RELEASED.read_text(encoding="utf-8"), make_schema().as_str()) == []


@pytest.mark.parametrize(
    ("taken", "given"),
    [
        ("  searchedAreaDeg2: Float\n", "  searchedArea: Float\n"),
        ("  searchedAreaDeg2: Float\n", "  searchedAreaDeg2: String\n"),
        ("  AMBIGUOUS\n", "  UNCLEAR\n"),
        ("object(key: ID!)", "object(key: ID!, survey: String!)"),
    ],
)
def test_what_would_break_clients_is_noticed(taken: str, given: str) -> None:
    printed = make_schema().as_str()
    assert taken in printed
    assert breaking(printed, printed.replace(taken, given, 1))


class Failing:
    """Readers whose store breaks in a way nobody foresaw."""

    @property
    def objects(self) -> Failing:
        return self

    async def totals(self) -> Totals:
        raise RuntimeError("password=hunter2")


def errors_of(schema: Schema, query: str, context: Any = None, **variables: Any) -> list[GraphQLError]:
    result = asyncio.run(schema.execute(query, variable_values=variables, context_value=context))
    assert result.errors
    return result.errors


def test_an_unforeseen_error_leaves_masked_through_the_schema() -> None:
    reader: Any = Failing()
    (error,) = errors_of(make_schema(), "{ statistics { alerts } }", RequestContext(reader))
    assert error.extensions is not None
    assert error.extensions["code"] == "gql.internal"
    assert "hunter2" not in str(error.formatted)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("ra: 725, dec: 0, radiusArcsec: 1", "ra is 725"),
        ("ra: -0.1, dec: 0, radiusArcsec: 1", "ra is -0.1"),
        ("ra: 0, dec: 90.1, radiusArcsec: 1", "dec is 90.1"),
        ("ra: 0, dec: 0, radiusArcsec: 0", "radiusArcsec is 0"),
        ("ra: 0, dec: 0, radiusArcsec: 3601", "radiusArcsec is 3601"),
        ("ra: 0, dec: 0, radiusArcsec: 1, first: 101", "first is 101"),
        ("ra: 0, dec: 0, radiusArcsec: 1, mjdFrom: 2, mjdTo: 1", "mjdFrom 2.0 is after mjdTo 1.0"),
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_read(field: str, says: str) -> None:
    reader: Any = Failing()
    query = f"{{ coneSearch({field}) {{ edges {{ cursor }} }} }}"
    (error,) = errors_of(make_schema(), query, RequestContext(reader))
    assert error.message.startswith(says)
    assert error.extensions is not None
    assert error.extensions["code"] == "gql.argument"
    assert error.extensions["hint"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "1", True, None, [1.0], {"a": 1}])
def test_a_variable_that_is_no_finite_number_is_the_clients_error(value: object) -> None:
    query = "query ($ra: Float!) { coneSearch(ra: $ra, dec: 0, radiusArcsec: 1) { edges { cursor } } }"
    (error,) = errors_of(make_schema(), query, ra=value)
    assert error.extensions is not None
    assert error.extensions["code"] == "gql.invalid"


@pytest.mark.parametrize(
    "key", ["", "ztf", "ztf:", ":a", "ZTF:a", "ztf:a b", "ztf:" + "a" * 200, "ztf:'}) DELETE n //"]
)
def test_a_malformed_key_is_refused_with_the_code_of_ids(key: str) -> None:
    reader: Any = Failing()
    context = RequestContext(reader)
    (error,) = errors_of(make_schema(), "query ($k: ID!) { object(key: $k) { key } }", context, k=key)
    assert error.extensions is not None
    assert error.extensions["code"] == "id.malformed"
