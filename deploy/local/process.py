"""One service as a child process that outlives the command that started it.

Invariants, whatever is killed and when:

- A process is only ever signalled if its pid **and** its start time are the recorded ones, or if its command
  line carries this service's own argument file: a re-used pid is never touched.
- A record that names no such process is stale and is removed by whoever reads it.
- A process whose starter died before it could write the record is found by its command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

import psutil

from asterism.deploy.errors import ServiceError
from asterism.formats import replace_file

_SAME_START = 2.0
"""Start times of one process differ by the clock's corrections at most [s]."""


class ServiceProcess:
    """The process of one service.

    Parameters
    ----------
    folder : Path
        The service's own folder: holds ``pid.json``, ``java.args`` and ``logs/console.log``.
    """

    def __init__(self, folder: Path) -> None:
        self.arguments = folder / "java.args"
        """Argument file; its path on a command line identifies the service."""
        self.log = folder / "logs" / "console.log"
        """What the process writes to stdout and stderr."""
        self._record = folder / "pid.json"

    def find(self) -> psutil.Process | None:
        """Return the running process, or None; a stale record is removed."""
        process = self._recorded() or self._orphan()
        if process is None:
            self._record.unlink(missing_ok=True)
        return process

    def start(self, executable: Path, environment: dict[str, str]) -> psutil.Process:
        """Start ``executable @java.args`` in its own session, out of reach of Ctrl-C in the terminal.

        Raises
        ------
        ServiceError
            If the program cannot be run.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            # Unlike Popen, posix_spawn leaves no object that warns about a process meant to outlive us.
            pid = os.posix_spawn(
                executable,
                [str(executable), f"@{self.arguments}"],
                os.environ | environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                    *((os.POSIX_SPAWN_CLOSE, inherited) for inherited in _inheritable()),
                ],
                setsid=True,
            )
        except OSError as error:
            raise ServiceError(f"{executable} cannot be run: {error}") from error
        finally:
            os.close(log)
        process = psutil.Process(pid)
        replace_file(self._record, json.dumps({"pid": pid, "started": process.create_time()}).encode())
        return process

    def stop(self, patience: float = 30.0) -> bool:
        """Ask the process to end, kill it after `patience` seconds; return whether there was one.

        Raises
        ------
        ServiceError
            If it belongs to another user or survives.
        """
        process = self.find()
        if process is None:
            return False
        try:
            process.terminate()
            _wait(process, patience)
            if is_alive(process):
                process.kill()
                _wait(process, patience)
        except psutil.NoSuchProcess:
            pass
        except psutil.AccessDenied as error:
            raise ServiceError(f"process {process.pid} belongs to another user") from error
        if is_alive(process):
            raise ServiceError(f"process {process.pid} cannot be stopped")
        self._record.unlink(missing_ok=True)
        return True

    def _recorded(self) -> psutil.Process | None:
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["started"]) <= _SAME_START
        except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
            return None
        return process if same and is_alive(process) else None

    def _orphan(self) -> psutil.Process | None:
        wanted = f"@{self.arguments}"
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                if wanted in process.cmdline() and is_alive(process):
                    return process
        return None


def _inheritable() -> list[int]:
    """Return our open files that a child would hold on to, such as the lock of a caller's ``flock``."""
    folder = Path("/proc/self/fd")
    opened = [int(entry.name) for entry in folder.iterdir()] if folder.is_dir() else []
    found = []
    for descriptor in sorted(opened):
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            if descriptor > 2 and os.get_inheritable(descriptor):
                found.append(descriptor)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; our own dead children are reaped on the way."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return process.is_running()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    except psutil.NoSuchProcess:
        pass
    return False


def _wait(process: psutil.Process, seconds: float) -> None:
    end = time.monotonic() + seconds
    while is_alive(process) and time.monotonic() < end:
        time.sleep(0.05)
