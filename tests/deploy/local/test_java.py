"""Which Java is taken, and what happens where there is none; launchers and package managers are stand-ins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asterism.deploy.errors import JavaMissingError, ServiceError, SetupError
from asterism.deploy.local.java import Java, find_java, java_release
from asterism.deploy.local.runtime import PACKAGE, ensure_java


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def java(path: Path, version: str) -> Path:
    return program(path, f"echo 'openjdk version \"{version}\" 2025-04-15' >&2")


@pytest.mark.parametrize(
    ("version", "release"), [("17.0.15", 17), ("21", 21), ("1.8.0_392", 8), ("25-ea", 25), ("x", 0)]
)
def test_the_release_is_read_off_what_java_says(tmp_path: Path, version: str, release: int) -> None:
    assert java_release(java(tmp_path / "java", version)) == release


def test_java_home_wins_over_the_path(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = java(path / "java", "17.0.1")
    assert find_java() == on_path
    at_home = java(tmp_path / "home" / "bin" / "java", "21.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == at_home


def test_an_old_java_and_none_at_all_are_refused(path: Path) -> None:
    with pytest.raises(JavaMissingError, match="no java found"):
        find_java()
    java(path / "java", "11.0.22")
    with pytest.raises(JavaMissingError, match="is Java 11"):
        find_java()


def test_a_missing_java_is_installed_by_the_package_manager(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    prepared = java(tmp_path / "prepared", "17.0.15")
    program(path / "apt-get", f'echo "$@" >> {tmp_path}/calls; [ "$1" = update ] || /bin/cp {prepared} {path}/java')
    ensure_java()
    assert find_java() == path / "java"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["update", "install"]
    assert calls[1].endswith(PACKAGE)
    assert f"installing {PACKAGE} with apt-get" in " ".join(capfd.readouterr().err.split())


def test_without_root_and_sudo_one_is_told_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program(path / "apt-get", "exit 99")
    with pytest.raises(SetupError) as raised:
        ensure_java()
    assert raised.value.advice == f"as root: apt-get install {PACKAGE}"


def test_a_failing_package_manager_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(path / "apt-get", "exit 100")
    with pytest.raises(SetupError, match="apt-get update failed"):
        ensure_java()


def test_a_system_without_package_manager_is_told_that_java_is_missing(path: Path) -> None:
    assert list(path.iterdir()) == []
    with pytest.raises(JavaMissingError):
        ensure_java()


def test_arguments_reach_a_tool_unchanged_through_a_private_file_that_does_not_stay(tmp_path: Path) -> None:
    script = f'stat -c %a "${{1#@}}" > {tmp_path}/mode; cat "${{1#@}}" > {tmp_path}/seen'
    launcher = program(tmp_path / "java", script)
    Java(launcher, (Path("/a b/x.jar"), Path("/y.jar"))).run_tool(tmp_path, "Main", ['say "hi"', "back\\slash"])
    assert (tmp_path / "mode").read_text() == "600\n"
    assert (tmp_path / "seen").read_text().splitlines() == [
        '"-Xmx128m"',
        '"-cp"',
        '"/a b/x.jar:/y.jar"',
        '"Main"',
        '"say \\"hi\\""',
        '"back\\\\slash"',
    ]
    assert not (tmp_path / "tool.args").exists()


def test_a_tool_that_fails_says_why(tmp_path: Path) -> None:
    launcher = program(tmp_path / "java", "echo out of luck >&2; exit 3")
    with pytest.raises(ServiceError, match="exit code 3: out of luck"):
        Java(launcher, ()).run_tool(tmp_path, "Main", [])
