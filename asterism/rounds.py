"""Work that follows a stream: done in rounds, and put off rather than given up when something is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from asterism.errors import AsterismError
from asterism.logs import get_logger

_log = get_logger("rounds")


def repeat(work: Callable[[], object], stop: threading.Event, pause_s: float = 1.0) -> None:
    """Do rounds of work until `stop` is set, with a pause [s] before each.

    The pause is at least twice as long as the last round took: what follows a stream must leave it most of the machine.

    An error of ours, such as a database that went away, is logged and puts the work off to the next round.
    """
    pause = pause_s
    while not stop.wait(pause):
        started = time.monotonic()
        try:
            work()
        except AsterismError as error:
            _log.error("round put off", code=error.code, reason=error.message)
        pause = max(pause_s, 2.0 * (time.monotonic() - started))
