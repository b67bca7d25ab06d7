"""The one way a Spark session is made, so that jobs, streams and tests run under the same settings.

Everything listens on loopback unless a cluster is asked for; the web UI is off; no secret enters the Spark
configuration (it is shown in logs and UIs and copied to every executor). A process has one session: a second
call returns the first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asterism.errors import AsterismError
from asterism.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CHECKPOINT_FILES = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
"""Writes Spark's offset and commit logs by the file system's own rename. The default goes by way of `FileContext`,
which on a local disk costs 90 instead of 25 ms per log and micro-batch (measured)."""

COLLECTOR = "-XX:+UseSerialGC"
"""Keeps the driver's heap near what is alive, for days. G1 lets it grow towards ``spark_driver_memory`` in steps."""

LOCAL_SHUFFLE_PARTITIONS = 4
"""Two a core on a laptop; with Spark's default of 200 the identity job takes many times as long."""


class SparkError(AsterismError):
    """Spark could not be started."""

    code = "spark.unusable"
    hint = "Spark needs Java 17 or newer: set JAVA_HOME or put java on PATH"


def spark_session(settings: Settings, name: str, jars: Sequence[Path] = ()) -> SparkSession:
    """Start Spark, or return the session this process already has.

    Parameters
    ----------
    settings : Settings
        ``spark_master``, ``spark_driver_memory`` and ``home`` are used.
    name : str
        Name of the application.
    jars : sequence of Path, optional
        Jars for the driver and the executors. They count only when Spark is started: a JVM's class path is
        set once.

    Raises
    ------
    SparkError
        If the Java process does not start.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if settings.spark_master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName(name).master(settings.spark_master)
    for key, value in _configuration(settings, jars).items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except PySparkException as error:
        raise SparkError(f"Spark did not start: {error}") from error


def _configuration(settings: Settings, jars: Sequence[Path]) -> dict[str, str]:
    logging = Path(__file__).with_name("log4j2.properties")
    configuration = {
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.as_uri()} {COLLECTOR}",
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # What Spark would remember of jobs long finished, for the web UI: a thousand of each by default.
        "spark.ui.retainedJobs": "50",
        "spark.ui.retainedStages": "50",
        "spark.sql.ui.retainedExecutions": "50",
        # Queries that name a pool of their own get the next free core: a notice waits for no batch of alerts.
        "spark.scheduler.mode": "FAIR",
        "spark.log.level": "WARN" if settings.log_level == "DEBUG" else "ERROR",
        "spark.python.daemon.module": "asterism.spark_daemon",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.pyspark.fallback.enabled": "false",
        "spark.sql.warehouse.dir": str(settings.home / "spark-warehouse"),
    }
    if settings.spark_master.startswith("local"):
        configuration |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(LOCAL_SHUFFLE_PARTITIONS),
            "spark.sql.streaming.checkpointFileManagerClass": CHECKPOINT_FILES,
        }
    if jars:
        configuration["spark.jars"] = ",".join(str(jar) for jar in jars)
    return configuration
