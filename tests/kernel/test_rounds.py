"""Rounds go on after an error of ours and end when they are told to; any other error is not hidden."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from asterism.errors import LakeError
from asterism.rounds import LONGEST_PAUSE_SECONDS, PAUSE_SHARE, repeat


def test_what_an_error_put_off_is_tried_again_until_told_to_stop() -> None:
    stop, tries = threading.Event(), list[int]()

    def work() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise LakeError("away")
        stop.set()

    repeat(work, stop, pause_s=0.0)
    assert tries == [0, 1, 2]


def test_an_error_that_is_not_ours_ends_the_rounds() -> None:
    with pytest.raises(ZeroDivisionError):
        repeat(lambda: 1 // 0, threading.Event(), pause_s=0.0)


def test_no_round_is_begun_after_the_end() -> None:
    stop = threading.Event()
    stop.set()
    repeat(lambda: 1 // 0, stop)


def test_long_rounds_make_long_pauses_but_not_ever_longer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes together in a pause makes the next round longer: with pauses in proportion they would never end."""
    now, pauses = [0.0], list[float]()

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            pauses.append(timeout)
            now[0] += timeout
            return len(pauses) > 40

    def work() -> None:
        now[0] += 1.0 + 0.3 * pauses[-1]

    monkeypatch.setattr("asterism.rounds.time", SimpleNamespace(monotonic=lambda: now[0]))
    repeat(work, Stop(), pause_s=1.0)
    assert pauses[0] == 1.0
    assert pauses[1] == pytest.approx(PAUSE_SHARE * 1.3)
    assert max(pauses) == LONGEST_PAUSE_SECONDS == pauses[-1]
