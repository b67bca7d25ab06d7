"""The door for analysts: read-only Cypher, bounded in time, rows and size.

Layers, each of which would stop a write by itself: the tokens (`asterism.graph.cypher_guard`), the query type and the
operators that EXPLAIN reports (`asterism.graph.cypher_plan`), and the server's READ mode. Rows are streamed in chunks
and the stream is stopped at the limit.

**Visibility.** Free Cypher is answered only on a graph that holds no restricted rows, or where the installation shows
them to everybody (`asterism.graph.visibility` says why). That is asked before the query and again after each chunk
was read, before it is handed out: a restricted alert written meanwhile ends the answer. Statements of our own that
hide such rows by themselves (`asterism.graph.recipes`) are answered always.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from neo4j import READ_ACCESS, Driver, Result, Transaction
from neo4j.exceptions import Neo4jError

from asterism.graph.connection import mapped_errors
from asterism.graph.cypher_guard import MAX_CHARACTERS, check_query, without_semicolon
from asterism.graph.cypher_plan import foreign
from asterism.graph.cypher_tokens import tokenize
from asterism.graph.cypher_values import plain, size_of
from asterism.graph.errors import (
    CypherFailedError,
    CypherHiddenError,
    CypherRefusedError,
    CypherTimeoutError,
    CypherTooLargeError,
)
from asterism.graph.visibility import may_hold_restricted

MAX_ROWS = 10_000
MAX_SECONDS = 60.0
LEAST_SECONDS = 0.001
"""Shortest limit the server knows: it takes 0 for none [s]."""
MAX_BYTES = 32 * 2**20
"""Largest answer, about, in bytes of JSON."""
MAX_PARAMETER_CHARACTERS = 262_144
"""Most characters all parameters have as JSON."""
CHUNK = 500
"""Rows read from the database at a time."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class CypherLimits:
    """How much a query may take.

    Parameters
    ----------
    rows : int
        Most rows returned, 1 .. 10,000.
    seconds : float
        Longest run [s], above 0 and at most 60.

    Raises
    ------
    CypherRefusedError
        If a limit is outside its bounds.
    """

    rows: int = 1000
    seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= MAX_ROWS:
            raise CypherRefusedError(f"limit of {self.rows} rows", hint=f"1 .. {MAX_ROWS}")
        if not 0 < self.seconds <= MAX_SECONDS:
            raise CypherRefusedError(f"limit of {self.seconds} s", hint=f"above 0, at most {MAX_SECONDS:g}")


@dataclass(frozen=True)
class CypherResult:
    """The answer to a query.

    Parameters
    ----------
    columns : list of str
        Names of the columns.
    rows : list of list
        Values that JSON can hold (`asterism.graph.cypher_values.plain`).
    truncated : bool
        There were more rows than the limit.
    elapsed_ms : float
        Time from sending the query to its last row [ms].
    """

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool
    elapsed_ms: float

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as ``--json`` prints it."""
        return asdict(self)


@dataclass(frozen=True)
class CypherQuery:
    """A query that was checked and may be sent.

    Parameters
    ----------
    text : str
        Cypher, without comments and final semicolon.
    parameters : dict
        Values of its ``$`` parameters.
    hides : bool
        The statement is ours and hides restricted rows by itself.
    """

    text: str
    parameters: dict[str, Any]
    hides: bool = False


class CypherStream:
    """A query under way: its columns, and its rows in chunks.

    Parameters
    ----------
    tx : neo4j.Transaction
        Open READ transaction; the caller ends it.
    query : CypherQuery
        What to send.
    limits : CypherLimits
        Bounds.
    show_nonpublic : bool
        The installation shows restricted rows to everybody.
    """

    def __init__(self, tx: Transaction, query: CypherQuery, limits: CypherLimits, *, show_nonpublic: bool) -> None:
        self._tx = tx
        self._checks_visibility = not (query.hides or show_nonpublic)
        self._limits = limits
        self._started = time.monotonic()
        self._check_visibility()
        self._result: Result = tx.run(query.text, query.parameters)
        self.columns: list[str] = list(self._result.keys())
        self.truncated = False
        """There were more rows than the limit; known after the last chunk."""
        self.rows = 0
        """Rows handed out so far."""
        self._size = 0

    @property
    def elapsed_ms(self) -> float:
        """Time since the query was sent [ms]."""
        return round((time.monotonic() - self._started) * 1000, 3)

    def chunks(self) -> Iterator[list[list[Any]]]:
        """Yield the rows, some hundreds at a time."""
        while not self.truncated:
            chunk = self._next()
            if not chunk:
                return
            self._check_visibility()
            self.rows += len(chunk)
            yield chunk

    def _next(self) -> list[list[Any]]:
        chunk: list[list[Any]] = []
        for record in self._result:
            if self.rows + len(chunk) == self._limits.rows:
                self.truncated = True
                break
            row = [plain(value) for value in record.values()]
            self._size += size_of(row)
            if self._size > MAX_BYTES:
                raise CypherTooLargeError(f"the answer has more than {MAX_BYTES >> 20} MiB")
            chunk.append(row)
            if len(chunk) == CHUNK:
                break
        return chunk

    def _check_visibility(self) -> None:
        if self._checks_visibility and may_hold_restricted(self._tx):
            raise CypherHiddenError("this graph holds alerts that not everybody may see, and Cypher cannot hide them")


def run_cypher(
    driver: Driver,
    query: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    database: str,
    limits: CypherLimits | None = None,
    show_nonpublic: bool = False,
) -> CypherResult:
    """Answer a user's read-only query.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    query : str
        Cypher text from a user: anything.
    parameters : mapping, optional
        Values of its ``$`` parameters: what JSON can hold.
    database : str
        Name of the database.
    limits : CypherLimits, optional
        Bounds on rows and time.
    show_nonpublic : bool
        Answer on a graph that holds restricted rows, too.

    Raises
    ------
    CypherRefusedError
        If the query is anything but a bounded read, or the graph holds restricted rows; nothing was handed out.
    CypherFailedError
        If the database could not answer it.
    CypherTimeoutError
        If it took too long.
    GraphError
        If the database cannot be reached.
    """
    checked = checked_query(query, parameters or {})
    return answer(driver, checked, database=database, limits=limits, show_nonpublic=show_nonpublic)


def answer(
    driver: Driver,
    query: CypherQuery,
    *,
    database: str,
    limits: CypherLimits | None = None,
    show_nonpublic: bool = False,
) -> CypherResult:
    """Answer a checked query whole; raises what `run_cypher` does."""
    opened = open_stream(
        driver, query, database=database, limits=limits or CypherLimits(), show_nonpublic=show_nonpublic
    )
    with opened as stream:
        rows = [row for chunk in stream.chunks() for row in chunk]
        return CypherResult(stream.columns, rows, stream.truncated, stream.elapsed_ms)


@contextmanager
def open_stream(
    driver: Driver, query: CypherQuery, *, database: str, limits: CypherLimits, show_nonpublic: bool
) -> Iterator[CypherStream]:
    """Run a checked query and give its rows as they come; raises what `run_cypher` does, at any row."""
    deadline = time.monotonic() + limits.seconds
    with (
        mapped_errors("answering a query"),
        _as_cypher_errors(limits),
        driver.session(database=database, default_access_mode=READ_ACCESS, fetch_size=CHUNK) as session,
    ):
        with session.begin_transaction(timeout=limits.seconds) as tx:
            explain(tx, query)
        left = deadline - time.monotonic()
        if left < LEAST_SECONDS:
            raise CypherTimeoutError(f"planning alone took {limits.seconds:g} s", hint="ask in simpler queries")
        with session.begin_transaction(timeout=left) as tx:
            yield CypherStream(tx, query, limits, show_nonpublic=show_nonpublic)


def checked_query(query: str, parameters: Mapping[str, Any]) -> CypherQuery:
    """Return a user's query as it may be sent.

    Raises
    ------
    CypherRefusedError
        If it is anything but a bounded read, or its parameters are not plain.
    """
    values = checked_parameters(parameters)
    return CypherQuery(checked_text(query, values), values)


def checked_text(query: str, parameters: Mapping[str, Any] | None = None) -> str:
    """Return the text to send for a user's query: without comments and final semicolon.

    Raises
    ------
    CypherRefusedError
        If it is anything but a bounded read.
    """
    if len(query) > MAX_CHARACTERS:
        raise CypherRefusedError(
            f"the query has {len(query)} characters, at most {MAX_CHARACTERS}",
            hint="pass long lists as parameters",
        )
    tokens, text = without_semicolon(*tokenize(query))
    check_query(tokens, parameters)
    return text


def checked_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters if names and values are plain and not too long.

    Raises
    ------
    CypherRefusedError
        If a name is not a plain word, or a value is nothing JSON can hold or an integer beyond 64 bits.
    """
    size = 0
    for name, value in parameters.items():
        if not _NAME.fullmatch(name):
            raise CypherRefusedError(f"parameter name {name!r:.80}", hint="letters, digits and _")
        try:
            size += len(json.dumps(value, allow_nan=False))
            fits = _fits_int64(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise CypherRefusedError(f"parameter {name}: {error}", hint="pass what JSON can hold") from error
        if size > MAX_PARAMETER_CHARACTERS:
            raise CypherRefusedError(
                f"parameters of more than {MAX_PARAMETER_CHARACTERS} characters, at {name}", hint="send several queries"
            )
        if not fits:
            raise CypherRefusedError(f"parameter {name} holds an integer beyond 64 bits", hint="pass ids as strings")
    return dict(parameters)


def _fits_int64(value: Any) -> bool:
    match value:
        case int():
            return value in _INT64
        case list() | tuple():
            return all(map(_fits_int64, value))
        case dict():
            return all(map(_fits_int64, value.values()))
        case _:
            return True


def explain(tx: Transaction, query: CypherQuery) -> Mapping[str, Any]:
    """Return the plan of a query.

    Raises
    ------
    CypherRefusedError
        If the server does not call it a read, or would do anything that is not known to only read.
    """
    summary = tx.run(f"EXPLAIN {query.text}", query.parameters).consume()
    if summary.query_type != "r":
        raise CypherRefusedError(
            f"the database calls this a query of type {summary.query_type!r}", hint="only reads pass"
        )
    plan = summary.plan or {}
    if others := foreign(plan):
        raise CypherRefusedError(f"the database would run {', '.join(others)}", hint="only reads of the graph pass")
    return plan


@contextmanager
def _as_cypher_errors(bounds: CypherLimits) -> Iterator[None]:
    """Turn what the database says about a user's query into errors for that user."""
    try:
        yield
    except Neo4jError as error:
        code, message = error.code or "", error.message or str(error)
        if "TransactionTimedOut" in code or "Terminated" in code:
            raise CypherTimeoutError(f"stopped after {bounds.seconds:g} s") from error
        if "OutOfMemory" in code or "MemoryPool" in code:
            raise CypherFailedError(
                "the query needs more memory than it may take", hint="collect or sort less, or add conditions"
            ) from error
        if "ClientError.Statement" in code:
            raise CypherFailedError(message) from error
        raise
