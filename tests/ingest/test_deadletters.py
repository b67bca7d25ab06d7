"""Refused packets are ingested once their cause is gone: nothing lost, nothing counted twice, also after a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from neo4j import Driver

from asterism.graph.digest import digest
from asterism.ingest import deadletters
from asterism.ingest.deadletters import chosen, replay
from asterism.ingest.hot import HotLane
from asterism.ingest.load import load_files
from asterism.ingest.reconcile import current_balance
from asterism.lake import Lake
from asterism.settings import Settings
from asterism.simulate.packets import SimulatedDetection, lsst_packet, ztf_packet

pytestmark = pytest.mark.services


def nothing(count: int, note: str = "") -> None:
    del count, note


@pytest.fixture
def home(installation: Callable[..., Settings], tmp_path: Path) -> Settings:
    """A home whose schema folder is hidden: the LSST half of four packets and a broken one are refused."""
    packets = tmp_path / "packets"
    packets.mkdir()
    for n in range(2):
        first = SimulatedDetection(f"ZTF25aaaaa{n:02}", 10**17 + n, 150.0 + n, 2.0, 61000.3, "r", 2.5e4, 1.2e3)
        (packets / f"{n}.avro").write_bytes(ztf_packet(first))
        second = SimulatedDetection(str(7 * 10**16 + n), 8 * 10**16 + n, 150.0 + n, 2.0, 61000.4, "r", 2.5e4, 1.2e3)
        (packets / f"l{n}.avro").write_bytes(lsst_packet(second))
    (packets / "broken.avro").write_bytes(b"\xff" * 100)
    settings = installation()
    load_files(settings.model_copy(update={"schema_folder": None}), [packets], nothing)
    return settings


def test_what_can_be_read_now_is_ingested_and_the_rest_stays_refused(home: Settings, neo4j_driver: Driver) -> None:
    before = current_balance(home)
    assert before.by_code == {"ingest.schema_unknown": 2, "ingest.wrong_magic": 1}
    lake = Lake(home.lake_path)
    done = replay(home, chosen(lake, None), nothing)
    assert (done.tried, done.accepted, done.refused) == (3, 2, {"ingest.wrong_magic": 1})
    after = current_balance(home)
    assert after.reconciled
    assert (after.packets_in, after.alerts, after.dead_letters, after.graph_alerts) == (5, 4, 1, 4)
    again = replay(home, chosen(lake, "ingest.schema_unknown"), nothing)
    assert again.tried == 0
    replayed = digest(neo4j_driver, database="neo4j")
    load_files(home, [home.home.parent / "packets"], nothing)
    assert digest(neo4j_driver, database="neo4j") == replayed
    assert current_balance(home).reconciled


def test_replay_that_dies_between_lake_and_graph_is_finished_by_the_next(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    lake = Lake(home.lake_path)
    letters = chosen(lake, None)
    with monkeypatch.context() as patch:
        patch.setattr(HotLane, "write_graph", die)
        with pytest.raises(KilledError):
            replay(home, letters, nothing)
    half = current_balance(home)
    assert half.graph_alerts == 2
    assert not half.reconciled
    replay(home, chosen(lake, None), nothing)
    assert current_balance(home).reconciled
    assert {e["query"] for e in lake.ledger()} == {"files", deadletters.LEDGER}
