from __future__ import annotations

import pytest
from graphql import GraphQLError

from asterism.errors import AsterismError, IdError
from asterism.gql.errors import ArgumentError, public_errors
from asterism.graph.errors import GraphUnreachableError


def shown(*causes: Exception) -> list[GraphQLError]:
    return public_errors([GraphQLError(str(cause), original_error=cause, path=["a", 0]) for cause in causes])


@pytest.mark.parametrize("cause", [ArgumentError("ra is 725.0", hint="0 to 360"), IdError("key 'x' is malformed")])
def test_errors_about_the_clients_words_are_shown_whole(cause: AsterismError) -> None:
    (error,) = shown(cause)
    assert error.message == cause.message
    assert error.extensions == {"code": cause.code, "hint": cause.advice}
    assert error.path == ["a", 0]


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (GraphUnreachableError("Neo4j at bolt://secret:7687 is away"), "graph.unreachable"),
        (ValueError("/etc/secret"), "gql.internal"),
        (GraphQLError("wrapped", original_error=KeyError("secret")), "gql.internal"),
    ],
)
def test_nothing_of_our_own_failures_leaves_but_code_and_reference(
    cause: Exception, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (error,) = shown(cause)
    assert "secret" not in str(error.formatted)
    assert error.extensions is not None
    assert error.extensions["code"] == code
    assert error.original_error is None
    reference = error.message.rpartition(" ")[2].rstrip(")")
    logged = capsys.readouterr()
    assert reference in logged.out + logged.err
    assert "secret" in logged.out + logged.err


def test_one_failure_of_many_fields_has_one_reference() -> None:
    cause = ValueError("once")
    assert len({error.message for error in shown(cause, cause, cause)}) == 1
    assert len({error.message for error in shown(ValueError("a"), ValueError("b"))}) == 2


def test_errors_already_made_public_stay_as_they_are() -> None:
    once = shown(ValueError("x"), ArgumentError("y"))
    assert public_errors(once) == once
