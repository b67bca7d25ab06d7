"""Apache Kafka as a service: one node that is broker and controller (KRaft), on the loopback address only."""

from __future__ import annotations

import base64
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from asterism.deploy.local.java import Java
from asterism.deploy.local.service import LOOPBACK, write_properties

LARGEST_MESSAGE = 8 << 20
"""Largest message the broker takes [bytes]; alert packets can exceed Kafka's own default of 1 MB."""

_JVM = (
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disable.jmx=true",
)

_LOG_SETTINGS: dict[str, object] = {
    "rootLogger.level": "WARN",
    "rootLogger.appenderRef.console.ref": "console",
    "appender.console.type": "Console",
    "appender.console.name": "console",
    "appender.console.layout.type": "PatternLayout",
    "appender.console.layout.pattern": "%d{ISO8601} %p %c: %m%n",
}


@dataclass(frozen=True)
class KafkaService:
    """A Kafka broker of one node."""

    folder: Path
    """Everything it writes."""
    port: int
    """Port for clients."""
    controller_port: int
    """Port on which the node talks to itself as controller."""
    heap: str = "512m"
    """Java heap."""
    name: str = "kafka"

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers, for clients."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def address(self) -> str:
        """Where clients connect."""
        return self.bootstrap

    @property
    def log(self) -> Path:
        """Its own log: the console, where warnings go."""
        return self.folder / "logs" / "console.log"

    def prepare(self, java: Java) -> dict[str, str]:
        """Write the configuration; before the very first start also format the storage."""
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "server.properties"
        logging = self.folder / "log4j2.properties"
        write_properties(configuration, self._settings())
        write_properties(logging, _LOG_SETTINGS)
        formatted = self.folder / "formatted"
        if not formatted.exists():
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
            java.run_tool(
                self.folder,
                "kafka.tools.StorageTool",
                ["format", f"--cluster-id={cluster}", "-c", str(configuration)],
            )
            formatted.touch()
        java.write_arguments(
            self.folder / "java.args",
            [
                *_JVM,
                f"-Xms{self.heap}",
                f"-Xmx{self.heap}",
                f"-Dlog4j2.configurationFile={logging}",
                f"-XX:ErrorFile={self.folder}/logs/crash.log",
            ],
            "kafka.Kafka",
            [str(configuration)],
        )
        return {}

    def check(self) -> str | None:
        """Return None if the broker answers with metadata that lists itself, else why not yet."""
        client = AdminClient({"bootstrap.servers": self.bootstrap, "socket.timeout.ms": 5000, "log_level": 0})
        try:
            brokers = client.list_topics(timeout=5).brokers
        except KafkaException as error:
            return str(error)
        return None if brokers else "no broker registered"

    def _settings(self) -> dict[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOOPBACK}:{self.controller_port}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "message.max.bytes": LARGEST_MESSAGE,
            "replica.fetch.max.bytes": LARGEST_MESSAGE,
            "num.partitions": 4,
            "log.retention.hours": 72,
            "log.retention.bytes": 4 << 30,
            # By default every five minutes, in which a fast stream writes ten times what may be kept.
            "log.retention.check.interval.ms": 30_000,
            "log.segment.bytes": 256 << 20,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
        }
