"""The one place that opens Neo4j, and the one that turns its driver's errors into ours.

A driver belongs to whoever called `connect` and is closed by them; there is none at module level, so that
forked workers and tests never share one. Work runs in managed transactions: the driver repeats them on
deadlocks and lost connections, so a unit of work must be idempotent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from neo4j import (
    Driver,
    GraphDatabase,
    ManagedTransaction,
    NotificationDisabledClassification,
    Session,
)
from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    DriverError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
)

from asterism.errors import SettingsError
from asterism.graph.errors import GraphAuthError, GraphQueryError, GraphUnreachableError
from asterism.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 5.0
"""How long one attempt to connect may take [s]."""
RETRY_SECONDS = 30.0
"""How long a transaction is repeated after deadlocks and lost connections [s]."""

# A repeated transaction is no news: whoever runs it hears if it fails for good.
logging.getLogger("neo4j.pool").setLevel(logging.ERROR)
logging.getLogger("neo4j").setLevel(logging.ERROR)


def connect(settings: Settings) -> Driver:
    """Open Neo4j and prove that it answers and lets us in.

    Parameters
    ----------
    settings : Settings
        Address, user and password.

    Returns
    -------
    neo4j.Driver
        To be closed by the caller; usable as a context manager.

    Raises
    ------
    GraphUnreachableError
        If nothing answers within 5 s.
    GraphAuthError
        If the user or the password is wrong.
    SettingsError
        If the address is not a Bolt address.
    """
    try:
        driver = GraphDatabase.driver(
            settings.neo4j_uri,
            auth=(settings.neo4j_user, settings.neo4j_password.get_secret_value()),
            connection_timeout=CONNECT_SECONDS,
            connection_acquisition_timeout=2 * CONNECT_SECONDS,
            max_transaction_retry_time=RETRY_SECONDS,
            # An empty graph knows none of our labels yet; that is no reason to warn.
            notifications_disabled_classifications=[NotificationDisabledClassification.UNRECOGNIZED],
        )
    except (ConfigurationError, ValueError) as error:
        raise SettingsError(f"neo4j_uri: {error}") from error
    try:
        with mapped_errors(f"connecting to {settings.neo4j_uri}"):
            driver.verify_connectivity()
    except BaseException:
        driver.close()
        raise
    return driver


@contextmanager
def mapped_errors(doing: str) -> Iterator[None]:
    """Turn any error of the Neo4j driver raised in the block into one of ours.

    Never put it inside a unit of work: there it would hide from the driver which errors are worth a
    repetition.

    Parameters
    ----------
    doing : str
        What was being done, for the message.
    """
    try:
        yield
    except AuthError as error:
        raise GraphAuthError(f"{doing}: {_text(error)}") from error
    except (ServiceUnavailable, SessionExpired) as error:
        raise GraphUnreachableError(f"{doing}: {error}") from error
    except Neo4jError as error:
        raise GraphQueryError(f"{doing}: {_text(error)} ({error.code})") from error
    except DriverError as error:
        raise GraphUnreachableError(f"{doing}: {error}") from error


def _text(error: Neo4jError) -> str:
    return error.message or str(error)


def write(
    session: Session,
    work: Callable[Concatenate[ManagedTransaction, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run an idempotent unit of work in a managed write transaction.

    Raises
    ------
    GraphError
        Whatever the driver raised, mapped.
    """
    with mapped_errors("writing to the graph"):
        return session.execute_write(work, *args, **kwargs)


def read(
    session: Session,
    work: Callable[Concatenate[ManagedTransaction, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run a unit of work in a managed read transaction.

    Raises
    ------
    GraphError
        Whatever the driver raised, mapped.
    """
    with mapped_errors("reading the graph"):
        return session.execute_read(work, *args, **kwargs)
