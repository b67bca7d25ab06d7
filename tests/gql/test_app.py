from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from asterism.gql.limits import MAX_BODY_BYTES
from asterism.settings import Settings
from tests.gql.asking import ask

pytestmark = pytest.mark.services
BIG_IDS = (2**53 + 1, 2**63 - 1)
CONE = """
query ($first: Int! = 100, $after: String, $radius: Float! = 3600, $alerts: Int! = 5) {
  coneSearch(ra: 150, dec: 2, radiusArcsec: $radius, first: $first, after: $after) {
    edges { separationArcsec cursor node { key alerts(first: $alerts) { edges { node { key } } } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


def refusal_of(answer: httpx.Response) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    assert error["extensions"]["hint"]
    return answer.status_code, error["extensions"]["code"]


def cone_pages(client: httpx.Client, first: int) -> Iterator[Any]:
    after: str | None = None
    while True:
        page = ask(client, CONE, first=first, after=after)["coneSearch"]
        yield page
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def test_ids_no_float_can_hold_come_back_exact_and_find_their_object_again(api: httpx.Client) -> None:
    found = ask(
        api,
        "{ coneSearch(ra: 10, dec: -30, radiusArcsec: 1) { edges { node "
        "{ key objectId hpx29 alerts { edges { node { key sourceId objectKey hpx29 } } } } } } }",
    )["coneSearch"]["edges"]
    assert [edge["node"]["objectId"] for edge in found] == [str(big) for big in BIG_IDS]
    for edge, big in zip(found, BIG_IDS, strict=True):
        (alert,) = edge["node"]["alerts"]["edges"]
        assert alert["node"]["sourceId"] == str(big)
        assert alert["node"]["hpx29"] == edge["node"]["hpx29"]
        assert isinstance(edge["node"]["hpx29"], str)
        key = alert["node"]["objectKey"]
        again = ask(api, "query ($key: ID!) { object(key: $key) { key objectId } }", key=key)["object"]
        assert again == {"key": f"lsst:{big}", "objectId": str(big)}


def test_pages_put_together_are_every_visible_object_once_nearest_first(
    api: httpx.Client, sky_rows: list[dict[str, Any]]
) -> None:
    edges = [edge for page in cone_pages(api, 17) for edge in page["edges"]]
    keys = [edge["node"]["key"] for edge in edges]
    assert sorted(keys) == sorted({r["objectKey"] for r in sky_rows if r["public"] and r["survey"] == "ztf"})
    separations = [edge["separationArcsec"] for edge in edges]
    assert separations == sorted(separations)


def test_alerts_of_an_object_are_paged_newest_first(api: httpx.Client) -> None:
    query = """
    query ($after: String) { object(key: "ztf:ZTF0004") { alerts(first: 2, after: $after) {
      edges { node { key time { mjdTai iso } photometry { flux mag band } } }
      pageInfo { hasNextPage endCursor }
    } } }"""
    one = ask(api, query)["object"]["alerts"]
    two = ask(api, query, after=one["pageInfo"]["endCursor"])["object"]["alerts"]
    assert [edge["node"]["key"] for edge in one["edges"] + two["edges"]] == ["ztf:14", "ztf:13", "ztf:12"]
    assert (one["pageInfo"]["hasNextPage"], two["pageInfo"]["hasNextPage"]) == (True, False)
    assert one["edges"][0]["node"] == {
        "key": "ztf:14",
        "time": {"mjdTai": 59002.0, "iso": "2020-06-01T23:59:23.000000Z"},
        "photometry": {"flux": 3630.78, "mag": 22.5, "band": "g"},
    }


def test_what_nobody_knows_is_null(api: httpx.Client) -> None:
    query = "query ($k: ID!) { object(key: $k) { lastMag sameAs { source { key } } } }"
    assert ask(api, query, k=f"lsst:{BIG_IDS[0]}") == {"object": {"lastMag": None, "sameAs": None}}
    assert ask(api, query, k="ztf:nothere") == {"object": None}


def test_the_source_of_an_object_shows_its_members(api: httpx.Client) -> None:
    query = """
    { object(key: "ztf:ZTF0001") { sameAs {
      separationArcsec source { key objects { separationArcsec object { key } } }
    } } }"""
    assert ask(api, query)["object"]["sameAs"] == {
        "separationArcsec": 0.36,
        "source": {
            "key": "ztf:ZTF0000",
            "objects": [
                {"separationArcsec": 0.0, "object": {"key": "ztf:ZTF0000"}},
                {"separationArcsec": 0.36, "object": {"key": "ztf:ZTF0001"}},
            ],
        },
    }


def test_statistics_count_everything(api: httpx.Client, sky_rows: list[dict[str, Any]]) -> None:
    query = "{ statistics { objects alerts sources bySurvey { survey objects alerts } } }"
    assert ask(api, query)["statistics"] == {
        "objects": "122",
        "alerts": str(len(sky_rows)),
        "sources": "60",
        "bySurvey": [
            {"survey": "lsst", "objects": "2", "alerts": "2"},
            {"survey": "ztf", "objects": "120", "alerts": "360"},
        ],
    }


def test_restricted_objects_and_alerts_are_invisible_until_the_settings_show_them(
    api: httpx.Client, sky: Settings, serve_api: Callable[[Settings], Any]
) -> None:
    hidden = "ztf:ZTF0009"
    query = "query ($k: ID!) { object(key: $k) { key alerts { edges { node { key } } } } }"
    assert ask(api, query, k=hidden) == {"object": None}
    with (
        serve_api(sky.model_copy(update={"show_nonpublic": True})) as url,
        httpx.Client(base_url=url, timeout=60) as insider,
    ):
        assert len(ask(insider, query, k=hidden)["object"]["alerts"]["edges"]) == 3
        everything = [edge for page in cone_pages(insider, 100) for edge in page["edges"]]
    assert len(everything) == 120


def test_a_wide_query_is_refused_before_it_is_read(api: httpx.Client) -> None:
    query = """
    { coneSearch(ra: 150, dec: 2, radiusArcsec: 3600, first: 100) { edges { node {
      a: alerts(first: 100) { edges { cursor } } b: alerts(first: 99) { edges { cursor } }
    } } } }"""
    document = api.post("/graphql", json={"query": query}).json()
    assert {error["extensions"]["code"] for error in document["errors"]} == {"gql.too_costly"}
    assert document["data"] == {"coneSearch": None}


@pytest.mark.parametrize("after", ["", "nonsense", "bnVsbA", "=" * 20])
def test_a_malformed_cursor_is_refused(api: httpx.Client, after: str) -> None:
    answer = api.post("/graphql", json={"query": CONE, "variables": {"after": after}})
    assert refusal_of(answer) == (200, "gql.cursor")


def test_a_cursor_of_another_cone_is_refused(api: httpx.Client) -> None:
    page = ask(api, CONE, first=3)["coneSearch"]
    variables = {"after": page["pageInfo"]["endCursor"], "radius": 10}
    assert refusal_of(api.post("/graphql", json={"query": CONE, "variables": variables})) == (
        200,
        "gql.cursor",
    )


def test_clients_asking_at_once_get_their_own_answers(api: httpx.Client) -> None:
    query = "query ($k: ID!) { object(key: $k) { key alerts { edges { node { objectKey } } } } }"
    keys = [f"ztf:ZTF{number:04d}" for number in range(120) if number % 10 != 9]

    def one(key: str) -> set[str]:
        found = ask(api, query, k=key)["object"]
        return {found["key"], *(edge["node"]["objectKey"] for edge in found["alerts"]["edges"])}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, keys)) == [{key} for key in keys]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "application/json"}, b"{"),
        ({"content-type": "application/json"}, b"[" * 100_000),
        ({"content-type": "application/json"}, b'{"query": 1}'),
        ({"content-type": "application/json"}, b'{"query": "{ a }", "variables": []}'),
        ({"content-type": "application/json"}, b'[{"query": "{ __typename }"}]'),
        ({"content-type": "application/json"}, b"{}"),
        ({"content-type": "application/json"}, b"null"),
        ({"content-type": "application/json"}, b'"text"'),
        ({"content-type": "application/json"}, b"\xff\xfe"),
        ({"content-type": "text/plain"}, b'{"query": "{ __typename }"}'),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--"),
        ({}, b""),
    ],
)
def test_what_is_no_graphql_request_is_refused_with_a_code(
    api: httpx.Client, headers: dict[str, str], body: bytes
) -> None:
    assert refusal_of(api.post("/graphql", content=body, headers=headers)) == (400, "gql.bad_request")


def test_queries_in_addresses_are_not_answered(api: httpx.Client) -> None:
    assert refusal_of(api.get("/graphql", params={"query": "{ __typename }"}))[1] == "gql.bad_request"


def test_a_body_over_the_limit_is_refused_whatever_its_headers_say(api: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield from itertools.repeat(b" " * 65536, MAX_BODY_BYTES // 65536 + 1)

    for body in (b" " * (MAX_BODY_BYTES + 1), chunks()):
        answer = api.post("/graphql", content=body, headers={"content-type": "application/json"})
        assert refusal_of(answer) == (413, "gql.body_too_large")


def test_a_browser_finds_the_query_page(api: httpx.Client) -> None:
    page = api.get("/graphql", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "graphiql" in page.text.lower()


def test_a_host_name_that_is_not_this_machine_is_not_served(api: httpx.Client) -> None:
    answer = api.post("/graphql", json={"query": "{ __typename }"}, headers={"host": "evil.example"})
    assert answer.status_code == 400


def test_operators_see_life_readiness_and_metrics(api: httpx.Client) -> None:
    ask(api, "{ statistics { alerts } }")
    assert api.get("/healthz").json() == {"status": "alive"}
    assert api.get("/readyz").json() == {"status": "ready"}
    assert 'asterism_api_request_seconds_count{operation="statistics"}' in api.get("/metrics").text


def test_without_neo4j_the_api_lives_says_so_and_keeps_its_address_to_itself(
    sky: Settings, serve_api: Callable[[Settings], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asterism.graph.reader.RETRY_SECONDS", 0.1)
    away = sky.model_copy(update={"neo4j_uri": "bolt://127.0.0.1:1"})
    with serve_api(away) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "graph.unreachable")
        answer = client.post("/graphql", json={"query": "{ statistics { alerts } }"})
    assert refusal_of(answer) == (200, "graph.unreachable")
    assert "127.0.0.1" not in answer.text
    assert answer.json()["data"] == {"statistics": None}
