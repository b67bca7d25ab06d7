"""Ids that no float64 can hold, from packet to lake, graph and GraphQL JSON, and back as a question."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asterism.ingest.load import load_files
from asterism.lake import Lake
from asterism.settings import Settings
from asterism.simulate.packets import SimulatedDetection, lsst_packet, ztf_packet

pytestmark = pytest.mark.services

IDS = st.integers(1, 2**63 - 1)
QUERY = (
    """query ($key: ID!) { object(key: $key) { key objectId alerts(first: 1) { edges { node { key sourceId } } } } }"""
)


@pytest.mark.timeout(300)
def test_ids_survive_the_way_from_packet_to_answer(installation: Callable[..., Settings], serve_api: Any) -> None:
    home = installation()
    with serve_api(home) as url, httpx.Client(base_url=url, timeout=60) as client:

        def ask(key: str) -> httpx.Response:
            return client.post("/graphql", json={"query": QUERY, "variables": {"key": key}})

        @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(IDS, IDS)
        @example(2**53 + 1, 2**63 - 1)
        @example(2**63 - 1, 2**53 + 1)
        @example(2**53, 2**53 + 2)
        def check(source_id: int, object_id: int) -> None:
            here = {"ra": 10.0, "dec": -20.0, "mjd_tai": 61000.25, "band": "r", "flux": 5000.0, "flux_err": 100.0}
            folder = home.home / f"packets-{source_id}-{object_id}"
            folder.mkdir(exist_ok=True)
            lsst = SimulatedDetection(object_id=str(object_id), source_id=source_id, **here)
            ztf = SimulatedDetection(object_id=f"ZTF18{object_id % 10**7:07d}", source_id=source_id, **here)
            (folder / "lsst.avro").write_bytes(lsst_packet(lsst))
            (folder / "ztf.avro").write_bytes(ztf_packet(ztf))
            outcomes = load_files(home, [folder], lambda *_args, **_values: None).to_pylist()
            assert {(row["survey"], row["code"]) for row in outcomes} == {("lsst", None), ("ztf", None)}

            stored = Lake(home.lake_path).detections(["alertKey", "sourceId", "objectId"]).to_pylist()
            assert {"alertKey": f"lsst:{source_id}", "sourceId": str(source_id), "objectId": str(object_id)} in stored
            assert f"ztf:{source_id}" in {row["alertKey"] for row in stored}

            answer = ask(f"lsst:{object_id}")
            found = json.loads(answer.text, parse_int=pytest.fail)["data"]["object"]
            assert (found["key"], found["objectId"]) == (f"lsst:{object_id}", str(object_id))
            keys = {edge["node"]["key"] for edge in found["alerts"]["edges"]}
            assert keys <= {row["alertKey"] for row in stored}
            again = ask(found["key"]).json()["data"]["object"]
            assert again == found

        check()
