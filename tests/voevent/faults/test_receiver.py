"""Receivers killed at named points, and disks that fill: nothing lost, nothing doubled.

A fault counts only if it is proven to have hit: the child (`child.py`) writes down where it is and stops there, and
only then gets its SIGKILL. Senders do what authors must: they send again until they are acknowledged. The same script
runs against plain ``twistd comet`` with its own ``save-event`` handler. It answers a copy of what it has "seen" with a
NAK, which ends a sender's attempts too: the receiver says that it has the notice.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from asterism.deploy.local.service import free_ports
from asterism.journal import Journal

pytestmark = pytest.mark.faults

FULL_BYTES = 40_000
"""Size beyond which no file grows while the disk is "full"."""
REFUSALS = 20
"""Attempts in vain that prove a disk full."""

POINTS = (
    "inside the validator",
    "half of it written",
    "written, not synced",
    "stored, before the ACK",
    "ACK not yet flushed",
    "ACK sent",
)
ONLY_OURS = {"written, not synced"}
"""Plain Comet syncs nothing."""

Notices = Callable[[int], list[bytes]]


@dataclass(frozen=True)
class Broker:
    """A receiver under test: how it is run on a port, and what a home of it has in the end."""

    name: str
    program: Callable[[int], list[str]]
    stored: Callable[[Path], list[bytes]]


def journalled(home: Path) -> list[bytes]:
    journal = Journal(home / "journal")
    assert journal.verify().damage == ()
    return [entry.payload for entry in journal.read()]


def saved(home: Path) -> list[bytes]:
    return [path.read_bytes() for path in (home / "events").iterdir()]


def listen_command(port: int) -> list[str]:
    return ["asterism", "voevent", "listen", "--port", str(port)]


def comet_command(port: int) -> list[str]:
    receive = ["--receive", f"--receive-port={port}", "--author-whitelist=127.0.0.1/32", "--eventdb=db"]
    handler = ["--save-event", "--save-event-directory=events"]
    return ["twistd", "-n", "--pidfile=", "comet", "--local-ivo=ivo://test.org/plain", *receive, *handler]


ASTERISM = Broker("asterism", listen_command, journalled)
COMET = Broker("plain comet", comet_command, saved)


@dataclass(frozen=True)
class Outcome:
    """What a burst under faults came to."""

    hits: int
    """Faults proven to have hit."""
    in_vain: int
    """Attempts of senders that ended without a yes."""
    lost: int
    doubled: int


@dataclass(frozen=True)
class Stage:
    """Where a script is played: a receiver, its home, and what authors send it."""

    broker: Broker
    home: Path
    payloads: Sequence[bytes]
    run: Callable[..., Any]
    burst_of: Callable[..., Any]

    def outcome(self, hits: int, burst: Any) -> Outcome:
        have = Counter(self.broker.stored(self.home))
        lost = sum(payload not in have for payload in self.payloads)
        doubled = sum(have[payload] - 1 for payload in self.payloads if payload in have)
        return Outcome(hits, burst.again, lost, doubled)

    def finish(self, program: Sequence[str], burst: Any) -> None:
        with self.run(self.home, program) as child:
            burst.join()
            child.end()


def kill_at(stage: Stage, hits: Sequence[tuple[str, int]]) -> Outcome:
    """Send a burst while the receiver is killed at one point after another, then let it run undisturbed."""
    (port,) = free_ports(1)
    program = stage.broker.program(port)
    with stage.burst_of(stage.payloads, port) as burst:
        for point, nth in hits:
            with stage.run(stage.home, program, point, nth) as child:
                child.reach(point, nth)
                child.kill()
        stage.finish(program, burst)
    return stage.outcome(len(hits), burst)


def kill_at_random(stage: Stage, kills: int = 8) -> Outcome:
    """Send a burst while the receiver is killed at moments nobody chose, each with senders at work."""
    chance = random.Random(kills)
    (port,) = free_ports(1)
    program = stage.broker.program(port)
    with stage.burst_of(stage.payloads, port) as burst:
        for n in range(kills):
            with stage.run(stage.home, program) as child:
                aim = burst.done + chance.randint(1, len(stage.payloads) // (kills + 1))
                child.until(lambda aim=aim: burst.done >= aim, f"random kill {n}")
                time.sleep(chance.uniform(0.0, 0.01))
                child.kill()
                assert burst.done < len(stage.payloads)
        stage.finish(program, burst)
    return stage.outcome(kills, burst)


def fill_disk(stage: Stage, before: Callable[[], None] | None, make_room: Callable[[int], object]) -> Outcome:
    """Send a burst to a receiver whose disk fills; make room when it has refused a while, or claims to have all."""
    (port,) = free_ports(1)
    with (
        stage.burst_of(stage.payloads, port) as burst,
        stage.run(stage.home, stage.broker.program(port), before=before) as child,
    ):
        child.until(lambda: burst.done > 0, "the first notice")
        enough = burst.again + REFUSALS
        child.until(lambda: burst.again >= enough or burst.done == len(stage.payloads), "a full disk")
        hits = int(burst.again >= enough)
        make_room(child.process.pid)
        burst.join()
        child.end()
    return stage.outcome(hits, burst)


def fill_by_limit(stage: Stage) -> Outcome:
    """Let no file of the process grow beyond a size."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))

    def lift(pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    assert sum(map(len, stage.payloads)) > FULL_BYTES
    return fill_disk(stage, limit, lift)


def fill_small_disk(stage: Stage) -> Outcome | None:
    """Put the home on a file system of 256 KiB; None where none may be mounted."""
    home = str(stage.home)
    stage.home.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=256k", "asterism-faults", home]
    if os.geteuid() != 0 or subprocess.run(small, capture_output=True, check=False).returncode != 0:
        return None
    larger = ["mount", "-o", "remount,size=64m", home]
    try:
        return fill_disk(stage, None, lambda _: subprocess.run(larger, check=True))
    finally:
        subprocess.run(["umount", home], check=True)


@pytest.mark.timeout(300)
def test_a_receiver_killed_anywhere_has_each_notice_once(
    tmp_path: Path, notices: Notices, run: Callable[..., Any], burst_of: Callable[..., Any]
) -> None:
    stage = Stage(ASTERISM, tmp_path / "home", notices(60), run, burst_of)
    result = kill_at(stage, [(point, 4) for point in POINTS])
    assert (result.hits, result.lost, result.doubled) == (len(POINTS), 0, 0)
    assert result.in_vain > 0


def test_a_full_disk_is_answered_with_no_and_what_was_refused_is_taken_when_there_is_room(
    tmp_path: Path, notices: Notices, run: Callable[..., Any], burst_of: Callable[..., Any]
) -> None:
    result = fill_by_limit(Stage(ASTERISM, tmp_path / "home", notices(40), run, burst_of))
    assert (result.hits, result.lost, result.doubled) == (1, 0, 0)


Row = tuple[str, list[Outcome | None]]


def played(name: str, play: Callable[[Stage], Outcome | None], stages: Callable[[int], list[Stage]], count: int) -> Row:
    return name, [None if s.broker is COMET and name in ONLY_OURS else play(s) for s in stages(count)]


def rows(stages: Callable[[int], list[Stage]]) -> Iterator[Row]:
    """Play every script against either broker."""
    chance = random.Random(5)
    for point in POINTS:
        hits = [(point, chance.randint(4, 60)) for _ in range(3)]
        yield played(point, partial(kill_at, hits=hits), stages, 300)
    yield played("at a random moment", kill_at_random, stages, 1000)
    yield played("files cannot grow", fill_by_limit, stages, 1000)
    yield played("disk of 256 KiB full", fill_small_disk, stages, 1000)


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_same_faults_lose_nothing_here_and_notices_in_plain_comet(
    tmp_path_factory: pytest.TempPathFactory,
    notices: Notices,
    run: Callable[..., Any],
    burst_of: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stages(count: int) -> list[Stage]:
        payloads = notices(count)
        folder = tmp_path_factory.mktemp("play")
        return [Stage(b, folder / b.name.split()[-1], payloads, run, burst_of) for b in (ASTERISM, COMET)]

    table = list(rows(stages))
    with capsys.disabled():
        print("\n" + as_text(table))
    ours, plain = zip(*(results for _, results in table), strict=True)
    assert all((result.lost, result.doubled) == (0, 0) for result in ours if result is not None)
    assert any(result.lost for result in plain if result is not None)


def as_text(table: Sequence[Row]) -> str:
    """Return the table: of each broker faults that hit, attempts in vain, notices lost and doubled."""
    lines = [f"{'killed, or filled':24} | {ASTERISM.name:34} | {COMET.name}"]
    for name, results in table:
        cells = (
            "not applicable" if r is None else f"hit {r.hits}, in vain {r.in_vain}, lost {r.lost}, doubled {r.doubled}"
            for r in results
        )
        lines.append(f"{name:24} | " + " | ".join(f"{cell:40}" for cell in cells))
    return "\n".join(lines)
