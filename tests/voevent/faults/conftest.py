"""Real processes that stop themselves at a named point and are killed there, and authors who never give up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from asterism.voevent.errors import NotAcknowledgedError, SendError
from asterism.voevent.send import send

CHILD = Path(__file__).with_name("child.py")
SENDERS = 4
PATIENCE = 240.0
"""Longest wait for anything [s]."""
SEEN = "Previously seen"
"""What plain Comet says of a copy of what it once began to accept."""


@dataclass(frozen=True)
class Child:
    """A program run by `child.py`."""

    process: subprocess.Popen[bytes]
    marker: Path

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something is true while the process lives."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain: {what}"
            assert self.process.poll() is None, f"the process ended: {what}"
            time.sleep(0.01)

    def reach(self, point: str, nth: int) -> None:
        """Wait until it has stopped itself at the point."""
        process = psutil.Process(self.process.pid)
        self.until(lambda: process.status() == psutil.STATUS_STOPPED, f"{point} {nth}")
        assert self.marker.read_text() == f"{point} {nth}"

    def kill(self) -> None:
        """SIGKILL it and all its children."""
        os.killpg(self.process.pid, signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL

    def end(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        self.process.terminate()
        return self.process.wait(60)


@contextmanager
def running(
    home: Path, program: Sequence[str], point: str = "", nth: int = 1, *, before: Callable[[], None] | None = None
) -> Iterator[Child]:
    """Run a program that stops at a point, on a home; whatever is left of it is killed in the end.

    Log and marker lie beside the home, so that a full disk there does not hide them.
    """
    home.mkdir(exist_ok=True)
    marker = home.with_suffix(".reached")
    marker.unlink(missing_ok=True)
    command = [sys.executable, str(CHILD), point, str(nth), str(marker), *program]
    environment = os.environ | {"ASTERISM_HOME": str(home)}
    with home.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True, preexec_fn=before
        )
    try:
        yield Child(process, marker)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Burst:
    """Senders at work while the block runs, who send again until they hear yes.

    Parameters
    ----------
    payloads : sequence of bytes
        What they send.
    port : int
        Where they send it, whether somebody listens or not.
    pace : float, optional
        Mean rate of new notices [1/s]; as fast as they are taken if not given.
    """

    def __init__(self, payloads: Sequence[bytes], port: int, pace: float | None = None) -> None:
        self.payloads, self.port, self.pace = payloads, port, pace
        self.done = 0
        """Notices whose sender has heard yes."""
        self.again = 0
        """Attempts that ended without one."""
        self._begin = time.monotonic()
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(SENDERS)
        self._futures: list[Future[None]] = []

    def __enter__(self) -> Burst:
        self._futures = [self._pool.submit(self._deliver, index) for index in range(len(self.payloads))]
        return self

    def __exit__(self, *_: object) -> None:
        self._given_up.set()
        self._pool.shutdown(cancel_futures=True)

    def join(self) -> None:
        """Wait until all are delivered."""
        for future in self._futures:
            future.result(PATIENCE)

    def _deliver(self, index: int) -> None:
        if self.pace is not None:
            self._given_up.wait(max(0.0, self._begin + index / self.pace - time.monotonic()))
        while not self._accepted(self.payloads[index]):
            with self._lock:
                self.again += 1
            if self._given_up.wait(0.05):
                return
        with self._lock:
            self.done += 1

    def _accepted(self, payload: bytes) -> bool:
        try:
            send(payload, "127.0.0.1", self.port)
        except NotAcknowledgedError as refusal:
            return SEEN in refusal.message
        except SendError:
            return False
        return True


@pytest.fixture(scope="session")
def run() -> Callable[..., Any]:
    return running


@pytest.fixture(scope="session")
def burst_of() -> Callable[..., Burst]:
    return Burst


@pytest.fixture(scope="session")
def notices(samples: Any) -> Callable[[int], list[bytes]]:
    """Return notices of a third as many events."""
    stages = ("flight", "ground", "final")

    def make(count: int) -> list[bytes]:
        return [
            samples.gbm_xml(trigger=700000000 + n // 3, stage=stages[n % 3], ra=n * 7 % 360, serial=100 + n % 3)
            for n in range(count)
        ]

    return make
