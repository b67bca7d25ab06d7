"""Is anybody still talking to us? What every feed of the listener last heard, and the alarm when it hears no more.

A quiet sky and a dead connection look alike, so silence alone says nothing: a feed is *deaf* when neither a message
nor a heartbeat came for longer than the limit, or, for feeds that have no heartbeat, when the connection has been gone
for as long. A feed that never connected is deaf from the limit on. The alarm is one line in the log and a metric when
it begins, and one more line when it ends.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from asterism.errors import AsterismError
from asterism.logs import get_logger
from asterism.metrics import FEED_DEAF, FEED_HEARD, FEED_LAG, NOTICES

OUTCOMES = ("received", "journalled", "duplicate", "refused")

_log = get_logger("voevent.liveness")


@dataclass(frozen=True)
class FeedStatus:
    """What is known of a feed at an instant; instants are ISO 8601, UTC, and null is unknown or never."""

    name: str
    connected_since: str | None
    last_message: str | None
    last_heartbeat: str | None
    """When the newest heartbeat was sent, by the sender's clock."""
    received: int
    journalled: int
    duplicate: int
    refused: int
    lag: int | None
    """Messages that wait at the broker; null while no partition is assigned."""
    partitions: int | None
    """Kafka partitions assigned."""
    deaf: bool
    problem: str | None
    """Code and message of what is wrong now."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


class Feed:
    """What one door has heard. Its methods may be called from any thread.

    Parameters
    ----------
    name : str
        The channel of its notices, or what their channels begin with before a colon.
    heartbeat : bool
        Whether the other side gives signs of life when it has nothing to say.
    limit_seconds : float
        Silence after which the feed is deaf [s].
    clock : callable
        Gives Unix time [s].
    """

    def __init__(
        self, name: str, *, heartbeat: bool, limit_seconds: float = 150.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = name
        self._expects_heartbeat = heartbeat
        self._limit = limit_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._heard = clock()
        self._connected_since: float | None = None
        self._last_message: float | None = None
        self._last_heartbeat: float | None = None
        self._lag: int | None = None
        self._partitions: int | None = None
        self._problem: str | None = None
        self._deaf = False

    def connected(self) -> None:
        """Note that the connection stands and nothing is wrong with it."""
        with self._lock:
            self._connected_since = self._connected_since or self._clock()
            self._problem = None

    def disconnected(self, problem: AsterismError | None = None) -> None:
        """Note that the connection is gone, and why."""
        with self._lock:
            if self._connected_since is not None and not self._expects_heartbeat:
                self._heard = self._clock()
            self._connected_since = self._lag = self._partitions = None
            if problem is not None:
                self._problem = _said(problem)

    def failed(self, problem: AsterismError) -> None:
        """Note that a notice could not be taken, for a reason on our side."""
        with self._lock:
            self._problem = _said(problem)

    def heartbeat(self, sent: float | None = None) -> None:
        """Note a sign of life.

        Parameters
        ----------
        sent : float, optional
            Unix time at which the other side sent it [s]; now if it does not say.
        """
        with self._lock:
            self._last_heartbeat = max(self._last_heartbeat or 0.0, self._clock() if sent is None else sent)
            self._sign()

    def took(self, *, duplicate: bool) -> None:
        """Note a notice that is on disk."""
        self._message("duplicate" if duplicate else "journalled")

    def refused(self) -> None:
        """Note a message that is no notice."""
        self._message("refused")

    def assigned(self, partitions: int) -> None:
        """Note how many partitions the brokers gave us, which they do to the connected only; what waits is unknown."""
        with self._lock:
            if partitions:
                self._connected_since = self._connected_since or self._clock()
            self._lag, self._partitions = None, partitions

    def waiting(self, messages: int | None) -> None:
        """Note how many messages wait at the brokers, None if unknown."""
        with self._lock:
            self._lag = messages

    def look(self) -> FeedStatus:
        """Return the state; raise or clear the alarm."""
        with self._lock:
            deaf = self._silence() > self._limit
            changed, self._deaf = deaf != self._deaf, deaf
            status = self._status()
            heard = self._heard
        if changed and deaf:
            _log.error("feed is deaf", feed=self.name, limit_seconds=self._limit, problem=status.problem)
        elif changed:
            _log.warning("feed hears again", feed=self.name)
        FEED_DEAF.labels(self.name).set(deaf)
        FEED_HEARD.labels(self.name).set(heard)
        if status.lag is not None:
            FEED_LAG.labels(self.name).set(status.lag)
        return status

    def _message(self, outcome: str) -> None:
        with self._lock:
            self._counts.update(["received", outcome])
            self._last_message = self._clock()
            self._problem = None
            self._sign()
        NOTICES.labels(self.name, outcome).inc()

    def _sign(self) -> None:
        self._heard = self._clock()

    def _silence(self) -> float:
        if self._connected_since is not None and not self._expects_heartbeat:
            self._sign()
        return self._clock() - self._heard

    def _status(self) -> FeedStatus:
        return FeedStatus(
            name=self.name,
            connected_since=_iso(self._connected_since),
            last_message=_iso(self._last_message),
            last_heartbeat=_iso(self._last_heartbeat),
            **{name: self._counts[name] for name in OUTCOMES},
            lag=self._lag,
            partitions=self._partitions,
            deaf=self._deaf,
            problem=self._problem,
        )


def _said(problem: AsterismError) -> str:
    return f"{problem.code}: {problem.message}"


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
