"""What association keeps of the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from asterism.errors import LakeError
from asterism.graph.association.hosts import CATALOGUE_MATCHES
from asterism.graph.association.lakesky import LakeSky
from asterism.graph.association.rules import load_rules
from asterism.lake import Lake, window_name
from asterism.records import DETECTION
from asterism.sky.healpix import hpx29


def test_objects_carry_the_class_of_the_known_source_they_may_be_and_no_excluded_one_is_kept(tmp_path: Path) -> None:
    lake, rows = Lake(tmp_path), []
    for number, name in enumerate(("star", "blazar", "both", "galaxy", "new")):
        row: dict[str, Any] = dict.fromkeys(DETECTION.names) | {"alertKey": f"ztf:{name}", "objectKey": f"ztf:{name}"}
        row |= {"sourceId": name, "objectId": name, "survey": "ztf", "mjdTai": 61000.0 + number, "night": 20251130}
        row |= {"ra": 10.0, "dec": 5.0, "hpx29": 1000 + number, "public": True, "topic": "ztf", "partition": 0}
        rows.append(row | {"offset": number, "reliability": 0.9})
    table = pa.Table.from_pylist(rows, schema=DETECTION)
    lake.write_detections(table)
    matches = [("star", "star"), ("blazar", "blazar"), ("both", "blazar"), ("both", "galaxy"), ("galaxy", "galaxy")]
    found = [{"alertKey": f"ztf:{name}", "objectKey": f"ztf:{name}", "class": kind} for name, kind in matches]
    found = [row | {"distanceMpc": 40.0, "separationArcsec": 1.0} for row in found]
    lake.write_side_table(CATALOGUE_MATCHES, window_name(table), pa.Table.from_pylist(found))
    sky = LakeSky(lake, load_rules())
    sky.update([])
    known = dict(zip(sky.objects.key.tolist(), sky.objects.known.tolist(), strict=True))
    assert known == {"ztf:blazar": "blazar", "ztf:both": "blazar", "ztf:galaxy": "", "ztf:new": ""}


def test_a_lake_taken_in_window_by_window_is_the_lake_read_at_once(tmp_path: Path) -> None:
    """Though many cells are given up on the way."""
    rng, lake, rules = np.random.default_rng(4), Lake(tmp_path), load_rules()
    followed = LakeSky(lake, rules, most_alerts=200)
    followed.update([])
    for number in range(12):
        followed.update([_window(lake, number, rng)])
    at_once = LakeSky(lake, rules, most_alerts=200)
    at_once.update([])
    for sky in (followed, at_once):
        assert 0 < len(sky.objects) <= 200
    assert set(followed.objects.key) == set(at_once.objects.key)
    assert {"", "blazar"} == set(followed.objects.known)
    assert followed.hosts == at_once.hosts
    assert len(followed.hosts) > 200


def _window(lake: Lake, number: int, rng: np.random.Generator) -> str:
    """Write 100 alerts anywhere: of ten, three match a star, three a blazar, three a galaxy and one nothing."""
    ra, dec = rng.uniform(0.0, 360.0, 100), np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, 100)))
    rows, found = [], []
    for at, cell in enumerate(hpx29(ra, dec).tolist()):
        name = f"{number}-{at}"
        row: dict[str, Any] = dict.fromkeys(DETECTION.names) | {"alertKey": f"ztf:{name}", "objectKey": f"ztf:{name}"}
        row |= {"sourceId": name, "objectId": name, "survey": "ztf", "mjdTai": 61000.0 + number, "night": 20251130}
        row |= {"ra": float(ra[at]), "dec": float(dec[at]), "hpx29": cell, "public": True, "topic": "ztf"}
        rows.append(row | {"partition": 0, "offset": 100 * number + at, "reliability": 0.9})
        kind = (*3 * ("star",), *3 * ("blazar",), *3 * ("galaxy",), None)[at % 10]
        match = {"alertKey": f"ztf:{name}", "objectKey": f"ztf:{name}", "class": kind}
        known = {"distanceMpc": 40.0 + at, "separationArcsec": 1.0} if kind else {}
        found.append(match | {"distanceMpc": None, "separationArcsec": None} | known)
    table = pa.Table.from_pylist(rows, schema=DETECTION)
    lake.write_detections(table)
    lake.write_side_table(CATALOGUE_MATCHES, window_name(table), pa.Table.from_pylist(found))
    return window_name(table)


def test_a_lake_that_could_not_be_read_at_first_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, rng = Lake(tmp_path), np.random.default_rng(5)
    _window(lake, 0, rng)
    sky, read = LakeSky(lake, load_rules()), lake.side_rows

    def broken(*_: object) -> pa.Table:
        raise LakeError("away")

    monkeypatch.setattr(lake, "side_rows", broken)
    with pytest.raises(LakeError):
        sky.update([])
    monkeypatch.setattr(lake, "side_rows", read)
    sky.update([])
    assert (sky.alerts, len(sky.hosts), sky.version) == (100, 30, 1)
