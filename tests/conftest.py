"""Fixtures every folder shares."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from neo4j import Driver, GraphDatabase
from pyspark.sql import SparkSession

from asterism.deploy.local.stack import LocalStack
from asterism.graph.jobs.graphframes import graphframes_jars
from asterism.graph.schema import initialise
from asterism.settings import STACK_FILE, Settings, load_settings
from asterism.simulate.schema_lsst import write_schemas
from asterism.spark import spark_session

# The same examples in every run: what passes here passes in continuous integration.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parent.parent

KEPT_VARIABLES = {"ASTERISM_TEST_DATA", "ASTERISM_TEST_STACK", "ASTERISM_GRAPHFRAMES_JAR"}


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real packets, notices, maps and catalogues; a test that asks for them is skipped where they are not."""
    folder = Path(os.environ.get("ASTERISM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "SHA256SUMS").is_file():
        pytest.skip(f"real data not found at {folder} (set ASTERISM_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's shell reaches a test."""
    for name in list(os.environ):
        if name.startswith("ASTERISM_") and name not in KEPT_VARIABLES:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def cypher_queries() -> Callable[..., list[str]]:
    """Read queries from a file of ``tests/graph/cypher_queries``: ``cypher_queries("attack_x", file="/tmp/a")``.

    Queries are parted by lines of ``%%``; ``<<text|n>>`` stands for n times the text, ``{name}`` for a value given.
    """

    def read(name: str, **places: str) -> list[str]:
        text = (REPOSITORY / "tests/graph/cypher_queries" / f"{name}.txt").read_text(encoding="utf-8")
        for place, value in places.items():
            text = text.replace(f"{{{place}}}", value)
        queries = [query.strip() for query in text.split("\n%%\n")]
        return [re.sub(r"<<(.*?)\|(\d+)>>", lambda m: m[1] * int(m[2]), query, flags=re.DOTALL) for query in queries]

    return read


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A real Neo4j and Kafka for the whole session, started when the first test asks.

    To save their start while developing, run ``ASTERISM_HOME=<folder> asterism up`` once and name the folder in
    ``ASTERISM_TEST_STACK``: the tests then use that stack, empty its graph and leave it running.
    """
    kept = os.environ.get("ASTERISM_TEST_STACK")
    settings = load_settings()
    home = Path(kept) if kept else tmp_path_factory.mktemp("stack")
    with LocalStack(home, cache=settings.cache, repository=settings.maven_repository) as running:
        yield running


@pytest.fixture(scope="session")
def neo4j_driver(stack: LocalStack) -> Iterator[Driver]:
    """A driver of the session's Neo4j."""
    with GraphDatabase.driver(stack.neo4j_uri, auth=("neo4j", stack.neo4j_password)) as driver:
        yield driver


@pytest.fixture
def empty_graph(neo4j_driver: Driver) -> Driver:
    """A driver of a graph without nodes; indexes and constraints of earlier tests may still be there."""
    with neo4j_driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
    return neo4j_driver


@pytest.fixture
def kafka_topic(stack: LocalStack) -> Iterator[Callable[..., str]]:
    """Make topics of unique names: ``kafka_topic("ztf", partitions=2)``; they go away after the test."""
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    made: list[str] = []

    def make(prefix: str = "test", partitions: int = 1) -> str:
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        for done in admin.create_topics([NewTopic(name, partitions, 1)]).values():
            done.result(30)
        made.append(name)
        return name

    yield make
    for done in admin.delete_topics(made).values() if made else ():
        done.result(30)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The Spark session all tests of a process share; with GraphFrames' jar where it lies in the cache."""
    home = tmp_path_factory.mktemp("spark")
    settings = load_settings(home=home, spark_master="local[2]", spark_driver_memory="1g", log_level="INFO")
    session = spark_session(settings, "asterism tests", graphframes_jars(settings.cache))
    yield session
    session.stop()


@pytest.fixture
def installation(tmp_path: Path, stack: LocalStack, empty_graph: Driver) -> Callable[..., Settings]:
    """Settings of a fresh home on the session's services, with an empty graph: ``installation(kafka_topics=...)``."""

    def make(**values: object) -> Settings:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        shutil.copy(stack.home / STACK_FILE, home / STACK_FILE)
        initialise(empty_graph, "neo4j")
        write_schemas(home / "schemas")
        return load_settings(home=home, schema_folder=home / "schemas", **values)

    return make
