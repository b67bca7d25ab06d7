"""From notices to links: what a position of GBM had linked is closed when the next one says it is elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from neo4j import Driver

from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
from asterism.graph.writer import write_detections
from asterism.lake import Lake, window_name
from asterism.records import DETECTION
from asterism.settings import Settings
from asterism.sky.healpix import hpx29
from asterism.sky.localization import Localization
from asterism.voevent.project import Delivery, maps_folder, project
from asterism.voevent.read import read_payload

pytestmark = [pytest.mark.services, pytest.mark.realdata]

EVENT = "gbm:719325015"
RULES = load_rules()
PLANTED = 4
"""Objects in each region."""


def shape_of(payload: bytes) -> Localization:
    shape = read_payload(payload).localization
    assert shape is not None
    return shape


def planted(shape: Localization, final: Localization, *, inside_final: bool) -> list[tuple[float, float]]:
    """Return positions in the region of one localization, and outside that of the final one unless wanted there."""
    nodes = shape.nodes()
    far = (final.credible_level(nodes.ra, nodes.dec) < RULES.level) == inside_final
    chosen = np.flatnonzero(far & (shape.credible_level(nodes.ra, nodes.dec) < RULES.level))
    assert chosen.size >= PLANTED
    order = chosen[np.argsort(-nodes.weight[chosen], kind="stable")[:PLANTED]]
    return [(float(nodes.ra[i]), float(nodes.dec[i])) for i in order]


def rows_at(positions: list[tuple[float, float]], mjd_tai: float) -> list[dict[str, Any]]:
    rows = []
    for number, (ra, dec) in enumerate(positions):
        row: dict[str, Any] = dict.fromkeys(DETECTION.names) | {"survey": "ztf", "alertKey": f"ztf:{number}"}
        row |= {"sourceId": f"{number}", "objectId": f"{number}", "objectKey": f"ztf:{number}", "night": 20231018}
        row |= {"mjdTai": mjd_tai, "ra": ra, "dec": dec, "hpx29": int(hpx29(ra, dec)), "band": "r", "mag": 20.0}
        row |= {"magErr": 0.1, "isPositive": True, "reliability": 0.9, "public": True}
        rows.append(row | {"topic": "ztf", "partition": 0, "offset": number})
    return rows


def links(driver: Driver, open_ones: bool) -> set[str]:
    query = "MATCH (o:Object)-[c:CANDIDATE_FOR]->(:Event {key: $event}) WHERE c.open = $open RETURN o.key"
    with driver.session() as session:
        return {record[0] for record in session.run(query, event=EVENT, open=open_ones)}


def test_the_final_position_of_gbm_719325015_closes_links_of_all_six_earlier_regions(
    installation: Callable[..., Settings], empty_graph: Driver, test_data: Path
) -> None:
    settings = installation()
    folder = test_data / "notices/voevent/fink_broker_raw_2023"
    payloads = [path.read_bytes() for path in sorted(folder.glob("719325015_*.xml"))]  # names sort by arrival
    shapes = [shape_of(payload) for payload in payloads]
    assert len(shapes) == 7
    t0 = read_payload(payloads[0]).notice.t0_mjd_tai
    assert t0 is not None
    places = [place for shape in shapes[:-1] for place in planted(shape, shapes[-1], inside_final=False)]
    places += planted(shapes[-1], shapes[-1], inside_final=True)
    table = pa.Table.from_pylist(rows_at(places, t0 + 0.1), schema=DETECTION)
    lake = Lake(settings.lake_path)
    lake.write_detections(table)
    write_detections(empty_graph, table, database="neo4j")
    lake.write_ledger("alerts", "000001", {"windows": [window_name(table)], "packets": table.num_rows})
    associator = Associator(empty_graph, settings, RULES)
    ra, dec = table["ra"].to_numpy(), table["dec"].to_numpy()
    ever: set[str] = set()
    for step, (payload, shape) in enumerate(zip(payloads, shapes, strict=True)):
        project([Delivery(payload, "file", t0)], empty_graph, database="neo4j", maps=maps_folder(settings))
        associator.round()
        inside = np.flatnonzero(shape.credible_level(ra, dec) < RULES.level)
        assert links(empty_graph, open_ones=True) == {f"ztf:{number}" for number in inside}
        own = {f"ztf:{number}" for number in range(PLANTED * step, PLANTED * (step + 1))}
        assert own <= links(empty_graph, open_ones=True)
        ever |= own
        opened, closed = (len(links(empty_graph, open_ones=one)) for one in (True, False))
        print(f"position {step + 1} of {EVENT}: {opened} links open, {closed} closed")
    kept = {f"ztf:{number}" for number in range(PLANTED * 6, PLANTED * 7)}
    assert links(empty_graph, open_ones=True) == kept
    assert links(empty_graph, open_ones=False) >= ever - kept
    assert len(ever - kept) == 6 * PLANTED
