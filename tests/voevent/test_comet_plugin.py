"""`asterism.voevent.comet_plugin` in a real ``twistd comet``, where the file lies alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asterism.journal import Journal
from asterism.voevent.notice import notice_key
from asterism.voevent.send import send

PLUGIN = Path(__file__).resolve().parents[2] / "voevent" / "comet_plugin.py"
TWISTD = str(Path(sys.executable).with_name("twistd"))


def until(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


@contextmanager
def comet(folder: Path, spool: Path) -> Iterator[tuple[int, Path]]:
    """Plain Comet with the plugin on its path and no Asterism; gives its port for authors, and its log."""
    plugins = folder / "path" / "comet" / "plugins"
    plugins.mkdir(parents=True)
    shutil.copy(PLUGIN, plugins / "asterism_spool.py")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [TWISTD, "-n", "--pidfile=", "comet", "--local-ivo=ivo://test.org/broker", f"--eventdb={folder}"]
    command += ["--receive", f"--receive-port={port}", "--asterism", f"--asterism-spool={spool}"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "path")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: answers(port))
        yield port, folder / "log"
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_events_of_plain_comet_reach_the_journal_as_they_were_sent(
    listen: Callable[..., Any], tmp_path: Path, samples: Any
) -> None:
    spool, payloads = tmp_path / "spool", [samples.gbm_xml(trigger=700000001 + n) for n in range(3)]
    with comet(tmp_path, spool) as (port, _):
        send(payloads[0], "127.0.0.1", port)
        written = until(lambda: list(spool.glob("*.xml")))
        assert [(path.stem, path.read_bytes()) for path in written] == [(notice_key(payloads[0]), payloads[0])]
        listen("--no-vtp", "--spool", str(spool))
        for payload in payloads[1:]:
            send(payload, "127.0.0.1", port)
        root = tmp_path / "home" / "journal"
        until(lambda: len(list(Journal(root).read())) == 3)
    entries = list(Journal(root).read())
    assert sorted(entry.payload for entry in entries) == sorted(payloads)
    assert {entry.headers["channel"] for entry in entries} == {"file"}


def test_an_event_the_disk_does_not_take_is_in_the_log(tmp_path: Path, samples: Any) -> None:
    spool = tmp_path / "spool"
    with comet(tmp_path, spool) as (port, log):
        shutil.rmtree(spool)
        send(samples.gbm_xml(), "127.0.0.1", port)
        until(lambda: "asterism: event not written" in log.read_text())
        assert "700000001" in log.read_text()


def test_the_file_needs_nothing_of_asterism() -> None:
    lines = PLUGIN.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line.startswith(("import asterism", "from asterism"))]
