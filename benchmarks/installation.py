"""An installation for a benchmark: an empty graph on a running stack, children of ``asterism``, and their log."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from neo4j import Driver

from asterism.deploy.local.stack import LocalStack
from asterism.graph.connection import connect
from asterism.graph.schema import initialise
from asterism.settings import STACK_FILE, Settings, load_settings

TOPIC = "bench"
_STOP_SECONDS = 180.0


@contextmanager
def installation(folder: Path) -> Iterator[Settings]:
    """Give settings of a fresh home with an empty graph, on a new stack or the one of ``ASTERISM_TEST_STACK``."""
    kept = os.environ.get("ASTERISM_TEST_STACK")
    found = load_settings()
    with LocalStack(Path(kept or folder / "stack"), cache=found.cache, repository=found.maven_repository) as stack:
        home = folder / "home"
        home.mkdir()
        shutil.copy(stack.home / STACK_FILE, home / STACK_FILE)
        settings = load_settings(home=home)
        with connect(settings) as driver:
            clear(driver)
            initialise(driver, settings.neo4j_database)
        yield settings


def clear(driver: Driver) -> None:
    """Empty the graph but for its format stamp."""
    with driver.session() as session:
        session.run(
            "MATCH (n) WHERE NOT n:Asterism CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS"
        ).consume()


@contextmanager
def child(
    arguments: Sequence[str], settings: Settings, log: IO[bytes] | None, log_level: str = "INFO"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``asterism`` with some arguments on a home; ask it to stop with the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASTERISM_")}
    environment |= {"ASTERISM_HOME": str(settings.home), "ASTERISM_LOG_LEVEL": log_level}
    environment |= {"ASTERISM_KAFKA_TOPICS": json.dumps([TOPIC])}
    command = [sys.executable, "-m", "asterism", *arguments]
    process = subprocess.Popen(command, env=environment, cwd=settings.home, stdout=subprocess.PIPE, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return what a child says first.

    Raises
    ------
    RuntimeError
        If it ends instead.
    """
    line = b"" if process.stdout is None else process.stdout.readline()
    if not line:
        raise RuntimeError("a child did not start; what it said is in the log")
    said: dict[str, Any] = json.loads(line)
    return said


@contextmanager
def children_log(folder: Path) -> Iterator[IO[bytes]]:
    """Give a file for what the children say; the end of it is shown if the benchmark fails."""
    path = folder / "children.log"
    with path.open("wb") as log:
        try:
            yield log
        except BaseException:
            sys.stderr.write(path.read_text(encoding="utf-8", errors="replace")[-8000:])
            raise
