"""How a long-running command is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from asterism.logs import get_logger

_log = get_logger("deploy.signals")


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set; outside the main thread signals are left alone."""
    stop = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        del frame
        _log.info("stopping after the running batch", signal=signal.Signals(number).name)
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
