"""The login of `asterism.voevent.gcn`: OAuth tokens from an endpoint, shown to a real broker that insists on them."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import SecretStr
from typing_extensions import override

from asterism.deploy.local.java import Java, find_java
from asterism.deploy.local.kafka import KafkaService
from asterism.journal import Journal
from asterism.voevent.check import check_kafka
from asterism.voevent.gcn import KafkaDoor, follow_kafka
from asterism.voevent.intake import Intake

SECRET = "hush-hush"


def until(condition: Any, seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return value


@dataclass
class Endpoint:
    """A token endpoint that knows one client."""

    url: str
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)


def token() -> str:
    """Return an unsigned token: what a broker without a key to check takes."""
    claims = {"sub": "me", "iat": int(time.time()), "exp": int(time.time()) + 3600}
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims))
    return b".".join([*parts, b""]).decode()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    expected = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            authorization = self.headers.get("Authorization", "")
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            known.asked.append((authorization, urllib.parse.parse_qs(body)))
            content = json.dumps({"access_token": token(), "token_type": "Bearer", "expires_in": 3600}).encode()
            self.send_response(200 if authorization == expected else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(content if authorization == expected else b'{"error": "invalid_client"}')

        @override
        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Endpoint(f"http://127.0.0.1:{server.server_port}/token")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


class GuardedKafka(KafkaService):
    """The local Kafka with a second listener, for clients with a token."""

    guarded_port = 0

    @override
    def _settings(self) -> dict[str, object]:
        known = super()._settings()
        guarded = f",GUARDED://127.0.0.1:{self.guarded_port}"
        login = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
        return known | {
            "listeners": f"{known['listeners']}{guarded}",
            "advertised.listeners": f"{known['advertised.listeners']}{guarded}",
            "listener.security.protocol.map": f"{known['listener.security.protocol.map']},GUARDED:SASL_PLAINTEXT",
            "listener.name.guarded.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.guarded.oauthbearer.sasl.jaas.config": f'{login} unsecuredLoginStringClaim_sub="broker";',
        }


@pytest.fixture(scope="module")
def broker(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaService]:
    ports = []
    for _ in range(3):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    GuardedKafka.guarded_port = ports[2]
    service = GuardedKafka(tmp_path_factory.mktemp("kafka"), ports[0], ports[1], heap="256m")
    with started(service, class_path(stack.home)):
        yield service


def class_path(home: Path) -> tuple[Path, ...]:
    """Return the jars the session's own broker runs on."""
    arguments = (home / "stack" / "kafka" / "java.args").read_text(encoding="utf-8").splitlines()
    return tuple(Path(jar) for jar in arguments[arguments.index('"-cp"') + 1].strip('"').split(":"))


@contextmanager
def started(service: KafkaService, jars: tuple[Path, ...]) -> Iterator[None]:
    service.prepare(Java(find_java(), jars))
    service.log.parent.mkdir(exist_ok=True)
    with service.log.open("wb") as log:
        process = subprocess.Popen([find_java(), f"@{service.folder / 'java.args'}"], stdout=log, stderr=log)
    try:
        until(lambda: service.check() is None)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def door(endpoint: Endpoint) -> KafkaDoor:
    return KafkaDoor(
        f"127.0.0.1:{GuardedKafka.guarded_port}",
        ("gcn.notices.x",),
        "test",
        client_id="me",
        client_secret=SecretStr(SECRET),
        token_url=endpoint.url,
        tls=False,
    )


@pytest.mark.services
def test_with_the_right_credentials_notices_come_and_with_wrong_ones_the_check_says_why(
    broker: KafkaService, door: KafkaDoor, endpoint: Endpoint, tmp_path: Path, samples: Any
) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic("gcn.notices.x", 1, 1)])["gcn.notices.x"].result(30)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce("gcn.notices.x", samples.gbm_xml())
    assert producer.flush(30) == 0
    assert SECRET not in repr(door)

    stop = threading.Event()
    with Journal(tmp_path / "journal") as journal:
        feed = door.feed()
        thread = threading.Thread(target=follow_kafka, args=(Intake(journal), door, stop, feed))
        thread.start()
        try:
            until(lambda: feed.look().journalled == 1)
        finally:
            stop.set()
            thread.join(30)
    assert endpoint.asked[0][1]["grant_type"] == ["client_credentials"]

    wrong = check_kafka(replace(door, client_secret=SecretStr("wrong")), 5.0)
    assert not wrong.ok
    assert "401" in wrong.reason or "invalid_client" in wrong.reason
    assert "wrong" not in wrong.reason
    with pytest.raises(KafkaException):  # without a token nobody is let in
        AdminClient({"bootstrap.servers": door.bootstrap}).list_topics(timeout=2)
