"""Make sure there is a Java to run Neo4j, Kafka and Spark on; the second step of every make target.

Where none fits, Debian's package manager is asked for one, after saying so. That needs root or sudo; where
neither is at hand, the error says what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from asterism.deploy.errors import JavaMissingError, SetupError
from asterism.deploy.local.java import find_java
from asterism.errors import AsterismError
from asterism.progress import console

PACKAGE = "openjdk-17-jre-headless"
"""Debian's package of a Java that fits."""


def ensure_java() -> None:
    """Do nothing if there is a Java that fits, else install one.

    Raises
    ------
    JavaMissingError
        If there is none and this system has no apt-get, or there is still none after installing.
    SetupError
        If it may not or cannot be installed.
    """
    try:
        find_java()
    except JavaMissingError as error:
        if shutil.which("apt-get") is None:
            raise
        console.print(f"{error.message}: installing {PACKAGE} with apt-get", highlight=False)
        _install()
        find_java()


def _install() -> None:
    prefix: list[str] = []
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        if sudo is None:
            raise SetupError(
                f"{PACKAGE} is missing and only root may install it",
                hint=f"as root: apt-get install {PACKAGE}",
            )
        prefix = [sudo]
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", PACKAGE]):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run([*prefix, "apt-get", *arguments], env=environment, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise SetupError(f"apt-get {arguments[0]} failed", hint=f"as root: apt-get install {PACKAGE}")


def main() -> None:
    """Run it as a step of its own."""
    try:
        ensure_java()
    except AsterismError as error:
        sys.exit(f"{error.code} {error.message}\n  {error.advice}")


if __name__ == "__main__":
    main()
