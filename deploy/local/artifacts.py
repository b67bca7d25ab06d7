"""The pinned Maven artifacts of Neo4j and Kafka, fetched once into the cache.

``jars.lock`` pins every jar of both class paths by SHA-256 and size. What is in the cache under its final
name is complete and was verified: downloads go to a temporary name and are renamed only when the digest is
right. So an interrupted download is continued by running again, jar by jar, and a second run needs no
network.

The repository is a setting and not part of the pin: the digest says what is trusted, not the server.
"""

from __future__ import annotations

import fcntl
import hashlib
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import certifi
import httpx
from jgo.constants import MAVEN_CENTRAL_URL

from asterism.deploy.errors import ChecksumError, DownloadError, LockFileError
from asterism.progress import console, progress

LOCK_FILE = Path(__file__).with_name("jars.lock")
"""One line a jar, in class path order: server, group:artifact:version[:classifier], SHA-256, size [bytes]."""

NOTICE = (
    "Downloading Neo4j Community (GPLv3) and Apache Kafka (Apache-2.0) from their Maven artifacts. "
    "Both run as separate programs; no code of theirs becomes part of Asterism."
)
"""Said once, before the first download."""

_WORKERS = 8
_ATTEMPTS = 4
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Artifact:
    """One pinned jar."""

    server: str
    """Whose class path it belongs to: ``neo4j`` or ``kafka``."""
    coordinates: str
    """``group:artifact:version`` or ``group:artifact:version:classifier``."""
    sha256: str
    """Digest, hexadecimal."""
    size: int
    """Size [bytes]."""

    @property
    def file_name(self) -> str:
        """Name of the jar in a repository and in the cache."""
        return "-".join(self.coordinates.split(":")[1:]) + ".jar"

    @property
    def repository_path(self) -> str:
        """Path of the jar below the root of a Maven repository."""
        group, name, version = self.coordinates.split(":")[:3]
        return f"{group.replace('.', '/')}/{name}/{version}/{self.file_name}"


def read_lock(path: Path = LOCK_FILE) -> tuple[Artifact, ...]:
    """Return the pinned artifacts in class path order.

    Raises
    ------
    LockFileError
        If a line is malformed or two different jars would share a file name.
    """
    artifacts = []
    digests: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        artifact = _parse(line, f"{path.name}, line {number}")
        if digests.setdefault(artifact.file_name, artifact.sha256) != artifact.sha256:
            raise LockFileError(
                f"{path.name}, line {number}: {artifact.file_name} is pinned twice with different digests"
            )
        artifacts.append(artifact)
    return tuple(artifacts)


def _parse(line: str, where: str) -> Artifact:
    try:
        server, coordinates, sha256, size = line.split()
        artifact = Artifact(server, coordinates, sha256, int(size))
        valid = len(bytes.fromhex(sha256)) == hashlib.sha256().digest_size and len(coordinates.split(":")) in (3, 4)
    except ValueError as error:
        raise LockFileError(f"{where}: {error}") from error
    if not valid or "/" in coordinates or artifact.size <= 0:
        raise LockFileError(f"{where}: {line}")
    return artifact


def ensure_jars(artifacts: Sequence[Artifact], cache: Path, repository: str | None = None) -> Path:
    """Make every artifact present and verified in the cache; download what is missing, in parallel.

    Parameters
    ----------
    artifacts : sequence of Artifact
        What is needed.
    cache : Path
        Cache folder; jars lie in its ``jars``.
    repository : str, optional
        Root URL of a Maven repository; the public one if not given.

    Returns
    -------
    Path
        The folder of the jars.

    Raises
    ------
    DownloadError
        If an artifact cannot be fetched.
    ChecksumError
        If one was fetched but is not the pinned one.
    """
    folder = cache / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    with _one_downloader(folder):
        missing = {item.file_name: item for item in artifacts if not _is_valid(folder / item.file_name, item)}
        if missing:
            _download(list(missing.values()), folder, repository or MAVEN_CENTRAL_URL)
    return folder


@contextmanager
def _one_downloader(folder: Path) -> Iterator[None]:
    """Let one process fill the cache; others wait and find it full. The holder owns every partial file."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for partial in folder.glob("*.part"):
            partial.unlink()
        yield


def _is_valid(path: Path, artifact: Artifact) -> bool:
    try:
        if path.stat().st_size != artifact.size:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == artifact.sha256
    except FileNotFoundError:
        return False


def _download(artifacts: list[Artifact], folder: Path, repository: str) -> None:
    console.print(NOTICE, highlight=False)
    megabytes = sum(item.size for item in artifacts) / 1e6
    with (
        httpx.Client(verify=_trust(), timeout=60, follow_redirects=True) as client,
        progress(f"Downloading {len(artifacts)} jars, {megabytes:.0f} MB", len(artifacts)) as advance,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):
        futures = [pool.submit(_fetch, client, repository, item, folder) for item in artifacts]
        try:
            for future in as_completed(futures):
                advance(note=future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _trust() -> ssl.SSLContext:
    """Trust what the system trusts and, for systems without certificates, what Python's bundle does."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _fetch(client: httpx.Client, repository: str, artifact: Artifact, folder: Path) -> str:
    url = f"{repository.rstrip('/')}/{artifact.repository_path}"
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _fetch_once(client, url, artifact, folder)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            if attempt == _ATTEMPTS or not _may_pass(error):
                raise DownloadError(f"{artifact.coordinates}: {error or type(error).__name__}") from error
            time.sleep(attempt)
        else:
            break
    return artifact.file_name


def _may_pass(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in {408, 425, 429} or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


def _fetch_once(client: httpx.Client, url: str, artifact: Artifact, folder: Path) -> None:
    partial = folder / f"{artifact.file_name}.part"
    digest, received = hashlib.sha256(), 0
    try:
        with client.stream("GET", url) as response, partial.open("wb") as stream:
            response.raise_for_status()
            for chunk in response.iter_bytes(_CHUNK):
                received += len(chunk)
                if received > artifact.size:
                    break
                digest.update(chunk)
                stream.write(chunk)
        if received != artifact.size or digest.hexdigest() != artifact.sha256:
            raise ChecksumError(f"{artifact.coordinates} is not the artifact that was pinned ({artifact.sha256})")
        partial.replace(folder / artifact.file_name)
    finally:
        partial.unlink(missing_ok=True)
