"""Is every packet accounted for? ``packets in = alerts + duplicates + dead letters``, and the graph has them.

The three sides are counted from different sources: packets from the ledger (what the batches received), alerts,
duplicates and dead letters from the lake's distinct rows, the graph by the database's own count. Each delivery
position counts once. The graph must hold the alerts of the hot window (`asterism.hotwindow`): all, until it is swept.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc
from neo4j import ManagedTransaction

from asterism import hotwindow
from asterism.graph.connection import connect, read
from asterism.lake import Lake
from asterism.settings import Settings

Window = tuple[int, int, int]
"""Start and end (exclusive) of an offset range, and the packets received from it."""


@dataclass(frozen=True)
class Reconciliation:
    """The balance of a lake and its graph.

    Attributes
    ----------
    packets_in : int
        Deliveries recorded by the batches, each position once.
    alerts : int
        Distinct alert keys in the lake.
    duplicates : int
        Deliveries of an alert that the lake already has from another position.
    dead_letters : int
        Deliveries that could not be decoded.
    hot_alerts : int
        Those among them that belong to the hot window.
    graph_alerts : int
        Alert nodes of the hot window in the graph.
    by_survey, by_code : dict
        Distinct alerts per survey, dead letters per code.
    """

    packets_in: int
    alerts: int
    duplicates: int
    dead_letters: int
    hot_alerts: int
    graph_alerts: int
    by_survey: dict[str, int]
    by_code: dict[str, int]

    @property
    def reconciled(self) -> bool:
        """Every packet is accounted for, and the graph holds exactly the lake's alerts of the hot window."""
        accounted = self.alerts + self.duplicates + self.dead_letters
        return self.packets_in == accounted and self.graph_alerts == self.hot_alerts

    def as_dict(self) -> dict[str, object]:
        """Return the balance as ``--json`` prints it."""
        return asdict(self) | {"reconciled": self.reconciled}

    def as_text(self) -> str:
        """Return the balance as people read it."""
        surveys = ", ".join(f"{survey} {n:,}" for survey, n in sorted(self.by_survey.items()))
        codes = ", ".join(f"{code} {n:,}" for code, n in sorted(self.by_code.items()))
        rows = [
            ("packets in", self.packets_in, ""),
            ("alerts", self.alerts, surveys),
            ("duplicates", self.duplicates, ""),
            ("dead letters", self.dead_letters, codes),
            ("alerts in graph", self.graph_alerts, f"of {self.hot_alerts:,} in the hot window"),
        ]
        lines = [f"{name:16}{count:>12,}  {detail}".rstrip() for name, count, detail in rows]
        verdict = "reconciled: every packet is accounted for" if self.reconciled else "NOT RECONCILED"
        return "\n".join([*lines, verdict])


def reconcile(lake: Lake, graph_alerts: int) -> Reconciliation:
    """Draw up the balance.

    Parameters
    ----------
    lake : Lake
        The lake; its ledger gives the packets received.
    graph_alerts : int
        Number of Alert nodes of the hot window in the graph.
    """
    detections = lake.detections(["alertKey", "survey", "night"])
    since = hotwindow.first_night(lake)
    hot = detections if since is None else detections.filter(pc.greater_equal(detections["night"], since))
    refused = lake.dead_letters(["code"])
    distinct = detections.group_by(["alertKey", "survey"]).aggregate([])
    return Reconciliation(
        packets_in=packets_received(lake),
        alerts=distinct.num_rows,
        duplicates=detections.num_rows - distinct.num_rows,
        dead_letters=refused.num_rows,
        hot_alerts=pc.count_distinct(hot["alertKey"]).as_py(),
        graph_alerts=graph_alerts,
        by_survey=_counts(distinct["survey"]),
        by_code=_counts(refused["code"]),
    )


def packets_received(lake: Lake) -> int:
    """Sum the ledger; where windows of a place overlap, the common offsets count once."""
    windows: dict[tuple[str, int], set[Window]] = {}
    for entry in lake.ledger():
        for place, window in _windows(entry["outcomes"]):
            windows.setdefault(place, set()).add(window)
    return sum(_covered(sorted(found)) for found in windows.values())


def _covered(windows: list[Window]) -> int:
    total, reached = 0, -1
    for start, end, packets in windows:
        if end > reached:
            total += packets if start >= reached else min(packets, end - reached)
            reached = end
    return total


def _windows(outcomes: list[dict[str, object]]) -> list[tuple[tuple[str, int], Window]]:
    merged: dict[tuple[str, int], list[int]] = {}
    for row in outcomes:
        place = (str(row["topic"]), int(str(row["partition"])))
        packets, start, end = (int(str(row[name])) for name in ("packets", "start", "end"))
        known = merged.setdefault(place, [0, start, end])
        known[:] = [known[0] + packets, min(known[1], start), max(known[2], end)]
    return [(place, (start, end, packets)) for place, (packets, start, end) in merged.items()]


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()}


def current_balance(settings: Settings) -> Reconciliation:
    """Draw up the balance of the installation's lake and graph.

    Raises
    ------
    GraphError
        If Neo4j does not answer.
    """
    lake = Lake(settings.lake_path)
    with connect(settings) as driver, driver.session(database=settings.neo4j_database) as session:
        return reconcile(lake, read(session, _count_alerts, hotwindow.first_night(lake)))


def _count_alerts(tx: ManagedTransaction, since: int | None) -> int:
    hot = "" if since is None else "WHERE a.night >= $since "
    return int(tx.run(f"MATCH (a:Alert) {hot}RETURN count(a) AS n", since=since).single(strict=True)["n"])
