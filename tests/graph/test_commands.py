"""``asterism graph``: results on stdout, reasons on stderr, exit codes scripts can rely on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.cli import main
from asterism.deploy.local.stack import LocalStack
from asterism.graph.writer import write_detections

pytestmark = pytest.mark.services


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(stack: LocalStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``asterism graph ...`` on the stack of the tests."""
    monkeypatch.setenv("ASTERISM_NEO4J_URI", stack.neo4j_uri)
    monkeypatch.setenv("ASTERISM_NEO4J_PASSWORD", stack.neo4j_password)

    def command(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["asterism", "graph", *arguments])
        code = 0
        capsys.readouterr()
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Outcome(code, *capsys.readouterr())

    return command


@pytest.fixture
def filled(graph: Driver, detection: Callable[..., Any], detections: Callable[..., pa.Table]) -> Driver:
    rows = (detection(n, f"ZTF{n % 2}") for n in range(5))
    write_detections(graph, detections(*rows), database="neo4j")
    return graph


def test_init_prepares_an_empty_database_once(empty_graph: Driver, run: Run) -> None:
    del empty_graph
    refused = run("digest", "--json")
    assert refused.code == 1
    assert json.loads(refused.err.splitlines()[-1])["error"]["code"] == "graph.not_initialised"
    assert run("init").code == 0
    again = run("init", "--json")
    assert json.loads(again.out)["created"] == 0


def test_cypher_prints_a_table_or_json(filled: Driver, run: Run) -> None:
    del filled
    query = "MATCH (a:Alert) WHERE a.objectKey = $key AND a.mag > $above RETURN a.key AS key ORDER BY key"
    options = ("--param", "key=ztf:ZTF1", "--param", "above=20.5")
    text = run("cypher", query, *options)
    assert text.code == 0
    assert "ztf:1" in text.out
    assert "2 rows" in text.out
    answer = json.loads(run("cypher", query, *options, "--json").out)
    assert answer["columns"] == ["key"]
    assert answer["rows"] == [["ztf:1"], ["ztf:3"]]
    assert answer["truncated"] is False


def test_cypher_says_when_rows_were_left_out(filled: Driver, run: Run) -> None:
    del filled
    shown = run("cypher", "MATCH (a:Alert) RETURN a.key", "--limit", "2")
    assert "2 rows" in shown.out
    assert "--limit" in shown.out


def test_a_refused_query_ends_with_its_code_on_stderr_and_nothing_on_stdout(filled: Driver, run: Run) -> None:
    del filled
    for query in ("MATCH (n) DETACH DELETE n", "LOAD CSV FROM 'file:///etc/passwd' AS l RETURN l", "SHOW USERS"):
        refused = run("cypher", query, "--json")
        assert refused.code == 1
        assert refused.out == ""
        assert json.loads(refused.err.splitlines()[-1])["error"]["code"] == "graph.cypher_refused"


@pytest.mark.parametrize(
    "wrong", [("--limit", "0"), ("--limit", "10001"), ("--timeout", "0"), ("--timeout", "61"), ("--param", "novalue")]
)
def test_a_wrong_option_is_wrong_usage(run: Run, wrong: tuple[str, str]) -> None:
    assert run("cypher", "RETURN 1", *wrong).code == 2


def test_digest_tells_a_hash_and_counts(filled: Driver, run: Run) -> None:
    del filled
    found = json.loads(run("digest", "--json").out)
    assert len(bytes.fromhex(found["hex"])) == 32
    assert found["nodes"] == {"Alert": 5, "Asterism": 1, "Object": 2}
    assert found["relationships"] == {"HAS_ALERT": 5}
    assert run("digest").out.splitlines()[0] == found["hex"]
    assert json.loads(run("digest", "--history", "--json").out) == found  # nothing has passed yet


def test_audit_ends_with_1_if_a_rule_is_broken_and_still_prints_the_report(
    filled: Driver, run: Run, ask: Callable[..., Any]
) -> None:
    del filled
    assert run("audit").code == 0
    ask("MATCH (a:Alert {key: 'ztf:3'}) REMOVE a.night")
    broken = run("audit", "--json")
    assert broken.code == 1
    (violation,) = json.loads(broken.out)["violations"]
    assert violation == {"rule": "an alert has its required properties", "count": 1, "examples": ["ztf:3"]}
    assert json.loads(broken.err.splitlines()[-1])["error"]["code"] == "graph.audit_failed"
    assert "ztf:3" in run("audit").out
