"""Neo4j Community as a service, closed from its first day.

Why each guard is there: a READ session may still run LOAD CSV, so the import folder is set (unset, an
absolute path reads any file of the machine) and empty, and file URLs are refused; one query may not take the
whole heap or run for ever; HTTP and usage reports are off, Bolt listens on the loopback address only. Built-
in procedures pass the allow list all the same: the Cypher gateway refuses those itself.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from neo4j import GraphDatabase
from neo4j.exceptions import AuthError, DriverError, Neo4jError

from asterism.deploy.errors import ServiceError
from asterism.deploy.local.java import Java
from asterism.deploy.local.service import LOOPBACK, write_properties, write_secret

USER = "neo4j"
"""The one user of a Community server's first start."""

_JVM = (
    "-XX:+UseG1GC",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:+DisableExplicitGC",
    "-Djdk.nio.maxCachedBufferSize=1024",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.leakDetection.level=DISABLED",
    "-Dlog4j2.disable.jmx=true",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)


@dataclass(frozen=True)
class Neo4jService:
    """A Neo4j Community server of one user and one database."""

    folder: Path
    """Everything it writes."""
    port: int
    """Bolt port."""
    heap: str
    """Java heap, such as ``1g``."""
    page_cache: str
    """Page cache outside the heap, such as ``512m``."""
    name: str = "neo4j"

    @property
    def uri(self) -> str:
        """Bolt address."""
        return f"bolt://{LOOPBACK}:{self.port}"

    @property
    def password(self) -> str:
        """The generated password; empty before the first start."""
        path = self.folder / "password"
        return path.read_text(encoding="ascii") if path.exists() else ""

    @property
    def address(self) -> str:
        """Where clients connect."""
        return self.uri

    @property
    def log(self) -> Path:
        """Its own log."""
        return self.folder / "logs" / "neo4j.log"

    def prepare(self, java: Java) -> dict[str, str]:
        """Write the configuration; before the very first start also generate the password."""
        configuration = self.folder / "conf"
        for folder in (configuration, self.folder / "import", self.folder / "plugins"):
            folder.mkdir(parents=True, exist_ok=True)
        write_properties(configuration / "neo4j.conf", self._settings())
        environment = {"NEO4J_HOME": str(self.folder), "NEO4J_CONF": str(configuration)}
        if not (self.folder / "data" / "databases").exists():
            if not self.password:
                write_secret(self.folder / "password", secrets.token_hex(24))
            java.run_tool(
                self.folder,
                "org.neo4j.cli.AdminTool",
                ["dbms", "set-initial-password", self.password],
                environment,
            )
        java.write_arguments(
            self.folder / "java.args",
            [*_JVM, f"-Xmx{self.heap}", f"-XX:ErrorFile={self.folder}/logs/crash.log"],
            "org.neo4j.server.CommunityEntryPoint",
            [f"--home-dir={self.folder}", f"--config-dir={configuration}"],
        )
        return environment

    def check(self) -> str | None:
        """Return None if a signed-in query is answered, else why not yet.

        Raises
        ------
        ServiceError
            If the server refuses the generated password.
        """
        try:
            with (
                GraphDatabase.driver(self.uri, auth=(USER, self.password), connection_timeout=5) as driver,
                driver.session(database="neo4j") as session,
            ):
                session.run("RETURN 1").consume()
        except AuthError as error:
            raise ServiceError(
                f"{self.uri} refuses the password in {self.folder / 'password'}: {error.code}",
                hint="put the new password into that file, or move its folder away to start afresh",
            ) from error
        except (DriverError, Neo4jError) as error:
            return str(error)
        return None

    def _settings(self) -> dict[str, object]:
        return {
            "server.default_listen_address": LOOPBACK,
            "server.default_advertised_address": LOOPBACK,
            "server.bolt.listen_address": f"{LOOPBACK}:{self.port}",
            "server.bolt.advertised_address": f"{LOOPBACK}:{self.port}",
            "server.http.enabled": "false",
            "server.https.enabled": "false",
            "server.directories.import": self.folder / "import",
            "dbms.security.allow_csv_import_from_file_urls": "false",
            "dbms.security.procedures.allowlist": "db.*,dbms.components",
            "dbms.security.procedures.unrestricted": "",
            "dbms.usage_report.enabled": "false",
            "server.memory.pagecache.size": self.page_cache,
            "db.memory.transaction.max": "384m",
            "dbms.memory.transaction.total.max": "640m",
            "db.transaction.timeout": "5m",
            # How often overdue transactions are looked for: a query ends at most this much later than its limit.
            "db.transaction.monitor.check.interval": "500ms",
            "db.lock.acquisition.timeout": "30s",
            "db.tx_log.rotation.retention_policy": "512M size",
            "db.logs.query.enabled": "OFF",
            # The default waits twice 5 s for idle threads when the data are long safe on disk.
            "internal.server.bolt.thread_pool_shutdown_wait_time": "500ms",
        }
