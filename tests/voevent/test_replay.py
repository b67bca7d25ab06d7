"""``asterism voevent replay``: the journal alone, or a copy of it, gives the same graph."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from neo4j import Driver

from asterism.graph.digest import digest
from asterism.graph.schema import initialise
from asterism.journal import Journal
from asterism.settings import Settings
from asterism.voevent.backup import export_journal
from asterism.voevent.commands import voevent
from asterism.voevent.intake import FILE, VTP, Intake
from asterism.voevent.read import read_payload

pytestmark = [pytest.mark.services, pytest.mark.realdata]


def run(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(voevent, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def clear(driver: Driver, settings: Settings) -> None:
    with driver.session() as session:
        session.run("MATCH (n) DETACH DELETE n").consume()
    initialise(driver, "neo4j")
    shutil.rmtree(settings.lake_path, ignore_errors=True)


def test_the_journal_or_a_copy_of_it_rebuilds_the_graph_and_the_maps(
    installation: Callable[..., Settings],
    empty_graph: Driver,
    test_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    settings = installation()
    monkeypatch.setenv("ASTERISM_HOME", str(settings.home))
    folder = test_data / "notices"
    payloads = [path.read_bytes() for path in [*sorted(folder.rglob("*.xml")), *sorted(folder.rglob("*.json"))]]
    chance = random.Random(3)
    deliveries = [(payload, chance.choice([VTP, FILE])) for payload in payloads + chance.choices(payloads, k=20)]
    chance.shuffle(deliveries)
    with Journal(settings.journal_path) as journal:
        intake = Intake(journal)
        for number, (payload, channel) in enumerate(deliveries):
            intake.accept(payload, channel)
            if number == len(deliveries) // 2:
                run("project")
    assert run("project")["refused"] == 0
    expected = digest(empty_graph, "neo4j")
    maps = sorted(path.name for path in (settings.lake_path / "maps").iterdir())
    inside = {read_payload(payload).sky_map for payload in payloads} - {None}
    assert maps == sorted(f"{hashlib.sha256(content).hexdigest()}.fits" for content in inside if content)
    assert (expected.nodes["Notice"], len(maps)) == (
        len(payloads),
        5,
    )  # seven alerts have one, of which twice two agree
    run("replay")
    assert digest(empty_graph, "neo4j") == expected
    export_journal(settings.journal_path, tmp_path / "copy.tar")
    shutil.rmtree(settings.journal_path)
    clear(empty_graph, settings)
    assert run("replay", "--from", str(tmp_path / "copy.tar"))["created"] == len(payloads)
    assert digest(empty_graph, "neo4j") == expected
    assert sorted(path.name for path in (settings.lake_path / "maps").iterdir()) == maps
