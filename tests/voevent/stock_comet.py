"""A stock Comet and ``asterism voevent bridge`` as processes."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

BIN = Path(sys.executable).parent
HANDLER = '''
"""Writes every event that reaches a handler to a file, one line each."""

import base64
import dbm
import os
import tempfile

from comet.icomet import IHandler
from twisted.plugin import IPlugin
from zope.interface import implementer


# Comet's threads race for the driver of its database, and the loser discards its event.
with tempfile.TemporaryDirectory() as folder:
    dbm.open(os.path.join(folder, "first"), "c").close()


@implementer(IPlugin, IHandler)
class Counting(object):
    name = "counting"

    def __call__(self, event):
        with open(os.environ["COUNTED"], "ab") as stream:
            stream.write(base64.b64encode(event.raw_bytes) + b"\\n")


counting = Counting()
'''


class Comet:
    """A stock ``twistd comet`` that subscribes, with a handler that counts."""

    def __init__(
        self, folder: Path, port: int, *options: str, local_ivo: str | None = "ivo://example.org/comet"
    ) -> None:
        plugins = folder / "plugins" / "comet" / "plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        (plugins / "counting.py").write_text(HANDLER)
        self._folder, self._handled = folder, folder / "handled"
        name = [] if local_ivo is None else [f"--local-ivo={local_ivo}"]
        self._command = [
            str(BIN / "twistd"),
            "-n",
            f"--pidfile={folder / 'pid'}",
            "comet",
            f"--remote=127.0.0.1:{port}",
        ]
        self._command += [*name, f"--eventdb={folder / 'db'}", "--counting", *options]
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(self._folder / "plugins"), "COUNTED": str(self._handled)}
        log = (self._folder / "log").open("ab")
        self.process = subprocess.Popen(self._command, cwd=self._folder, env=environment, stdout=log, stderr=log)
        log.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def handled(self) -> list[bytes]:
        lines = self._handled.read_bytes().split(b"\n")[:-1] if self._handled.exists() else []
        return [base64.b64decode(line) for line in lines]

    def wait(self, count: int, seconds: float = 30.0) -> list[bytes]:
        """Wait until so many events were handled, and a little for one too many; return them."""
        wait_until(lambda: len(self.handled()) >= count, seconds, lambda: (self._folder / "log").read_text()[-3000:])
        time.sleep(0.5)
        return self.handled()


class BridgeProcess:
    """A running ``asterism voevent bridge`` on fixed ports."""

    def __init__(self, home: Path, *options: str, port: int | None = None, **settings: str) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.port, self.maps_port = port or free_port(), free_port()
        ports = ["--port", str(self.port), "--maps-port", str(self.maps_port)]
        self._command = [str(BIN / "asterism"), "voevent", "bridge", "--json", *ports, *options]
        self._environment = {**os.environ, "ASTERISM_HOME": str(home), **settings}

    def start(self) -> BridgeProcess:
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.home / "log").read_text()
        assert json.loads(line)["broadcasting"]["port"] == self.port
        return self

    def stop(self) -> dict[str, int]:
        """End it as Ctrl-C does and return its counts."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=30)
        counts: dict[str, int] = json.loads(out.splitlines()[-1])
        return counts

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_until(done: Callable[[], bool], seconds: float, tell: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.05)
