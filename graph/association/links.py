"""Verdicts as ``CANDIDATE_FOR``: what was believed, and from when to when; nothing is ever deleted.

A link is one *belief*: that this object may be the counterpart of this event, under one localization, rule set,
temporal class and vetting state. It is open while it is held. Its numbers follow every re-score; what those were before
stands in the lake's score log (`asterism.graph.association.history`). A new localization, a retraction, an object that
no longer passes, another class or a vetting closes it with the reason, and what is believed then is a new link: an
event that is retracted and comes back has two links for each object. So what was believed at a time is a query: `HELD`.

Vetting is what people said of object and event (`asterism.graph.curation`): every later link of the pair takes it over.
Only `graph associate` writes the numbers of links. Writing the same verdict again changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from neo4j import ManagedTransaction, Session

from asterism.graph.association.associate import Verdict
from asterism.graph.association.exposures import LastMisses
from asterism.graph.changes import mark_changed
from asterism.graph.connection import write
from asterism.graph.curation.write import vetted

_BATCH = 1000

HELD = (
    "(CASE WHEN $asOf IS NULL THEN c.open "
    "ELSE c.openedMjdTai <= $asOf AND (c.closedMjdTai IS NULL OR c.closedMjdTai > $asOf) END)"
)
"""Cypher condition that a link ``c`` was held at ``$asOf`` [MJD TAI], or is held now if that is null."""


def write_verdict(
    session: Session, verdict: Verdict, now_mjd_tai: float, misses: LastMisses | None = None, run: str | None = None
) -> int:
    """Write the links of one event and close those the verdict no longer holds; return how many are open.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    verdict : Verdict
        What was found.
    now_mjd_tai : float
        Time of writing, MJD TAI: when the belief began or ended.
    misses : LastMisses, optional
        The last non-detection of each object of the verdict before it was first seen.
    run : str, optional
        Which run of the follower judged.
    """
    rows = _rows(verdict, misses)
    version = {"localization": verdict.event.localization_key, "ruleSet": verdict.rules.name}
    write(session, _write, verdict.event.key, version, rows, _summary(verdict), now_mjd_tai, run)
    return len(rows)


def close_links(session: Session, active: Sequence[str], now_mjd_tai: float) -> int:
    """Close every open link of events that are not among the active ones: retracted, or no longer known to be real.

    Returns the number of links closed.
    """
    return write(session, _close_inactive, list(active), now_mjd_tai)


def _rows(verdict: Verdict, misses: LastMisses | None) -> list[dict[str, Any]]:
    objects, terms = verdict.objects, verdict.scores.terms
    columns: dict[str, Any] = {
        "logL": verdict.scores.log_l,
        "level": verdict.level,
        "searchedAreaDeg2": verdict.searched_area,
        "delayDays": objects.first - verdict.event.t0,
        "firstDetectionMjdTai": objects.first,
        "lastDetectionMjdTai": objects.last,
        "fadeRate": objects.fade,
        "fadeRateErr": objects.fade_err,
        "nChance": verdict.chance,
        "nChanceArea": verdict.chance_area,
    }
    if verdict.rates.size:
        columns["backgroundRate"] = verdict.rates
    if misses is not None:
        columns |= {"lastNonDetectionMjdTai": misses.mjd_tai, "lastNonDetectionLimitMag": misses.limit_mag}
    columns |= {f"log{name.capitalize()}": column for name, column in terms.items()}
    numbers = {name: _known_list(column) for name, column in columns.items()}
    numbers["detections"] = objects.detections.tolist()
    numbers["knownClass"] = [name or None for name in objects.known.tolist()]
    if verdict.grade.size:
        numbers["grade"] = [name or None for name in verdict.grade.tolist()]
    numbers["priorActivity"] = (objects.first < verdict.event.t0).tolist()
    values = [dict(zip(numbers, row, strict=True)) for row in zip(*numbers.values(), strict=True)]
    return [{"object": key, "values": row} for key, row in zip(objects.key.tolist(), values, strict=True)]


def _summary(verdict: Verdict) -> dict[str, Any]:
    return {
        "scoredLocalization": verdict.event.localization_key,
        "ruleSet": verdict.rules.name,
        "logSumL": _known(verdict.log_sum_l),
        "nCandidates": len(verdict.objects),
        "nOverflow": verdict.overflow,
        "q": verdict.q,
        "backgroundRate": verdict.background.rate,
        "backgroundMeasured": verdict.background.measured,
        "backgroundObjects": verdict.background.objects,
        "backgroundFromMjdTai": None if verdict.background.valid is None else verdict.background.valid[0],
        "backgroundToMjdTai": None if verdict.background.valid is None else verdict.background.valid[1],
        "coverage": verdict.coverage,
        "regionLevel": verdict.rules.level,
    }


def _known(value: float | np.floating[Any]) -> float | None:
    return float(value) if math.isfinite(value) else None


def _known_list(values: np.ndarray[Any, Any]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in np.asarray(values, dtype=np.float64).tolist()]


def _write(
    tx: ManagedTransaction,
    event: str,
    version: dict[str, Any],
    rows: list[dict[str, Any]],
    summary: dict[str, Any],
    now: float,
    run: str | None,
) -> None:
    """Write it all in one transaction: a reader sees links and their sum of one judgement.

    The first statement locks the event, so that of two judgements, or of a judgement and a vetting, one sees what the
    other wrote.
    """
    tx.run("MATCH (e:Event {key: $event}) SET e += $summary", event=event, summary=summary).consume()
    _close_others(tx, event, version, {row["object"]: row["values"]["knownClass"] or "" for row in rows}, now)
    said = vetted(tx, event)
    for row in rows:
        row["vetting"] = said.get(row["object"], {"vetting": "pending"})
    for start in range(0, len(rows), _BATCH):
        _merge(tx, event, version, rows[start : start + _BATCH], now, run)
    mark_changed(tx, [event])


def _merge(
    tx: ManagedTransaction, event: str, version: dict[str, Any], rows: list[dict[str, Any]], now: float, run: str | None
) -> None:
    tx.run(
        "MATCH (e:Event {key: $event}) UNWIND $rows AS r MATCH (o:Object {key: r.object}) "
        "MERGE (o)-[c:CANDIDATE_FOR {localization: $localization, ruleSet: $ruleSet, open: true}]->(e) "
        "ON CREATE SET c += r.vetting, c.openedMjdTai = $now, c.run = $run "
        "SET c += r.values",
        event=event,
        rows=rows,
        now=now,
        run=run,
        **version,
    ).consume()


def _close_others(
    tx: ManagedTransaction, event: str, version: dict[str, Any], classes: dict[str, str], now: float
) -> None:
    """Close what is not believed any more, or is believed otherwise; `classes` has each candidate's known class."""
    tx.run(
        "MATCH (o:Object)-[c:CANDIDATE_FOR]->(:Event {key: $event}) WHERE c.open AND c.ruleSet = $ruleSet "
        "WITH c, CASE WHEN c.localization <> $localization THEN 'localization' "
        "WHEN $classes[o.key] IS NULL THEN 'object' "
        "WHEN coalesce(c.knownClass, '') <> $classes[o.key] THEN 'class' END AS why WHERE why IS NOT NULL "
        "SET c.open = false, c.closedMjdTai = $now, c.closedBecause = why",
        event=event,
        classes=classes,
        now=now,
        **version,
    ).consume()


def _close_inactive(tx: ManagedTransaction, active: list[str], now: float) -> int:
    record = tx.run(
        "MATCH (e:Event) WHERE NOT e.key IN $active AND e.q IS NOT NULL "
        "MATCH (:Object)-[c:CANDIDATE_FOR]->(e) WHERE c.open "
        "SET c.open = false, c.closedMjdTai = $now, c.closedBecause = 'event' "
        "WITH e, count(c) AS n SET e.nCandidates = 0, e.logSumL = null, e.q = null "
        "RETURN sum(n) AS closed, collect(e.key) AS events",
        active=active,
        now=now,
    ).single(strict=True)
    mark_changed(tx, record["events"])
    return int(record["closed"])
