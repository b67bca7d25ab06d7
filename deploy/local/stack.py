"""The local stack: Neo4j and Kafka under one home folder.

Two stacks with different homes share nothing but the cache of jars. Starting is idempotent and safe after
anything was killed: ports and the password are remembered under ``<home>/stack``, a running service is found
again and re-used. ``<home>/stack.toml`` tells the addresses and the password to
`asterism.settings.load_settings`.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from asterism.deploy.errors import StackBusyError
from asterism.deploy.local.artifacts import ensure_jars, read_lock
from asterism.deploy.local.java import Java, find_java
from asterism.deploy.local.kafka import KafkaService
from asterism.deploy.local.neo4j import USER, Neo4jService
from asterism.deploy.local.process import ServiceProcess
from asterism.deploy.local.service import Service, free_ports, is_open, start_service, write_secret
from asterism.formats import replace_file
from asterism.progress import console, progress
from asterism.settings import STACK_FILE, Settings, config_file_values

ServiceName = Literal["neo4j", "kafka"]

_ADDRESS: dict[ServiceName, str] = {"neo4j": "neo4j_uri", "kafka": "kafka_bootstrap"}
"""The setting that names the address of each service."""

DEFAULT_CACHE = Path("~/.cache/asterism")

_BUSY_SECONDS = 240.0


@dataclass(frozen=True)
class ServiceStatus:
    """What ``asterism status`` says of one service."""

    name: str
    """``neo4j`` or ``kafka``."""
    state: Literal["serving", "not serving", "stopped"]
    """A process may run and not serve (yet)."""
    pid: int | None
    """Process, if it runs."""
    address: str
    """Where clients connect."""
    log: str
    """Its log file."""


@dataclass(frozen=True)
class Ports:
    """Chosen ports; 0 where none has been chosen yet."""

    neo4j: int
    kafka: int
    kafka_controller: int


class LocalStack:
    """Neo4j and Kafka as child processes; a context manager stops on leaving what it started on entering.

    Parameters
    ----------
    home : Path
        Folder that holds ``stack.toml`` and, under ``stack``, all data, logs and configuration.
    services : collection of {"neo4j", "kafka"}
        Which to run.
    cache : Path
        Cache of the jars.
    repository : str, optional
        Root URL of a Maven repository.
    neo4j_heap, neo4j_page_cache : str
        Memory of Neo4j, such as ``1g``.
    """

    def __init__(
        self,
        home: Path,
        *,
        services: Collection[ServiceName] = tuple(_ADDRESS),
        cache: Path = DEFAULT_CACHE,
        repository: str | None = None,
        neo4j_heap: str = "1g",
        neo4j_page_cache: str = "512m",
    ) -> None:
        self.home = home.absolute()
        self._folder = self.home / "stack"
        self._names = [name for name in _ADDRESS if name in services]
        self._cache = cache.expanduser()
        self._repository = repository
        self._neo4j_memory = (neo4j_heap, neo4j_page_cache)
        self._started: list[Service] = []

    @classmethod
    def configured(cls, settings: Settings) -> Self:
        """Return the stack settings ask for; a service they point elsewhere is left alone, which is said."""
        explicit = config_file_values().keys() | {
            name for name in Settings.model_fields if f"ASTERISM_{name.upper()}" in os.environ
        }
        wanted: list[ServiceName] = []
        for name, setting in _ADDRESS.items():
            if setting in explicit:
                address = getattr(settings, setting)
                console.print(f"{name} is left alone: settings say {setting} = {address}", highlight=False)
            else:
                wanted.append(name)
        return cls(
            settings.home,
            services=wanted,
            cache=settings.cache,
            repository=settings.maven_repository,
            neo4j_heap=settings.neo4j_heap,
            neo4j_page_cache=settings.neo4j_page_cache,
        )

    @property
    def neo4j_uri(self) -> str:
        """Bolt address of Neo4j."""
        return self._neo4j(self._ports()).uri

    @property
    def neo4j_password(self) -> str:
        """Password of the user ``neo4j``."""
        return self._neo4j(self._ports()).password

    @property
    def kafka_bootstrap(self) -> str:
        """Bootstrap servers of Kafka."""
        return self._kafka(self._ports()).bootstrap

    def start(self) -> None:
        """Bring up what does not run, both at once, and wait until it serves.

        Raises
        ------
        DeployError
            If jars, Java or a service fail; what this call had started is stopped again.
        """
        if not self._names:
            return
        with self._locked():
            jars = ensure_jars(
                [item for item in read_lock() if item.server in self._names], self._cache, self._repository
            )
            services = self._services(self._settle_ports())
            new = [item for item in services if ServiceProcess(item.folder).find() is None]
            try:
                self._start_all(services, jars)
            except BaseException:
                self._stop_all(new)
                raise
            self._started += new
            self._write_settings()

    def stop(self) -> list[str]:
        """Stop every service of this home, whoever started it, and return the names of those that ran."""
        with self._locked():
            return self._stop_all(self._services(self._ports()))

    def status(self) -> list[ServiceStatus]:
        """Say of each service whether it runs and serves."""
        return [_status(service) for service in self._services(self._ports())]

    def settings(self, **overrides: object) -> Settings:
        """Return settings that point at this stack and its home; `overrides` win."""
        return Settings.model_validate({"home": self.home, **self._addresses(), **overrides})

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what `start` started; what ran before goes on."""
        with self._locked():
            self._stop_all(self._started)
            self._started = []

    def _start_all(self, services: list[Service], jars: Path) -> None:
        java = find_java()
        with (
            progress(f"Starting {' and '.join(self._names)}", len(services)) as advance,
            ThreadPoolExecutor(len(services)) as pool,
        ):
            starts = {}
            for service in services:
                class_path = tuple(jars / item.file_name for item in read_lock() if item.server == service.name)
                starts[pool.submit(start_service, service, Java(java, class_path))] = service
            for done in as_completed(starts):
                done.result()
                advance(note=f"{starts[done].name} serves")

    def _stop_all(self, services: list[Service]) -> list[str]:
        if not services:
            return []
        with ThreadPoolExecutor(len(services)) as pool:
            ran = list(pool.map(lambda item: ServiceProcess(item.folder).stop(), services))
        return [item.name for item, did in zip(services, ran, strict=True) if did]

    def _services(self, ports: Ports) -> list[Service]:
        both: dict[str, Service] = {"neo4j": self._neo4j(ports), "kafka": self._kafka(ports)}
        return [both[name] for name in self._names]

    def _neo4j(self, ports: Ports) -> Neo4jService:
        return Neo4jService(self._folder / "neo4j", ports.neo4j, *self._neo4j_memory)

    def _kafka(self, ports: Ports) -> KafkaService:
        return KafkaService(self._folder / "kafka", ports.kafka, ports.kafka_controller)

    def _settle_ports(self) -> Ports:
        """Keep the remembered ports, except of a stopped service whose port somebody else has taken."""
        remembered = self._ports()
        fresh = iter(free_ports(3))
        ports = Ports(
            neo4j=self._keep("neo4j", remembered.neo4j) or next(fresh),
            kafka=self._keep("kafka", remembered.kafka) or next(fresh),
            kafka_controller=self._keep("kafka", remembered.kafka_controller) or next(fresh),
        )
        replace_file(self._folder / "ports.json", json.dumps(asdict(ports)).encode())
        return ports

    def _keep(self, name: str, port: int) -> int | None:
        """Return a port if it is chosen and its service holds it or may take it."""
        running = ServiceProcess(self._folder / name).find() is not None
        return port if port and (running or not is_open(port)) else None

    def _ports(self) -> Ports:
        try:
            return Ports(**json.loads((self._folder / "ports.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return Ports(0, 0, 0)

    def _addresses(self) -> dict[str, str]:
        values: dict[str, str] = {}
        if "neo4j" in self._names:
            values |= {"neo4j_uri": self.neo4j_uri, "neo4j_user": USER, "neo4j_password": self.neo4j_password}
        if "kafka" in self._names:
            values |= {"kafka_bootstrap": self.kafka_bootstrap}
        return values

    def _write_settings(self) -> None:
        # A JSON string of ASCII is a TOML string.
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in self._addresses().items()]
        write_secret(self.home / STACK_FILE, "# written by asterism up\n" + "".join(lines))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time start or stop this stack; the lock ends with that process."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        end = time.monotonic() + _BUSY_SECONDS
        with (self._folder / "lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise StackBusyError(
                            f"{self.home} has been held by another process for {_BUSY_SECONDS:.0f} s"
                        ) from None
                    time.sleep(0.2)
            yield


def _status(service: Service) -> ServiceStatus:
    process = ServiceProcess(service.folder).find()
    state: Literal["serving", "not serving", "stopped"] = "stopped"
    if process is not None:
        state = "serving" if is_open(service.port) and service.check() is None else "not serving"
    return ServiceStatus(
        service.name,
        state,
        process.pid if process else None,
        service.address if service.port else "-",
        str(service.log),
    )
