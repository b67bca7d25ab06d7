"""When a failed query is started again."""

from __future__ import annotations

import threading
from typing import cast

from pyspark.errors import StreamingQueryException
from pyspark.sql.streaming.query import StreamingQuery

from asterism.deploy.application import keep_running


class Failing:
    """A query that fails at once, after a batch or without."""

    def __init__(self, rows: int) -> None:
        self.recentProgress = [{"numInputRows": 0}, {"numInputRows": rows}] if rows else []

    def awaitTermination(self, seconds: float) -> bool:
        raise StreamingQueryException(f"no database for {seconds} s")


def test_a_query_that_worked_meanwhile_does_not_wait_for_its_earlier_failures() -> None:
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            if len(waits) == 5:
                self.set()
            return self.is_set()

    rows = iter([0, 0, 0, 7, 0])
    keep_running(lambda: cast("StreamingQuery", Failing(next(rows))), Stop(), until_caught_up=False)
    assert waits == [1.0, 2.0, 4.0, 1.0, 2.0]
