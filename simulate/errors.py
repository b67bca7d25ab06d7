"""Errors of the simulator.

::

    SimulateError
    +-- OutputExistsError      the folder to write to is not empty
    +-- BrokerError            Kafka does not answer or refuses a topic
    +-- DeliveryError          Kafka did not take a message
    +-- NothingVisibleError    no survey can follow the counterpart a scenario needs
    +-- ScenarioError          there is no such scenario
    +-- SchemaPackageError     the distribution with LSST's schemas is not installed
    +-- SchemaUnusableError    what was named as LSST's schema is none
"""

from __future__ import annotations

from asterism.errors import AsterismError


class SimulateError(AsterismError):
    """Something of the simulator failed."""

    code = "simulate.error"


class OutputExistsError(SimulateError):
    """The folder to write packets to holds something already."""

    code = "simulate.output_exists"
    hint = "name a new or an empty folder: packets of two runs must not mix"


class BrokerError(SimulateError):
    """Kafka does not answer, or refuses to make a topic."""

    code = "simulate.broker"
    hint = "asterism up starts a local Kafka; ASTERISM_KAFKA_BOOTSTRAP names another one"


class DeliveryError(SimulateError):
    """Kafka did not take a message; how many it took before is in the message."""

    code = "simulate.delivery"
    hint = "look at the broker's log (asterism status); publish to fresh topics (--topic-prefix) afterwards"


class NothingVisibleError(SimulateError):
    """No survey can follow the counterpart a scenario needs, however it is drawn."""

    code = "simulate.nothing_visible"
    hint = "another seed has other weather and another moon"


class ScenarioError(SimulateError):
    """There is no such scenario, or an option does not belong to it."""

    code = "simulate.scenario"


class SchemaPackageError(SimulateError):
    """LSST's own schemas are asked for, and the distribution that holds them is not installed."""

    code = "simulate.schema_package"
    hint = "pip install lsst-alert-packet (GPL-3), or name a folder or a registry; our own declaration needs neither"


class SchemaUnusableError(SimulateError):
    """What was named as LSST's schema is no schema of an LSST alert."""

    code = "simulate.schema_unusable"
    hint = "a folder holds <id>.avsc, <id>/*.avsc or <major>/<minor>/*.avsc; --lsst-schema-id says which"
