"""How many requests a minute a token, or an address without one, is served.

A bucket per client: it holds up to one minute's worth of requests and fills steadily, so that bursts pass and the mean
rate holds. A bucket that has filled up again is the same as none and is forgotten; memory is bounded whatever
addresses ask.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from asterism.gql.errors import QuotaError

MAX_BUCKETS = 10_000
"""Most clients remembered at a time; above, the fullest buckets are forgotten first."""


@dataclass(slots=True)
class _Bucket:
    """Requests left, and when that was so [s of the clock]."""

    left: float
    since: float


class Quotas:
    """Counts requests by client.

    Parameters
    ----------
    clock : callable
        Returns a time that never goes back [s].
    max_buckets : int
        Most clients remembered.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_buckets: int = MAX_BUCKETS) -> None:
        self._clock = clock
        self._max_buckets = max_buckets
        self._buckets: dict[tuple[str, int], _Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str, per_minute: int) -> None:
        """Count one request of a client.

        Parameters
        ----------
        client : str
            Who asks.
        per_minute : int
            Requests it may make a minute.

        Raises
        ------
        QuotaError
            If it has none left; the error says when it will have.
        """
        now, key = self._clock(), (client, per_minute)
        bucket = self._buckets.get(key)
        left = self._left(bucket, per_minute, now)
        if left < 1.0:
            wait = math.ceil((1.0 - left) * 60.0 / per_minute)
            raise QuotaError(f"more than {per_minute} requests a minute", retry_after=wait)
        if bucket is None and len(self._buckets) >= self._max_buckets:
            self._forget(now)
        self._buckets[key] = _Bucket(left - 1.0, now)

    def _left(self, bucket: _Bucket | None, per_minute: int, now: float) -> float:
        if bucket is None:
            return float(per_minute)
        return min(float(per_minute), bucket.left + (now - bucket.since) * per_minute / 60.0)

    def _forget(self, now: float) -> None:
        """Forget the half of the clients that have used least of their quota, the full buckets among them."""
        used = {key: 1.0 - self._left(bucket, key[1], now) / key[1] for key, bucket in self._buckets.items()}
        for key in sorted(used, key=used.__getitem__)[: max(1, len(used) // 2)]:
            del self._buckets[key]
