from __future__ import annotations

import asyncio
from typing import Any

import pytest
from graphql import GraphQLError, get_introspection_query, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.gql.errors import MAX_ERRORS, TooCostlyError, public_errors
from asterism.gql.limits import MAX_ALIASES, MAX_DEPTH, MAX_ROWS, MAX_TOKENS, RowBudget, Shape, measure
from asterism.gql.loaders import ChargedLoader, RequestContext
from asterism.gql.schema import make_schema

SCHEMA = make_schema()


def code_of(query: str) -> str:
    result = asyncio.run(SCHEMA.execute(query))
    assert result.errors
    (code,) = {(error.extensions or {})["code"] for error in result.errors}
    return str(code)


selections = st.recursive(
    st.sampled_from(["a", "x: a", "__typename"]),
    lambda inner: st.lists(
        st.one_of(
            inner,
            inner.map(lambda s: f"b {{ {s} }}"),
            inner.map(lambda s: f"y: b {{ {s} }}"),
            inner.map(lambda s: f"... on Q {{ {s} }}"),
        ),
        min_size=1,
        max_size=3,
    ).map(" ".join),
    max_leaves=12,
)


@settings(max_examples=100)
@given(st.lists(selections, min_size=1, max_size=4), st.data())
def test_fragments_measure_as_if_they_were_written_out(bodies: list[str], data: Any) -> None:
    """Fragment i spreads fragment i + 1; the reference has each spread replaced by its text."""
    spread, written, inner = [], "", ""
    for i, body in reversed(list(enumerate(bodies))):
        wrap = data.draw(st.sampled_from(["{} {}", "{} b {{ {} }}", "{} {} z: b {{ {} }}"]))
        last = i == len(bodies) - 1
        fill = "a" if last else f"...F{i + 1}"
        inner = written or "a"
        spread.append(f"fragment F{i} on Q {{ {wrap.format(body, *[fill] * 2)} }}")
        written = wrap.format(body, *[inner] * 2)
    assert measure(parse("{ ...F0 } " + " ".join(spread))) == measure(parse(f"{{ {written} }}"))


def test_depth_and_aliases_are_counted() -> None:
    assert measure(parse("{ a { b { c } } x: a { y: b } }")) == Shape(depth=3, aliases=2)
    assert measure(parse("{ __schema { types { name } } }")).introspection == 3


def test_fragments_that_spread_each_other_twice_are_measured_in_linear_time() -> None:
    """2**200 spreads: whoever walks them does not come back."""
    chain = " ".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(200))
    shape = measure(parse("{ ...F0 } " + chain + " fragment F200 on Query { x: __typename }"))
    assert shape.aliases == 2**200


def test_fragments_in_a_circle_are_measured_and_refused() -> None:
    query = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A x: __typename }"
    assert measure(parse(query)).aliases == 1
    assert code_of(query) == "gql.invalid"


def deep_query(levels: int) -> str:
    """Return a valid query of 2 + 4 * `levels` levels."""
    return (
        '{ object(key: "ztf:a") { '
        + "sameAs { source { objects { object { " * levels
        + "key"
        + " } } } }" * levels
        + " } }"
    )


def test_each_limit_has_its_own_code() -> None:
    assert MAX_DEPTH < 2 + 4 * 3
    assert code_of(deep_query(3)) == "gql.too_deep"
    assert (
        code_of("{ " + " ".join(f"a{i}: __typename" for i in range(MAX_ALIASES + 1)) + " }") == "gql.too_many_aliases"
    )
    assert code_of("{ " + "__typename " * MAX_TOKENS + "}") == "gql.too_many_tokens"
    assert code_of("{ object(key: }") == "gql.syntax"
    assert code_of("{ nothing }") == "gql.invalid"


def test_documents_within_the_limits_are_let_through() -> None:
    query = "{ " + " ".join(f"a{i}: __typename" for i in range(MAX_ALIASES)) + " }"
    result = asyncio.run(SCHEMA.execute(query))
    assert result.errors is None


def test_brackets_without_end_are_refused_as_syntax() -> None:
    assert code_of("{ a " * (MAX_TOKENS // 2 - 1)) == "gql.syntax"
    assert code_of("{ object(key: " + "[" * (MAX_TOKENS - 10)) == "gql.syntax"


def test_tools_can_introspect_but_not_without_bound() -> None:
    result = asyncio.run(SCHEMA.execute(get_introspection_query(input_value_deprecation=True)))
    assert result.errors is None
    circle = "{ __schema { types " + "{ fields { type " * 4 + "{ name }" + " } }" * 4 + " } }"
    assert code_of(circle) == "gql.invalid"


def test_introspection_can_be_switched_off_without_taking_typename() -> None:
    silent = make_schema(introspection=False)
    hidden = '{ ...A } fragment A on Query { __type(name: "Object") { name } }'
    for query in ("{ __schema { types { name } } }", hidden):
        result = asyncio.run(silent.execute(query))
        assert [(error.extensions or {})["code"] for error in result.errors or []] == ["gql.introspection_off"]
    assert asyncio.run(silent.execute("{ __typename }")).data == {"__typename": "Query"}


@pytest.mark.parametrize("query", ["{ nothing }", "{ object }", "{ a: b: }", "{ ...F } fragment F on Nobody { key }"])
def test_a_document_that_comes_again_is_refused_as_it_was_at_first(query: str) -> None:
    def refusal() -> list[Any]:
        return [error.formatted for error in asyncio.run(SCHEMA.execute(query)).errors or []]

    first = refusal()
    assert first
    assert [refusal(), refusal()] == [first, first]


def test_a_document_one_schema_has_answered_is_refused_by_one_that_does_not() -> None:
    query = '{ __type(name: "Alert") { name } }'
    assert asyncio.run(SCHEMA.execute(query)).data == {"__type": {"name": "Alert"}}
    result = asyncio.run(make_schema(introspection=False).execute(query))
    assert [(error.extensions or {})["code"] for error in result.errors or []] == ["gql.introspection_off"]


class Sleeping:
    """Readers whose store does not answer."""

    @property
    def changes(self) -> Sleeping:
        return self

    async def sequence(self) -> int:
        await asyncio.sleep(60)
        return 0


def test_a_request_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asterism.gql.schema.REQUEST_SECONDS", 0.05)
    readers: Any = Sleeping()
    result = asyncio.run(SCHEMA.execute("{ sequence }", context_value=RequestContext(readers)))
    assert [(error.extensions or {})["code"] for error in result.errors or []] == ["gql.overdue"]
    assert result.data is None


def test_a_list_is_charged_each_time_it_is_asked_for_though_it_is_read_once() -> None:
    reads: list[list[str]] = []

    async def load(keys: list[str]) -> list[int]:
        reads.append(keys)
        return [0 for _ in keys]

    async def ask() -> int:
        budget = RowBudget()
        loader = ChargedLoader[str, int](budget, load, lambda _key: 10)
        for _ in range(3):
            await loader.load("a")
        return budget.left

    assert asyncio.run(ask()) == MAX_ROWS - 30
    assert reads == [["a"]]


def test_an_answer_carries_a_bounded_number_of_errors() -> None:
    error = TooCostlyError("too much")
    errors = public_errors([GraphQLError(error.message, original_error=error)] * 1000)
    assert len(errors) == MAX_ERRORS


def test_rows_are_charged_before_they_are_read() -> None:
    budget = RowBudget()
    budget.charge(MAX_ROWS)
    with pytest.raises(TooCostlyError):
        budget.charge(1)
