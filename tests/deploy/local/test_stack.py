"""The real servers: started twice, killed, side by side, and as closed as they claim to be."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from neo4j import Driver, GraphDatabase
from neo4j.exceptions import ClientError

from asterism.deploy.commands import down, status, up
from asterism.deploy.errors import ServiceError, StackBusyError
from asterism.deploy.local.process import ServiceProcess, is_alive
from asterism.deploy.local.stack import LocalStack
from asterism.settings import load_settings

pytestmark = pytest.mark.services

CACHE = load_settings().cache


def pids(stack: LocalStack) -> dict[str, int | None]:
    return {item.name: item.pid for item in stack.status()}


def service(stack: LocalStack, name: str) -> psutil.Process:
    process = ServiceProcess(stack.home / "stack" / name).find()
    assert process is not None
    return process


def kill(process: psutil.Process) -> None:
    process.kill()
    while is_alive(process):
        time.sleep(0.02)


def test_starting_a_running_stack_changes_nothing(stack: LocalStack) -> None:
    before = pids(stack)
    addresses = (stack.neo4j_uri, stack.neo4j_password, stack.kafka_bootstrap)
    again = LocalStack(stack.home, cache=CACHE)
    with again:
        assert pids(again) == before
        assert (again.neo4j_uri, again.neo4j_password, again.kafka_bootstrap) == addresses
    assert pids(stack) == before
    assert {item.state for item in stack.status()} == {"serving"}


def test_settings_find_the_stack_and_only_its_owner_can_read_the_password(stack: LocalStack) -> None:
    settings = load_settings(home=stack.home)
    assert settings.neo4j_uri == stack.neo4j_uri
    assert settings.neo4j_password.get_secret_value() == stack.neo4j_password
    assert settings.kafka_bootstrap == stack.kafka_bootstrap
    assert len(stack.neo4j_password) == 48
    readable = [path for path in stack.home.rglob("*") if path.is_file() and _holds(path, stack.neo4j_password)]
    assert {path.name for path in readable} == {"stack.toml", "password"}
    assert {path.stat().st_mode & 0o777 for path in readable} == {0o600}


def _holds(path: Path, secret: str) -> bool:
    return path.stat().st_size < 1 << 20 and secret.encode() in path.read_bytes()


def test_every_port_of_the_stack_is_on_the_loopback_address_only(stack: LocalStack) -> None:
    for name in ("neo4j", "kafka"):
        listening = [
            item.laddr.ip
            for item in service(stack, name).net_connections(kind="inet")
            if item.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_neo4j_refuses_to_read_files(neo4j_driver: Driver, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("hidden\n")
    secret.chmod(0o644)
    with neo4j_driver.session() as session, pytest.raises(ClientError, match="Cannot load from URL") as raised:
        session.run("LOAD CSV FROM $url AS row RETURN row", url=secret.as_uri()).consume()
    assert "hidden" not in str(raised.value)


def test_neo4j_runs_with_the_guards_it_was_configured_with(stack: LocalStack, neo4j_driver: Driver) -> None:
    with neo4j_driver.session() as session:
        values = {row["name"]: row["value"] for row in session.run("SHOW SETTINGS YIELD name, value")}
    expected = {
        "dbms.security.auth_enabled": "true",
        "dbms.security.allow_csv_import_from_file_urls": "false",
        "dbms.security.procedures.unrestricted": "",
        "dbms.usage_report.enabled": "false",
        "server.directories.import": str(stack.home / "stack" / "neo4j" / "import"),
        "server.http.enabled": "false",
        "server.https.enabled": "false",
        "db.transaction.timeout": "5m",
    }
    assert {name: values[name] for name in expected} == expected
    assert values["server.bolt.listen_address"].startswith(("127.0.0.1:", "localhost:"))
    assert float(values["db.memory.transaction.max"].removesuffix("MiB")) <= 384
    assert float(values["dbms.memory.transaction.total.max"].removesuffix("MiB")) <= 640
    assert list((stack.home / "stack" / "neo4j" / "import").iterdir()) == []


def test_neo4j_refuses_a_wrong_password(stack: LocalStack) -> None:
    with (
        GraphDatabase.driver(stack.neo4j_uri, auth=("neo4j", "neo4j")) as driver,
        pytest.raises(ClientError, match="Unauthorized"),
    ):
        driver.verify_connectivity()


def test_kafka_carries_a_message_of_four_megabytes(stack: LocalStack, kafka_topic: Callable[..., str]) -> None:
    topic = kafka_topic()
    message = os.urandom(4 << 20)
    produce(stack.kafka_bootstrap, topic, message)
    assert consume(stack.kafka_bootstrap, topic) == message


def produce(bootstrap: str, topic: str, message: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 8 << 20, "acks": "all"})
    producer.produce(topic, message)
    assert producer.flush(60) == 0


def consume(bootstrap: str, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        record = consumer.poll(60)
        assert record is not None
        assert record.error() is None
        return record.value()
    finally:
        consumer.close()


@pytest.mark.timeout(300)
def test_a_second_stack_runs_beside_the_first_and_survives_kill_dash_nine(stack: LocalStack, tmp_path: Path) -> None:
    with LocalStack(tmp_path, cache=CACHE, neo4j_heap="512m", neo4j_page_cache="64m") as other:
        addresses = (other.neo4j_uri, other.kafka_bootstrap)
        assert not set(addresses) & {stack.neo4j_uri, stack.kafka_bootstrap}
        assert other.neo4j_password != stack.neo4j_password
        with GraphDatabase.driver(other.neo4j_uri, auth=("neo4j", other.neo4j_password)) as driver:
            driver.execute_query("CREATE (:Survivor {id: $id})", id="9007199254740993")
        produce(other.kafka_bootstrap, "survivor", b"packet")
        for name in ("neo4j", "kafka"):
            kill(service(other, name))
        assert {item.state for item in other.status()} == {"stopped"}
        other.start()
        assert (other.neo4j_uri, other.kafka_bootstrap) == addresses
        with GraphDatabase.driver(other.neo4j_uri, auth=("neo4j", other.neo4j_password)) as driver:
            records = driver.execute_query("MATCH (n:Survivor) RETURN n.id AS id").records
        assert [record["id"] for record in records] == ["9007199254740993"]
        assert consume(other.kafka_bootstrap, "survivor") == b"packet"
    assert {item.state for item in other.status()} == {"stopped"}
    assert {item.state for item in stack.status()} == {"serving"}


def test_a_killed_starter_leaves_nothing_the_next_start_stumbles_over(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, services=["kafka"], cache=CACHE)
    environment = os.environ | {"ASTERISM_HOME": str(tmp_path), "ASTERISM_NEO4J_URI": "bolt://127.0.0.1:1"}
    starter = subprocess.Popen([sys.executable, "-m", "asterism", "up"], env=environment, stderr=subprocess.DEVNULL)
    record = tmp_path / "stack" / "kafka" / "pid.json"
    while not record.exists() and starter.poll() is None:
        time.sleep(0.01)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    orphan = json.loads(record.read_text())["pid"]
    record.unlink()
    stack.start()
    try:
        assert pids(stack) == {"kafka": orphan}
    finally:
        assert stack.stop() == ["kafka"]


def test_a_remembered_port_that_somebody_took_is_replaced(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, services=["kafka"], cache=CACHE)
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]
        (tmp_path / "stack").mkdir()
        (tmp_path / "stack" / "ports.json").write_text(json.dumps({"neo4j": 0, "kafka": taken, "kafka_controller": 0}))
        with stack:
            assert stack.kafka_bootstrap != f"127.0.0.1:{taken}"
            admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
            assert len(admin.list_topics(timeout=30).brokers) == 1


def test_a_service_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, services=["neo4j"], cache=CACHE, neo4j_heap="much")
    with pytest.raises(ServiceError, match="Invalid maximum heap size"):
        stack.start()
    assert not (tmp_path / "stack.toml").exists()


def test_two_processes_do_not_start_one_stack_at_once(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asterism.deploy.local.stack._BUSY_SECONDS", 0.0)
    holder = (
        "import fcntl, sys, time; stream = open(sys.argv[1], 'w'); fcntl.flock(stream, fcntl.LOCK_EX);"
        "print('held', flush=True); time.sleep(600)"
    )
    lock = stack.home / "stack" / "lock"
    with subprocess.Popen([sys.executable, "-c", holder, str(lock)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StackBusyError):
            stack.start()
        other.kill()
        other.wait()
        stack.start()


def test_services_the_settings_point_elsewhere_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISM_HOME", str(tmp_path))
    monkeypatch.setenv("ASTERISM_NEO4J_URI", "bolt://127.0.0.1:1")
    monkeypatch.setenv("ASTERISM_KAFKA_BOOTSTRAP", "127.0.0.1:2")
    result = CliRunner().invoke(up, ["--json"], catch_exceptions=False)
    assert json.loads(result.stdout) == []
    assert not (tmp_path / "stack.toml").exists()


def test_status_and_down_work_where_nothing_was_ever_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISM_HOME", str(tmp_path))
    shown = json.loads(CliRunner().invoke(status, ["--json"], catch_exceptions=False).stdout)
    assert [(row["name"], row["state"], row["pid"]) for row in shown] == [
        ("neo4j", "stopped", None),
        ("kafka", "stopped", None),
    ]
    stopped = CliRunner().invoke(down, ["--json"], catch_exceptions=False).stdout
    assert json.loads(stopped) == {"stopped": []}
