"""The benchmark of notices, as far as it needs no services: its stream, its clock and its goal."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest

from asterism.voevent.read import read_payload

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    return importlib.import_module("benchmarks.notice_stream")


@pytest.fixture
def harness(stream: ModuleType) -> ModuleType:
    del stream
    return importlib.import_module("benchmarks.harness")


def test_the_stream_has_the_mix_it_states_and_every_notice_is_localized(stream: ModuleType) -> None:
    payloads = list(islice(stream.notice_stream(3), 100))
    readings = [read_payload(payload) for payload in payloads]
    counted = Counter(reading.notice.mission for reading in readings)
    assert counted == {mission: 2 * share for mission, share in stream.MIX.items()}
    assert sum(stream.MIX.values()) == 50
    assert len(set(payloads)) == 100
    assert None not in [reading.localization for reading in readings]
    assert {reading.notice.standing for reading in readings} == {"real"}


def test_the_stream_is_the_same_for_the_same_seed_only(stream: ModuleType) -> None:
    one, again, other = (list(islice(stream.notice_stream(seed), 60)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_maps_have_the_size_of_real_ones_and_are_all_different(stream: ModuleType) -> None:
    maps = [payload for payload in islice(stream.notice_stream(1), 150) if payload.startswith(b"{")]
    assert len(maps) == 3
    assert all(0.8e6 < len(payload) < 1.5e6 for payload in maps)
    notices = [read_payload(payload).notice for payload in maps]
    assert len({notice.region.map_sha256 for notice in notices if notice.region}) == 3
    assert len({notice.event_key for notice in notices}) == 1


@pytest.mark.parametrize(("value", "quick", "code"), [(0.9, False, 0), (1.1, False, 1), (1.9, True, 0), (2.1, True, 1)])
def test_a_time_is_judged_against_the_most_it_may_be(
    harness: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float, quick: bool, code: int
) -> None:
    bench = harness.Bench("notices", ["--out", str(tmp_path), *(["--quick"] if quick else [])])
    bench.state("ack_to_graph_p95", value, "s")
    bench.state("voevent_project", 100.0, "notices/s")
    assert bench.finish() == code
    judged, stated = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (judged["goal"], judged["holds"], judged["ratio"]) == (2.0 if quick else 1.0, code == 0, None)
    assert (stated["goal"], stated["holds"]) == (None, None)
