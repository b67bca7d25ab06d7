"""Exports of an event: its candidates, and the region of its localization."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import mocpy
import pyarrow.parquet as pq
import pytest
from astropy.io import votable

pytestmark = pytest.mark.services


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(("form", "page"), [("votable", 7), ("json", 7), ("parquet", 1000)])
def test_candidates_come_with_the_probabilities_and_terms_of_the_api(
    night: Any, night_api: httpx.Client, monkeypatch: pytest.MonkeyPatch, form: str, page: int, closed: bool
) -> None:
    monkeypatch.setattr("asterism.gql.export_queries.PAGE", page)
    params = {"event": "lvk:S1", "includeClosed": str(closed).lower(), "format": form}
    content = night_api.get("/export/candidates", params=params).content
    if form == "json":
        rows = json.loads(content)
    elif form == "parquet":
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
    else:
        found = votable.parse(io.BytesIO(content), verify="exception").get_first_table().to_table()
        rows = [dict(zip(found.colnames, row, strict=True)) for row in found]
    expected = night.shown("lvk:S1", closed=closed)
    assert [(row["objectKey"], row["logL"], row["localizationKey"]) for row in rows] == [
        (link.key, link.log_l, link.localization) for link in expected
    ]
    for row, link in zip(rows, expected, strict=True):
        assert row["open"] == link.open
        assert row["eventKey"] == "lvk:S1"
        if link.open:
            assert float(row["probability"]) == pytest.approx(night.probability("lvk:S1", link))
            assert float(row["probabilityLow"]) == pytest.approx(night.probability("lvk:S1", link, 1 / 3))
        elif form != "votable":
            assert row["probability"] is None


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_mocpy_reads_the_region_of_an_event_in_both_forms(night_api: httpx.Client, level: float) -> None:
    params = {"event": "lvk:S1", "level": str(level)}
    as_fits = mocpy.MOC.from_fits(io.BytesIO(night_api.get("/export/moc", params=params).content))
    as_json = mocpy.MOC.from_json(night_api.get("/export/moc", params=params | {"format": "json"}).json())
    assert as_fits == as_json
    area = as_fits.sky_fraction * 41252.96
    # The event's circle: 5 deg hold 0.9; what holds 0.5 is smaller.
    assert area == pytest.approx(78.5, rel=0.02) if level == 0.9 else area < 40.0


def test_a_region_is_found_by_its_own_key_and_none_for_an_event_that_was_retracted(night_api: httpx.Client) -> None:
    query = '{ event(key: "lvk:S1") { localizations { key } } }'
    keys = [
        one["key"] for one in night_api.post("/graphql", json={"query": query}).json()["data"]["event"]["localizations"]
    ]
    answers = [night_api.get("/export/moc", params={"localization": key, "format": "json"}) for key in keys]
    assert len(keys) == 2
    assert all(answer.json() for answer in answers)
    gone = night_api.get("/export/moc", params={"event": "lvk:S2"})
    assert (gone.status_code, gone.json()["errors"][0]["extensions"]["code"]) == (400, "gql.argument")
