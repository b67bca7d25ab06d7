"""Which events changed, in an order that misses none: what subscriptions follow.

Every transaction that changes an event, its links or what was said of it ends with `mark_changed`: it takes the next
number of one sequence and writes it to ``Event.changed``. The number is drawn under a lock that is held until the
commit, so transactions become visible in the order of their numbers: whoever has seen number n will never see a
smaller one appear. A process that follows the sequence needs to remember nothing but the last number, and none of the
processes that write needs to be alive for what they committed to be told.

The number says *that* something may have changed, not what: writing the same again draws a number, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from neo4j import ManagedTransaction

from asterism.graph.reader import StoreReader

# The first SET locks the node before its number is read.
_MARK = """
MATCH (f:Asterism {key: 'format'}) SET f.key = f.key
WITH f SET f.sequence = coalesce(f.sequence, 0) + 1
WITH f.sequence AS number
UNWIND $keys AS key
MATCH (e:Event {key: key}) SET e.changed = number
"""

_SEQUENCE = "OPTIONAL MATCH (f:Asterism {key: 'format'}) RETURN coalesce(f.sequence, 0) AS number"

_CHANGED = """
MATCH (e:Event) WHERE e.changed >= $number AND (e.changed > $number OR e.key > $key)
RETURN e.key AS key, e.changed AS number ORDER BY e.changed, e.key LIMIT $first
"""


@dataclass(frozen=True, slots=True)
class Change:
    """An event that changed.

    Parameters
    ----------
    event_key : str
        The event.
    number : int
        Place of its last change in the sequence.
    """

    event_key: str
    number: int


def last_number(tx: ManagedTransaction) -> int:
    """Return the last number drawn; 0 before the first."""
    return int(tx.run(_SEQUENCE).single(strict=True)["number"])


def mark_changed(tx: ManagedTransaction, event_keys: Iterable[str]) -> None:
    """Give events the next number of the sequence; the last statement of a transaction.

    Parameters
    ----------
    tx : neo4j.ManagedTransaction
        Open transaction, which already holds its other locks.
    event_keys : iterable of str
        Events that changed; nothing happens if there are none.
    """
    keys = sorted(set(event_keys))
    if keys:
        tx.run(_MARK, keys=keys).consume()


class ChangeReader(StoreReader):
    """Reads of the sequence."""

    async def sequence(self) -> int:
        """Return the last number drawn; 0 before the first."""
        (row,) = await self._read(_SEQUENCE, {})
        return int(row["number"])

    async def changed_since(self, after: Change, first: int) -> list[Change]:
        """Return up to `first` events whose last change stands behind a place, by (number, key).

        Parameters
        ----------
        after : Change
            The last one known; an empty key stands before all events of its number.
        first : int
            Most returned.
        """
        asked = {"number": after.number, "key": after.event_key, "first": first}
        return [Change(row["key"], row["number"]) for row in await self._read(_CHANGED, asked)]
