"""Which events changed, told to every subscriber of this process as soon as the graph has it.

The graph numbers every change (`asterism.graph.changes`), so this process asks it a few times a second, while anybody
listens, what lies behind the last number it saw. Whoever wrote (Spark, the associator, another API) need not know of
us nor be alive any more; killed and started again we have nothing to recover.

A subscriber's queue holds *which* events it has yet to be told of, each once, under its latest number: it is bounded by
the number of events it watches, and a slow client is told the latest state instead of every one between. One that
watches all events and falls too far behind is told so and must begin anew from a snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from asterism.errors import AsterismError
from asterism.gql.errors import TooManySubscribersError, TooSlowError
from asterism.graph.changes import Change, ChangeReader
from asterism.logs import get_logger

POLL_SECONDS = 0.2
"""How often the graph is asked [s]."""
MAX_POLL_SECONDS = 5.0
"""The same while it does not answer [s]."""
MAX_PENDING = 1000
"""Most events that may wait for one subscriber."""
MAX_SUBSCRIBERS = 1000
"""Most subscriptions of one process."""
_PAGE = 1000

_log = get_logger("gql.feed")


class Subscriber:
    """One subscription's queue.

    Parameters
    ----------
    event_key : str, optional
        The one event it watches; all if not given.
    """

    def __init__(self, event_key: str | None) -> None:
        self.event_key = event_key
        self._pending: dict[str, int] = {}
        self._arrived = asyncio.Event()
        self._too_slow = False

    def put(self, change: Change) -> None:
        """Note that an event changed; an earlier note of it that was not yet taken is replaced."""
        if self.event_key not in (None, change.event_key):
            return
        if change.event_key not in self._pending and len(self._pending) >= MAX_PENDING:
            self._too_slow = True
        else:
            self._pending.pop(change.event_key, None)
            self._pending[change.event_key] = change.number
        self._arrived.set()

    async def take(self) -> Change:
        """Return the next change, waiting for it.

        Raises
        ------
        TooSlowError
            If more events wait than may.
        """
        while not self._pending:
            self._arrived.clear()
            await self._arrived.wait()
        if self._too_slow:
            raise TooSlowError(f"more than {MAX_PENDING} events changed that were not taken")
        key = next(iter(self._pending))
        return Change(key, self._pending.pop(key))


class ChangeFeed:
    """Follows the graph's sequence for all subscribers of a process.

    Parameters
    ----------
    reader : ChangeReader
        Reads the sequence.
    poll_seconds : float
        How often.
    """

    def __init__(self, reader: ChangeReader, poll_seconds: float = POLL_SECONDS) -> None:
        self._reader = reader
        self._poll_seconds = poll_seconds
        self._subscribers: set[Subscriber] = set()
        self._task: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def subscribe(self, event_key: str | None, after: int | None = None) -> AsyncIterator[Subscriber]:
        """Follow an event, or all, while the block runs.

        Parameters
        ----------
        event_key : str, optional
            The event; all if not given.
        after : int, optional
            Number of the last change the client knows; those behind it are told first. Now, if not given.

        Raises
        ------
        TooManySubscribersError
            If there are too many.
        """
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise TooManySubscribersError(f"{MAX_SUBSCRIBERS} subscriptions are open")
        subscriber = Subscriber(event_key)
        self._subscribers.add(subscriber)  # before the sequence is read: what is told in between is told to it, too
        try:
            await self._start()
            if after is not None:
                for change in await self._reader.changed_since(Change("", after + 1), MAX_PENDING + 1):
                    subscriber.put(change)
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _start(self) -> None:
        if self._task is None or self._task.done():
            number = await self._reader.sequence()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._follow(Change("", number + 1)))

    async def _follow(self, after: Change) -> None:
        """Tell what lies behind a place of the sequence, until nobody listens."""
        seconds = self._poll_seconds
        while self._subscribers:
            changes: list[Change] = []
            try:
                changes = await self._reader.changed_since(after, _PAGE)
                seconds = self._poll_seconds
            except AsterismError as error:
                seconds = min(2.0 * seconds, MAX_POLL_SECONDS)
                _log.warning("changes cannot be read", code=error.code, again_in=seconds)
            for change in changes:
                for subscriber in self._subscribers:
                    subscriber.put(change)
            after = changes[-1] if changes else after
            if len(changes) < _PAGE:
                await asyncio.sleep(seconds)
