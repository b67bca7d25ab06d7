"""Which batches run, and with which region version."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from asterism.batches import UNKNOWN, older_batch_runs, running_batch
from asterism.lake import Lake


def test_a_batch_counts_as_older_than_all_until_it_has_said_its_version(tmp_path: Path) -> None:
    lake = Lake(tmp_path)

    def newest() -> int:
        assert older_batch_runs(lake, 1), "announced before the version was looked up"
        return 5

    with running_batch(lake, "alerts", newest) as version:
        assert version == 5
        assert older_batch_runs(lake, 6)
        assert not older_batch_runs(lake, 5)
    assert not older_batch_runs(lake, 6)
    assert UNKNOWN < 0


def test_a_failed_batch_still_runs_in_the_eyes_of_others_because_it_will_be_repeated(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(RuntimeError), running_batch(lake, "alerts", lambda: 1):
        raise RuntimeError
    assert older_batch_runs(lake, 2)
    with running_batch(lake, "alerts", lambda: 2):
        pass
    assert not older_batch_runs(lake, 3)


def test_the_batch_of_a_dead_process_does_not_hold_anybody_up(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    code = (
        "import os, pathlib, sys; from asterism.batches import running_batch; from asterism.lake import Lake\n"
        "with running_batch(Lake(pathlib.Path(sys.argv[1])), 'alerts', lambda: 1): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    path = tmp_path / "running/alerts.json"
    assert json.loads(path.read_text())["version"] == 1
    assert not older_batch_runs(lake, 2)
    elsewhere = json.loads(path.read_text()) | {"host": f"not-{socket.gethostname()}"}
    path.write_text(json.dumps(elsewhere))
    assert older_batch_runs(lake, 2), "of another host nothing is known, so it counts"
