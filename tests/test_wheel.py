"""What ships: built from the tracked files alone, installed away from the tree, used as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import asterism

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = ("deploy", "enrich", "gql", "graph", "ingest", "simulate", "voevent")
NOT_SHIPPED = {"deploy/bootstrap.sh"}
"""Sets up a checkout; means nothing in an installation."""


@dataclass(frozen=True)
class Wheel:
    path: Path
    tracked: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()


@dataclass(frozen=True)
class Installation:
    folder: Path

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of the installation outside the tree; return its stdout."""
        done = subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    listing = ["git", "-c", "safe.directory=*", "-C", REPOSITORY, "ls-files"]
    tracked = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()
    present = tuple(name for name in tracked if (REPOSITORY / name).is_file())
    tree = tmp_path_factory.mktemp("tree")
    for name in present:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tree / name)
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tree / "dist"), str(tree))
    (path,) = (tree / "dist").iterdir()
    return Wheel(path, present)


@pytest.fixture(scope="module")
def installation(wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installation")
    run("-m", "venv", "--without-pip", str(folder))
    python = folder / "bin" / "python"
    run("-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel.path))
    # The dependencies of this environment become visible; its editable install does not, for a path file inside a
    # folder that was itself added by a path file is not read.
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installation(folder)


def run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_every_tracked_file_of_the_packages_and_nothing_else(wheel: Wheel) -> None:
    shipped = {name for name in wheel.names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in shipped} == {"asterism"}
    kernel = {name for name in wheel.tracked if name.startswith("asterism/")}
    parts = {f"asterism/{name}" for name in set(wheel.tracked) - NOT_SHIPPED if name.split("/")[0] in PARTS}
    assert shipped == kernel | parts


def test_the_wheel_carries_licence_and_notice(wheel: Wheel) -> None:
    metadata = {Path(name).name for name in wheel.names if ".dist-info/" in name}
    assert metadata >= {"LICENSE", "NOTICE", "entry_points.txt"}


def test_the_installed_command_tells_version_and_settings(installation: Installation) -> None:
    assert asterism.__version__ in installation.run("asterism", "--version")
    rows = json.loads(installation.run("asterism", "config", "show", "--json"))
    assert {"home", "neo4j_uri", "kafka_bootstrap"} <= {row["name"] for row in rows}
    assert {row["from"] for row in rows} == {"default"}


def test_every_installed_module_can_be_imported(installation: Installation, wheel: Wheel) -> None:
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in wheel.names
        if name.endswith(".py") and not name.endswith("__main__.py")
    ]
    assert {f"asterism.{part}" for part in PARTS} <= set(modules)
    script = (
        "import importlib, sys, asterism\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(asterism.__file__)"
    )
    where = installation.run("python", "-c", script, *modules)
    assert Path(where.strip()).is_relative_to(installation.folder)
