"""Verdicts as ``CANDIDATE_FOR``: one link per object, event, localization and rule set; never deleted.

A link is open while its localization is the event's current one and the object still passes. A new localization, a
retraction or an object that no longer passes closes it, with the reason; nothing is removed. Only `graph associate`
writes these links. Writing the same verdict again changes nothing. What people said of an object and an event holds for
all their links, those of later localizations too (`asterism.graph.curation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from neo4j import ManagedTransaction, Session

from asterism.graph.association.associate import Verdict
from asterism.graph.changes import mark_changed
from asterism.graph.connection import write
from asterism.graph.curation.write import lock_event, take_vetting

_BATCH = 1000


def write_verdict(session: Session, verdict: Verdict, now_mjd_tai: float) -> int:
    """Write the links of one event and close those the verdict no longer holds; return how many are open.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    verdict : Verdict
        What was found.
    now_mjd_tai : float
        Time of writing, MJD TAI: when the belief began or ended.
    """
    rows = _rows(verdict)
    version = {"localization": verdict.event.localization_key, "ruleSet": verdict.rules.name}
    write(session, _write, verdict.event.key, version, rows, _summary(verdict), now_mjd_tai)
    return len(rows)


def close_links(session: Session, active: Sequence[str], now_mjd_tai: float) -> int:
    """Close every open link of events that are not among the active ones: retracted, or no longer known to be real.

    Returns the number of links closed.
    """
    return write(session, _close_inactive, list(active), now_mjd_tai)


def _rows(verdict: Verdict) -> list[dict[str, Any]]:
    objects, terms = verdict.objects, verdict.scores.terms
    rows = []
    for i, key in enumerate(objects.key.tolist()):
        values = {
            "logL": float(verdict.scores.log_l[i]),
            "level": float(verdict.level[i]),
            "searchedAreaDeg2": float(verdict.searched_area[i]),
            "delayDays": float(objects.first[i] - verdict.event.t0),
            "fadeRate": _known(objects.fade[i]),
            "fadeRateErr": _known(objects.fade_err[i]),
            "nChance": float(verdict.chance[i]),
            "nChanceArea": float(verdict.chance_area[i]),
            "detections": int(objects.detections[i]),
        }
        values |= {f"log{name.capitalize()}": _known(column[i]) for name, column in terms.items()}
        rows.append({"object": key, "values": values})
    return rows


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
        "regionLevel": verdict.rules.level,
    }


def _known(value: float | np.floating[Any]) -> float | None:
    return float(value) if math.isfinite(value) else None


def _write(
    tx: ManagedTransaction,
    event: str,
    version: dict[str, Any],
    rows: list[dict[str, Any]],
    summary: dict[str, Any],
    now: float,
) -> None:
    """Write it all in one transaction: a reader sees links and their sum of one judgement."""
    lock_event(tx, event)
    for start in range(0, len(rows), _BATCH):
        _merge(tx, event, version, rows[start : start + _BATCH], now)
    _close_others(tx, event, version, [row["object"] for row in rows], now)
    take_vetting(tx, event)
    _summarise(tx, event, summary)
    mark_changed(tx, [event])


def _merge(tx: ManagedTransaction, event: str, version: dict[str, Any], rows: list[dict[str, Any]], now: float) -> None:
    tx.run(
        "MATCH (e:Event {key: $event}) UNWIND $rows AS r MATCH (o:Object {key: r.object}) "
        "MERGE (o)-[c:CANDIDATE_FOR {localization: $localization, ruleSet: $ruleSet}]->(e) "
        "ON CREATE SET c.open = true, c.openedMjdTai = $now, c.vetting = 'pending' "
        "SET c += r.values, c.open = true, c.closedMjdTai = null, c.closedBecause = null",
        event=event,
        rows=rows,
        now=now,
        **version,
    ).consume()


def _close_others(tx: ManagedTransaction, event: str, version: dict[str, Any], keys: list[str], now: float) -> None:
    tx.run(
        "MATCH (o:Object)-[c:CANDIDATE_FOR]->(:Event {key: $event}) WHERE c.open AND c.ruleSet = $ruleSet "
        "AND (c.localization <> $localization OR NOT o.key IN $keys) "
        "SET c.open = false, c.closedMjdTai = $now, "
        "c.closedBecause = CASE WHEN c.localization <> $localization THEN 'localization' ELSE 'object' END",
        event=event,
        keys=keys,
        now=now,
        **version,
    ).consume()


def _summarise(tx: ManagedTransaction, event: str, summary: dict[str, Any]) -> None:
    tx.run("MATCH (e:Event {key: $event}) SET e += $summary", event=event, summary=summary).consume()


def _close_inactive(tx: ManagedTransaction, active: list[str], now: float) -> int:
    record = tx.run(
        "MATCH (e:Event) WHERE NOT e.key IN $active MATCH (:Object)-[c:CANDIDATE_FOR]->(e) WHERE c.open "
        "SET c.open = false, c.closedMjdTai = $now, c.closedBecause = 'event' "
        "WITH e, count(c) AS n SET e.nCandidates = 0, e.logSumL = null, e.q = null "
        "RETURN sum(n) AS closed, collect(e.key) AS events",
        active=active,
        now=now,
    ).single(strict=True)
    mark_changed(tx, record["events"])
    return int(record["closed"])
