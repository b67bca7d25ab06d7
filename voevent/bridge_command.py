"""``asterism voevent bridge``: notices of every door, broadcast to subscribers of VTP."""

from __future__ import annotations

import sys

import click

from asterism.cli import json_option, print_result
from asterism.journal import Journal
from asterism.logs import configure_logs
from asterism.settings import load_settings
from asterism.voevent.document import ROLES
from asterism.voevent.gcn import KafkaDoor
from asterism.voevent.intake import Intake
from asterism.voevent.map_server import DEFAULT_MAPS_PORT
from asterism.voevent.project import maps_folder
from asterism.voevent.status import StatusFile


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", default=8099, show_default=True, help="Port subscribers connect to; 0 takes a free one.")
@click.option("--maps-port", default=DEFAULT_MAPS_PORT, show_default=True, help="Port of the sky maps (HTTP).")
@click.option(
    "--whitelist",
    multiple=True,
    default=("127.0.0.1/32", "::1/128"),
    show_default=True,
    help="Network that may subscribe and fetch maps; may be repeated.",
)
@click.option("--kafka", is_flag=True, help="Take notices from Kafka (settings gcn_*) in this process.")
@click.option("--remote", multiple=True, help="VTP broker to subscribe to in this process, host:port.")
@click.option("--role", multiple=True, type=click.Choice(ROLES), help="Broadcast only this role; may be repeated.")
@click.option("--mission", multiple=True, help="Broadcast only this mission (lvk, gbm, ...); may be repeated.")
@click.option("--xpath", multiple=True, help="Broadcast only what this XPath holds for; of several one must.")
@click.option("--from-start", is_flag=True, help="Serve the whole journal, to new subscribers too, not only the new.")
@json_option
def bridge(
    host: str,
    port: int,
    maps_port: int,
    whitelist: tuple[str, ...],
    kafka: bool,
    remote: tuple[str, ...],
    role: tuple[str, ...],
    mission: tuple[str, ...],
    xpath: tuple[str, ...],
    from_start: bool,
    as_json: bool,
) -> None:
    """Broadcast what the journal takes to VTP subscribers, such as Comet, until Ctrl-C.

    VOEvents go out as they came, JSON as a VOEvent composed of it. Without --kafka and --remote the journal is only
    read: asterism voevent listen, in a process of its own, fills it.
    """
    from asterism.voevent.bridge import Bridge, Serving
    from asterism.voevent.broadcast import Selection
    from asterism.voevent.listener import Doors, Listener
    from asterism.voevent.subscribe import Remote

    settings = load_settings()
    configure_logs(settings.log_level, as_json=settings.log_json)
    serving = Serving(
        authority=settings.ivo_authority,
        host=host,
        port=port,
        maps_port=maps_port,
        maps_url=settings.maps_url,
        whitelist=whitelist,
        selection=Selection(frozenset(role), frozenset(mission), xpath),
        from_start=from_start,
    )
    doors = Doors(
        remotes=tuple(Remote.of(text, settings.vtp_filters) for text in remote),
        kafka=KafkaDoor.from_settings(settings) if kafka else None,
        limit_seconds=settings.deaf_after_seconds,
    )
    with Journal(settings.journal_path) as journal:
        if kafka or remote:
            journal.claim()
        running = Bridge(settings.bridge_path, journal, maps_folder(settings), serving)

        def ready(*_: object) -> None:
            text = f"broadcasting on {host}:{running.port}, sky maps on {host}:{running.maps_port}"
            where = {"host": host, "port": running.port, "maps_port": running.maps_port}
            print_result({"broadcasting": where}, as_json, lambda: text)
            sys.stdout.flush()

        if kafka or remote:
            Listener(Intake(journal), doors, StatusFile(settings.feeds_path)).run(ready)
        else:
            running.run(ready)
        running.close()
    counts = running.counts()
    print_result(counts, as_json, lambda: ", ".join(f"{value} {name}" for name, value in counts.items()))
