"""The read-only gateway: what it refuses, what it lets pass, and what it bounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.cypher import (
    MAX_ROWS,
    MAX_SECONDS,
    CypherLimits,
    checked_parameters,
    checked_query,
    checked_text,
    open_stream,
    run_cypher,
)
from asterism.graph.cypher_guard import MAX_CHARACTERS
from asterism.graph.digest import digest
from asterism.graph.errors import CypherFailedError, CypherHiddenError, CypherRefusedError, CypherTimeoutError
from asterism.graph.schema import initialise
from asterism.graph.writer import write_detections

WRITES = [
    "CREATE (n:Alert {key: 'x'})",
    "MERGE (n:Alert {key: 'x'}) RETURN n",
    "MATCH (n) SET n.x = 1",
    "match (n) sEt n.x = 1 return n",
    "MATCH (n) REMOVE n.key",
    "MATCH (n) DETACH DELETE n",
    "MATCH (n) DELETE/**/n",
    "MATCH (n) // only reading\nDELETE n",
    "MATCH (n) FOREACH (x IN [1] | SET n.x = 1)",
    "DROP CONSTRAINT alert_key",
    "CREATE INDEX FOR (n:Alert) ON (n.ra)",
    "MATCH (n) CALL (n) { SET n.x = 1 } RETURN n",
    "MATCH (n) CALL { WITH n DETACH DELETE n } IN TRANSACTIONS RETURN 1",
    "RETURN 1 AS set UNION MATCH (set) DETACH DELETE set RETURN 1 AS set",
    "MATCH (n:`a`) INSERT (m:B) RETURN 1",
]
ESCAPES = [
    "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
    "WITH 1 AS x LOAD CSV FROM 'http://127.0.0.1/x' AS line RETURN line",
    "WITH 1 AS x load/* */csv FROM 'file:///etc/passwd' AS line RETURN line",
    "WITH 1 AS x LOAD\n//\nCSV FROM 'file:///etc/passwd' AS line RETURN line",
    "WITH 1 AS x \\u004c\\u004fAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
    "WITH '\\u0027 AS x LOAD CSV FROM \\u0027file:///x' AS line RETURN line",
    "CALL { LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line } RETURN line",
    "WITH 1. LOAD CSV FROM 'file:///x' AS l RETURN l",
    "SHOW USERS",
    "SHOW TRANSACTIONS YIELD *",
    "TERMINATE TRANSACTIONS 'neo4j-transaction-1'",
    "USE system RETURN 1",
    "CALL { USE system MATCH (n) RETURN n } RETURN n",
    "CALL dbms.listConfig() YIELD name, value RETURN name, value",
    "CALL `dbms`.`listConfig`() YIELD name RETURN name",
    "CALL `dbms.listConfig`()",
    "CALL dbms . components ( )",
    "OPTIONAL CALL dbms.components() YIELD name RETURN name",
    "CALL db.createLabel('x')",
    "CALL db.clearQueryCaches()",
    "MATCH (n) CALL tx.setMetaData({a: 1}) RETURN n",
    "CALL apoc.cypher.run('MATCH (n) DELETE n', {}) YIELD value RETURN value",
    "RETURN apoc.load.json('http://127.0.0.1/')",
    "RETURN `apoc.load`.`json`('x')",
    "RETURN genai.vector.encode('x', 'OpenAI')",
    "EXPLAIN MATCH (n) RETURN n",
    "PROFILE MATCH (n) RETURN n",
    "CYPHER runtime=slotted MATCH (n) RETURN n",
    "CYPHER 25 LOAD CSV FROM 'x' AS l RETURN l",
    "USING PERIODIC COMMIT LOAD CSV FROM 'x' AS l RETURN l",
    "ALTER USER neo4j SET PASSWORD 'x'",
    "GRANT ROLE admin TO neo4j",
    "RETURN 1; MATCH (n) DETACH DELETE n",
    "RETURN 1;; RETURN 2",
    ":param x => 1",
    "",
    "   // nothing\n",
    ";",
]
UNKNOWN = [
    "RETURN nonsense(1)",
    "RETURN `nonsense`(1)",
    "RETURN {a: nonsense(1)}",
    "RETURN [x IN [1] | nonsense(x)]",
    "MATCH (n RETURN n",
    "MATCH (n]) RETURN n",
    "RETURN 1)",
]
BOMBS = [
    "RETURN [x IN range(0, 200000000) | toString(x)]",
    "RETURN size(range(1, 1000000000))",
    "RETURN RaNgE (0, 200000)",
    "RETURN `range`(0, 200000000)",
    "WITH 100000000 AS n UNWIND range(0, n) AS x RETURN x",
    "UNWIND range(0, 9999) AS a UNWIND range(0, 9999) AS b RETURN a, b",
    "RETURN range(0, toInteger('1e9'))",
    "MATCH (a:Alert) WITH collect(a.key) AS l RETURN [x IN l | [y IN l | [z IN l | x + y + z]]]",
    "WITH [1, 2] AS l RETURN any(x IN l WHERE all(y IN l WHERE x < y))",
    "RETURN reduce(s = 'a', x IN range(0, 40) | s + s)",
    "WITH 'a' AS s " + "WITH s + s AS s " * 30 + "RETURN s",
    "WITH 'aaaaaaaa' AS s WITH replace(s, 'a', s) AS s WITH replace(s, 'a', s) AS s RETURN size(s)",
    "RETURN 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' =~ '(a+)+b'",
    "RETURN " + "(" * 200 + "1" + ")" * 200,
    "RETURN " + "1 " * MAX_CHARACTERS,
]


@pytest.mark.parametrize("query", WRITES + ESCAPES + UNKNOWN + BOMBS)
def test_what_is_not_a_bounded_read_is_refused_before_anything_is_sent(query: str) -> None:
    with pytest.raises(CypherRefusedError) as caught:
        checked_text(query)
    assert caught.value.code == "graph.cypher_refused"
    assert caught.value.advice


def test_comments_and_a_final_semicolon_are_not_sent() -> None:
    assert checked_text("RETURN 1 /* LOAD CSV */ AS x; // SHOW").rstrip() == "RETURN 1                AS x"


@pytest.mark.parametrize(
    "parameters",
    [
        {"a b": 1},
        {"": 1},
        {"x": float("nan")},
        {"x": 2**63},
        {"x": [1, {"y": -(2**63) - 1}]},
        {"x": {1, 2}},
        {"x": b"1"},
    ],
)
def test_parameters_that_json_or_neo4j_cannot_hold_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(CypherRefusedError):
        checked_parameters(parameters)


def test_a_parameter_nested_without_end_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(CypherRefusedError, match="parameter deep"):
        checked_parameters({"deep": nested})


@pytest.mark.parametrize(
    ("rows", "seconds"), [(0, 1.0), (MAX_ROWS + 1, 1.0), (5, 0.0), (5, MAX_SECONDS + 1), (5, float("nan"))]
)
def test_limits_outside_their_bounds_are_refused(rows: int, seconds: float) -> None:
    with pytest.raises(CypherRefusedError):
        CypherLimits(rows, seconds)


ANALYST = [
    "RETURN 1",
    "MATCH (o:Object {key: 'ztf:ZTF1'}) RETURN o",
    "MATCH (o:Object)-[r:HAS_ALERT]->(a:Alert) RETURN o.key, type(r), count(a) AS n ORDER BY n DESC, o.key LIMIT 3",
    "MATCH p = (o:Object)-[:HAS_ALERT]->(a) RETURN p LIMIT 2",
    "MATCH (a:Alert) WHERE a.mag < 20 AND NOT a.band IN ['g', 'r'] OR a.mag IS NULL RETURN a.key",
    "MATCH (o:Object) WHERE o.hpx29 >= $lo AND o.hpx29 < $hi RETURN o.key",
    "UNWIND [[0, 5], [9, 12]] AS r MATCH (o:Object) WHERE r[0] <= o.hpx29 < r[1] RETURN count(*)",
    "MATCH (o:Object) OPTIONAL MATCH (o)-[:SAME_AS]->(s:Source) RETURN o.key, s.key",
    "MATCH (o:Object) WHERE EXISTS { (o)-[:HAS_ALERT]->(a:Alert) WHERE a.band = 'g' } RETURN count(o)",
    "MATCH (o:Object) RETURN o.key, COUNT { (o)-[:HAS_ALERT]->() } AS n",
    "MATCH (o:Object) CALL (o) { MATCH (o)-[:HAS_ALERT]->(a) RETURN a ORDER BY a.mjdTai LIMIT 1 } RETURN o.key, a.mag",
    "MATCH (o:Object) RETURN [(o)-[:HAS_ALERT]->(a) | a.mag] AS magnitudes",
    "MATCH (a:Alert) WITH a.band AS band, avg(a.mag) AS mean RETURN band, round(mean * 100) / 100 AS mean",
    "WITH [1, 2, 3] AS l RETURN [x IN l WHERE x > 1 | x * 2] AS doubled, any(x IN l WHERE x = 2) AS found",
    "UNWIND range(0, 99) AS x RETURN sum(x)",
    "MATCH (a:Alert) RETURN CASE WHEN a.mag < 18 THEN 'bright' WHEN a.mag IS NULL THEN null ELSE 'faint' END AS class",
    "MATCH (n) RETURN labels(n) AS of, count(*) AS n UNION ALL MATCH ()-[r]->() RETURN [type(r)] AS of, count(*) AS n",
    "CALL db.labels() YIELD label RETURN label ORDER BY label",
    "CALL db.relationshipTypes()",
    "CALL db.schema.nodeTypeProperties() YIELD nodeType, propertyName RETURN *",
    "RETURN date('2026-11-23') AS day, duration.between(date('2026-01-01'), date('2026-02-01')).months AS months",
    "RETURN point.distance(point({longitude: 0, latitude: 0}), point({longitude: 1, latitude: 0})) AS metres",
    "MATCH (set:Object) RETURN set.key AS `create`, `set` {.key, delete: 1} AS merge_",
    "MATCH (n) WHERE n:Alert|Object RETURN n.`load`, n.use, n.set LIMIT 1",
    "MATCH (o:Object) WHERE o.key STARTS WITH 'ztf:' AND o.key CONTAINS 'LOAD CSV; SHOW USERS' RETURN o // SET\n;",
    "MATCH (a:Object)-[:HAS_ALERT*1..2]-(b) RETURN count(b)",
    "MATCH (a:Alert) RETURN percentileCont(a.mag, 0.5) AS median, stDev(a.mag), max(a.mjdTai) - min(a.mjdTai) AS span",
    "RETURN replace('a-b', '-', '_') AS x, 'é' + \"ü\" AS y, -range(3, 1, -1)[0] AS z, 1e3 AS e",
]


@pytest.fixture
def filled(graph: Driver, detection: Callable[..., Any], detections: Callable[..., pa.Table]) -> Driver:
    rows = (detection(n, f"ZTF{n % 4}", mag=17.0 + n, band="gri"[n % 3], ra=10.0 + n % 4) for n in range(20))
    write_detections(graph, detections(*rows), database="neo4j")
    return graph


@pytest.mark.services
def test_what_analysts_ask_is_answered(filled: Driver) -> None:
    for query in ANALYST:
        run_cypher(filled, query, {"lo": 0, "hi": 2**62}, database="neo4j")


@pytest.mark.services
def test_the_answer_holds_what_json_can_hold(filled: Driver) -> None:
    query = (
        "MATCH p = (o:Object {key: $key})-[r:HAS_ALERT]->(a:Alert {key: 'ztf:1'}) "
        "RETURN o.key AS key, r, p, 0.0 / 0.0 AS nan, datetime('2026-11-23T01:02:03Z') AS t, {a: [1, null]} AS m"
    )
    result = run_cypher(filled, query, {"key": "ztf:ZTF1"}, database="neo4j")
    assert result.columns == ["key", "r", "p", "nan", "t", "m"]
    ((key, edge, path, nan, instant, mapping),) = result.rows
    assert (key, nan, instant, mapping) == ("ztf:ZTF1", None, "2026-11-23T01:02:03.000000000+00:00", {"a": [1, None]})
    assert edge == {"type": "HAS_ALERT", "properties": {}}
    assert [step.get("labels", step.get("type")) for step in path] == [["Object"], "HAS_ALERT", ["Alert"]]
    assert path[2]["properties"]["sourceId"] == "1"


@pytest.mark.services
def test_rows_beyond_the_limit_are_left_out_and_said_so(filled: Driver) -> None:
    query = "MATCH (a:Alert) RETURN a.key"
    assert len(run_cypher(filled, query, database="neo4j", limits=CypherLimits(rows=20)).rows) == 20
    assert not run_cypher(filled, query, database="neo4j", limits=CypherLimits(rows=20)).truncated
    short = run_cypher(filled, query, database="neo4j", limits=CypherLimits(rows=19))
    assert (len(short.rows), short.truncated) == (19, True)


@pytest.mark.services
def test_an_endless_stream_of_rows_is_stopped_at_the_limit(filled: Driver) -> None:
    query = "MATCH (a:Alert), (b:Alert), (c:Alert), (d:Alert), (e:Alert), (f:Alert), (g:Alert) RETURN a.key"
    result = run_cypher(filled, query, database="neo4j", limits=CypherLimits(rows=50, seconds=20))
    assert (len(result.rows), result.truncated) == (50, True)


@pytest.mark.services
def test_a_query_that_takes_too_long_is_stopped(filled: Driver) -> None:
    query = (
        "MATCH (a:Alert), (b:Alert), (c:Alert), (d:Alert), (e:Alert), (f:Alert), (g:Alert) RETURN sum(a.mag + g.mag)"
    )
    started = time.monotonic()
    with pytest.raises(CypherTimeoutError) as caught:
        run_cypher(filled, query, database="neo4j", limits=CypherLimits(seconds=0.5))
    assert caught.value.code == "graph.cypher_timeout"
    assert time.monotonic() - started < 60


@pytest.mark.services
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("MATCH (n) RETURN", "Invalid input"),
        ("RETURN x", "not defined"),
        ("RETURN $missing", "missing"),
        ("MATCH (a:Alert) RETURN a.mag + date('2026-01-01')", "Cannot add"),
        ("RETURN toUpper(1, 2)", "toUpper"),
        ("RETURN 1 / 0", "zero"),
    ],
)
def test_a_query_that_fails_says_why_in_the_servers_words(filled: Driver, query: str, says: str) -> None:
    with pytest.raises(CypherFailedError, match=says) as caught:
        run_cypher(filled, query, database="neo4j")
    assert caught.value.code == "graph.cypher_failed"


@pytest.mark.services
def test_a_query_beyond_the_memory_limit_fails_by_code_and_the_server_lives(filled: Driver) -> None:
    query = "UNWIND range(1, 10000) AS x MATCH (a:Alert), (b:Alert), (c:Alert) RETURN size(collect([x, a.key + b.key]))"
    with pytest.raises(CypherFailedError) as caught:
        run_cypher(filled, query, database="neo4j", limits=CypherLimits(seconds=60))
    assert "memory" in caught.value.message
    assert run_cypher(filled, "RETURN 1", database="neo4j").rows == [[1]]


@pytest.mark.services
def test_a_graph_that_held_restricted_rows_is_not_open_to_free_cypher(
    filled: Driver, detection: Callable[..., Any], detections: Callable[..., pa.Table]
) -> None:
    query = "MATCH (a:Alert) RETURN count(a)"
    assert run_cypher(filled, query, database="neo4j").rows == [[20]]
    write_detections(filled, detections(detection(99, "hidden", public=False)), database="neo4j")
    with pytest.raises(CypherHiddenError) as caught:
        run_cypher(filled, query, database="neo4j")
    assert "recipe" in caught.value.advice
    assert run_cypher(filled, query, database="neo4j", show_nonpublic=True).rows == [[21]]
    with filled.session() as session:
        session.run("MATCH (n) WHERE NOT n.public DETACH DELETE n").consume()
    with pytest.raises(CypherHiddenError):
        run_cypher(filled, query, database="neo4j")


@pytest.mark.services
def test_a_restricted_alert_written_meanwhile_ends_the_answer(
    filled: Driver, detection: Callable[..., Any], detections: Callable[..., pa.Table]
) -> None:
    query = checked_query("UNWIND range(0, 4999) AS x RETURN x", {})
    limits = CypherLimits(rows=5000, seconds=60)
    seen = 0

    def read_on() -> None:
        nonlocal seen
        with open_stream(filled, query, database="neo4j", limits=limits, show_nonpublic=False) as stream:
            for chunk in stream.chunks():
                seen += len(chunk)
                write_detections(filled, detections(detection(99, "hidden", public=False)), database="neo4j")

    with pytest.raises(CypherHiddenError):
        read_on()
    assert 0 < seen < 5000


@pytest.mark.services
def test_a_database_without_the_mark_is_taken_to_hold_restricted_rows_until_init_has_looked(filled: Driver) -> None:
    with filled.session() as session:
        session.run("MATCH (f:Asterism) REMOVE f.restricted").consume()
    with pytest.raises(CypherHiddenError):
        run_cypher(filled, "RETURN 1", database="neo4j")
    initialise(filled, "neo4j")
    assert run_cypher(filled, "RETURN 1", database="neo4j").rows == [[1]]
    with filled.session() as session:
        session.run("MATCH (f:Asterism) REMOVE f.restricted WITH f MATCH (a:Alert {key: 'ztf:1'}) SET a.public = false")
    initialise(filled, "neo4j")
    with pytest.raises(CypherHiddenError):
        run_cypher(filled, "RETURN 1", database="neo4j")


@pytest.mark.services
def test_the_server_would_stop_what_the_guard_let_pass(filled: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asterism.graph.cypher.check_query", lambda *_: None)
    before = digest(filled, "neo4j")
    stopped = [
        "CREATE (n:Alert {key: 'x'})",
        "MATCH (n) DETACH DELETE n",
        "CALL { CREATE (n:X) RETURN n } RETURN n",
        "DROP CONSTRAINT alert_key",
        "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
        "SHOW USERS",
        "SHOW TRANSACTIONS",
    ]
    for query in stopped:
        with pytest.raises((CypherRefusedError, CypherFailedError)):
            run_cypher(filled, query, database="neo4j")
    assert digest(filled, "neo4j") == before
