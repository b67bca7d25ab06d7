"""``asterism voevent listen`` and ``status``: the doors, and how they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from prometheus_client import start_http_server

from asterism.cli import json_option, print_json, print_result
from asterism.journal import Journal
from asterism.logs import configure_logs
from asterism.metrics import REGISTRY
from asterism.settings import Settings, load_settings
from asterism.voevent.errors import DoorSettingsError, ListenError
from asterism.voevent.gcn import KafkaDoor
from asterism.voevent.intake import Intake
from asterism.voevent.send import DEFAULT_PORT
from asterism.voevent.status import StatusFile, read_status

_COUNTS = ("received", "journalled", "duplicate", "refused")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--whitelist",
    multiple=True,
    default=("127.0.0.1/32", "::1/128"),
    show_default=True,
    help="Network that may send; may be repeated.",
)
@click.option("--vtp/--no-vtp", default=True, show_default=True, help="Accept VOEvents from authors.")
@click.option("--kafka", is_flag=True, help="Take notices from Kafka too (settings gcn_*).")
@click.option("--remote", multiple=True, help="VTP broker to subscribe to, host:port; may be repeated.")
@click.option("--filter", "filters", multiple=True, help="XPath filter for those brokers; may be repeated.")
@click.option("--spool", type=click.Path(file_okay=False, path_type=Path), help="Take files put into this folder too.")
@click.option("--check", is_flag=True, help="Try every subscription, say how it went, and end; 1 if one failed.")
@click.option("--check-seconds", default=30.0, show_default=True, help="How long a subscription may take to work [s].")
@json_option
def listen(
    host: str,
    port: int,
    whitelist: tuple[str, ...],
    vtp: bool,
    kafka: bool,
    remote: tuple[str, ...],
    filters: tuple[str, ...],
    spool: Path | None,
    check: bool,
    check_seconds: float,
    as_json: bool,
) -> None:
    """Receive notices into the journal until Ctrl-C: from VTP authors, VTP brokers, Kafka and a folder.

    A notice is on disk before its sender is told so. Anyone on the whitelist can claim to be anyone.
    """
    from asterism.voevent.listener import Doors, Listener
    from asterism.voevent.subscribe import Remote
    from asterism.voevent.vtp import Address

    settings = _settings()
    filters = filters or settings.vtp_filters
    doors = Doors(
        address=Address(host, port, whitelist) if vtp else None,
        remotes=tuple(Remote.of(text, filters) for text in remote or settings.vtp_remotes),
        kafka=KafkaDoor.from_settings(settings) if kafka else None,
        spool=spool,
        limit_seconds=settings.deaf_after_seconds,
    )
    if check:
        _check(doors, check_seconds, as_json)
        return
    if not (vtp or kafka or doors.remotes or spool):
        raise DoorSettingsError("no door is open", hint="give --vtp, --kafka, --remote or --spool")
    _serve_metrics(settings)

    def ready(address: str | None, bound: int | None) -> None:
        where = "listening" if address is None else f"listening on {address}:{bound}"
        listening = None if address is None else {"host": address, "port": bound}
        print_result({"listening": listening}, as_json, lambda: f"{where}, journal {settings.journal_path}")
        sys.stdout.flush()

    with Journal(settings.journal_path) as journal:
        journal.claim()
        intake = Intake(journal)
        Listener(intake, doors, StatusFile(settings.feeds_path)).run(ready)
        counts = {name: intake.counts[name] for name in _COUNTS}
    print_result(counts, as_json, lambda: ", ".join(f"{value} {name}" for name, value in counts.items()))


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show how every feed is, and what of the journal is in the graph; 1 if nobody listens or a feed is deaf."""
    state = read_status(_settings())
    print_result(state, as_json, lambda: _state_text(state))
    if not state["listening"] or any(feed["deaf"] for feed in state["feeds"]):
        raise click.exceptions.Exit(1)


def _check(doors: Any, seconds: float, as_json: bool) -> None:
    from asterism.voevent.check import check_doors

    if doors.kafka is None and not doors.remotes:
        raise DoorSettingsError("there is no subscription to check", hint="give --kafka or --remote")
    failed = False
    for outcome in check_doors(doors.kafka, doors.remotes, seconds):
        failed = failed or not outcome.ok
        if as_json:
            print_json(outcome.as_dict())
        else:
            click.echo(f"{outcome.feed}  {'ok' if outcome.ok else 'failed'}  {outcome.reason}")
    if failed:
        raise click.exceptions.Exit(1)


def _serve_metrics(settings: Settings) -> None:
    if settings.listen_metrics_port is None:
        return
    try:
        start_http_server(settings.listen_metrics_port, addr="127.0.0.1", registry=REGISTRY)
    except OSError as error:
        raise ListenError(f"metrics: 127.0.0.1:{settings.listen_metrics_port}: {error.strerror}") from error


def _settings() -> Settings:
    settings = load_settings()
    configure_logs(settings.log_level, as_json=settings.log_json)
    return settings


def _state_text(state: dict[str, Any]) -> str:
    lines = [
        f"listening (pid {state['pid']})" if state["listening"] else "nobody listens; the last state of the feeds:"
    ]
    for feed in state["feeds"]:
        lines.append(f"{feed['name']}  {'DEAF, ' if feed['deaf'] else ''}{_connection(feed)}")
        counts = ", ".join(f"{feed[name]} {name}" for name in _COUNTS)
        lines.append(f"  {counts}; {_or_unknown(feed['projected'])} of {feed['deliveries']} in the graph")
        if feed["problem"]:
            lines.append(f"  {feed['problem']}")
    lines.append(f"{_or_unknown(state['projected'])} of {state['deliveries']} deliveries of the journal in the graph")
    if state["unreadable"]:
        lines.append(f"{state['unreadable']} notices in the graph cannot be understood")
    if state["graph"]:
        lines.append(f"graph: {state['graph']}")
    return "\n".join(lines)


def _connection(feed: dict[str, Any]) -> str:
    parts = [f"connected since {feed['connected_since']}" if feed["connected_since"] else "not connected"]
    if feed["last_message"]:
        parts.append(f"last message {feed['last_message']}")
    if feed["heartbeat_age_seconds"] is not None:
        parts.append(f"heartbeat {feed['heartbeat_age_seconds']:.1f} s old")
    if feed["lag"] is not None:
        parts.append(f"{feed['lag']} waiting in {feed['partitions']} partitions")
    return ", ".join(parts)


def _or_unknown(value: int | None) -> str:
    return "unknown" if value is None else str(value)
