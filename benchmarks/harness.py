"""What all benchmarks share: interleaved rounds, paired ratios, goals, and one JSON line per figure.

There are two kinds of figures. Of a comparison, times are CPU times of this process, wall-clock
times where databases do the work. Ours and the baseline take turns
in every round, in changing order, and the ratio is the median of the rounds' ratios, so that what a neighbour does to
the machine happens to both. It is timed only after both were shown to give the same result. Only the ratio is judged;
absolute rates depend on the machine. A statement has no baseline: a wall-clock time, judged against the most it may
be, or a rate, judged against the least it may be or not at all.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Figure:
    """One result.

    Attributes
    ----------
    bench, figure : str
        Which benchmark, and which of its figures.
    value : float
        Ours [unit]: of a comparison the rate, median over the rounds.
    baseline : float or None
        The baseline's rate [unit]; None if the figure is no comparison.
    unit : str
        Unit of both.
    ratio : float or None
        Ours over the baseline, median of the rounds' ratios; None if the figure is no comparison.
    goal : float or None
        Least ratio wanted; where there is none, the largest value, of a rate the least [unit]. None if the figure is
        stated without a goal.
    holds : bool or None
        Whether the goal is reached.
    quick : bool
        A smaller size and half of the goal (a time: twice).
    """

    bench: str
    figure: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None
    goal: float | None
    holds: bool | None
    quick: bool


class Bench:
    """One run of a benchmark; collects figures, prints them and writes them down.

    Parameters
    ----------
    name : str
        Its name, such as ``B1``; also the section of ``goals.toml``.
    arguments : sequence of str, optional
        Command line: ``--quick``, ``--rounds N``, ``--out FOLDER``, ``--part PART``.
    parts : sequence of str, optional
        Parts that are run one at a time, the first unless ``--part`` says another; each has its own section of goals,
        ``NAME.PART``, and its own file of results.
    """

    def __init__(self, name: str, arguments: Sequence[str] | None = None, parts: Sequence[str] = ()) -> None:
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name.lower()}")
        parser.add_argument("--quick", action="store_true", help="a smaller size and laxer goals")
        parser.add_argument("--rounds", type=int, default=7, help="rounds of ours and the baseline (default 7)")
        parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON results")
        if parts:
            parser.add_argument("--part", choices=parts, default=parts[0], help="what to measure (default %(default)s)")
        options = parser.parse_args(arguments)
        self.name = name
        self.part: str | None = options.part if parts else None
        self.quick: bool = options.quick
        self.rounds: int = max(1, options.rounds)
        self.facts: dict[str, Any] = {}
        """What was measured on: sizes and counts, written beside the figures."""
        self._out: Path = options.out
        self._goals: dict[str, float] = tomllib.loads((HERE / "goals.toml").read_text(encoding="utf-8"))[self._section]
        self._figures: list[Figure] = []

    @property
    def _section(self) -> str:
        return self.name if self.part is None else f"{self.name}.{self.part}"

    def size(self, full: int) -> int:
        """Return how many items to use: `full`, or a tenth with ``--quick``."""
        return max(1, full // 10) if self.quick else full

    def compare(
        self,
        figure: str,
        count: int,
        unit: str,
        ours: Callable[[], object],
        baseline: Callable[[], object],
        *,
        clock: Callable[[], float] = time.process_time,
        rounds: int | None = None,
    ) -> Figure:
        """Time two routes that were shown to be equal, print and keep the figure.

        Parameters
        ----------
        figure : str
            Name of the figure; its goal is looked up under it.
        count : int
            Items each call handles.
        unit : str
            Unit of ``count`` per second of the clock.
        ours, baseline : callable
            The two routes.
        clock : callable
            CPU time of this process; `time.perf_counter` where other processes do the work.
        rounds : int, optional
            Fewer rounds than usual, for a slow baseline.
        """
        times: dict[str, list[float]] = {"ours": [], "baseline": []}
        routes = [("ours", ours), ("baseline", baseline)]
        ours()  # compiles schemas and imports what is imported lazily
        for number in range(min(self.rounds, rounds or self.rounds)):
            for label, route in routes if number % 2 else reversed(routes):
                times[label].append(seconds(route, clock))
        return self.ratio(figure, count, unit, times["ours"], times["baseline"])

    def ratio(self, figure: str, count: int, unit: str, ours: Sequence[float], baseline: Sequence[float]) -> Figure:
        """Print and keep the figure of two routes that were timed in turns.

        Parameters
        ----------
        figure : str
            Name of the figure; its goal is looked up under it.
        count : int
            Items each call handled.
        unit : str
            Unit of ``count`` over time.
        ours, baseline : sequence of float
            Times of the rounds, in the same order [s].
        """
        ratio = statistics.median(b / a for a, b in zip(ours, baseline, strict=True))
        wanted = self._goals.get(figure)
        goal = wanted / 2.0 if wanted is not None and self.quick else wanted
        return self._keep(
            Figure(
                bench=self.name,
                figure=figure,
                value=round(count / statistics.median(ours), 1),
                unit=unit,
                baseline=round(count / statistics.median(baseline), 1),
                ratio=round(ratio, 2),
                goal=goal,
                holds=None if goal is None else ratio >= goal,
                quick=self.quick,
            )
        )

    def state(self, figure: str, value: float, unit: str) -> Figure:
        """Print and keep a figure that is compared with nothing; its goal, if there is one, is the most it may be.

        Parameters
        ----------
        figure : str
            Name of the figure; its goal is looked up under it.
        value : float
            What was measured.
        unit : str
            Its unit.
        """
        wanted = self._goals.get(figure)
        goal = 2.0 * wanted if wanted is not None and self.quick else wanted
        holds = None if goal is None else value <= goal
        return self._keep(Figure(self.name, figure, round(value, 3), unit, None, None, goal, holds, self.quick))

    def reach(self, figure: str, value: float, unit: str) -> Figure:
        """Print and keep a rate or a ratio that is compared with nothing; its goal is the least it may be.

        Parameters
        ----------
        figure : str
            Name of the figure; its goal is looked up under it.
        value : float
            What was measured.
        unit : str
            Its unit.
        """
        wanted = self._goals.get(figure)
        goal = wanted / 2.0 if wanted is not None and self.quick else wanted
        holds = None if goal is None else value >= goal
        return self._keep(Figure(self.name, figure, round(value, 3), unit, None, None, goal, holds, self.quick))

    def _keep(self, figure: Figure) -> Figure:
        self._figures.append(figure)
        print(json.dumps(asdict(figure)), flush=True)
        return figure

    def finish(self) -> int:
        """Write the figures and return the exit code: 0 if every goal is reached, else 1.

        Raises
        ------
        RuntimeError
            If a goal of ``goals.toml`` was not measured.
        """
        missing = set(self._goals) - {figure.figure for figure in self._figures}
        if missing:
            raise RuntimeError(f"goals of {self._section} that were not measured: {sorted(missing)}")
        self._out.mkdir(parents=True, exist_ok=True)
        path = self._out / f"{self._section}{'.quick' if self.quick else ''}.json"
        document = {"machine": machine(), "facts": self.facts, "figures": [asdict(item) for item in self._figures]}
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        failed = [figure.figure for figure in self._figures if figure.holds is False]
        if failed:
            print(f"{self._section}: below the goal: {', '.join(failed)}", file=sys.stderr)
        return 1 if failed else 0


def seconds(route: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return the time of one call by a clock [s], garbage of earlier ones collected before."""
    gc.collect()
    start = clock()
    route()
    return clock() - start


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of some values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
