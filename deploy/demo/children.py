"""Commands run as children of the demo, each with its log; they end with the block that started them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from asterism.deploy.errors import DemoError
from asterism.settings import Settings

_LAST_WISH_SECONDS = 20


@contextmanager
def child(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run an ``asterism`` command with the demo's home; stderr goes to ``<home>/<command>.log``."""
    log = settings.home / f"{'-'.join(arguments[:2])}.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "asterism", *arguments],
            env=os.environ | {"ASTERISM_HOME": str(settings.home)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Ask a child to end, and make it if it does not."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_LAST_WISH_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def first_line(process: subprocess.Popen[str], what: str) -> str:
    """Return the line by which a service says that it is ready."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise DemoError(f"{what} did not start")
    return line


def finish(process: subprocess.Popen[str], what: str) -> str:
    """Wait for a child and return what it printed."""
    output, _ = process.communicate()
    if process.returncode != 0:
        raise DemoError(f"{what} ended with {process.returncode}")
    return output
