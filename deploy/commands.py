"""The top-level commands: the local stack, the Spark application and the demo."""

from __future__ import annotations

from dataclasses import asdict

import click

from asterism.cli import json_option, print_json, print_result
from asterism.deploy.application import run_application
from asterism.deploy.demo.night import DemoPlan
from asterism.deploy.demo.run import run_demo
from asterism.deploy.local.stack import LocalStack
from asterism.deploy.rebuild import rebuild
from asterism.graph.connection import connect
from asterism.graph.schema import initialise
from asterism.progress import progress
from asterism.settings import load_settings


@click.command()
@json_option
def up(as_json: bool) -> None:
    """Start Neo4j and Kafka on this machine, unless the settings point elsewhere."""
    stack = LocalStack.configured(load_settings())
    stack.start()
    _print_status(stack, as_json)


@click.command()
@json_option
def down(as_json: bool) -> None:
    """Stop the Neo4j and Kafka that `up` started; their data stay."""
    stopped = LocalStack(load_settings().home).stop()
    print_result({"stopped": stopped}, as_json, lambda: f"stopped: {', '.join(stopped) or 'nothing was running'}")


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Say what runs where."""
    _print_status(LocalStack.configured(load_settings()), as_json)


def _print_status(stack: LocalStack, as_json: bool) -> None:
    rows = stack.status()
    print_result(
        [asdict(row) for row in rows],
        as_json,
        lambda: "\n".join(f"{r.name:6} {r.state:12} {r.address:28} pid {r.pid or '-':<8} {r.log}" for r in rows),
    )


@click.command()
@click.option("--until-caught-up", is_flag=True, help="Stop when everything published so far is in the graph.")
def run(until_caught_up: bool) -> None:
    """Run the Spark application, alerts from Kafka to lake and graph, until Ctrl-C."""
    settings = load_settings()
    with connect(settings) as driver:
        initialise(driver, settings.neo4j_database)
    run_application(settings, until_caught_up=until_caught_up)


@click.command("rebuild")
@json_option
def rebuild_graph(as_json: bool) -> None:
    """Write everything that lake and journal hold into the graph: after its loss, or into a new database.

    Cross-survey sources are made by their own job: asterism graph job identity.
    """
    with progress("lake and journal to graph") as advance:
        done = rebuild(load_settings(), advance)
    text = f"{done.detections} detections, {done.notices} notices of {done.events} events in {done.seconds:.0f} s"
    print_result(done.as_dict(), as_json, lambda: text)


@click.command()
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same night.")
@click.option("--ztf", type=click.IntRange(1), default=12000, show_default=True, help="ZTF alerts.")
@click.option("--lsst", type=click.IntRange(1), default=6000, show_default=True, help="LSST alerts.")
@click.option("--once", is_flag=True, help="Exit when done instead of serving until Ctrl-C.")
@json_option
def demo(seed: int, ztf: int, lsst: int, once: bool, as_json: bool) -> None:
    """Play a simulated night through everything and show which counterparts were found."""
    summary = run_demo(load_settings(), DemoPlan(seed, ztf, lsst), once=once, quiet=as_json)
    if as_json:
        print_json(summary)
