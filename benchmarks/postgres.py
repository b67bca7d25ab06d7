"""A PostgreSQL server of a benchmark's own: a private cluster in a folder, on loopback, gone with the block.

Defaults of the package: 128 MB of shared buffers, JIT on, two parallel workers.
PostgreSQL refuses to run as root, so as root it runs as the package's user ``postgres``.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")


@contextmanager
def postgres(folder: Path) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection, in autocommit, to a fresh server whose files lie in a folder.

    Raises
    ------
    RuntimeError
        If PostgreSQL is not installed or does not start.
    """
    programs = _programs()
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    folder.mkdir(parents=True)
    if user:
        shutil.chown(folder, "postgres", "postgres")
        for parent in folder.parents[:-1]:
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    data, port = folder / "data", _free_port()
    _run([*user, str(programs / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-sync"])
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    start = ["start", "-w", "-t", "60", "-l", str(folder / "log"), "-o", options]
    _run([*user, str(programs / "pg_ctl"), "-D", str(data), *start])
    try:
        with psycopg.connect(f"host=127.0.0.1 port={port} user=bench dbname=postgres", autocommit=True) as connection:
            yield connection
    finally:
        _run([*user, str(programs / "pg_ctl"), "-D", str(data), "stop", "-m", "immediate"])


def copy_rows(connection: psycopg.Connection[Any], table: str, columns: Sequence[Sequence[Any]]) -> None:
    """Copy columns of equal length into a table of a name that the benchmark chose."""
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
        for row in zip(*columns, strict=True):
            copy.write_row(row)


def _programs() -> Path:
    for place in _PLACES:
        root, pattern = place[:1], place[1:]
        found = sorted(Path(root).glob(pattern))
        if found:
            return found[-1]
    raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout.decode(errors='replace')[-2000:]}")
