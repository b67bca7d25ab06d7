"""Errors of the top part.

::

    AsterismError
    +-- DeployError               something about running the whole cannot be done
        +-- LockFileError             the list of pinned artifacts is malformed
        +-- DownloadError             an artifact cannot be fetched
        |   +-- ChecksumError             ... or is not the one that was pinned
        +-- SetupError                a system package is missing and cannot be installed
        +-- JavaMissingError          no Java 17 or newer
        +-- ServiceError              Neo4j or Kafka did not start, answer or stop
        +-- StackBusyError            another process is starting or stopping the same stack
        +-- ApplicationError          the Spark application cannot go on
        +-- DemoError                 the demo cannot go on
"""

from __future__ import annotations

from asterism.errors import AsterismError


class DeployError(AsterismError):
    """Something about running the whole cannot be done."""

    code = "deploy.failed"


class LockFileError(DeployError):
    """The list of pinned artifacts is malformed."""

    code = "deploy.lock_malformed"
    hint = "restore deploy/local/jars.lock from the repository, or regenerate it with: make lock"


class DownloadError(DeployError):
    """An artifact cannot be fetched."""

    code = "deploy.download_failed"
    hint = "run it again: complete jars are kept (ASTERISM_MAVEN_REPOSITORY names another Maven repository)"


class ChecksumError(DownloadError):
    """An artifact differs from the pinned one."""

    code = "deploy.checksum_mismatch"
    hint = "nothing was kept of it: the repository serves something else than deploy/local/jars.lock pins"


class SetupError(DeployError):
    """A system package is missing and cannot be installed."""

    code = "deploy.setup_failed"


class JavaMissingError(DeployError):
    """There is no Java 17 or newer."""

    code = "deploy.java_missing"
    hint = "install one (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME"


class ServiceError(DeployError):
    """Neo4j or Kafka did not start, answer or stop."""

    code = "deploy.service_failed"
    hint = "asterism status names the log files; asterism down and asterism up start afresh"


class StackBusyError(DeployError):
    """Another process is starting or stopping the same stack."""

    code = "deploy.stack_busy"
    hint = "wait for it to finish; the lock goes away with that process, even if it is killed"


class ApplicationError(DeployError):
    """The Spark application cannot go on."""

    code = "deploy.application_failed"
    hint = "the log above says why; asterism status shows whether Neo4j and Kafka run"


class DemoError(DeployError):
    """The demo cannot go on."""

    code = "deploy.demo_failed"
    hint = "the logs of its children lie in ASTERISM_HOME/demo"
