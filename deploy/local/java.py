"""Find a Java that fits and start programs on it from the cached jars."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asterism.deploy.errors import JavaMissingError, ServiceError

OLDEST = 17
"""Oldest Java release that runs Neo4j 5.26, Kafka 4.2 and Spark 4.3."""

_TOOL_SECONDS = 120


@dataclass(frozen=True)
class Java:
    """A Java runtime and the class path one program is started with."""

    executable: Path
    """The ``java`` launcher."""
    jars: tuple[Path, ...]
    """Class path, in order."""

    def write_arguments(self, path: Path, options: Sequence[str], main: str, arguments: Sequence[str]) -> None:
        """Write all arguments of a program into a file for ``java @file``; the class path alone has 20 kB."""
        class_path = os.pathsep.join(map(str, self.jars))
        lines = [*options, "-cp", class_path, main, *arguments]
        path.write_text("".join(f"{_quoted(line)}\n" for line in lines), encoding="utf-8")

    def run_tool(
        self, folder: Path, main: str, arguments: Sequence[str], environment: dict[str, str] | None = None
    ) -> None:
        """Run a program to its end.

        Parameters
        ----------
        folder : Path
            Where its argument file may lie.
        main : str
            Main class.
        arguments : sequence of str
            Its arguments; other users of the machine can see none of them in the list of processes.
        environment : dict, optional
            Added to the environment.

        Raises
        ------
        ServiceError
            If it fails or takes longer than two minutes.
        """
        file = folder / "tool.args"
        file.touch(mode=0o600)
        self.write_arguments(file, ["-Xmx128m"], main, arguments)
        try:
            done = subprocess.run(
                [self.executable, f"@{file}"],
                env=os.environ | (environment or {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TOOL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServiceError(f"{main} did not end within {_TOOL_SECONDS} s") from error
        finally:
            file.unlink()
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise ServiceError(f"{main} failed with exit code {done.returncode}: {said}")


def find_java() -> Path:
    """Return the ``java`` launcher of ``JAVA_HOME``, else of ``PATH``.

    Raises
    ------
    JavaMissingError
        If there is none or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if found is None:
        raise JavaMissingError(f"no java found; Neo4j, Kafka and Spark need Java {OLDEST} or newer")
    release = java_release(Path(found))
    if release < OLDEST:
        raise JavaMissingError(f"{found} is Java {release}; Neo4j, Kafka and Spark need {OLDEST} or newer")
    return Path(found)


def java_release(executable: Path) -> int:
    """Return the feature release of a Java launcher, such as 17; 0 if it does not tell."""
    try:
        shown = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JavaMissingError(f"{executable} cannot be run: {error}") from error
    match = re.search(r'version "(?:1\.)?(\d+)', shown.stderr)
    return int(match[1]) if match else 0


def _quoted(argument: str) -> str:
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
