"""Regenerate ``jars.lock``: let Maven resolve both class paths, then pin what it found. Needs ``mvn``; run by
``make lock``.

To move to another version change it here, run ``make lock`` and then ``make test``.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from asterism.deploy.errors import DeployError
from asterism.deploy.local.artifacts import LOCK_FILE

WANTED = {
    "neo4j": ("org.neo4j:neo4j:5.26.31", "org.neo4j.app:neo4j-server:5.26.31"),
    "kafka": ("org.apache.kafka:kafka_2.13:4.2.2", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"),
}
"""What each server's class path is resolved from."""

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"


def main() -> None:
    """Write the lock file."""
    if shutil.which("mvn") is None:
        raise DeployError("Maven (mvn) is needed to resolve the class paths", hint="Debian: apt-get install maven")
    lines = ["# server group:artifact:version[:classifier] sha256 size   (make lock)"]
    with tempfile.TemporaryDirectory() as folder:
        for server, roots in WANTED.items():
            lines += [f"{server} {line}" for line in _resolve(Path(folder), roots)]
    LOCK_FILE.write_text("\n".join(lines) + "\n", encoding="ascii")


def _resolve(folder: Path, roots: tuple[str, ...]) -> list[str]:
    fields = ("groupId", "artifactId", "version")
    wanted = ""
    for root in roots:
        elements = [f"<{name}>{value}</{name}>" for name, value in zip(fields, root.split(":"), strict=True)]
        wanted += f"<dependency>{''.join(elements)}</dependency>"
    (folder / "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>asterism</groupId><artifactId>lock</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>{wanted}</dependencies></project>",
        encoding="ascii",
    )
    repository, output = folder / "repository", folder / "classpath"
    options = [f"-Dmaven.repo.local={repository}", "-DincludeScope=runtime", f"-Dmdep.outputFile={output}"]
    subprocess.run(["mvn", "-B", "-q", _PLUGIN, *options], cwd=folder, check=True)  # noqa: S607
    return [_line(Path(jar), repository) for jar in output.read_text(encoding="ascii").strip().split(":")]


def _line(jar: Path, repository: Path) -> str:
    *group, name, version, file_name = jar.relative_to(repository).parts
    classifier = file_name.removeprefix(f"{name}-{version}").removesuffix(".jar").replace("-", ":", 1)
    content = jar.read_bytes()
    return f"{'.'.join(group)}:{name}:{version}{classifier} {hashlib.sha256(content).hexdigest()} {len(content)}"


if __name__ == "__main__":
    main()
