"""An installation of its own for a test, on the session's Neo4j and Kafka, with an empty graph."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from neo4j import Driver

from asterism.deploy.local.stack import LocalStack
from asterism.graph.schema import initialise
from asterism.settings import STACK_FILE, Settings, load_settings
from asterism.simulate.schema_lsst import write_schemas


@pytest.fixture
def installation(tmp_path: Path, stack: LocalStack, empty_graph: Driver) -> Callable[..., Settings]:
    """``installation(kafka_topics=(...,))`` gives settings of a fresh home on the running services."""

    def make(**values: object) -> Settings:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        shutil.copy(stack.home / STACK_FILE, home / STACK_FILE)
        initialise(empty_graph, "neo4j")
        write_schemas(home / "schemas")
        return load_settings(home=home, schema_folder=home / "schemas", **values)

    return make
