"""Downloads from a tiny Maven repository on the loopback address."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from asterism.deploy.errors import ChecksumError, DownloadError, LockFileError
from asterism.deploy.local.artifacts import Artifact, ensure_jars, read_lock
from asterism.deploy.local.lock import WANTED

NOWHERE = "http://127.0.0.1:9"


class Repository(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "repository"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Repository, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def publish(tmp_path: Path, name: str, content: bytes, pinned: bytes | None = None) -> Artifact:
    pinned = content if pinned is None else pinned
    artifact = Artifact("neo4j", f"org.example:{name}:1.0", hashlib.sha256(pinned).hexdigest(), len(pinned))
    path = tmp_path / "repository" / artifact.repository_path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return artifact


def test_what_is_missing_is_downloaded_and_a_second_run_needs_no_network(tmp_path: Path, repository: str) -> None:
    artifacts = [publish(tmp_path, f"part{n}", bytes([n]) * 5000) for n in range(12)]
    folder = ensure_jars(artifacts, tmp_path / "cache", repository)
    assert {path.name: path.read_bytes() for path in folder.glob("*.jar")} == {
        f"part{n}-1.0.jar": bytes([n]) * 5000 for n in range(12)
    }
    assert ensure_jars(artifacts, tmp_path / "cache", NOWHERE) == folder


@pytest.mark.parametrize("served", [b"evil bytes", b"short", b"much longer than what was pinned"])
def test_a_jar_that_is_not_the_pinned_one_is_refused_and_not_kept(
    tmp_path: Path, repository: str, served: bytes
) -> None:
    artifact = publish(tmp_path, "library", served, pinned=b"good bytes")
    with pytest.raises(ChecksumError, match=r"org\.example:library:1\.0") as raised:
        ensure_jars([artifact], tmp_path / "cache", repository)
    assert raised.value.code == "deploy.checksum_mismatch"
    assert [path.name for path in (tmp_path / "cache" / "jars").iterdir()] == [".lock"]


def test_good_jars_are_kept_when_another_fails_so_that_running_again_continues(tmp_path: Path, repository: str) -> None:
    good = publish(tmp_path, "good", b"good")
    missing = Artifact("neo4j", "org.example:missing:1.0", "0" * 64, 4)
    with pytest.raises(DownloadError, match="404"):
        ensure_jars([good, missing], tmp_path / "cache", repository)
    assert (ensure_jars([good], tmp_path / "cache", NOWHERE) / "good-1.0.jar").read_bytes() == b"good"


def test_neither_a_partial_file_nor_a_damaged_jar_is_trusted(tmp_path: Path, repository: str) -> None:
    artifacts = [publish(tmp_path, "cut", b"complete"), publish(tmp_path, "damaged", b"original")]
    jars = tmp_path / "cache" / "jars"
    jars.mkdir(parents=True)
    (jars / "cut-1.0.jar.part").write_bytes(b"comp")
    (jars / "damaged-1.0.jar").write_bytes(b"0riginal")
    ensure_jars(artifacts, tmp_path / "cache", repository)
    assert sorted(path.name for path in jars.iterdir()) == [".lock", "cut-1.0.jar", "damaged-1.0.jar"]
    assert (jars / "cut-1.0.jar").read_bytes() == b"complete"
    assert (jars / "damaged-1.0.jar").read_bytes() == b"original"


def test_a_repository_nobody_serves_ends_in_a_coded_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(DownloadError, match=r"org\.example:library:1\.0") as raised:
        ensure_jars([Artifact("neo4j", "org.example:library:1.0", "0" * 64, 4)], tmp_path, NOWHERE)
    assert raised.value.code == "deploy.download_failed"


def test_the_committed_lock_holds_both_servers_in_the_wanted_versions() -> None:
    artifacts = read_lock()
    assert {item.server for item in artifacts} == {"neo4j", "kafka"}
    pinned = {item.coordinates for item in artifacts}
    assert pinned >= {root for roots in WANTED.values() for root in roots}


@pytest.mark.parametrize(
    "line",
    [
        "neo4j org.example:library:1.0 00 4",
        f"neo4j org.example:library:1.0 {'0' * 64}",
        f"neo4j org.example:library {'0' * 64} 4",
        f"neo4j ../../etc:library:1.0 {'0' * 64} 4",
        f"neo4j org.example:library:1.0 {'0' * 64} -4",
        f"neo4j a:library:1.0 {'0' * 64} 4\nkafka b:library:1.0 {'1' * 64} 4",
    ],
)
def test_a_malformed_lock_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "jars.lock"
    path.write_text(line + "\n", encoding="ascii")
    with pytest.raises(LockFileError, match=r"jars\.lock, line \d"):
        read_lock(path)
