"""The top-level commands: the local stack."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from asterism.cli import json_option, print_result
from asterism.deploy.local.stack import BOTH, LocalStack, ServiceName
from asterism.progress import console
from asterism.settings import config_file_values, load_settings


@click.command()
@json_option
def up(as_json: bool) -> None:
    """Start Neo4j and Kafka on this machine, unless the settings point elsewhere."""
    stack = _stack()
    stack.start()
    _print_status(stack, as_json)


@click.command()
@json_option
def down(as_json: bool) -> None:
    """Stop the Neo4j and Kafka that `up` started; their data stay."""
    stopped = _stack().stop()
    print_result({"stopped": stopped}, as_json, lambda: f"stopped: {', '.join(stopped) or 'nothing was running'}")


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Say what runs where."""
    _print_status(_stack(), as_json)


def _stack() -> LocalStack:
    settings = load_settings()
    explicit = config_file_values().keys() | {name for name in type(settings).model_fields if f"ASTERISM_{name.upper()}" in os.environ}
    elsewhere: dict[ServiceName, str] = {"neo4j": "neo4j_uri", "kafka": "kafka_bootstrap"}
    for name, setting in elsewhere.items():
        if setting in explicit:
            console.print(f"{name} is left alone: the settings say {setting} = {getattr(settings, setting)}", highlight=False)
    return LocalStack(
        settings.home,
        services=[name for name in BOTH if elsewhere[name] not in explicit],
        cache=settings.cache,
        repository=settings.maven_repository,
        neo4j_heap=settings.neo4j_heap,
        neo4j_page_cache=settings.neo4j_page_cache,
    )


def _print_status(stack: LocalStack, as_json: bool) -> None:
    rows = stack.status()
    print_result(
        [asdict(row) for row in rows],
        as_json,
        lambda: "\n".join(f"{r.name:6} {r.state:12} {r.address:28} pid {r.pid or '-':<8} {r.log}" for r in rows),
    )
