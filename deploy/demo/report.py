"""What the demo prints and keeps: the balance, the ranking of every event, and where to go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asterism.deploy.demo.night import Played
from asterism.deploy.demo.ranking import Ranking
from asterism.graph.association.score import TERMS
from asterism.graph.jobs.identity import IdentityReport
from asterism.ingest.reconcile import Reconciliation

QUERY = """query ($key: ID!) { event(key: $key) { key kind state pNone nCandidates backgroundRate
  candidates(first: 5) { edges { node { probability logL delayDays object { key survey ra dec } } } } } }"""

QUESTION = (
    "MATCH (o:Object)-[c:CANDIDATE_FOR]->(e:Event) WHERE c.open "
    "RETURN e.key, o.key, c.logL ORDER BY c.logL DESC LIMIT 9"
)


def summarise(
    balance: Reconciliation,
    played: Played,
    rankings: list[Ranking],
    open_now: dict[str, int],
    identity: IdentityReport,
    elapsed: float,
) -> dict[str, Any]:
    """Return what ``summary.json`` holds."""
    truth = played.truth["alerts"]
    agrees = (balance.packets_in, balance.alerts) == (truth["packets"], truth["alerts"])
    by_event = {ranking.event: ranking for ranking in rankings}
    events = []
    for event in played.truth["events"]:
        key = event["event"]
        entry: dict[str, Any] = {"event": key, "kind": event["kind"], "retracted": event["retracted"]}
        entry |= {"most_links": played.most_links.get(key, 0), "open_links": open_now.get(key, 0)}
        if key in by_event:
            found = by_event[key]
            best = found.best_true
            entry |= {"true_object": (best or {}).get("object", next(iter(event["true_objects"]), None))}
            entry |= {"n_candidates": len(found.sources), "p_none": found.p_none, **found.ranks}
            entry |= {"posterior": None if best is None else best["probability"]}
        events.append(entry)
    return {
        "packets_in": balance.packets_in,
        "alerts": balance.alerts,
        "duplicates": balance.duplicates,
        "dead_letters": balance.dead_letters,
        "reconciled": balance.reconciled and agrees,
        "events": events,
        "cross_survey": {"pairs": identity.pairs, "engine": identity.engine},
        "seed": played.truth["seed"],
        "elapsed_s": round(elapsed, 1),
    }


def show(
    summary: dict[str, Any],
    balance: Reconciliation,
    rankings: list[Ranking],
    url: str,
    answer: dict[str, Any],
    home: Path,
) -> None:
    """Print it all."""
    print(balance.as_text())
    print(f"cross-survey: {summary['cross_survey']['pairs']} pairs ({summary['cross_survey']['engine']})\n")
    heads = f"{'candidates':>10} {'true counterpart':>20} {'rank':>5} {'P':>6}"
    print(f"{'event':26} {heads}   rank without time / position / fade / distance")
    for event in summary["events"]:
        print(event_line(event))
    for ranking in rankings:
        print(f"\n{ranking.event}: best candidates, P(none of them) = {ranking.p_none:.2f}")
        for place, row in enumerate(ranking.sources[:5], 1):
            print(candidate_line(place, row, ranking))
    best = answer["event"]["candidates"]["edges"][0]["node"] if answer["event"]["candidates"]["edges"] else None
    print(f"\nthe API says of {answer['event']['key']}: {json.dumps(best)}")
    print(f'\nopen {url} and paste, with the variable {{"key": "{answer["event"]["key"]}"}}:\n{QUERY}\n')
    print(f'or ask the graph:\nASTERISM_HOME={home} .venv/bin/asterism graph cypher "{QUESTION}"\n')
    print(f"picture: {home / 'night.png'}   summary: {home / 'summary.json'}   {summary['elapsed_s']:.0f} s")


def event_line(event: dict[str, Any]) -> str:
    """Return one event as one line."""
    if event["retracted"]:
        return f"{event['event']:26} retracted: {event['most_links']} links were open, {event['open_links']} are"
    others = " / ".join(str(event[f"rank_without_{term}"]) for term in ("time", "position", "fade", "distance"))
    posterior = "-" if event["posterior"] is None else f"{event['posterior']:.2f}"
    where = f"{event['n_candidates']:>10} {event['true_object']!s:>20} {event['rank']!s:>5} {posterior:>6}"
    return f"{event['event']:26} {where}   {others}"


def candidate_line(place: int, row: dict[str, Any], ranking: Ranking) -> str:
    """Return one candidate as one line: probability and the natural log of each factor."""
    link = row["link"]
    names = [f"log{name.capitalize()}" for name in TERMS]
    terms = " ".join(f"{name}={link[name]:+.1f}" for name in names if name in link)
    true = {one["source"] for one in ranking.rows if one["object"] in ranking.truth}
    mark = "  <- true" if row["source"] in true else ""
    return f"  {place} {row['object']:26} P={row['probability']:.3f}  N={link['nChance']:.2g}  {terms}{mark}"
