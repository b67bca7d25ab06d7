"""Processes of a stand-in program: what counts is who is signalled and who is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from asterism.deploy.local.process import ServiceProcess, is_alive


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """A program that, like java, takes ``@file``; it ignores it and sleeps."""
    path = tmp_path / "launcher"
    path.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(600)\n")
    path.chmod(0o700)
    return path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    folder = tmp_path / "service"
    folder.mkdir()
    process = ServiceProcess(folder)
    yield process
    process.stop()


@pytest.fixture
def bystander() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def test_a_started_process_is_found_again_and_stopped(service: ServiceProcess, launcher: Path) -> None:
    started = service.start(launcher, {})
    assert os.getsid(started.pid) == started.pid
    assert ServiceProcess(service.arguments.parent).find() == started
    assert service.stop()
    assert not is_alive(started)
    assert service.find() is None
    assert not service.stop()


def test_a_started_process_holds_no_file_of_ours(service: ServiceProcess, launcher: Path, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        started = service.start(launcher, {})
        assert str(tmp_path / "lock") not in {file.path for file in started.open_files()}


def test_a_killed_process_leaves_a_stale_record_that_is_removed(
    service: ServiceProcess, launcher: Path, tmp_path: Path
) -> None:
    started = service.start(launcher, {})
    os.kill(started.pid, signal.SIGKILL)
    while is_alive(started):
        time.sleep(0.01)
    assert (tmp_path / "service" / "pid.json").exists()
    assert service.find() is None
    assert not (tmp_path / "service" / "pid.json").exists()


def test_a_pid_that_now_belongs_to_another_process_is_never_signalled(
    service: ServiceProcess, bystander: psutil.Process, tmp_path: Path
) -> None:
    record = {"pid": bystander.pid, "started": bystander.create_time() - 3600}
    (tmp_path / "service" / "pid.json").write_text(json.dumps(record))
    assert service.find() is None
    assert not service.stop()
    assert is_alive(bystander)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": 0}', '{"pid": -5, "started": 0}']
)
def test_a_damaged_record_counts_as_none(service: ServiceProcess, tmp_path: Path, content: str) -> None:
    (tmp_path / "service" / "pid.json").write_text(content)
    assert service.find() is None


def test_a_process_whose_starter_died_before_recording_it_is_found(
    service: ServiceProcess, launcher: Path, tmp_path: Path
) -> None:
    started = service.start(launcher, {})
    (tmp_path / "service" / "pid.json").unlink()
    assert service.find() == started


def test_a_process_that_ignores_the_request_to_end_is_killed(service: ServiceProcess, launcher: Path) -> None:
    launcher.write_text(
        f"#!{sys.executable}\nimport signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)\n"
    )
    started = service.start(launcher, {})
    while "deaf" not in service.log.read_text():
        time.sleep(0.01)
    assert service.stop(patience=0.3)
    assert not is_alive(started)
