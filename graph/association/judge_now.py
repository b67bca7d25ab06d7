"""One event judged from what graph and lake hold now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from neo4j import Session

from asterism.graph.association.associate import Verdict, judge
from asterism.graph.association.background import measure_background
from asterism.graph.association.candidates import region_objects
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.exposures import LastMisses
from asterism.graph.association.lakesky import LakeSky
from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import RuleSet
from asterism.graph.association.sample import with_hosts
from asterism.settings import Settings


def judge_now(
    session: Session,
    event: ActiveEvent,
    region: EventRegion,
    sky: LakeSky,
    rules: RuleSet,
    settings: Settings,
    between: Callable[[], object] = lambda: None,
) -> tuple[Verdict, LastMisses]:
    """Judge one event from what graph and lake hold now, and say when its candidates were last not seen.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    event, region : ActiveEvent, EventRegion
        What is judged.
    sky : LakeSky
        The lake, up to date.
    rules : RuleSet
        By which rules.
    settings : Settings
        Visibility.
    between : callable
        Called before each query of the graph; what it raises ends the judgement.
    """
    nonpublic = settings.show_nonpublic
    background = measure_background(sky.objects, sky.near_objects, region, rules)
    background = replace(background, observed=sky.observed)
    catalogued = [one.name for one in rules.kinds[event.kind].catalogued]
    older = sky.old_alerts(region, show_nonpublic=nonpublic)
    found = region_objects(
        session, region, rules.cuts, catalogued, show_nonpublic=nonpublic, older=older, between=between
    )
    verdict = judge(event, region, with_hosts(found, sky.hosts), background, rules)
    return verdict, sky.exposures.last_misses(verdict.objects.hpx29, verdict.objects.first)
