"""Where the true counterparts stand: ranks read back from the graph, also with one term of the score left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from neo4j import Driver

from asterism.graph.association.score import posteriors

_CANDIDATES = (
    "MATCH (o:Object)-[c:CANDIDATE_FOR]->(e:Event {key: $event}) WHERE c.open "
    "OPTIONAL MATCH (o)-[:SAME_AS]->(s:Source) RETURN o.key AS object, coalesce(s.key, o.key) AS source, "
    "o.survey AS survey, o.ra AS ra, o.dec AS dec, c {.*} AS link, e.q AS q, e.logSumL AS logSumL "
    "ORDER BY c.logL DESC, o.key"
)
LEFT_OUT = {
    "rank": None,
    "rank_without_time": "logTime",
    "rank_without_position": "logPosition",
    "rank_without_fade": "logFade",
    "rank_without_distance": "logDistance",
}


@dataclass(frozen=True)
class Ranking:
    """The candidates of one event, and where the truth is among them.

    Attributes
    ----------
    event : str
        Key of the event.
    rows : list of dict
        Open candidates, best first, with ``probability``.
    truth : tuple of str
        Keys of the objects that are the counterpart.
    ranks : dict
        Rank of the counterpart by the whole score and with terms left out; objects of one source count once. None if it
        is no candidate.
    p_none : float
        Probability that none of the candidates is the counterpart.
    """

    event: str
    rows: list[dict[str, Any]]
    truth: tuple[str, ...]
    ranks: dict[str, int | None]
    p_none: float

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The best candidate of each source, best first: two surveys' objects of one thing share a place."""
        best: dict[str, dict[str, Any]] = {}
        for row in self.rows:
            best.setdefault(row["source"], row)
        return list(best.values())

    @property
    def best_true(self) -> dict[str, Any] | None:
        """The true object that ranks best."""
        return next((row for row in self.rows if row["object"] in self.truth), None)


def rank(driver: Driver, event: str, truth: Sequence[str]) -> Ranking:
    """Read an event's candidates and rank the truth among them."""
    with driver.session() as session:
        rows = [dict(record) for record in session.run(_CANDIDATES, event=event)]
    none = 1.0
    if rows:
        chance, none = posteriors([row["link"]["logL"] for row in rows], rows[0]["q"], rows[0]["logSumL"])
        for row, probability in zip(rows, chance, strict=True):
            row["probability"] = float(probability)
    ranks = {name: _rank(rows, truth, term) for name, term in LEFT_OUT.items()}
    return Ranking(event, rows, tuple(truth), ranks, none)


def _rank(rows: list[dict[str, Any]], truth: Sequence[str], without: str | None) -> int | None:
    best: dict[str, float] = {}
    true_sources = {row["source"] for row in rows if row["object"] in truth}
    for row in rows:
        left_out = row["link"].get(without) if without else None
        value = row["link"]["logL"] - (left_out or 0.0)
        best[row["source"]] = max(best.get(row["source"], -math.inf), value)
    if not true_sources:
        return None
    mine = max(best[source] for source in true_sources)
    return 1 + int(np.sum([value > mine for source, value in best.items() if source not in true_sources]))
