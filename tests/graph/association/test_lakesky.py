"""What association keeps of the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from asterism.graph.association.background import CATALOGUE_MATCHES
from asterism.graph.association.lakesky import LakeSky
from asterism.graph.association.rules import load_rules
from asterism.lake import Lake, window_name
from asterism.records import DETECTION


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
    found = [{"objectKey": f"ztf:{name}", "class": kind} for name, kind in matches]
    found = [row | {"distanceMpc": 40.0, "separationArcsec": 1.0} for row in found]
    lake.write_side_table(CATALOGUE_MATCHES, window_name(table), pa.Table.from_pylist(found))
    sky = LakeSky(lake, load_rules())
    sky.update([])
    known = dict(zip(sky.objects.key.tolist(), sky.objects.known.tolist(), strict=True))
    assert known == {"ztf:blazar": "blazar", "ztf:both": "blazar", "ztf:galaxy": "", "ztf:new": ""}
