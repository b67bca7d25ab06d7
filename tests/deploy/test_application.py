"""The Spark application as a real process; killed in the middle it is in `faults`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asterism.settings import Settings

pytestmark = [pytest.mark.services, pytest.mark.spark]


def test_a_folder_of_another_format_is_refused_by_name(installation: Callable[..., Settings], tmp_path: Path) -> None:
    settings = installation()
    (settings.home / "checkpoints/alerts").mkdir(parents=True)
    (settings.home / "checkpoints/alerts/FORMAT.json").write_text('{"kind": "checkpoint", "version": 0}')
    with (tmp_path / "out").open("wb") as out:
        command = [sys.executable, "-m", "asterism", "run", "--until-caught-up"]
        environment = os.environ | {"ASTERISM_HOME": str(settings.home)}
        assert subprocess.run(command, env=environment, stderr=out, check=False, timeout=100).returncode == 1
    assert "format.mismatch" in (tmp_path / "out").read_text()
