"""Ranks: where the true counterparts stand, over ten seeded nights through the whole demo.

Each night is one ``asterism demo --once`` in a home of its own: real Kafka, Spark, Comet and Neo4j. Of its three events
that are not retracted the rank of the true counterpart is read from the demo's summary, also with the time and with the
position left out of the score. A rank above three, or none at all, is a miss. A night in which leaving a term out
changes no rank is too easy to prove that the term is worth anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness import Bench

SEEDS = range(1, 11)
QUICK_SEEDS = range(1, 3)
WORST_RANK = 3
LEAST_UNRELATED = {"gw": 50, "grb": 20, "neutrino": 5}
"""Unrelated candidates an event must have, by kind."""


def play(seed: int) -> dict[str, Any]:
    """Run the demo with a seed; return its summary.

    Raises
    ------
    subprocess.CalledProcessError
        If the demo fails.
    """
    with TemporaryDirectory(prefix="asterism-ranks-") as home:
        environment = os.environ | {"ASTERISM_HOME": home}
        command = [sys.executable, "-m", "asterism", "demo", "--once", "--json", f"--seed={seed}"]
        answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        summary: dict[str, Any] = json.loads(answer.stdout)
        return summary


def night(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what counts of a summary."""
    judged = [event for event in summary["events"] if not event["retracted"]]
    retracted = [event for event in summary["events"] if event["retracted"]]
    names = ("event", "kind", "rank", "rank_without_time", "rank_without_position", "n_candidates", "posterior")
    return {
        "seed": summary["seed"],
        "reconciled": summary["reconciled"],
        "elapsed_s": summary["elapsed_s"],
        "events": [{name: event[name] for name in names} for event in judged],
        "retracted": [[event["most_links"], event["open_links"]] for event in retracted],
    }


def misses(nights: Sequence[dict[str, Any]]) -> int:
    """Return how many true counterparts are below rank three, or no candidates."""
    ranks = [event["rank"] for found in nights for event in found["events"]]
    return sum(rank is None or rank > WORST_RANK for rank in ranks)


def too_easy(nights: Sequence[dict[str, Any]], term: str) -> int:
    """Return in how many nights leaving a term out changes no rank."""
    return sum(all(event[f"rank_without_{term}"] == event["rank"] for event in found["events"]) for found in nights)


def unsound(nights: Sequence[dict[str, Any]]) -> int:
    """Return in how many nights counts do not reconcile, links of the retracted event stay or were never there, or an
    event has too few unrelated candidates.
    """
    return sum(not _sound(found) for found in nights)


def _sound(found: dict[str, Any]) -> bool:
    crowded = all(event["n_candidates"] > LEAST_UNRELATED[event["kind"]] for event in found["events"])
    gone = all(most >= 1 and now == 0 for most, now in found["retracted"])
    return bool(found["reconciled"] and crowded and gone and found["retracted"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return its exit code."""
    bench = Bench("ranks", arguments)
    nights = []
    for seed in QUICK_SEEDS if bench.quick else SEEDS:
        started = time.monotonic()
        nights.append(night(play(seed)))
        print(f"{json.dumps(nights[-1])} {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    bench.facts = {"nights": nights}
    bench.state("missed_counterparts", misses(nights), f"of {3 * len(nights)}")
    bench.state("unsound_nights", unsound(nights), f"of {len(nights)}")
    for term in ("time", "position"):
        bench.state(f"nights_without_need_of_{term}", too_easy(nights, term), f"of {len(nights)}")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
