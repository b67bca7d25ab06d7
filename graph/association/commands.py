"""``asterism graph associate``, ``candidates``, ``explain`` and ``compare-rules``."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from neo4j import Driver
from typing_extensions import override

from asterism.cli import json_option, print_json, print_result
from asterism.graph.association.associate import Verdict
from asterism.graph.association.compare import Comparison, Placed, compare
from asterism.graph.association.events import EventBook
from asterism.graph.association.evidence import read_evidence
from asterism.graph.association.explain import explain as explain_case
from asterism.graph.association.explain import text as explanation_text
from asterism.graph.association.follow import Associator
from asterism.graph.association.history import Belief, beliefs
from asterism.graph.association.judge_now import judge_now
from asterism.graph.association.lakesky import LakeSky
from asterism.graph.association.picture import FORMATS, draw_candidate
from asterism.graph.association.rules import DEFAULT, RuleSet, known_rules, load_rules
from asterism.graph.association.score import posteriors
from asterism.graph.connection import connect
from asterism.graph.errors import NoSuchEventError
from asterism.graph.events import load_localization
from asterism.graph.schema import check_format
from asterism.lake import Lake
from asterism.rounds import repeat
from asterism.settings import Settings, load_settings
from asterism.times import datetime_to_mjd_tai, mjd_tai_to_iso

_FOLLOW_SECONDS = 1.0


class Moment(click.ParamType[float]):
    """A time: ISO 8601 in UTC, or MJD TAI; gives MJD TAI."""

    name = "time"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return MJD TAI."""
        try:
            return float(value)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(value)
            return datetime_to_mjd_tai(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except ValueError:
            self.fail(f"{value!r} is neither an ISO 8601 time nor an MJD", param, ctx)


as_of_option = click.option(
    "--as-of", "as_of", type=Moment(), help="What was believed at this time: ISO 8601 (UTC) or MJD (TAI)."
)


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
            associator.rescore_seconds = _FOLLOW_SECONDS
            repeat(lambda: _tell(associator.round(), as_json), stop, urgent=associator.news)


@click.command()
@click.argument("event")
@as_of_option
@click.option("--rules", "name", help="Only links of this rule set.")
@click.option("--first", type=click.IntRange(1), default=20, show_default=True, help="Most candidates printed.")
@json_option
def candidates(event: str, as_of: float | None, name: str | None, first: int, as_json: bool) -> None:
    """List the candidates of an EVENT, the best first; with --as-of as they were believed in then."""
    settings = load_settings()
    with connect(settings) as driver, driver.session(database=settings.neo4j_database) as session:
        check_format(driver, settings.neo4j_database)
        lake = Lake(settings.lake_path)
        found = beliefs(session, lake, event, as_of, rule_set=name, show_nonpublic=settings.show_nonpublic)
    shown = found[:first]
    more = f"\n{len(found) - first} more" if len(found) > first else ""
    print_result(
        [asdict(belief) for belief in shown],
        as_json,
        lambda: ("\n".join(map(_belief_line, shown)) or f"{event} has no candidate") + more,
    )


@click.command()
@click.argument("object_key", metavar="OBJECT")
@click.argument("event")
@as_of_option
@click.option("--rules", "name", help="Rule set; the event's own if not given.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw it into FILE.png or FILE.svg.")
@json_option
def explain(
    object_key: str, event: str, as_of: float | None, name: str | None, plot: Path | None, as_json: bool
) -> None:
    """Say why OBJECT is, or was, a candidate of EVENT: each factor, its data, their source and version."""
    if plot is not None and plot.suffix not in FORMATS:
        raise click.BadParameter(f"{plot} ends in none of {', '.join(FORMATS)}", param_hint="--plot")
    settings = load_settings()
    with connect(settings) as driver, driver.session(database=settings.neo4j_database) as session:
        check_format(driver, settings.neo4j_database)
        found = read_evidence(
            session, object_key, event, rule_set=name, mjd_tai=as_of, show_nonpublic=settings.show_nonpublic
        )
    said = explain_case(found.case)
    if plot is not None:
        kind = load_rules(said.rule_set).kinds.get(found.case.event.kind or "")
        if found.record is None or kind is None:
            raise NoSuchEventError(f"{event} has no localization, or no kind that {said.rule_set} knows")
        draw_candidate(plot, found, load_localization(found.record, settings.lake_path / "maps"), kind)
    print_result(said.as_dict(), as_json, lambda: explanation_text(said))


@click.command("compare-rules")
@click.argument("event")
@click.option("--rules", "names", multiple=True, help="Rule set; may be repeated; all if not given.")
@click.option("--best", type=click.IntRange(1), default=10, show_default=True, help="How many of the best of each.")
@json_option
def compare_rules(event: str, names: tuple[str, ...], best: int, as_json: bool) -> None:
    """Judge an EVENT under several rule sets, side by side. Nothing is written."""
    settings = load_settings()
    rules = [load_rules(name) for name in names or known_rules()]
    with connect(settings) as driver:
        check_format(driver, settings.neo4j_database)
        verdicts = judge_under(driver, settings, event, rules)
    found = compare(event, {one.name: one.name for one in rules}, verdicts, best)
    print_result(asdict(found), as_json, lambda: _comparison_text(found))


def judge_under(driver: Driver, settings: Settings, event_key: str, rules: list[RuleSet]) -> list[Verdict]:
    """Judge one event under each of some rule sets that knows its kind.

    Raises
    ------
    NoSuchEventError
        If none of them can judge it.
    """
    lake, verdicts = Lake(settings.lake_path), []
    with driver.session(database=settings.neo4j_database) as session:
        for one in rules:
            book = EventBook(settings.lake_path / "maps", one)
            event = next((e for e in book.read(session) if e.key == event_key), None)
            if event is None:
                continue
            sky = LakeSky(lake, one)
            sky.update([])
            verdicts.append(judge_now(session, event, book.region(event), sky, one, settings)[0])
    if not verdicts:
        raise NoSuchEventError(f"{event_key} cannot be judged by any of {', '.join(one.name for one in rules)}")
    return verdicts


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


def _belief_line(belief: Belief) -> str:
    p = "     ?" if belief.probability is None else f"{belief.probability:6.3f}"
    since = mjd_tai_to_iso(belief.opened_mjd_tai)[:19]
    until = "" if belief.closed_mjd_tai is None else f" until {mjd_tai_to_iso(belief.closed_mjd_tai)[:19]}"
    why = "" if belief.closed_because is None else f" ({belief.closed_because})"
    return f"{belief.object_key:32} P={p}  {belief.rule_set:12} {belief.vetting:9} since {since}{until}{why}"


def _comparison_text(found: Comparison) -> str:
    heads = "".join(f"{column.rule_set:>24}" for column in found.columns)
    none = "".join(
        f"{'not judged':>24}" if column.p_none is None else f"{f'P(none) = {column.p_none:.3f}':>24}"
        for column in found.columns
    )
    many = "".join(f"{f'{column.candidates + column.overflow} candidates':>24}" for column in found.columns)
    lines = [f"{found.event:32}{heads}", f"{'':32}{none}", f"{'':32}{many}"]
    lines += [f"{key:32}{''.join(f'{_cell(place):>24}' for place in places)}" for key, places in found.rows]
    return "\n".join(lines)


def _cell(place: Placed | None) -> str:
    return "-" if place is None else f"{place.rank}.  P = {place.probability:.3f}"
