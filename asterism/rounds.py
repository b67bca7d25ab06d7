"""Work that follows a stream: done in rounds, and put off rather than given up when something is away."""

from __future__ import annotations

import threading
from collections.abc import Callable

from asterism.errors import AsterismError
from asterism.logs import get_logger

_log = get_logger("rounds")


def repeat(work: Callable[[], object], stop: threading.Event, pause_s: float = 1.0) -> None:
    """Do rounds of work until `stop` is set, with a pause [s] before each.

    An error of ours, such as a database that went away, is logged and puts the work off to the next round.
    """
    while not stop.wait(pause_s):
        try:
            work()
        except AsterismError as error:
            _log.error("round put off", code=error.code, reason=error.message)
