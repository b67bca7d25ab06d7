"""The top-level commands: the local stack, the Spark application and the demo."""

from __future__ import annotations

from dataclasses import asdict

import click

from asterism.cli import json_option, print_json, print_result
from asterism.deploy.application import run_application
from asterism.deploy.demo import DemoPlan, run_demo
from asterism.deploy.local.stack import LocalStack
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
