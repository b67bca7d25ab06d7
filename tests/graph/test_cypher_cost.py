"""What the estimate lets pass and what not: the same query on either side of each limit."""

from __future__ import annotations

from typing import Any

import pytest

from asterism.graph.cypher_cost import check_cost
from asterism.graph.cypher_tokens import tokenize
from asterism.graph.errors import CypherRefusedError


def passes(query: str, **parameters: Any) -> bool:
    try:
        check_cost(tokenize(query)[0], parameters)
    except CypherRefusedError:
        return False
    return True


COLLECTED = "MATCH (a:Alert) WITH collect(a.mag) AS l, avg(a.mag) AS mean, count(*) AS n "


RANGE, TEN = "WITH range(0, 9999) AS l", "WITH range(0, 9) AS l"
STEPS = COLLECTED + "RETURN [i IN range(0, size(l) - 2) | "
EACH = "MATCH (a) WITH collect(a) AS l RETURN [x IN l | "


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        (RANGE + " WITH l + l AS l" * 10 + " RETURN l", RANGE + " WITH l + l AS l" * 11 + " RETURN l"),
        (TEN + " WITH [l, l] AS l" * 15 + " RETURN l", TEN + " WITH [l, l] AS l" * 22 + " RETURN l"),
        (COLLECTED + "RETURN [x IN l | x - mean]", COLLECTED + "RETURN [x IN l | size([x] + l)]"),
        (COLLECTED + "RETURN [x IN l WHERE x > mean]", COLLECTED + "RETURN [x IN l WHERE x IN l]"),
        (COLLECTED + "RETURN any(x IN l WHERE x < n)", COLLECTED + "RETURN any(x IN l WHERE l = l)"),
        (STEPS + "l[i + 1] - l[i]]", STEPS + "l[i..]]"),
        (COLLECTED + "RETURN l, l, l, [l, l, l]", COLLECTED + "RETURN [" + "l, " * 30 + "l]"),
        (COLLECTED + "RETURN [x IN [1, 2] WHERE x IN l]", COLLECTED + "RETURN [x IN range(0, 999) WHERE x IN l]"),
        ("RETURN [x IN [1, 2] WHERE x = 1]", "MATCH (n) WITH n, collect(n.key) AS l RETURN [x IN l | n.record]"),
        ("MATCH (a) WHERE a.key CONTAINS 'ztf' RETURN a", f"MATCH (a) WHERE a.key CONTAINS '{'a' * 300}' RETURN a"),
        (EACH + "{key: x.key, mag: x.mag, band: x.band, ra: x.ra}]", EACH + "{key: x.key, all: l}]"),
    ],
)
def test_values_and_loops_pass_up_to_a_limit(allowed: str, refused: str) -> None:
    assert passes(allowed)
    assert not passes(refused)


def test_how_long_parameters_are_counts() -> None:
    query = "RETURN [x IN $l WHERE x IN $m]"
    assert passes(query, l=[1, 2, 3], m=list(range(1000)))
    assert not passes(query, l=list(range(40_000)), m=list(range(40_000)))
    replaced = "RETURN replace($s, 'a', $t)"
    assert passes(replaced, s="a" * 10_000, t="b" * 100)
    assert not passes(replaced, s="a" * 10_000, t="b" * 10_000)
    assert passes("MATCH (a) WHERE a.key CONTAINS $s RETURN a", s="ztf")
    assert not passes("MATCH (a) WHERE a.key CONTAINS $s RETURN a", s="z" * 1000)


def test_what_a_loop_makes_is_as_large_as_list_times_element() -> None:
    assert passes("RETURN [x IN range(0, 999) | 'short']")
    assert not passes("WITH range(0, 9999) AS l RETURN [x IN l | $s]", s="a" * 10_000)


@pytest.mark.parametrize("query", ["RETURN (1", "RETURN 1)", "RETURN [1)", "RETURN {a: [1}]"])
def test_brackets_must_match(query: str) -> None:
    assert not passes(query)
