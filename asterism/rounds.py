"""Work that follows a stream: done in rounds, and put off rather than given up when something is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from asterism.errors import AsterismError
from asterism.logs import get_logger

LOOK_SECONDS = 0.2
"""How often it is asked whether something is urgent [s]."""

_log = get_logger("rounds")


def repeat(
    work: Callable[[], object],
    stop: threading.Event,
    pause_s: float = 1.0,
    urgent: Callable[[], bool] | None = None,
) -> None:
    """Do rounds of work until `stop` is set, with a pause [s] before each.

    The pause is at least twice as long as the last round took: what follows a stream must leave it most of the machine.
    It ends early when `urgent` says so.

    An error of ours, such as a database that went away, is logged and puts the work off to the next round.
    """
    pause = pause_s
    while not _waited(stop, pause, urgent):
        started = time.monotonic()
        try:
            work()
        except AsterismError as error:
            _log.error("round put off", code=error.code, reason=error.message)
        pause = max(pause_s, 2.0 * (time.monotonic() - started))


def _waited(stop: threading.Event, pause: float, urgent: Callable[[], bool] | None) -> bool:
    """Wait out a pause [s], or until something is urgent; return whether to stop."""
    if urgent is None:
        return stop.wait(pause)
    end = time.monotonic() + pause
    while (left := end - time.monotonic()) > 0.0:
        if stop.wait(min(left, LOOK_SECONDS)):
            return True
        try:
            if urgent():
                return False
        except AsterismError:
            continue  # the round itself will say what is away
    return stop.is_set()
