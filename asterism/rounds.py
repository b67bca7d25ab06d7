"""Work that follows a stream: done in rounds, and put off rather than given up when something is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from asterism.errors import AsterismError
from asterism.logs import get_logger

LOOK_SECONDS = 0.2
"""How often it is asked whether something is urgent [s]."""
PAUSE_SHARE = 4.0
"""Least pause between two rounds, in rounds."""
LONGEST_PAUSE_SECONDS = 30.0
"""Longest pause for the sake of others [s]. Without it a long round makes a long pause, in which more comes together,
which makes a longer round: the work would fall behind for ever."""

_log = get_logger("rounds")


def repeat(
    work: Callable[[], object],
    stop: threading.Event,
    pause_s: float = 1.0,
    urgent: Callable[[], bool] | None = None,
) -> None:
    """Do rounds of work until `stop` is set, with a pause [s] before each.

    The pause is at least `PAUSE_SHARE` times as long as the last round took, up to `LONGEST_PAUSE_SECONDS`: what
    follows a stream must leave it most of the machine. When `urgent` says so it ends early, but is still as long as
    the last round, or `pause_s` if that is less.

    An error of ours, such as a database that went away, is logged and puts the work off to the next round.
    """
    took, pause = 0.0, pause_s
    while not _waited(stop, min(took, pause_s), pause, urgent):
        started = time.monotonic()
        try:
            work()
        except AsterismError as error:
            _log.error("round put off", code=error.code, reason=error.message)
        took = time.monotonic() - started
        pause = max(pause_s, min(PAUSE_SHARE * took, LONGEST_PAUSE_SECONDS))


def _waited(stop: threading.Event, least: float, pause: float, urgent: Callable[[], bool] | None) -> bool:
    """Wait out a pause [s], or at least some of it until something is urgent; return whether to stop."""
    if urgent is None:
        return stop.wait(pause)
    end = time.monotonic() + pause
    if stop.wait(least):
        return True
    while (left := end - time.monotonic()) > 0.0:
        if stop.wait(min(left, LOOK_SECONDS)):
            return True
        try:
            if urgent():
                return False
        except AsterismError:
            continue  # the round itself will say what is away
    return stop.is_set()
