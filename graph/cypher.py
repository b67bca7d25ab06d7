"""The door for analysts: read-only Cypher, bounded in time and rows.

Three layers, each of which would stop a write by itself: the tokens (`asterism.graph.cypher_guard`), the
query type and the plan that EXPLAIN reports, and the server's READ mode. Rows are streamed and the stream is
stopped at the limit.

Visibility is **not** enforced here: whoever may ask Cypher sees restricted alerts too (``public = false``).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from neo4j import READ_ACCESS, Driver, Transaction
from neo4j.exceptions import Neo4jError
from neo4j.graph import Node, Path, Relationship

from asterism.graph.connection import mapped_errors
from asterism.graph.cypher_guard import MAX_CHARACTERS, check_query, without_semicolon
from asterism.graph.cypher_tokens import tokenize
from asterism.graph.errors import CypherFailedError, CypherRefusedError, CypherTimeoutError

MAX_ROWS = 10_000
MAX_SECONDS = 60.0
MAX_PARAMETER_CHARACTERS = 1_000_000

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FORBIDDEN_OPERATORS = ("LoadCSV", "Show", "Terminate", "Transaction")
_FETCH = 500
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
        Values that JSON can hold. NaN and infinities are None; instants ISO 8601 text; a node is its labels
        and properties, a relationship its type and properties, a path the list of both.
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


def run_cypher(
    driver: Driver,
    query: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    database: str,
    limits: CypherLimits | None = None,
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

    Raises
    ------
    CypherRefusedError
        If the query is anything but a bounded read; nothing was run.
    CypherFailedError
        If the database could not answer it.
    CypherTimeoutError
        If it took too long.
    GraphError
        If the database cannot be reached.
    """
    bounds = limits or CypherLimits()
    text = checked_text(query)
    values = checked_parameters(parameters or {})
    with (
        mapped_errors("answering a query"),
        _as_cypher_errors(bounds),
        driver.session(database=database, default_access_mode=READ_ACCESS, fetch_size=_FETCH) as session,
    ):
        with session.begin_transaction(timeout=bounds.seconds) as tx:
            _explain(tx, text, values)
        with session.begin_transaction(timeout=bounds.seconds) as tx:
            return _fetch(tx, text, values, bounds.rows)


def checked_text(query: str) -> str:
    """Return the text to send for a user's query: without comments and final semicolon.

    Raises
    ------
    CypherRefusedError
        If it is anything but a bounded read.
    """
    if len(query) > MAX_CHARACTERS:
        raise CypherRefusedError(
            f"the query has {len(query)} characters, at most {MAX_CHARACTERS}",
            hint="pass long lists with --param",
        )
    tokens, text = without_semicolon(*tokenize(query))
    check_query(tokens)
    return text


def checked_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters if names and values are plain and not too long.

    Raises
    ------
    CypherRefusedError
        If a name is not a plain word, or a value is nothing JSON can hold or an integer beyond 64 bits.
    """
    for name, value in parameters.items():
        if not _NAME.fullmatch(name):
            raise CypherRefusedError(f"parameter name {name!r:.80}", hint="letters, digits and _")
        try:
            size = len(json.dumps(value, allow_nan=False))
            fits = _fits_int64(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise CypherRefusedError(f"parameter {name}: {error}", hint="pass what JSON can hold") from error
        if size > MAX_PARAMETER_CHARACTERS:
            raise CypherRefusedError(
                f"parameter {name} is longer than {MAX_PARAMETER_CHARACTERS} characters", hint="split it"
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


def _explain(tx: Transaction, text: str, parameters: dict[str, Any]) -> None:
    """Refuse what the server itself does not call a read of the graph."""
    summary = tx.run(f"EXPLAIN {text}", parameters).consume()
    if summary.query_type != "r":
        raise CypherRefusedError(
            f"the database calls this a query of type {summary.query_type!r}", hint="only reads pass"
        )
    for operator in _operators(summary.plan or {}):
        if operator.startswith(_FORBIDDEN_OPERATORS):
            raise CypherRefusedError(f"the database would run {operator}", hint="only reads of the graph pass")


def _operators(plan: Mapping[str, Any]) -> Iterator[str]:
    yield str(plan.get("operatorType", ""))
    for child in plan.get("children", ()):
        yield from _operators(child)


def _fetch(tx: Transaction, text: str, parameters: dict[str, Any], limit: int) -> CypherResult:
    started = time.monotonic()
    result = tx.run(text, parameters)
    rows: list[list[Any]] = []
    truncated = False
    for record in result:
        if len(rows) == limit:
            truncated = True
            break
        rows.append([plain(value) for value in record.values()])
    elapsed = round((time.monotonic() - started) * 1000, 3)
    return CypherResult(list(result.keys()), rows, truncated, elapsed)


@contextmanager
def _as_cypher_errors(bounds: CypherLimits) -> Iterator[None]:
    """Turn what the database says about a user's query into errors for that user."""
    try:
        yield
    except Neo4jError as error:
        code, message = error.code or "", error.message or str(error)
        if "TransactionTimedOut" in code or "Terminated" in code:
            raise CypherTimeoutError(f"stopped after {bounds.seconds:g} s") from error
        if "OutOfMemory" in code:
            raise CypherFailedError(
                "the query needs more memory than it may take", hint="collect or sort less, or add conditions"
            ) from error
        if "ClientError.Statement" in code:
            raise CypherFailedError(message) from error
        raise


def plain(value: Any) -> Any:
    """Return a value of the database as JSON can hold it (see `CypherResult`)."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | str() | bool() | int():
            return value
        case Node():
            return {"labels": sorted(value.labels), "properties": _plain_map(value)}
        case Relationship():
            return {"type": value.type, "properties": _plain_map(value)}
        case Path():
            steps = [plain(node) for node in value.nodes]
            for index, relationship in enumerate(value.relationships):
                steps.insert(2 * index + 1, plain(relationship))
            return steps
        case bytes() | bytearray():
            return value.hex()
        case Mapping():
            return _plain_map(value)
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value.iso_format() if hasattr(value, "iso_format") else str(value)


def _plain_map(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(item) for name, item in value.items()}
