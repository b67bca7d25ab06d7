"""``asterism voevent bridge`` as a user runs it, with a stock Comet as its subscriber.

What counts is what reaches Comet's handlers: it acknowledges, and silently discards, some of what it gets.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import voeventparse
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from asterism.deploy.local.stack import LocalStack
from asterism.journal import Journal
from asterism.voevent.compose_json import same_notice, source_key
from asterism.voevent.document import parse
from asterism.voevent.intake import Intake
from asterism.voevent.notice import notice_key
from asterism.voevent.read import is_json, read_payload
from tests.voevent.stock_comet import BridgeProcess, Comet, free_port, wait_until

Subscribe = Callable[..., Comet]
Start = Callable[..., BridgeProcess]


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def bridge(tmp_path: Path, processes: ExitStack) -> Start:
    def start(*options: str, home: str = "home", **values: Any) -> BridgeProcess:
        running = BridgeProcess(tmp_path / home, *options, **values).start()
        processes.callback(running.kill)
        return running

    return start


@pytest.fixture
def subscribe(tmp_path: Path, processes: ExitStack) -> Subscribe:
    def start(port: int, *options: str, name: str = "comet", **values: Any) -> Comet:
        (tmp_path / name).mkdir(exist_ok=True)
        comet = Comet(tmp_path / name, port, *options, **values)

        def end() -> None:
            comet.process.kill()
            comet.process.wait()

        processes.callback(end)
        return comet

    return start


def journal(home: Path, payloads: Sequence[bytes]) -> None:
    home.mkdir(exist_ok=True)
    with Journal(home / "journal") as writer:
        intake = Intake(writer)
        for payload in payloads:
            intake.accept(payload, "file")


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def assert_everything_arrived(sources: Sequence[bytes], handled: Sequence[bytes]) -> None:
    """Check each handled document against its source: the same bytes, or valid and the same notice."""
    assert [count for count in Counter(handled).values() if count > 1] == []
    composed = {source_key(parse(payload)): payload for payload in handled}
    plain = [payload for payload in sources if not is_json(payload)]
    assert sorted(plain) == sorted(payload for payload in handled if source_key(parse(payload)) is None)
    for payload in sources:
        if is_json(payload):
            document = composed.pop(notice_key(payload))
            assert voeventparse.valid_as_v2_0(voeventparse.loads(document))
            urls = [p.value for p in parse(document).params if (p.utype or "").startswith("json-file:")]
            files = {url.rpartition("/")[2].removesuffix(".fits"): fetched(url) for url in urls}
            before, after = read_payload(payload), read_payload(document, files)
            assert same_notice(before.notice, after.notice)
            assert after.sky_map == before.sky_map
    assert composed.keys() <= {None}
    made = len(sources) - len(plain)
    print(f"handled by a stock Comet: {len(plain)} VOEvents byte for byte, {made} composed of JSON, valid and the same")


def assert_only_maps_are_served(running: BridgeProcess) -> None:
    """Check that maps can be fetched by their exact names, and nothing else can."""
    base = f"http://127.0.0.1:{running.maps_port}/maps"
    name, other = sorted(path.stem for path in (running.home / "lake" / "maps").glob("*.fits"))
    assert notice_key(fetched(f"{base}/{name}")) == name
    assert notice_key(fetched(f"{base}/{other}.fits")) == other
    for path in ("", "/", f"/{name}/", f"/{name}.fits/x", "/../maps", "/..%2f..%2fFORMAT.json", "/" + "0" * 64):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetched(base + path)
        with refused.value:
            assert refused.value.code == 404


def notices(samples: Any) -> list[bytes]:
    """Return a small night: bursts, an LVK event with its retraction, Einstein Probe, KM3NeT."""
    unified = {"trigger_time": "2024-09-01T01:16:47.0Z", "ra": 10.82, "dec": 20.01, "ra_dec_error": 0.9}
    alerts = [
        {**unified, "mission": "KM3NeT", "event_name": "KM3-240901A", "alert_topology": "Track", "far": 8e-8},
        {**unified, "mission": "Einstein Probe", "instrument": "WXT", "image_snr": 8.2},
    ]
    return [
        *(samples.gbm_xml(trigger=700000000 + n) for n in range(20)),
        samples.alert_json(),
        samples.alert_json(alert_type="UPDATE", sky_map=samples.sky_map(peak=200)),
        samples.alert_json(alert_type="RETRACTION"),
        *(json.dumps(alert).encode() for alert in alerts),
    ]


def test_a_stock_comet_gets_voevents_as_they_came_and_json_as_valid_voevents_of_the_same_notices(
    bridge: Start, subscribe: Subscribe, samples: Any, tmp_path: Path
) -> None:
    sources = notices(samples)
    journal(tmp_path / "home", sources[:10])
    running = bridge("--from-start")
    comet = subscribe(running.port)
    comet.wait(10)
    journal(tmp_path / "home", sources[10:])  # another process writes the journal while the bridge reads
    assert_everything_arrived(sources, comet.wait(len(sources)))
    assert_only_maps_are_served(running)
    counts = running.stop()
    assert counts == {
        "broadcast": 25,
        "composed": 5,
        "known": 0,
        "unsendable": 0,
        "sent": 25,
        "acknowledged": 25,
        "refused": 0,
    }


def test_a_subscriber_that_was_away_gets_what_came_meanwhile_and_nothing_twice(
    bridge: Start, subscribe: Subscribe, samples: Any
) -> None:
    sources = [samples.gbm_xml(trigger=700000000 + n) for n in range(30)]
    running = bridge()
    comet, nameless = subscribe(running.port), subscribe(running.port, name="nameless", local_ivo=None)
    wait_until(lambda: (running.home / "log").read_text().count("subscriber served") == 2, 20)
    journal(running.home, sources[:10])
    assert sorted(comet.wait(10)) == sorted(nameless.wait(10)) == sorted(sources[:10])
    comet.stop()
    nameless.stop()
    journal(running.home, sources[10:20])
    wait_until(lambda: len(list(Journal(running.home / "bridge" / "outbox").read())) == 20, 20)
    running.stop()
    again = running.start()
    comet.start()
    assert sorted(comet.wait(20)) == sorted(sources[:20])
    nameless.start()
    wait_until(lambda: (running.home / "log").read_text().count("subscriber served") == 4, 20)
    journal(running.home, sources[20:])
    assert sorted(comet.wait(30)) == sorted(sources)
    assert sorted(nameless.wait(20)) == sorted([*sources[:10], *sources[20:]])
    again.stop()


def test_filters_of_the_subscriber_and_of_the_operator_both_hold(
    bridge: Start, subscribe: Subscribe, samples: Any, tmp_path: Path
) -> None:
    sources = notices(samples)
    journal(tmp_path / "home", sources)
    xpath = "//Param[@name='AlertType'] | //Param[@name='TrigID' and @value < 700000005]"
    options = ("--mission", "lvk", "--mission", "gbm", "--role", "observation", "--xpath", xpath)
    running = bridge("--from-start", *options)
    lvk = subscribe(running.port, "--filter=//Param[@name='AlertType' and @value!='Retraction']", name="lvk")
    every = subscribe(running.port, name="every", local_ivo="ivo://example.org/every")
    assert {parse(payload).param("TrigID") for payload in every.wait(8)} == {None, *(f"70000000{n}" for n in range(5))}
    assert len(every.handled()) == 8
    types = [parse(payload).param("AlertType") for payload in lvk.wait(2)]
    assert sorted(map(str, types)) == ["Preliminary", "Update"]


def test_two_bridges_that_subscribe_to_each_other_come_to_rest(
    bridge: Start, subscribe: Subscribe, samples: Any, tmp_path: Path
) -> None:
    ours, shared = notices(samples), samples.alert_json(name="S230309b")
    journal(tmp_path / "one", [*ours, shared])
    journal(tmp_path / "two", [shared])
    ports = free_port(), free_port()
    one, two = (
        bridge(
            "--from-start",
            "--remote",
            f"127.0.0.1:{theirs}",
            home=name,
            port=port,
            ASTERISM_IVO_AUTHORITY=f"{name}.example",
        )
        for name, port, theirs in (("one", *ports), ("two", *reversed(ports)))
    )
    comet = subscribe(two.port)
    handled = comet.wait(len(ours) + 1, 60)

    def sizes() -> list[int]:
        folders = [running.home / name for running in (one, two) for name in ("journal", "bridge/outbox")]
        return [sum(1 for _ in Journal(folder).read()) for folder in folders]

    # Each journals what the other broadcasts, once, but for what it composed itself; neither broadcasts anything twice.
    rest = [2 * len(ours) + 2, len(ours) + 1, len(ours) + 2, len(ours) + 1]
    wait_until(lambda: sizes() == rest, 40, sizes)
    time.sleep(2.0)
    assert sizes() == rest
    assert_everything_arrived([*ours, shared], handled)


def test_strangers_get_neither_notices_nor_maps(bridge: Start, samples: Any, tmp_path: Path) -> None:
    journal(tmp_path / "home", [samples.gbm_xml()])
    running = bridge("--from-start", "--whitelist", "192.0.2.0/24")
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        assert connection.recv(100) == b""
    with pytest.raises((urllib.error.URLError, ConnectionError)) as refused:
        fetched(f"http://127.0.0.1:{running.maps_port}/maps/")
    assert not isinstance(refused.value, urllib.error.HTTPError)


@pytest.fixture
def gcn(stack: LocalStack) -> Iterator[Callable[[str], str]]:
    """Make topics for notices, which take an alert of 1 MB."""
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    made: list[str] = []

    def make(name: str) -> str:
        topic = f"{name}.{uuid.uuid4().hex[:8]}"
        limits = {"max.message.bytes": str(8 << 20)}
        for done in admin.create_topics([NewTopic(topic, 1, 1, config=limits)]).values():
            done.result(30)
        made.append(topic)
        return topic

    yield make
    for done in admin.delete_topics(made).values() if made else ():
        done.result(30)


def replay(
    sources: Sequence[bytes],
    stack: LocalStack,
    gcn: Callable[[str], str],
    bridge: Start,
    subscribe: Subscribe,
    *,
    kill: bool,
) -> None:
    """Send notices by Kafka, kill the bridge in the middle if wanted, and check what a stock Comet handled."""
    classic, alerts = gcn("gcn.classic.voevent.TEST"), gcn("gcn.notices.test")
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap, "message.max.bytes": 8 << 20, "linger.ms": 0})

    def produce(payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            producer.produce(alerts if is_json(payload) else classic, payload)
        assert producer.flush(30) == 0

    running = bridge(
        "--kafka",
        "--from-start",
        ASTERISM_GCN_BOOTSTRAP=stack.kafka_bootstrap,
        ASTERISM_GCN_TOPICS=json.dumps([classic, alerts]),
    )
    comet = subscribe(running.port)
    produce(sources)
    if kill:
        wait_until(lambda: len(comet.handled()) > len(sources) // 8, 60)
        running.kill()
        assert len(comet.handled()) < len(sources), "the bridge was killed too late to prove anything"
        running.start()
    handled = comet.wait(len(sources), 90)
    assert_everything_arrived(sources, handled)
    running.stop()


@pytest.mark.services
def test_of_a_kafka_replay_a_stock_comet_misses_nothing_though_the_bridge_is_killed_in_the_middle(
    stack: LocalStack, gcn: Callable[[str], str], bridge: Start, subscribe: Subscribe, samples: Any
) -> None:
    more = [samples.gbm_xml(trigger=710000000 + n) for n in range(300)]
    replay([*notices(samples), *more], stack, gcn, bridge, subscribe, kill=True)


@pytest.mark.services
@pytest.mark.realdata
def test_every_real_notice_reaches_a_stock_comet_from_kafka(
    test_data: Path, stack: LocalStack, gcn: Callable[[str], str], bridge: Start, subscribe: Subscribe
) -> None:
    folder = test_data / "notices"
    paths = [*sorted(folder.rglob("*.json")), *sorted(path for path in folder.glob("voevent/**/*") if path.is_file())]
    payloads = dict.fromkeys(path.read_bytes() for path in paths)
    assert len(payloads) == 87
    replay(list(payloads), stack, gcn, bridge, subscribe, kill=False)
