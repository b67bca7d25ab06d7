"""How the demo delivers notices."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import cast

import pytest
from neo4j import Driver

from asterism.deploy.demo import night
from asterism.deploy.demo.night import Watch
from asterism.settings import load_settings
from asterism.simulate.night import build_night


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A watch over the two notices of a retracted superevent."""
    folder, spool = tmp_path / "night" / "notices", tmp_path / "spool"
    folder.mkdir(parents=True)
    spool.mkdir()
    (glitch,) = (event for event in build_night("full", 1, ztf=0, lsst=0).events if event.retracted)
    for notice in glitch.notices:
        (folder / notice.name).write_bytes(notice.payload)
    return Watch(load_settings(home=tmp_path), cast("Driver", None), 0, spool)


def delivered(tmp_path: Path) -> list[str]:
    return sorted(path.name.rsplit("-", 1)[1] for path in (tmp_path / "spool").iterdir())


def test_a_retraction_waits_until_its_event_has_a_link(watch: Watch, tmp_path: Path) -> None:
    watch.deliver()
    assert delivered(tmp_path) == ["PRELIMINARY.json"]
    watch.most_links["lvk:S260315dd"] = 1
    watch.deliver()
    assert delivered(tmp_path) == ["PRELIMINARY.json", "RETRACTION.json"]


def test_a_retraction_waits_for_a_link_no_longer_than_a_while_after_the_last_alert(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = {"alerts": {"packets": 0}}
    done = subprocess.Popen(["/bin/echo", json.dumps(truth)], stdout=subprocess.PIPE, text=True)
    done.wait()
    monkeypatch.setattr(watch, "look_at_links", lambda: None)
    monkeypatch.setattr(watch, "_all_projected", lambda: len(delivered(tmp_path)) == 2)
    monkeypatch.setattr(night, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(night, "_HOLD_SECONDS", 0.1)
    assert watch.until_all_is_in(done, lambda *_, **__: None, threading.Event()) == truth
    assert delivered(tmp_path) == ["PRELIMINARY.json", "RETRACTION.json"]
