"""What was believed at a time: links from the graph, their numbers from the lake's score log.

A link says from when to when it was held, and what its numbers are now, or were at its end. What they were in between
stands in the score log, ``scores/<event>/<localization>-<rule set>-<time>.parquet``: an entry for each judgement that
changed who is a candidate, or moved a log L by more than `STEP`, with the rows that changed. So log L at a time comes
back to within `STEP`, the event's sums exactly as of the last entry. An entry is written before the graph is; one whose
writing to the graph failed is followed by an equal judgement, which adds none. Compaction puts entries together.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from neo4j import ManagedTransaction, Session

from asterism.graph.association.associate import Verdict
from asterism.graph.association.links import HELD
from asterism.graph.association.score import posteriors
from asterism.graph.connection import read
from asterism.lake import Lake

SCORE_LOG = "scores"
"""The lake's folder of score log entries."""

STEP = 0.05
"""Smallest change of a log L that is logged (natural logarithm): 5 % of L."""

SCORES = pa.schema(
    [
        ("eventKey", pa.string()),
        ("localizationKey", pa.string()),
        ("ruleSet", pa.string()),
        ("scoredMjdTai", pa.float64()),
        ("run", pa.string()),
        ("logSumL", pa.float64()),
        ("q", pa.float64()),
        ("backgroundRate", pa.float64()),
        ("nCandidates", pa.int64()),
        ("objectKey", pa.string()),
        ("logL", pa.float64()),
    ]
)
"""One row per candidate whose log L changed (null: it is none any more), at least one a judgement (objectKey null)."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")

LINKS_AT = (
    f"MATCH (o:Object)-[c:CANDIDATE_FOR]->(:Event {{key: $event}}) WHERE {HELD} "
    "AND ($ruleSet IS NULL OR c.ruleSet = $ruleSet) AND (o.public OR $nonpublic) "
    "RETURN o.key AS object, c.localization AS localization, c.ruleSet AS ruleSet, c.vetting AS vetting, "
    "c.openedMjdTai AS opened, c.closedMjdTai AS closed, c.closedBecause AS because, c.logL AS logL"
)
"""Links of an event held at a time."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The numbers of one event at a time, under one localization and rule set.

    Attributes
    ----------
    mjd_tai : float
        When they were found, MJD TAI.
    log_sum_l, q : float
        Natural log of the sum of L (-inf without candidates), and the prior.
    log_l : dict
        Natural log of L by object.
    """

    mjd_tai: float
    log_sum_l: float
    q: float
    log_l: dict[str, float]


@dataclass(frozen=True)
class Belief:
    """A candidate as it was believed in at a time.

    Attributes
    ----------
    object_key, localization_key, rule_set, vetting : str
        Who, under what.
    log_l, probability : float or None
        Natural log of L and posterior then; None before anything was scored.
    opened_mjd_tai, closed_mjd_tai : float or None
        Since when and, if it ended since, until when it was held.
    closed_because : str or None
        Why it ended.
    """

    object_key: str
    localization_key: str
    rule_set: str
    vetting: str
    log_l: float | None
    probability: float | None
    opened_mjd_tai: float
    closed_mjd_tai: float | None
    closed_because: str | None


@dataclass
class ScoreLog:
    """Writes score log entries; remembers what it wrote last, and reads that from the lake once after a start."""

    lake: Lake
    run: str
    _last: dict[tuple[str, str], tuple[str, Scored | None]] = field(default_factory=dict, init=False)

    def add(self, verdict: Verdict, now_mjd_tai: float) -> int:
        """Log what changed since the last entry; return the number of candidates that did."""
        event, rule_set = verdict.event, verdict.rules.name
        of, last = self._last.get((event.key, rule_set), (None, None))
        if of != event.localization_key:
            last = scores_at(self.lake, event.key, event.localization_key, rule_set)
        before = {} if last is None else last.log_l
        found = dict(zip(verdict.objects.key.tolist(), verdict.scores.log_l.tolist(), strict=True))
        rows: list[tuple[str | None, float | None]] = [
            (name, value) for name, value in found.items() if abs(value - before.get(name, math.inf)) > STEP
        ]
        rows += [(name, None) for name in sorted(before.keys() - found.keys())]
        if rows or last is None:
            _write(self.lake, self._rows(verdict, rows or [(None, None)], now_mjd_tai))
            # What is compared with is what was logged, so that slow drifts add up to an entry.
            logged = {name: value for name, value in before.items() if name in found}
            logged |= {name: value for name, value in rows if name is not None and value is not None}
            last = Scored(now_mjd_tai, verdict.log_sum_l, verdict.q, logged)
        self._last[event.key, rule_set] = event.localization_key, last
        return len(rows)

    def _rows(self, verdict: Verdict, rows: list[tuple[str | None, float | None]], now: float) -> pa.Table:
        event = verdict.event
        log_sum = verdict.log_sum_l if math.isfinite(verdict.log_sum_l) else None
        scored = (event.key, event.localization_key, verdict.rules.name, now, self.run)
        same = (*scored, log_sum, verdict.q, verdict.background.rate, len(verdict.objects))
        columns = [pa.array([value] * len(rows), f.type) for value, f in zip(same, SCORES, strict=False)]
        columns += [pa.array([name for name, _ in rows], pa.string()), pa.array([v for _, v in rows], pa.float64())]
        return pa.table(columns, schema=SCORES)


def scores_at(
    lake: Lake, event_key: str, localization_key: str, rule_set: str, mjd_tai: float = math.inf
) -> Scored | None:
    """Return what an event's candidates scored at a time [MJD TAI]; None if nothing was scored by then."""
    found: dict[str, float] = {}
    last: dict[str, Any] | None = None
    for rows in lake.side_entries(_table(event_key), f"{_prefix(localization_key, rule_set)}-", SCORES):
        first = rows.slice(0, 1).to_pylist()[0]
        if first["scoredMjdTai"] > mjd_tai:
            break
        last = first
        for name, value in zip(rows["objectKey"].to_pylist(), rows["logL"].to_pylist(), strict=True):
            if value is not None:
                found[name] = value
            elif name is not None:
                found.pop(name, None)
    if last is None:
        return None
    log_sum = -math.inf if last["logSumL"] is None else last["logSumL"]
    return Scored(last["scoredMjdTai"], log_sum, last["q"], found)


def beliefs(
    session: Session,
    lake: Lake,
    event_key: str,
    mjd_tai: float | None = None,
    *,
    rule_set: str | None = None,
    show_nonpublic: bool = False,
) -> list[Belief]:
    """Return the candidates of an event as they were believed in at a time, the best first.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    lake : Lake
        Whose score log tells the numbers of then.
    event_key : str
        The event.
    mjd_tai : float, optional
        The time, MJD TAI, by the clock of this installation; now if not given.
    rule_set : str, optional
        Only links of this rule set.
    show_nonpublic : bool
        Restricted objects, too.
    """
    asked = {"event": event_key, "asOf": mjd_tai, "ruleSet": rule_set, "nonpublic": show_nonpublic}
    links = read(session, _links_at, asked)
    scored: dict[tuple[str, str], Scored | None] = {}
    found = []
    for link in links:
        key = (link["localization"], link["ruleSet"])
        if key not in scored:
            scored[key] = scores_at(lake, event_key, *key, math.inf if mjd_tai is None else mjd_tai)
        found.append(_belief(link, scored[key]))
    return sorted(found, key=lambda b: (b.rule_set, -math.inf if b.log_l is None else -b.log_l, b.object_key))


def _belief(link: dict[str, Any], scored: Scored | None) -> Belief:
    log_l = None if scored is None else scored.log_l.get(link["object"])
    probability = None
    if scored is not None and log_l is not None:
        # log L is known to within STEP: its own L is part of the sum.
        probability = float(posteriors([log_l], scored.q, max(scored.log_sum_l, log_l))[0][0])
    return Belief(
        object_key=link["object"],
        localization_key=link["localization"],
        rule_set=link["ruleSet"],
        vetting=link["vetting"],
        log_l=log_l,
        probability=probability,
        opened_mjd_tai=link["opened"],
        closed_mjd_tai=link["closed"],
        closed_because=link["because"],
    )


def _links_at(tx: ManagedTransaction, asked: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(record) for record in tx.run(LINKS_AT, asked)]


def _table(event_key: str) -> str:
    name = f"{_UNSAFE.sub('_', event_key)[:80]}-{hashlib.sha256(event_key.encode()).hexdigest()[:12]}"
    return f"{SCORE_LOG}/{name}"


def _prefix(localization_key: str, rule_set: str) -> str:
    return hashlib.sha256(f"{localization_key}\n{rule_set}".encode()).hexdigest()[:16]


def _write(lake: Lake, rows: pa.Table) -> None:
    first = rows.slice(0, 1).to_pylist()[0]
    ticks = round(first["scoredMjdTai"] * 1e8)  # 0.9 ms
    name = f"{_prefix(first['localizationKey'], first['ruleSet'])}-{ticks:016d}"
    lake.write_side_table(_table(first["eventKey"]), name, rows)
