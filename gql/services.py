"""What outlives one operation: regions of localizations, the books of ingest and feeds, and the feed of changes.

All work that blocks (sky maps, the lake's tables) runs in threads; what costs much is remembered for a while, and asked
for by many at once it is done once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from asterism.gql.feed import ChangeFeed
from asterism.graph.events import load_localization
from asterism.ingest.reconcile import Reconciliation, current_balance
from asterism.settings import Settings
from asterism.sky.localization import Localization
from asterism.voevent.status import read_status

T = TypeVar("T")
BALANCE_SECONDS = 60.0
"""How old a balance may be; drawing it up reads the lake."""
STATUS_SECONDS = 5.0
"""How old the state of the feeds may be."""
_REGIONS = 16


class Remembered(Generic[T]):
    """A value that is made in a thread, at most once in some time, however many ask.

    Parameters
    ----------
    make : callable
        Makes it; may block.
    seconds : float
        How long it is good for.
    """

    def __init__(self, make: Callable[[], T], seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._made: tuple[float, T] | None = None

    async def get(self) -> T:
        """Return the value."""
        async with self._lock:
            if self._made is None or time.monotonic() - self._made[0] > self._seconds:
                self._made = (time.monotonic(), await asyncio.to_thread(self._make))
            return self._made[1]


class Regions:
    """Localizations by key, which never change.

    Parameters
    ----------
    maps : Path
        The lake's folder of sky maps.
    """

    def __init__(self, maps: Path) -> None:
        self._maps = maps
        self._known: OrderedDict[str, Localization] = OrderedDict()

    async def localization(self, key: str, record: str) -> Localization:
        """Return the localization a node stands for.

        Raises
        ------
        SkyError
            If its record is damaged or its map is not there.
        """
        if key not in self._known:
            self._known[key] = await asyncio.to_thread(load_localization, record, self._maps)
        self._known.move_to_end(key)
        while len(self._known) > _REGIONS:
            self._known.popitem(last=False)
        return self._known[key]


class Services:
    """What the API keeps between operations.

    Parameters
    ----------
    settings : Settings
        Where lake and feeds lie.
    feed : ChangeFeed
        What subscriptions follow.
    """

    def __init__(self, settings: Settings, feed: ChangeFeed) -> None:
        self.feed = feed
        self.regions = Regions(settings.lake_path / "maps")
        self.balance = Remembered(lambda: _balance(settings), BALANCE_SECONDS)
        self.notices = Remembered(lambda: read_status(settings), STATUS_SECONDS)


async def ranges_of(localization: Localization, level: float) -> list[tuple[int, int]]:
    """Return sorted order-29 ranges that contain a credible region."""
    ranges = await asyncio.to_thread(localization.ranges, level)
    order = np.argsort(ranges.lo)
    return list(zip(ranges.lo[order].tolist(), ranges.hi[order].tolist(), strict=True))


async def levels_of(localization: Localization, places: Sequence[tuple[float, float]]) -> list[float]:
    """Return the credible level of each position (right ascension, declination) [deg]."""
    if not places:
        return []
    ra, dec = np.array(places).T
    levels: list[float] = (await asyncio.to_thread(localization.credible_level, ra, dec)).tolist()
    return levels


def _balance(settings: Settings) -> Reconciliation | None:
    """Return the balance of packets; None where no lake was ever written."""
    return current_balance(settings) if settings.lake_path.is_dir() else None
