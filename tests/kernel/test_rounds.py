"""Rounds go on after an error of ours and end when they are told to; any other error is not hidden."""

from __future__ import annotations

import threading

import pytest

from asterism.errors import LakeError
from asterism.rounds import repeat


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
