"""The one Spark application: starts the queries that the parts contribute and keeps them running.

A query that fails (a broker or database that went away) is started again from its checkpoint, waiting 1 s, 2 s, ...
up to 60 s between tries; batches are idempotent, so nothing is lost or doubled. SIGINT and SIGTERM stop after the
running batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial

from prometheus_client import start_http_server
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from asterism.deploy.errors import ApplicationError
from asterism.deploy.follower import following_apart, rounds_of
from asterism.deploy.signals import stop_on_signals
from asterism.graph.connection import connect
from asterism.graph.jobs.graphframes import graphframes_jars
from asterism.ingest.stream import start_alert_query
from asterism.logs import get_logger
from asterism.metrics import REGISTRY
from asterism.settings import Settings
from asterism.spark import spark_session
from asterism.voevent.stream import start_notice_query

QUERIES = (start_alert_query, start_notice_query)
"""The streaming queries of the application, one of each part that has one."""

_LONGEST_WAIT = 60.0
_TRIES_UNTIL_CAUGHT_UP = 5
_log = get_logger("deploy.application")


def run_application(settings: Settings, *, until_caught_up: bool = False) -> None:
    """Run the streaming queries, and keep the candidate links up to date, until a signal or until all is in.

    Parameters
    ----------
    settings : Settings
        Services, topics, limits.
    until_caught_up : bool
        Return when everything published and journalled so far is in lake and graph, and judged.

    Raises
    ------
    ApplicationError
        With `until_caught_up`, if a query fails five times in a row.
    """
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, addr="127.0.0.1", registry=REGISTRY)
    with stop_on_signals() as stop, session(settings) as spark:
        if until_caught_up:
            run_queries(spark, settings, stop, until_caught_up=True)
            with connect(settings) as driver:
                for work in rounds_of(driver, settings, stop):
                    work()
            return
        with following_apart(settings, stop):
            run_queries(spark, settings, stop)


def run_queries(
    spark: SparkSession, settings: Settings, stop: threading.Event, *, until_caught_up: bool = False
) -> None:
    """Run the queries of all parts side by side; return when all have ended."""
    with ThreadPoolExecutor(len(QUERIES)) as pool:
        running = [
            pool.submit(
                keep_running, partial(start, spark, settings, until_caught_up=until_caught_up), stop, until_caught_up
            )
            for start in QUERIES
        ]
        done, _ = wait(running, return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in done):
            stop.set()
    for future in running:
        future.result()


@contextmanager
def session(settings: Settings) -> Iterator[SparkSession]:
    """Open a Spark session and stop it with the block."""
    spark = spark_session(settings, "asterism", graphframes_jars(settings.cache))
    try:
        yield spark
    finally:
        spark.stop()


def keep_running(start: Callable[[], StreamingQuery], stop: threading.Event, until_caught_up: bool) -> None:
    """Start a query, and again after every failure, until `stop` is set or it ends by itself."""
    failures = 0
    while not stop.is_set():
        query = start()
        try:
            if _ended(query, stop):
                return
        except StreamingQueryException as error:
            failures = 1 if _worked(query) else failures + 1
            reason = str(error).splitlines()[0]
            if until_caught_up and failures >= _TRIES_UNTIL_CAUGHT_UP:
                raise ApplicationError(f"the query failed {failures} times, last: {reason}") from error
            wait = min(_LONGEST_WAIT, 2.0 ** (failures - 1))
            _log.error("query failed, will start again", reason=reason, wait_s=wait, failures=failures)
            stop.wait(wait)


def _worked(query: StreamingQuery) -> bool:
    """Tell whether a query finished a batch before it failed: then it is the first failure of a new series."""
    return any(progress["numInputRows"] > 0 for progress in query.recentProgress)


def _ended(query: StreamingQuery, stop: threading.Event) -> bool:
    while not stop.is_set():
        if query.awaitTermination(1):
            return True
    _finish_batch(query)
    query.stop()
    return True


def _finish_batch(query: StreamingQuery) -> None:
    """Wait, at most a minute, until no batch is running: stopping in mid-batch is safe but wasteful."""
    for _ in range(600):
        if not query.isActive or not query.status["isTriggerActive"]:
            return
        threading.Event().wait(0.1)
