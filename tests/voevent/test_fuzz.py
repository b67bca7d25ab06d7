"""Mutated notices: each is accepted or refused with a code, none takes over 2 s of CPU, and memory is bounded."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from asterism.simulate.notices import Position, Track, gbm_notice, icecube_notice, lvk_alert, swift_notice
from asterism.voevent.document import Document, Param, compose

pytestmark = pytest.mark.fuzz

WORKER = Path(__file__).with_name("fuzz_worker.py")
GROWTH_KB = 300 * 1024
"""Most resident memory that reading one notice may add."""
T0, WHERE = 60011.0, Position(120.0, 30.0, 2.0)


@dataclass
class Report:
    """What became of the mutants."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    growth_kb: int = 0
    of: dict[str, str] = field(default_factory=dict)
    """Outcome of each case of the corpus itself, by name."""


@pytest.fixture(scope="session")
def simulated(samples: Any) -> list[tuple[str, bytes]]:
    """One notice or more of every mission, made here."""
    track = Track(run=140_100, event=1_234_567, gold=True, energy_tev=180.0, signalness=0.5, far_per_year=0.9)
    made = [(f"gbm-{stage}", gbm_notice(stage, 700_000_001, T0, T0 + 0.01, WHERE, 7)) for stage in ("flight", "final")]
    made += [
        ("gbm-sample", samples.gbm_xml()),
        ("swift", swift_notice(1_300_001, T0, T0 + 0.01, Position(10.0, -5.0, 0.05), 101)),
        ("icecube", icecube_notice(track, 0, T0, T0 + 0.01, Position(210.0, 3.0, 1.1), 0.42)),
        ("unknown-mission", compose(samples.generic(cites=(("ivo://example.org/telescope#zero", "supersedes"),)))),
        ("lvk-preliminary", samples.alert_json()),
        ("lvk-retraction", samples.alert_json(alert_type="RETRACTION")),
        ("lvk-simulated", lvk_alert("S230308b", "UPDATE", T0, t0=T0, sky_map=samples.sky_map(), far_hz=1e-9)),
    ]
    for stream, local, packet in (
        ("INTEGRAL", "Wakeup_Pos_2023-03-08T00:00:00.00_010042-1-1", "53"),
        ("LVC", "S230308c-2-Initial", "151"),
    ):
        params = (
            Param("Packet_Type", packet),
            Param("TrigID", "10042"),
            Param("GraceID", "S230308c"),
            Param("FAR", "1"),
        )
        document = Document(f"ivo://asterism.simulated/{stream}#{local}", "observation", params=params)
        where = {"c1": "10.0", "c2": "5.0", "error2radius": "0.1", "position_unit": "deg"}
        made.append((stream, compose(replace(document, iso_time="2023-03-08T00:00:00", **where))))
    return made + unified(samples.sky_map())


def unified(fits: bytes) -> list[tuple[str, bytes]]:
    """Notices of GCN's unified schema: a circle, an ellipse, a map, a retraction."""
    common = {
        "alert_datetime": "2023-03-08T00:01:00Z",
        "trigger_time": "2023-03-08T00:00:00.5Z",
        "alert_tense": "current",
        "alert_type": "initial",
        "containment_probability": 0.9,
        "systematic_included": True,
        "far": 1e-8,
        "p_astro": 0.9,
        "classification": {"GRB": 0.9},
        "messenger": "EM",
        "follow_up_event": "GRB 230308A",
        "additional_info": "",
    }
    places = [
        ("einstein_probe/wxt", {"id": ["01709130123"], "ra": 10.0, "dec": -5.0, "ra_dec_error": 0.05}),
        ("swift/bat/guano", {"id": ["1300001"], "ra": 10.0, "dec": 5.0, "ra_dec_error": [0.1, 0.05, 30.0]}),
        ("fermi/lat", {"id": ["700000001"], "ra": 350.0, "dec": 75.0, "ra_dec_error": 0.3}),
        ("km3net", {"id": "KM3-230308", "ra": 1.0, "dec": 2.0, "healpix_file": base64.b64encode(fits).decode()}),
        ("svom/eclairs", {"id": ["sb23030801"], "alert_type": "retraction", "ra": 8.0, "dec": 9.0}),
        ("nobody/yet", {"event_name": ["X230308"], "ra": 80.0, "dec": -89.9, "ra_dec_error": 12}),
    ]
    made = []
    for path, place in places:
        mission, _, instrument = path.partition("/")
        schema = {"$schema": f"https://example.org/schema/v1/gcn/notices/{path}/alert.schema.json"}
        document = schema | {"mission": mission, "instrument": instrument} | common | place
        made.append((f"unified {path}", json.dumps(document).encode()))
    return made


def run(corpus: list[tuple[str, bytes]], first: int, count: int, folder: Path) -> Report:
    """Read `count` mutants, or with 0 the corpus itself, in a process; if it dies another goes on behind the case."""
    file, report, last = folder / "corpus", Report(), first + (count or len(corpus))
    file.write_bytes(pickle.dumps(corpus))
    while first < last:
        with (folder / "log").open("w+") as log:
            arguments = [sys.executable, str(WORKER), str(file), str(first), str(count and last - first)]
            done = subprocess.run(arguments, stdout=log, stderr=subprocess.PIPE, check=False, env=_environment())
            log.seek(0)
            lines = [json.loads(line) for line in log]
        begun = _read_lines(lines, report)
        if done.returncode == 0:
            break
        if begun is None:
            raise AssertionError(f"the worker did not begin: {done.stderr.decode()[-2000:]}")
        report.failures.append(f"seed {begun['start']} {begun['what']}: process ended with {done.returncode}")
        first = begun["start"] + 1
        assert len(report.failures) < 20, report.failures
    return report


def _environment() -> dict[str, str]:
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _read_lines(lines: list[dict[str, Any]], report: Report) -> dict[str, Any] | None:
    """Add a worker's lines to the report; return the case it began last, None if it began none."""
    begun = None
    for line in lines:
        if "start" in line:
            begun = line
        elif begun is not None:
            report.growth_kb = max(report.growth_kb, line["growth_kb"])
            report.outcomes[line["outcome"]] += 1
            report.of[begun["what"]] = line["outcome"]
            report.slowest = max(report.slowest, line["cpu"])
            if line["crash"]:
                report.failures.append(f"seed {begun['start']} {begun['what']}: {line['crash']}")
    return begun


def check(report: Report, count: int) -> None:
    print(f"slowest {report.slowest:.2f} s CPU, memory +{report.growth_kb / 1024:.0f} MB, {dict(report.outcomes)}")
    assert not report.failures, "\n".join(report.failures)
    assert sum(report.outcomes.values()) == count
    assert report.growth_kb < GROWTH_KB
    assert all(name == "accepted" or " voevent." in name for name in report.outcomes)
    assert report.outcomes["accepted"] > count / 50  # the mutants get past the doors
    assert len(report.outcomes) > 6


def test_the_notices_to_be_mutated_are_accepted(simulated: list[tuple[str, bytes]], tmp_path: Path) -> None:
    report = run(simulated, 0, 0, tmp_path)
    assert not report.failures, "\n".join(report.failures)
    assert report.outcomes == {"accepted": len(simulated)}


def test_a_thousand_mutants_of_notices_of_every_mission(simulated: list[tuple[str, bytes]], tmp_path: Path) -> None:
    check(run(simulated, 0, 1000, tmp_path), 1000)


@pytest.fixture(scope="session")
def real(test_data: Path) -> list[tuple[str, bytes]]:
    """Every real notice, and the schema's examples."""
    files = [*(test_data / "notices").rglob("*.xml"), *(test_data / "notices").rglob("*.json")]
    return [(path.name, path.read_bytes()) for path in sorted(files)]


@pytest.mark.realdata
def test_a_few_hundred_mutants_of_real_notices(real: list[tuple[str, bytes]], tmp_path: Path) -> None:
    assert len(real) == 87
    check(run(real, 50_000, 300, tmp_path), 300)


@pytest.fixture(scope="session")
def everything(simulated: list[tuple[str, bytes]], request: pytest.FixtureRequest) -> list[tuple[str, bytes]]:
    """Our own notices, and the real ones where they are."""
    try:
        return simulated + request.getfixturevalue("real")
    except pytest.skip.Exception:
        return simulated


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(4))
def test_twenty_thousand_mutants(block: int, everything: list[tuple[str, bytes]], tmp_path: Path) -> None:
    check(run(everything, 100_000 + 5_000 * block, 5_000, tmp_path), 5_000)
