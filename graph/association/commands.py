"""``asterism graph associate``: judge events and keep their candidate links up to date."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from asterism.cli import json_option, print_json, print_result
from asterism.graph.association.associate import Verdict
from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import DEFAULT, load_rules
from asterism.graph.association.score import posteriors
from asterism.graph.connection import connect
from asterism.graph.schema import check_format
from asterism.rounds import repeat
from asterism.settings import load_settings


@click.command()
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C, as new alerts and notices come.")
@click.option("--rules", "name", default=DEFAULT, show_default=True, help="Rule set.")
@json_option
def associate(follow: bool, name: str, as_json: bool) -> None:
    """Judge every active event and write its candidates."""
    settings, rules = load_settings(), load_rules(name)
    with connect(settings) as driver:
        check_format(driver, settings.neo4j_database)
        associator = Associator(driver, settings, rules)
        verdicts = associator.round()
        print_result(
            [summary(v) for v in verdicts], as_json, lambda: "\n".join(map(line, verdicts)) or "no active event"
        )
        if follow:
            stop = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            repeat(lambda: _tell(associator.round(), as_json), stop)


def _tell(verdicts: list[Verdict], as_json: bool) -> None:
    for verdict in verdicts:
        if as_json:
            print_json(summary(verdict))
        else:
            click.echo(line(verdict))


def summary(verdict: Verdict) -> dict[str, Any]:
    """Return what one judgement says, best candidate first."""
    probability, none = posteriors(verdict.scores.log_l, verdict.q, verdict.log_sum_l)
    return {
        "event": verdict.event.key,
        "localization": verdict.event.localization_key,
        "rule_set": verdict.rules.name,
        "n_candidates": len(verdict.objects),
        "overflow": verdict.overflow,
        "p_none": none,
        "background_deg2_d": verdict.background.rate,
        "background_measured": verdict.background.measured,
        "best": [
            {"object": key, "probability": float(p), "n_chance": float(n)}
            for key, p, n in zip(verdict.objects.key[:5].tolist(), probability[:5], verdict.chance[:5], strict=True)
        ],
    }


def line(verdict: Verdict) -> str:
    """Return one judgement as one line."""
    said = summary(verdict)
    best = ", ".join(f"{c['object']} P={c['probability']:.2f}" for c in said["best"][:3])
    return f"{said['event']:28} {said['n_candidates']:>5} candidates  P(none)={said['p_none']:.2f}  {best}"
