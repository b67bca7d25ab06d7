"""Coincidences as ``COINCIDENT_WITH``: one link per two localizations and rule set, never deleted.

A link is open while both localizations are current, both events active and real, and the odds above the rule set's
least. Only `graph associate` writes these links; writing the same again changes nothing and is told to
nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from neo4j import ManagedTransaction, Session

from asterism.graph.association.coincidence import Coincidence, chains
from asterism.graph.changes import mark_changed
from asterism.graph.connection import write
from asterism.graph.curation.write import lock_event


def write_coincidences(session: Session, pairs: Sequence[Coincidence], rule_set: str, now_mjd_tai: float) -> None:
    """Write the links of all pairs and close all others of the rule set.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    pairs : sequence of Coincidence
        All coincidences of the active events.
    rule_set : str
        Name of the rule set.
    now_mjd_tai : float
        Time of writing, MJD TAI: when the belief began or ended.
    """
    linked = chains(pairs)
    write(session, _write, [_row(pair, linked[pair.first]) for pair in pairs], rule_set, now_mjd_tai)


def _row(pair: Coincidence, chain: tuple[str, ...]) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "firstLocalization": pair.localizations[0],
        "secondLocalization": pair.localizations[1],
        "values": {
            "logOdds": math.log(pair.odds),
            "overlap": pair.overlap,
            "offsetSeconds": pair.offset_s,
            "windowSeconds": pair.window_s,
            "farHz": pair.far_hz if math.isfinite(pair.far_hz) else None,
            "farFloored": pair.floored,
            "chain": list(chain),
        },
    }


def _write(tx: ManagedTransaction, rows: list[dict[str, Any]], rule_set: str, now: float) -> None:
    """Write and close, and number the change of all events whose links differ afterwards."""
    changed = [*_merge(tx, rows, rule_set, now), *_close_others(tx, rows, rule_set, now)]
    for event in sorted(set(changed)):
        lock_event(tx, event)
    mark_changed(tx, changed)


def _merge(tx: ManagedTransaction, rows: list[dict[str, Any]], rule_set: str, now: float) -> list[str]:
    """Write the links of all pairs; return the events of those that were new or other before."""
    found = tx.run(
        "UNWIND $rows AS r MATCH (a:Event {key: r.first}) MATCH (b:Event {key: r.second}) "
        "MERGE (a)-[c:COINCIDENT_WITH {firstLocalization: r.firstLocalization, "
        "secondLocalization: r.secondLocalization, ruleSet: $ruleSet}]->(b) "
        "WITH a, b, c, r, properties(c) AS before "
        "SET c += r.values, c.open = true, c.closedMjdTai = null, c.closedBecause = null, "
        "c.openedMjdTai = coalesce(c.openedMjdTai, $now) "
        "WITH a, b, c, before WHERE before <> properties(c) RETURN a.key AS first, b.key AS second",
        rows=rows,
        ruleSet=rule_set,
        now=now,
    )
    return [key for record in found for key in record.values()]


def _close_others(tx: ManagedTransaction, rows: list[dict[str, Any]], rule_set: str, now: float) -> list[str]:
    """Close the open links of all other pairs; return their events."""
    found = tx.run(
        "MATCH (a:Event)-[c:COINCIDENT_WITH]->(b:Event) WHERE c.open AND c.ruleSet = $ruleSet "
        "AND NOT [a.key, b.key, c.firstLocalization, c.secondLocalization] IN $kept "
        "SET c.open = false, c.closedMjdTai = $now, c.closedBecause = CASE "
        "WHEN a.state <> 'active' OR b.state <> 'active' THEN 'event' "
        "WHEN a.currentLocalization <> c.firstLocalization OR b.currentLocalization <> c.secondLocalization "
        "THEN 'localization' ELSE 'odds' END RETURN a.key AS first, b.key AS second",
        ruleSet=rule_set,
        kept=[[r["first"], r["second"], r["firstLocalization"], r["secondLocalization"]] for r in rows],
        now=now,
    )
    return [key for record in found for key in record.values()]
