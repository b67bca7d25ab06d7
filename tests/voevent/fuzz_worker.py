"""Mutates notices and reads them as the doors and the projector do, in a process of its own with hard limits.

``python fuzz_worker.py CORPUS FIRST COUNT [SAVE]`` takes seeds FIRST .. FIRST + COUNT - 1; a seed makes the same
mutant of the same corpus on every machine, so a case that failed is played again by its number (SAVE writes the bytes).
With COUNT 0 the corpus itself is read, unchanged.
Each case writes a line before it starts and one when it ends. A case over `CPU_SECONDS` is ended by the kernel, one
over `HEADROOM_BYTES` meets a MemoryError: whoever started the process sees which case that was.
"""

from __future__ import annotations

import json
import math
import pickle
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from fuzz_mutators import mutant  # of the folder this script stands in

CPU_SECONDS = 2.0
HEADROOM_BYTES = 512 * 2**20


def read(payload: bytes) -> str:
    """Return ``accepted`` or the code of the refusal; whatever else is raised is a crash."""
    from asterism.voevent.errors import NoticeRefusedError
    from asterism.voevent.intake import checked_content_type
    from asterism.voevent.notice import Notice
    from asterism.voevent.project import derive, localization_properties, notice_properties
    from asterism.voevent.read import read_payload

    try:
        checked_content_type(payload)
    except NoticeRefusedError as error:
        return f"door {error.code}"
    try:
        reading = read_payload(payload)
    except NoticeRefusedError as error:
        return f"projector {error.code}"
    properties = notice_properties(reading.notice)
    stored = [properties, localization_properties(reading) or {}]
    assert Notice.from_record(json.loads(properties["record"])) == reading.notice
    stored.append(dict(derive(reading.notice.event_key, [properties["record"]]).properties))
    for value in [v for values in stored for v in values.values()]:
        storable(value)
    json.dumps(reading.notice.as_cli(), allow_nan=False, default=str)
    return "accepted"


def storable(value: Any) -> None:
    """Fail if Neo4j could not keep a value."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            item.encode()
        elif isinstance(item, float):
            assert math.isfinite(item), item
        elif isinstance(item, int):
            assert -(2**63) <= item < 2**63, item
        else:
            assert item is None, type(item)


def limit() -> None:
    """Bound the process's memory to what it has and `HEADROOM_BYTES` more."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    bound = pages * resource.getpagesize() + HEADROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def reset_peak() -> int:
    """Begin to measure the largest resident memory anew; return what is resident now [kB]."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def main(corpus_file: str, first: str, count: str, save: str | None = None) -> None:
    warnings.simplefilter("error")
    corpus: list[tuple[str, bytes]] = pickle.loads(Path(corpus_file).read_bytes())
    read(b"{}")  # imports
    limit()
    if int(count) == 0:
        for number, (name, payload) in enumerate(corpus[int(first) :], start=int(first)):
            run(number, name, payload)
    for seed in range(int(first), int(first) + int(count)):
        what, payload = mutant(corpus, seed)
        if save is not None:
            Path(save).write_bytes(payload)
        run(seed, what, payload)


def run(number: int, what: str, payload: bytes) -> None:
    """Read one case under the limits and say what became of it."""
    say(start=number, what=what, size=len(payload))
    before = reset_peak()
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # its signal ends the process
    started = time.process_time()
    try:
        outcome, crash = read(payload), None
    except Exception as error:
        outcome, crash = "crash", f"{type(error).__name__}: {error}"[:300] + _where(error)
    spent = time.process_time() - started
    signal.setitimer(signal.ITIMER_PROF, 0)
    say(end=number, outcome=outcome, crash=crash, cpu=spent, growth_kb=_status("VmHWM") - before)


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f" at {frame.filename}:{frame.lineno}"


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
