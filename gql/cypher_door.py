"""``POST /cypher``: read-only Cypher and recipes over HTTP.

`asterism.graph.cypher` says what passes. Here is what keeps a query from the others:

- A query runs in a thread of its own, and only so many at a time (`Settings.cypher_places`). The place is given back
  when the database is done with it, not when the client is gone or has been told that it took too long: a query the
  database cannot stop costs one place, and everybody else's thread and event loop stay free.
- Rows are read some hundreds at a time and no faster than the client takes them; the server's time limit goes on.
- Each query is logged with who, what, how long and with which outcome; of parameters only names and sizes.

Who may use it is decided by `admit`, given by whoever mounts it.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

from neo4j import Driver
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from asterism.errors import AsterismError
from asterism.gql.cypher_errors import CypherBusyError, CypherRequestError
from asterism.gql.cypher_formats import TRUNCATED, Format, error_summary, negotiate
from asterism.gql.errors import AccessError, GqlError, InternalError
from asterism.graph.connection import connect
from asterism.graph.cypher import (
    MAX_ROWS,
    MAX_SECONDS,
    CypherLimits,
    CypherQuery,
    CypherStream,
    checked_query,
    open_stream,
)
from asterism.graph.errors import (
    CypherFailedError,
    CypherHiddenError,
    CypherRefusedError,
    CypherTimeoutError,
    CypherTooLargeError,
    GraphUnreachableError,
    RecipeError,
)
from asterism.graph.recipes.ask import prepare
from asterism.graph.recipes.book import find_recipe
from asterism.logs import get_logger
from asterism.metrics import REQUEST_SECONDS
from asterism.settings import Settings

T = TypeVar("T")
Admit = Callable[[Request], str]
"""Return the name of the caller, for the log; raise an `AccessError` if it may not ask."""

GRACE_SECONDS = 1.0
"""How much longer than its limit a query is waited for [s]: the server looks for overdue ones twice a second and stops
them between two rows. Then the client is answered, whatever the server does."""
WAIT_SECONDS = 2.0
"""How long a request waits for a place [s]."""
_LOGGED_CHARACTERS = 2000
_STATUS: tuple[tuple[type[AsterismError], int], ...] = (
    (CypherHiddenError, 403),
    (CypherRefusedError, 400),
    (RecipeError, 400),
    (CypherTimeoutError, 504),
    (CypherTooLargeError, 413),
    (CypherFailedError, 422),
    (CypherBusyError, 429),
    (GqlError, 400),
    (GraphUnreachableError, 503),
)
_log = get_logger("gql.cypher")


class CypherRequest(BaseModel):
    """The body of a request: a query or the name of a recipe, and what it is told."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str | None = None
    recipe: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    rows: int = Field(1000, ge=1, le=MAX_ROWS)
    seconds: float = Field(10.0, gt=0, le=MAX_SECONDS)


class CypherDoor:
    """The endpoint; open while the application runs.

    Parameters
    ----------
    settings : Settings
        Address of Neo4j, visibility, number of places.
    admit : callable
        Who may ask, see `Admit`.
    """

    def __init__(self, settings: Settings, admit: Admit) -> None:
        self.settings = settings
        self._admit = admit
        self._places = threading.BoundedSemaphore(settings.cypher_places)
        self._driver: Driver | None = None
        self._lock = threading.Lock()

    async def answer(self, request: Request) -> Response:
        """Answer one request.

        Raises
        ------
        AccessError
            If the caller may not ask; the application answers it as for every door.
        """
        started = time.monotonic()
        run: _Run | None = None
        facts: dict[str, Any] = {}
        try:
            facts["caller"] = self._admit(request)
            asked = await _parsed(request)
            facts |= _facts(asked)
            made = negotiate(request.headers.get("accept", ""))
            await self._take_place()
            run = _Run(self, asked, facts, started)
            return await run.response(made)
        except AccessError as error:
            _note(facts, started, code=error.code)
            raise
        except AsterismError as error:
            if run is None:
                _note(facts, started, code=error.code)
            else:
                run.end(error.code)
            return refused(error)
        except BaseException:
            if run is not None:
                run.end()
            raise

    async def _take_place(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._places.acquire(blocking=False):
            if time.monotonic() > deadline:
                raise CypherBusyError(f"all {self.settings.cypher_places} places are taken")
            await asyncio.sleep(0.05)

    def give_back(self) -> None:
        """Free a place."""
        self._places.release()

    def driver(self) -> Driver:
        """Return the driver; it is opened when first asked for."""
        with self._lock:
            if self._driver is None:
                self._driver = connect(self.settings)
            return self._driver

    def close(self) -> None:
        """Close the driver."""
        with self._lock:
            if self._driver is not None:
                self._driver.close()


class _Run:
    """One query in a thread of its own, which takes its steps in order: the last one is always `_finish`."""

    def __init__(self, door: CypherDoor, asked: CypherRequest, facts: dict[str, Any], started: float) -> None:
        self._door = door
        self._asked = asked
        self._facts = facts
        self._started = started
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cypher")
        self._open = ExitStack()
        self._stream: CypherStream
        self._chunks: Iterator[list[list[Any]]]
        self._deadline = time.monotonic() + asked.seconds + GRACE_SECONDS
        self._ended = False
        self._outcome: dict[str, Any] = {"code": "client_gone"}

    async def response(self, made: type[Format]) -> Response:
        """Start the query and return the response, its rows still to come if the format allows."""
        first = await self._step(self._begin)
        rendering = made(self._stream.columns)
        if made.streams:
            return _Answer(self, self._body(rendering, first), media_type=made.media_type)
        body = b"".join([piece async for piece in self._body(rendering, first)])
        headers = {TRUNCATED: str(self._stream.truncated).lower()}
        self.end()
        return Response(body, media_type=made.media_type, headers=headers)

    async def _step(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do work in the thread; give up waiting for it when the time is over."""
        left = max(0.0, self._deadline - time.monotonic())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._thread.submit(work, *arguments)), left)
        except TimeoutError as error:
            raise CypherTimeoutError(f"stopped after {self._asked.seconds:g} s") from error

    def _begin(self) -> list[list[Any]]:
        settings, asked = self._door.settings, self._asked
        driver = self._door.driver()
        opened = open_stream(
            driver,
            self._query(driver),
            database=settings.neo4j_database,
            limits=CypherLimits(asked.rows, asked.seconds),
            show_nonpublic=settings.show_nonpublic,
        )
        self._stream = self._open.enter_context(opened)
        self._chunks = self._stream.chunks()
        return self._next()

    def _query(self, driver: Driver) -> CypherQuery:
        settings, asked = self._door.settings, self._asked
        if asked.recipe is None:
            return checked_query(asked.query or "", asked.parameters)
        return prepare(
            driver,
            find_recipe(asked.recipe),
            asked.parameters,
            database=settings.neo4j_database,
            maps=settings.lake_path / "maps",
            show_nonpublic=settings.show_nonpublic,
        )

    async def _body(self, rendering: Format, first: list[list[Any]]) -> AsyncIterator[bytes]:
        try:
            yield await self._step(rendering.rows, first)
            while chunk := await self._step(self._next):
                yield await self._step(rendering.rows, chunk)
            stream = self._stream
            summary = {"rows": stream.rows, "truncated": stream.truncated, "elapsed_ms": stream.elapsed_ms}
            yield await self._step(rendering.end, summary)
            self._outcome = summary
        except AsterismError as error:
            if not rendering.streams:
                raise
            self._outcome = {"code": error.code}
            yield rendering.end(error_summary(_shown(error)))

    def _next(self) -> list[list[Any]]:
        # What the database says is turned into our errors where the stream was opened.
        try:
            return next(self._chunks, [])
        except BaseException as error:
            if self._open.__exit__(type(error), error, error.__traceback__):
                return []
            raise

    def end(self, code: str | None = None) -> None:
        """Let the thread close the query once it is done with it, and give the place back; log how it went."""
        if not self._ended:
            self._ended = True
            _note(self._facts, self._started, **({"code": code} if code else self._outcome))
            self._thread.submit(self._finish)
            self._thread.shutdown(wait=False)

    def _finish(self) -> None:
        try:
            with suppress(AsterismError):
                self._open.close()
        finally:
            self._door.give_back()


class _Answer(StreamingResponse):
    """A streaming response that ends its query whatever happens to the client."""

    def __init__(self, run: _Run, body: AsyncIterator[bytes], *, media_type: str) -> None:
        super().__init__(body, media_type=media_type)
        self._run = run

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._run.end()


def refused(error: AsterismError) -> JSONResponse:
    """Return an error as a response; what is not about the client's own words is masked and logged."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers = {"retry-after": "2"} if status in {429, 503} else None
    return JSONResponse({"error": _shown(error).as_dict()}, status_code=status, headers=headers)


def _shown(error: AsterismError) -> AsterismError:
    if isinstance(error, CypherRefusedError | CypherFailedError | RecipeError | GqlError):
        return error
    reference = secrets.token_hex(6)
    _log.error("request failed", code=error.code, reference=reference, exc_info=error)
    return InternalError(f"the request failed on our side (reference {reference})")


async def _parsed(request: Request) -> CypherRequest:
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    if kind != "application/json":
        raise CypherRequestError(f"content type {kind!r:.80}")
    try:
        asked = CypherRequest.model_validate_json(await request.body())
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:5])
        raise CypherRequestError(problems) from error
    if (asked.query is None) == (asked.recipe is None):
        raise CypherRequestError("give either query or recipe")
    return asked


def _facts(asked: CypherRequest) -> dict[str, Any]:
    """Return what the log says of a request: of parameters names, types and sizes, never values."""
    sizes = {name[:64]: f"{type(value).__name__}[{len(str(value))}]" for name, value in asked.parameters.items()}
    text = None if asked.query is None else asked.query[:_LOGGED_CHARACTERS]
    return {"query": text, "recipe": asked.recipe, "parameters": sizes, "limit": asked.rows, "seconds": asked.seconds}


def _note(facts: dict[str, Any], started: float, **outcome: Any) -> None:
    seconds = time.monotonic() - started
    REQUEST_SECONDS.labels(operation="cypher").observe(seconds)
    _log.info("cypher", **facts, **outcome, total_ms=round(1000 * seconds, 1))
