"""How many deliveries of notices are in the graph: what the state of the feeds is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from neo4j import Driver, ManagedTransaction

from asterism.graph.connection import read


@dataclass(frozen=True)
class NoticeCounts:
    """Notices in the graph."""

    deliveries: dict[str, int]
    """By channel; a notice that came by two is counted in both."""
    unreadable: int
    """Those that carry a code instead of a meaning."""


def notice_counts(driver: Driver, *, database: str) -> NoticeCounts:
    """Count the notices in the graph.

    Raises
    ------
    GraphError
        If it cannot be read.
    """
    with driver.session(database=database) as session:
        return read(session, _counts)


def _counts(transaction: ManagedTransaction) -> NoticeCounts:
    channels = transaction.run("MATCH (n:Notice) UNWIND n.channels AS channel RETURN channel, count(*) AS deliveries")
    deliveries = {record["channel"]: record["deliveries"] for record in channels}
    unreadable = transaction.run("MATCH (n:Notice) RETURN count(n.refusedCode) AS unreadable").single(strict=True)
    return NoticeCounts(deliveries, unreadable["unreadable"])
