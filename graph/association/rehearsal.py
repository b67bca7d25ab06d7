"""A rehearsal: a few judgements that are thrown away, for what the first real event waits for.

The server compiles a query's plan when it first sees it, and its machine code while it runs: the first region of
1,000 deg2 takes three times as long as the fifth. Only what reads is rehearsed; nothing is written. On an idle
server that is what it costs; under ingest (B8) the first large event is still the slowest, for a reason not yet found.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from neo4j import Session

from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.judge_now import judge_now
from asterism.graph.association.lakesky import LakeSky
from asterism.graph.association.rules import RuleSet
from asterism.settings import Settings
from asterism.sky.circle import CircleLocalization
from asterism.sky.healpix import SKY_DEG2

TIMES = 4
MOST_DEG2, MOST_OBJECTS = 1000.0, 40_000
"""Largest region: its area, and about how many alerts a sky that is seen whole has in it."""


def rehearse(
    session: Session, sky: LakeSky, rules: RuleSet, settings: Settings, between: Callable[[], object] = lambda: None
) -> int:
    """Judge made-up events where objects are; return how many candidates were found and forgotten.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    sky : LakeSky
        The lake, up to date.
    rules : RuleSet
        By which rules.
    settings : Settings
        Visibility.
    between : callable
        Called before each query of the graph; what it raises ends the rehearsal.
    """
    objects, kind, found = sky.objects, next(iter(rules.kinds)), 0
    if not len(objects):
        return 0
    area = min(MOST_DEG2, SKY_DEG2 * MOST_OBJECTS / sky.alerts)
    radius = float(np.degrees(np.arccos(1.0 - np.radians(1.0) ** 2 * area / (2.0 * np.pi))))
    t0 = float(np.quantile(objects.first, 0.1)) - rules.kinds[kind].window[0]
    for number in range(TIMES):
        at = number * (len(objects) - 1) // max(TIMES - 1, 1)
        place = CircleLocalization(float(objects.ra[at]), float(objects.dec[at]), radius, rules.level)
        event = ActiveEvent(f"rehearsal:{number}", kind, t0, f"rehearsal:{number}:0", place, 1.0)
        verdict, _ = judge_now(session, event, event.region(rules), sky, rules, settings, between)
        found += len(verdict.objects) + verdict.overflow
    return found
