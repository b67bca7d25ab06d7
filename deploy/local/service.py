"""What a service of the local stack is, and how any of them is brought up."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Protocol

from asterism.deploy.errors import ServiceError
from asterism.deploy.local.java import Java
from asterism.deploy.local.process import ServiceProcess, is_alive

LOOPBACK = "127.0.0.1"
"""The only address a service listens on."""

_READY_SECONDS = 180
_POLL_SECONDS = 0.1


class Service(Protocol):
    """A server started from jars."""

    @property
    def name(self) -> str:
        """``neo4j`` or ``kafka``."""

    @property
    def folder(self) -> Path:
        """Everything it writes."""

    @property
    def port(self) -> int:
        """Port clients connect to."""

    @property
    def address(self) -> str:
        """Address as clients write it."""

    @property
    def log(self) -> Path:
        """Its own log."""

    def prepare(self, java: Java) -> dict[str, str]:
        """Write configuration and argument file, initialise data once; return its environment variables."""

    def check(self) -> str | None:
        """Return None if it serves requests, else why not yet."""


def start_service(service: Service, java: Java) -> bool:
    """Start a service unless it runs, and wait until it serves.

    Returns
    -------
    bool
        Whether it had to be started.

    Raises
    ------
    ServiceError
        If it ends, or does not serve within three minutes.
    """
    process = ServiceProcess(service.folder)
    started = process.find() is None
    if started:
        service.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = service.prepare(java)
        process.start(java.executable, environment)
    _wait_ready(service, process)
    return started


def _wait_ready(service: Service, process: ServiceProcess) -> None:
    end = time.monotonic() + _READY_SECONDS
    running = process.find()
    problem: str | None = "port closed"
    while time.monotonic() < end:
        if running is None or not is_alive(running):
            said = "\n".join(filter(None, map(_last_lines, {process.log, service.log})))
            raise ServiceError(f"{service.name} ended while starting; {service.log} ends with:\n{said}")
        if is_open(service.port):
            problem = service.check()
            if problem is None:
                return
        time.sleep(_POLL_SECONDS)
    raise ServiceError(f"{service.name} does not serve after {_READY_SECONDS} s ({problem}); see {service.log}")


def _last_lines(log: Path, count: int = 15) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""


def is_open(port: int) -> bool:
    """Return whether something on this machine accepts connections on a port."""
    with socket.socket() as connection:
        connection.settimeout(1)
        return connection.connect_ex((LOOPBACK, port)) == 0


def write_properties(path: Path, values: dict[str, object]) -> None:
    """Write a configuration file of ``key=value`` lines."""
    lines = ["# written by asterism at every start", *(f"{key}={value}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_secret(path: Path, text: str) -> None:
    """Write a file only its owner can read, at no moment readable by others and never half written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def free_ports(count: int) -> list[int]:
    """Return ports nothing listens on; they differ from each other."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind((LOOPBACK, 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()
