"""The process that follows the streams: it works, is started again when it is killed, and ends with its parent."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from neo4j import Driver

from asterism.deploy.follower import following, following_apart
from asterism.graph.association.regions import latest_version
from asterism.lake import Lake
from asterism.settings import Settings
from asterism.simulate.night import build_night
from asterism.voevent.intake import FILE
from asterism.voevent.project import Delivery, maps_folder, project


def wait_for(done: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.services
def test_a_killed_follower_is_replaced_by_one_that_goes_on(
    installation: Callable[..., Settings], empty_graph: Driver
) -> None:
    settings, stop = installation(log_level="ERROR"), threading.Event()
    lake = Lake(settings.lake_path)
    notices = [notice.payload for seed in (1, 2) for notice in build_night("neutrino", seed).events[0].notices[:1]]

    def publish(payload: bytes) -> None:
        project([Delivery(payload, FILE, 61000.0)], empty_graph, database="neo4j", maps=maps_folder(settings))

    with following_apart(settings, stop):
        publish(notices[0])
        wait_for(lambda: latest_version(lake) == 1)
        (first,) = multiprocessing.active_children()
        os.kill(first.pid or 0, signal.SIGKILL)
        publish(notices[1])
        wait_for(lambda: latest_version(lake) == 2)
        (second,) = multiprocessing.active_children()
        assert second.pid != first.pid
    assert multiprocessing.active_children() == []
    assert stop.is_set()


def test_an_error_that_is_none_of_ours_ends_the_rounds_and_is_raised() -> None:
    stop = threading.Event()

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), following([broken], stop):
        assert stop.wait(30)


_RESIDENT = """
import numpy as np, psutil
from asterism.deploy.follower import give_back_large_blocks
{first}
def resident(): return psutil.Process().memory_info().rss >> 20
raising = np.ones(3 << 20)  # 24 MiB: once it is freed, glibc's own limit is as high
del raising
before = resident()
blocks = [np.ones(1 << 18) for _ in range(100)]  # 2 MiB each
last = np.ones(1 << 16)  # lies behind them, and is kept
del blocks
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it concerns glibc")
def test_what_is_freed_goes_back_to_the_system() -> None:
    def held(first: str) -> int:
        code = _RESIDENT.format(first=first)
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    assert held("give_back_large_blocks()") < 10
    assert held("") > 100
