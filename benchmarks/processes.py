"""What the processes of an installation use: CPU time by part, and memory."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress

import psutil

_SECONDS = 5.0


class Watched:
    """CPU time and memory of some processes and all their children, by part.

    Parameters
    ----------
    parts : dict of str to int
        Process of each part. Children of ``spark`` are told apart: the JVM, its Python workers, the follower.
    """

    def __init__(self, parts: dict[str, int]) -> None:
        self._parts = parts
        self._last: dict[tuple[int, float], tuple[str, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.memory: list[tuple[float, dict[str, float]]] = []
        """Memory of every part [MiB], shared pages counted once, every five seconds, with the sum first."""

    def __enter__(self) -> Watched:
        """Look at the memory from now on."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Look no longer."""
        self._stop.set()
        self._thread.join()

    def cpu(self) -> Counter[str]:
        """Return the CPU time of every part so far [s]; what a process that ended had used by the last call counts."""
        for part, process in self._processes():
            with suppress(psutil.Error):
                used = process.cpu_times()
                self._last[process.pid, process.create_time()] = (part, used.user + used.system)
        total: Counter[str] = Counter()
        for part, seconds in self._last.values():
            total[part] += seconds  # type: ignore[assignment] # seconds, not counts
        return total

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            self.cpu()
            now: Counter[str] = Counter()
            for part, process in self._processes():
                with suppress(psutil.Error):
                    now[part] += process.memory_full_info().pss / 2**20  # type: ignore[assignment]
            self.memory.append((float(sum(now.values())), {part: float(value) for part, value in now.items()}))

    def _processes(self) -> list[tuple[str, psutil.Process]]:
        found = []
        for part, pid in self._parts.items():
            with suppress(psutil.Error):
                top = psutil.Process(pid)
                found.append((part, top))
                found += [(_kind(part, child), child) for child in top.children(recursive=True)]
        return found


def _kind(part: str, process: psutil.Process) -> str:
    with suppress(psutil.Error):
        command = " ".join(process.cmdline())
        if "java" in process.name():
            return f"{part} jvm"
        if "spark_daemon" in command or "pyspark" in command:
            return f"{part} python workers"
        if "spawn_main" in command:
            return "follower"
    return part
