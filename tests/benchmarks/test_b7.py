"""B7 at a tenth of its size, and what the packets of B3 are."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from asterism.ingest.decode import Decoder
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.simulate.packets import write_schemas

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def b7(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    return importlib.import_module("benchmarks.b7")


@pytest.fixture
def pool(b7: ModuleType) -> ModuleType:
    del b7
    return importlib.import_module("benchmarks.packet_pool")


def test_b7_at_a_tenth_of_its_size_reaches_half_of_its_ratios(
    b7: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert b7.main(["--quick", "--out", str(tmp_path)]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert json.loads((tmp_path / "B7.quick.json").read_text())["figures"] == printed
    figures = {line["figure"]: line["value"] for line in printed}
    assert figures["ztf_archive_zstd_bytes"] < figures["ztf_archive_plain_bytes"]


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_every_packet_of_a_pool_is_another_alert_at_the_place_of_its_object(
    pool: ModuleType, tmp_path: Path, survey: str
) -> None:
    write_schemas(tmp_path)
    packets, sky = pool.Pool(survey, 4), pool.Sky.draw(30)
    given = list(packets.packets(sky, 1000, 100))
    assert given == list(packets.packets(sky, 1000, 100))
    positions = [Position("t", 0, offset, 1) for offset in range(100)]
    decoder = Decoder(SchemaSource(folder=tmp_path))
    alerts = decoder.decode([packet for _, packet in given], positions).detections
    assert len(set(alerts["alertKey"].to_pylist())) == 100
    assert alerts["objectKey"].to_pylist() == [pool.object_key(survey, target) for target, _ in given]
    for row, (target, _) in zip(alerts.to_pylist(), given, strict=True):
        assert row["dec"] == pytest.approx(sky.dec[target], abs=2e-4)
    assert packets.median_bytes >= 55_000
