"""The benchmark harness, and B1 at a tenth of its size."""

from __future__ import annotations

import importlib
import json
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    return importlib.import_module("benchmarks.harness")


@pytest.fixture
def b1(harness: ModuleType) -> ModuleType:
    del harness
    return importlib.import_module("benchmarks.b1")


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_b1_at_a_tenth_of_its_size_reaches_half_of_its_ratios(
    b1: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert b1.main(["--quick", "--rounds", "3", "--out", str(tmp_path)]) == 0
    printed = lines(capsys.readouterr().out)
    written = json.loads((tmp_path / "B1.quick.json").read_text())
    assert written["figures"] == printed
    assert set(printed[0]) == {
        "bench", "figure", "value", "unit", "baseline", "ratio", "goal", "holds", "quick",
    }  # fmt: skip
    goals = tomllib.loads((REPOSITORY / "benchmarks/goals.toml").read_text())["B1"]
    assert {line["figure"]: 2 * line["goal"] for line in printed if line["goal"] is not None} == goals


def test_b1_refuses_to_time_routes_that_differ(b1: ModuleType) -> None:
    packets = b1.ztf_packets(2)
    other = iter(reversed(packets))
    with pytest.raises(RuntimeError, match="differ"):
        b1.check(b1.Decoder(), packets, lambda _: b1.container_reader(next(other)))


def test_goal_that_was_not_measured_is_an_error(harness: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ztf_known"):
        harness.Bench("B1", ["--out", str(tmp_path)]).finish()


def test_goal_that_is_missed_gives_exit_code_1(harness: ModuleType, tmp_path: Path) -> None:
    bench = harness.Bench("B1", ["--out", str(tmp_path), "--rounds", "1"])
    for figure in tomllib.loads((REPOSITORY / "benchmarks/goals.toml").read_text())["B1"]:
        bench.compare(figure, 1, "calls/cpu-s", lambda: sum(range(200_000)), lambda: sum(range(1000)))
    assert bench.finish() == 1
    assert (tmp_path / "B1.json").is_file()
