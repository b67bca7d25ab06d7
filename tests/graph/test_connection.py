"""Errors of the driver become ours."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from neo4j import Driver
from neo4j.exceptions import AuthError, ClientError, DriverError, ServiceUnavailable, SessionExpired, TransientError

from asterism.deploy.local.stack import LocalStack
from asterism.errors import AsterismError, SettingsError
from asterism.graph.connection import connect, mapped_errors, read, write
from asterism.graph.errors import GraphAuthError, GraphQueryError, GraphUnreachableError
from asterism.settings import load_settings


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (AuthError("no"), GraphAuthError),
        (ServiceUnavailable("gone"), GraphUnreachableError),
        (SessionExpired("gone"), GraphUnreachableError),
        (DriverError("closed"), GraphUnreachableError),
        (ClientError("syntax"), GraphQueryError),
        (TransientError("deadlock"), GraphQueryError),
    ],
)
def test_every_kind_of_driver_error_is_mapped_and_kept_as_the_cause(
    raised: Exception, expected: type[AsterismError]
) -> None:
    with pytest.raises(expected, match="doing it") as caught, mapped_errors("doing it"):
        raise raised
    assert caught.value.__cause__ is raised
    assert caught.value.advice


def test_an_address_where_nothing_listens_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"bolt://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(GraphUnreachableError, match=uri):
            connect(load_settings(neo4j_uri=uri))


def test_an_address_of_another_scheme_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="neo4j_uri"):
        connect(load_settings(neo4j_uri="gopher://127.0.0.1:70"))


@pytest.mark.services
def test_a_wrong_password_is_told_apart_and_not_repeated(stack: LocalStack) -> None:
    with pytest.raises(GraphAuthError) as caught:
        connect(stack.settings(neo4j_password="sesame-0815"))
    assert "sesame" not in str(caught.value)


@pytest.mark.services
@pytest.mark.parametrize("run", [read, write])
def test_a_refused_statement_says_what_was_refused(graph: Driver, run: Callable[..., object]) -> None:
    with graph.session() as session, pytest.raises(GraphQueryError, match="SyntaxError"):
        run(session, lambda tx: tx.run("THIS IS NOT CYPHER").consume())


@pytest.mark.services
def test_reading_does_not_write(graph: Driver) -> None:
    with graph.session() as session, pytest.raises(GraphQueryError, match="AccessMode"):
        read(session, lambda tx: tx.run("CREATE (:Alert {key: 'x'})").consume())
