"""``asterism serve``: the API under uvicorn."""

from __future__ import annotations

import gc
import os
import socket
from typing import Any

import click
import uvicorn
from typing_extensions import override

from asterism.cli import json_option, print_result
from asterism.gql.addresses import is_loopback
from asterism.gql.app import MAX_MESSAGE_BYTES, create_app
from asterism.gql.errors import ServeError
from asterism.graph.connection import connect
from asterism.graph.schema import check_format
from asterism.logs import configure_logs
from asterism.settings import load_settings


@click.command()
@click.option("--host", help="Address to listen on [ASTERISM_API_HOST, 127.0.0.1].")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one [ASTERISM_API_PORT, 8000].",
)
@click.option("--public", is_flag=True, help="Allow an address that other machines can reach.")
@json_option
def serve(host: str | None, port: int | None, public: bool, as_json: bool) -> None:
    """Serve the GraphQL API until Ctrl-C.

    The address is printed on stdout once requests are answered. It starts only in front of a graph it can read; if
    Neo4j goes away later, it keeps running and /readyz says so.
    """
    settings = load_settings(api_host=host, api_port=port)
    configure_logs(settings.log_level, as_json=settings.log_json)
    if not public and not is_loopback(settings.api_host):
        raise ServeError(
            f"{settings.api_host} can be reached from other machines, and anybody there could read the graph",
            hint="add --public if that is meant, or listen on 127.0.0.1",
        )
    with listen(settings.api_host, settings.api_port) as listener:
        with connect(settings) as driver:
            check_format(driver, settings.neo4j_database)
        config = uvicorn.Config(
            create_app(settings),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=MAX_MESSAGE_BYTES,
            lifespan="on",
        )
        Server(config, as_json=as_json).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; what it accepts sends at once (TCP_NODELAY).

    A response is written in two pieces, and the second would wait up to 40 ms until the client acknowledges the first:
    asyncio turns that off only for sockets that were made with their protocol's number.

    Raises
    ------
    ServeError
        If the address does not exist here or is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise ServeError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            hint="--port 0 takes a free port; ASTERISM_API_PORT sets another one",
        ) from error


def url_of(listener: socket.socket) -> str:
    """Return the address of a listening socket as a URL without path."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn that says where it serves once it does.

    Parameters
    ----------
    config : uvicorn.Config
        What to serve.
    as_json : bool
        Say it as one line of JSON.
    """

    def __init__(self, config: uvicorn.Config, *, as_json: bool) -> None:
        super().__init__(config)
        self._as_json = as_json

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the address.

        What is loaded by then stays. The garbage collector need not look through it again and again: that took 0.1 s
        every thirty pages.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        if self.started and sockets:
            url = url_of(sockets[0])
            document: dict[str, Any] = {"url": url, "graphql": f"{url}/graphql", "pid": os.getpid()}
            print_result(document, self._as_json, lambda: f"{url}/graphql (Ctrl-C ends it)")
