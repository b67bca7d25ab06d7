"""Every door times every token, against a running server: the table of docs/access.md."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from asterism.gql.app import create_app
from asterism.gql.auth_tokens import Scope, TokenStore
from asterism.settings import Settings

pytestmark = pytest.mark.services

EVENT, OBJECT = "lvk:S1", "ztf:ZTF0005"
BAD = ("wrong", "expired", "revoked", "basic")
WHO = ("none", *(scope.value for scope in Scope), *BAD)
Door = Callable[[httpx.Client, dict[str, str]], httpx.Response]


def graphql(query: str) -> Door:
    return lambda client, headers: client.post("/graphql", json={"query": query}, headers=headers)


def get(path: str, **params: str) -> Door:
    return lambda client, headers: client.get(path, params=params, headers=headers)


READS: dict[str, Door] = {
    "query": graphql("{ statistics { alerts } }"),
    "introspection": graphql("{ __schema { queryType { name } } }"),
    "watchlist": graphql('{ watchlist(owner: "ada", name: "tonight") { edges { cursor } } }'),
    "tagged": graphql('{ tagged(name: "kilonova") { edges { cursor } } }'),
    "/metrics": get("/metrics"),
    "/node/{id}": get(f"/node/{base64.urlsafe_b64encode(f'Object:{OBJECT}'.encode()).decode().rstrip('=')}"),
    "/export/cone": get("/export/cone", ra="150", dec="2", radiusArcsec="9", format="csv"),
    "/export/objects": get("/export/objects", key=OBJECT),
    "/export/alerts": get("/export/alerts", object=OBJECT),
    "/export/candidates": get("/export/candidates", event=EVENT),
    "/export/moc": get("/export/moc", event=EVENT),
}
WRITES: dict[str, Door] = {
    "vet": graphql(f'mutation {{ vet(object: "{OBJECT}", event: "{EVENT}", state: REJECTED, reason: "x") {{ key }} }}'),
    "annotate": graphql(f'mutation {{ annotate(object: "{OBJECT}", text: "x") {{ key }} }}'),
    "tag": graphql(f'mutation {{ tag(object: "{OBJECT}", name: "x") {{ key }} }}'),
    "untag": graphql(f'mutation {{ untag(object: "{OBJECT}", name: "x") {{ key }} }}'),
    "watch": graphql(f'mutation {{ watch(watchlist: "x", objects: ["{OBJECT}"]) {{ key }} }}'),
    "unwatch": graphql(f'mutation {{ unwatch(watchlist: "x", objects: ["{OBJECT}"]) {{ key }} }}'),
}
PROBES: dict[str, Door] = {"/healthz": get("/healthz"), "/readyz": get("/readyz")}
CYPHER: dict[str, Door] = {
    "/cypher": lambda client, headers: client.post(
        "/cypher", json={"recipe": "loose_ends"}, headers={"accept": "application/json", **headers}
    )
}


@pytest.fixture(scope="module")
def office(night: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The night's settings with a home of its own, for tokens and lake."""
    settings: Settings = night.settings.model_copy(update={"home": tmp_path_factory.mktemp("office")})
    return settings


@pytest.fixture(scope="module")
def headers(office: Settings) -> dict[str, dict[str, str]]:
    """What a client sends, by the token it has."""
    store = TokenStore(office.tokens_path)
    texts = {scope.value: store.create(f"with-{scope}", [scope], 1)[1] for scope in Scope}
    past = TokenStore(office.tokens_path, lambda: time.time() - 2 * 86400)
    texts["expired"] = past.create("late", list(Scope), 1)[1]
    gone, texts["revoked"] = store.create("gone", list(Scope), 1)
    store.revoke(gone.id)
    texts["wrong"] = f"{texts['admin'][:-4]}AAAA"
    sent = {name: {"authorization": f"Bearer {text}"} for name, text in texts.items()}
    return sent | {"none": {}, "basic": {"authorization": "Basic YWRhOnNlY3JldA=="}}


@pytest.fixture(scope="module")
def clients(office: Settings, serve_api: Callable[[Settings], Any]) -> Iterator[dict[str, httpx.Client]]:
    """A server where anybody may read, and one where nobody without token may."""
    closed = office.model_copy(update={"api_anonymous_read": False})
    with (
        serve_api(office) as one,
        serve_api(closed) as two,
        httpx.Client(base_url=one, timeout=60) as public,
        httpx.Client(base_url=two, timeout=60) as private,
    ):
        yield {"open": public, "closed": private}


def outcome(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal; a refusal says what to change."""
    document = answer.json() if "json" in answer.headers["content-type"] else {}
    if not isinstance(document, dict) or "errors" not in document:
        return answer.status_code, "ok"
    extensions = document["errors"][0]["extensions"]
    assert extensions["hint"], extensions
    assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)
    return answer.status_code, extensions["code"]


def expected(door: str, who: str, server: str) -> tuple[int, str]:
    """Return what the table of docs/access.md says."""
    if door in PROBES:
        return 200, "ok"
    if who in BAD:
        return 401, f"gql.token_{'invalid' if who in ('wrong', 'basic') else who}"
    if who == "none" and (server == "closed" or door in CYPHER):
        return 401, "gql.unauthenticated"
    if door in CYPHER:
        return (200, "ok") if who in ("cypher", "admin") else (403, "gql.forbidden")
    if door in WRITES and who not in ("vet", "admin"):
        return 200, "gql.unauthenticated" if who == "none" else "gql.forbidden"
    return 200, "ok"


def doors(app_paths: set[str]) -> dict[str, Door]:
    return READS | WRITES | PROBES | (CYPHER if "/cypher" in app_paths else {})


def paths(settings: Settings) -> set[str]:
    return {route.path for route in create_app(settings).routes}  # type: ignore[attr-defined]


@pytest.mark.parametrize("server", ["open", "closed"])
@pytest.mark.parametrize("who", WHO)
def test_every_door_answers_every_token_as_the_table_says(
    clients: dict[str, httpx.Client], headers: dict[str, dict[str, str]], office: Settings, who: str, server: str
) -> None:
    found = {name: outcome(door(clients[server], headers[who])) for name, door in doors(paths(office)).items()}
    assert found == {name: expected(name, who, server) for name in found}


@pytest.mark.parametrize("by", ["header", "payload"])
@pytest.mark.parametrize("server", ["open", "closed"])
def test_subscriptions_let_in_whoever_may_read(
    clients: dict[str, httpx.Client], headers: dict[str, dict[str, str]], server: str, by: str
) -> None:
    url = str(clients[server].base_url.copy_with(scheme="ws", path="/graphql"))
    query = 'subscription { eventUpdated(event: "lvk:S1") { key } }'

    def told(who: str) -> str:
        sent = headers[who]
        try:
            with connect(
                url,
                subprotocols=["graphql-transport-ws"],
                additional_headers=sent if by == "header" else {},  # type: ignore[list-item]
            ) as socket:
                socket.send(json.dumps({"type": "connection_init", "payload": sent if by == "payload" else {}}))
                if json.loads(socket.recv(20))["type"] != "connection_ack":
                    return "odd"
                socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
                return str(json.loads(socket.recv(20))["payload"]["data"]["eventUpdated"]["key"])
        except InvalidStatus as error:
            return str(error.response.status_code)
        except ConnectionClosed as error:
            return str(error.rcvd.code if error.rcvd else None)

    refused = dict.fromkeys(BAD, "403" if by == "header" else "4403")
    if server == "closed":
        refused["none"] = "4403"
    assert {who: told(who) for who in WHO} == dict.fromkeys(WHO, "lvk:S1") | refused


def test_a_token_revoked_while_a_websocket_is_open_writes_no_more(
    clients: dict[str, httpx.Client], office: Settings
) -> None:
    store = TokenStore(office.tokens_path)
    token, text = store.create("guest", [Scope.VET], 1)
    url = str(clients["open"].base_url.copy_with(scheme="ws", path="/graphql"))
    query = f'mutation {{ tag(object: "{OBJECT}", name: "ws") {{ author }} }}'
    with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]

        def told() -> Any:
            socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
            answer = json.loads(socket.recv(20))["payload"]
            assert json.loads(socket.recv(20)) == {"id": "1", "type": "complete"}
            return answer

        socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {text}"}}))
        assert json.loads(socket.recv(20))["type"] == "connection_ack"
        assert told()["data"] == {"tag": {"author": "guest"}}
        store.revoke(token.id)
        assert told()["errors"][0]["extensions"]["code"] == "gql.token_revoked"


def test_no_door_is_missing_from_the_table(office: Settings) -> None:
    assert paths(office) - {"/graphql"} == {name for name in doors(paths(office)) if name.startswith("/")}


def test_every_mutation_is_in_the_table(clients: dict[str, httpx.Client]) -> None:
    query = "{ __schema { mutationType { fields { name } } } }"
    fields = (
        clients["open"].post("/graphql", json={"query": query}).json()["data"]["__schema"]["mutationType"]["fields"]
    )
    assert {field["name"] for field in fields} == set(WRITES)


def test_a_token_in_the_address_is_not_read(clients: dict[str, httpx.Client], headers: dict[str, Any]) -> None:
    text = headers["admin"]["authorization"].removeprefix("Bearer ")
    answer = clients["closed"].get("/metrics", params={"token": text, "access_token": text, "authorization": text})
    assert outcome(answer) == (401, "gql.unauthenticated")


def test_a_revoked_token_is_refused_by_the_running_server_from_the_next_request_on(
    clients: dict[str, httpx.Client], office: Settings
) -> None:
    store = TokenStore(office.tokens_path)
    token, text = store.create("guest", [Scope.READ], 1)
    sent = {"authorization": f"Bearer {text}"}
    assert clients["closed"].get("/metrics", headers=sent).status_code == 200
    store.revoke(token.id)
    assert outcome(clients["closed"].get("/metrics", headers=sent)) == (401, "gql.token_revoked")


def test_a_damaged_file_of_tokens_lets_nobody_in_and_says_so_without_its_path(
    office: Settings, tmp_path: Path, serve_api: Callable[[Settings], Any]
) -> None:
    (tmp_path / "tokens.json").write_text("{")
    damaged = office.model_copy(update={"home": tmp_path})
    with serve_api(damaged) as url:
        answer = httpx.get(f"{url}/metrics", headers={"authorization": "Bearer asterism_0_x"}, timeout=60)
    assert outcome(answer) == (503, "gql.token_file")
    assert str(tmp_path) not in answer.text


def test_quotas_count_addresses_and_tokens_and_neither_this_machine_nor_admins_nor_probes(
    office: Settings, headers: dict[str, dict[str, str]], serve_api: Callable[[Settings], Any]
) -> None:
    tight = office.model_copy(update={"api_anonymous_requests_per_minute": 3, "api_token_requests_per_minute": 5})

    def far(address: str) -> dict[str, str]:
        return {"x-forwarded-for": address}

    with serve_api(tight) as url, httpx.Client(base_url=url, timeout=60) as client:

        def asked(times: int, sent: dict[str, str], path: str = "/metrics") -> list[int]:
            return [client.get(path, headers=sent).status_code for _ in range(times)]

        assert asked(4, far("192.0.2.1")) == [200, 200, 200, 429]
        assert asked(4, far("192.0.2.1") | headers["wrong"])[-1] == 429
        assert asked(3, far("192.0.2.2")) == [200] * 3
        assert asked(6, far("192.0.2.1") | headers["read"]) == [200] * 5 + [429]
        assert asked(9, far("192.0.2.1") | headers["admin"]) == [200] * 9
        assert asked(9, {}) == [200] * 9
        assert asked(9, far("192.0.2.1"), "/healthz") == [200] * 9
        refused = READS["query"](client, far("192.0.2.1"))
    assert outcome(refused) == (429, "gql.quota")
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["retry-after"] in refused.json()["errors"][0]["extensions"]["hint"]


def test_pages_of_listed_origins_may_use_the_api_and_read_why_they_may_not(
    office: Settings, serve_api: Callable[[Settings], Any]
) -> None:
    portal = {"origin": "https://portal.example"}
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    listed = office.model_copy(update={"api_cors_origins": (portal["origin"],), "api_anonymous_read": False})
    with serve_api(listed) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert (
            client.options("/graphql", headers=portal | ask).headers["access-control-allow-origin"] == portal["origin"]
        )
        other = client.options("/graphql", headers={"origin": "https://evil.example"} | ask)
        assert "access-control-allow-origin" not in other.headers
        refused = READS["query"](client, portal)
    assert outcome(refused) == (401, "gql.unauthenticated")
    assert refused.headers["access-control-allow-origin"] == portal["origin"]


def test_no_log_line_and_no_file_holds_a_token(office: Settings, headers: dict[str, dict[str, str]]) -> None:
    environment = {
        "ASTERISM_HOME": str(office.home),
        "ASTERISM_NEO4J_URI": office.neo4j_uri,
        "ASTERISM_NEO4J_PASSWORD": office.neo4j_password.get_secret_value(),
        "ASTERISM_LOG_LEVEL": "DEBUG",
        "ASTERISM_API_TOKEN_REQUESTS_PER_MINUTE": "5",
    }
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "ignore", "-m", "asterism", "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        with httpx.Client(base_url=url, timeout=60) as client:
            for sent in headers.values():
                for door in doors(set()).values():
                    door(client, sent)
                client.post("/graphql", content=b"{", headers=sent | {"content-type": "application/json"})
                client.get("/nowhere", headers=sent)
            metrics = client.get("/metrics").text
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    # A secret may hold the character that parts it from the rest.
    secrets = [sent["authorization"].split()[1].split("_", 2)[-1][:20] for sent in headers.values() if sent]
    written = [path.read_text(errors="replace") for path in office.home.rglob("*") if path.is_file()]
    assert "gql.quota" in errors
    assert re.search("token_(invalid|expired|revoked)", errors)
    for secret in secrets:
        assert not any(secret in text for text in (output, errors, metrics, *written))
