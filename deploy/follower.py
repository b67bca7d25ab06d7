"""The work that follows the streams: classes and candidate links, in rounds, in a process of its own.

Beside the queries in one Python process it would make every notice wait for the interpreter's lock. The child leaves
the streams most of the machine by pausing (`asterism.rounds`), not by being nice: streams that use two cores up starve
whoever is nicer, and a new event's verdict, half a second of work, took a minute. It ends with its parent, and is
started again if it dies: what a round left undone the next one does.
"""

from __future__ import annotations

import ctypes
import math
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from neo4j import Driver

from asterism.deploy.signals import stop_on_signals
from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
from asterism.graph.connection import connect
from asterism.ingest.science import Classifier
from asterism.logs import configure_logs, get_logger
from asterism.rounds import repeat
from asterism.settings import Settings

_PAUSE_SECONDS = 5.0
_RESCORE_SECONDS = 1.0
_M_MMAP_THRESHOLD = -3
"""Of glibc's malloc.h."""
_log = get_logger("deploy.follower")


@dataclass(frozen=True)
class Work:
    """A kind of work that is done in rounds, and what makes the next round urgent."""

    round: Callable[[], object]
    urgent: Callable[[], bool] | None = None

    def __call__(self) -> object:
        """Do one round."""
        return self.round()


def rounds_of(
    driver: Driver, settings: Settings, stop: threading.Event, rescore_seconds: float = math.inf
) -> tuple[Work, ...]:
    """Return the kinds of work that follow the streams.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    settings : Settings
        Services, lake.
    stop : threading.Event
        Ends a round early.
    rescore_seconds : float
        Time for re-scores in one round [s]; by default a round leaves nothing undone.
    """
    associator = Associator(driver, settings, load_rules(), rescore_seconds=rescore_seconds, stop=stop)
    return Work(Classifier(driver, settings).round), Work(associator.round, associator.news)


@contextmanager
def following(rounds: Sequence[Callable[[], object]], stop: threading.Event) -> Iterator[None]:
    """Do rounds of work, each kind in a thread, while the block runs; an error that is none of ours sets `stop`, and is
    raised at the end.
    """
    failed: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            repeat(work, stop, urgent=work.urgent if isinstance(work, Work) else None)
        except BaseException as error:
            failed.append(error)
            stop.set()

    threads = [threading.Thread(target=run, args=(work,)) for work in rounds]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


@contextmanager
def following_apart(settings: Settings, stop: threading.Event) -> Iterator[None]:
    """Do that work in a child process while the block runs."""
    keeper = threading.Thread(target=_keep, args=(settings, stop))
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _keep(settings: Settings, stop: threading.Event) -> None:
    """Run the child, and again when it dies, until `stop` is set."""
    processes = multiprocessing.get_context("spawn")
    while not stop.is_set():
        theirs, ours = processes.Pipe(duplex=False)
        child = processes.Process(target=_follow, args=(settings, theirs), name="asterism-follower")
        child.start()
        theirs.close()
        while child.is_alive() and not stop.wait(0.5):
            pass
        ours.close()
        child.join()
        if not stop.is_set():
            _log.error("follower died, will start again", exit_code=child.exitcode, wait_s=_PAUSE_SECONDS)
            stop.wait(_PAUSE_SECONDS)


def _follow(settings: Settings, parent: Connection) -> None:
    """Follow until the parent closes its end of the pipe, as its death does, or a signal comes: the child's life."""
    give_back_large_blocks()
    configure_logs(settings.log_level, as_json=settings.log_json)
    with stop_on_signals() as stop:
        threading.Thread(target=_until_closed, args=(parent, stop), daemon=True).start()
        with connect(settings) as driver, following(rounds_of(driver, settings, stop, _RESCORE_SECONDS), stop):
            stop.wait()


def give_back_large_blocks() -> None:
    """Let glibc give memory above a megabyte back as soon as it is freed; elsewhere do nothing.

    It raises that limit by itself, up to 32 MiB, and arrays that grow from round to round then leave holes: 61 MiB of
    them after 350,000 exposures, instead of 13 (measured).
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def _until_closed(parent: Connection, stop: threading.Event) -> None:
    with suppress(OSError):
        parent.poll(None)
    stop.set()
