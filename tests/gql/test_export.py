"""Exports of objects and alerts: every visible row once, in every format, as the store holds it."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from astropy.io import votable
from click.testing import CliRunner

from asterism.gql.export_command import export as command
from asterism.settings import STACK_FILE, Settings

pytestmark = pytest.mark.services
CONE = {"ra": "150", "dec": "2", "radiusArcsec": "3600"}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asterism.gql.export_queries.PAGE", 7)


def table(content: bytes, form: str) -> list[dict[str, Any]]:
    """Read an exported table; unknown values are None."""
    if form == "json":
        found: list[dict[str, Any]] = json.loads(content)
        return found
    if form == "csv":
        return [{k: v or None for k, v in row.items()} for row in csv.DictReader(io.StringIO(content.decode()))]
    if form == "parquet":
        return pq.read_table(io.BytesIO(content)).to_pylist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = votable.parse(io.BytesIO(content), verify="exception").get_first_table().to_table()
    return [{name: None if hasattr(value, "mask") and value.mask else value for name, value in zip(
        array.colnames, row, strict=True)} for row in array]  # fmt: skip


def get(client: httpx.Client, what: str, form: str, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/export/{what}", params=params | {"format": form})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].endswith(
        f'{ {"votable": ".vot", "csv": ".csv", "json": ".json", "parquet": ".parquet"}[form] }"'.replace(" ", "")
    )
    return table(answer.content, form)


@pytest.mark.parametrize("form", ["votable", "csv", "json", "parquet"])
def test_a_cone_is_every_visible_object_once_nearest_first(
    api: httpx.Client, sky_rows: list[dict[str, Any]], form: str
) -> None:
    rows = get(api, "cone", form, **CONE)
    expected = {row["objectKey"]: row for row in sky_rows if row["public"] and row["survey"] == "ztf"}
    assert sorted(row["objectKey"] for row in rows) == sorted(expected)
    separations = [float(row["separationArcsec"]) for row in rows]
    assert separations == sorted(separations)
    for row in rows:
        truth = expected[row["objectKey"]]
        assert (float(row["ra"]), float(row["dec"]), int(row["hpx29"])) == (truth["ra"], truth["dec"], truth["hpx29"])
        assert float(row["lastMjdTai"]) == 59002.0


@pytest.mark.parametrize("form", ["votable", "csv", "json", "parquet"])
def test_ids_no_float_can_hold_are_exact_and_unknown_magnitudes_are_empty(api: httpx.Client, form: str) -> None:
    big = str(2**63 - 1)
    (row,) = get(api, "objects", form, key=[f"lsst:{big}", "lsst:404", "ztf:ZTF0009"])
    assert (row["objectId"], row["objectKey"]) == (big, f"lsst:{big}")
    assert row["lastMag"] is None or row["lastMag"] != row["lastMag"]


@pytest.mark.parametrize("form", ["votable", "csv", "json", "parquet"])
def test_the_alerts_of_an_object_come_newest_first_over_all_pages(
    api: httpx.Client, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asterism.gql.export_queries.PAGE", 2)
    rows = get(api, "alerts", form, object="ztf:ZTF0004")
    assert [(row["alertKey"], float(row["mjdTai"])) for row in rows] == [
        ("ztf:14", 59002.0),
        ("ztf:13", 59001.0),
        ("ztf:12", 59000.0),
    ]
    assert {(float(row["flux"]), float(row["mag"]), row["band"]) for row in rows} == {(3630.78, 22.5, "g")}


def test_what_everybody_may_not_see_is_exported_only_where_the_settings_show_it(
    api: httpx.Client, sky: Settings, serve_api: Callable[[Settings], Any]
) -> None:
    assert api.get("/export/alerts", params={"object": "ztf:ZTF0009"}).status_code == 400
    with (
        serve_api(sky.model_copy(update={"show_nonpublic": True})) as url,
        httpx.Client(base_url=url, timeout=60) as insider,
    ):
        assert len(get(insider, "alerts", "json", object="ztf:ZTF0009")) == 3
        assert len(get(insider, "cone", "json", **CONE)) == 120


def test_a_cone_without_objects_is_a_table_without_rows(api: httpx.Client) -> None:
    for form in ("votable", "csv", "json", "parquet"):
        assert get(api, "cone", form, ra="1", dec="1", radiusArcsec="1") == []


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("cone?ra=150&dec=2", "radiusArcsec is not given"),
        ("cone?ra=x&dec=2&radiusArcsec=1", "ra is 'x'"),
        ("cone?ra=1&dec=2&radiusArcsec=nan", "radiusArcsec is 'nan'"),
        ("cone?ra=1&dec=92&radiusArcsec=1", "dec is 92"),
        ("cone?ra=1&dec=2&radiusArcsec=1&mjdfrom=3", "'mjdfrom' is no parameter"),
        ("cone?ra=1&dec=2&radiusArcsec=1&format=xls", "format is 'xls'"),
        ("objects", "0 keys are given"),
        ("alerts?object=ztf:NONE", "there is no object ztf:NONE"),
        ("alerts?object=none", "key 'none' is not"),
        ("candidates?event=lvk:NONE", "there is no event lvk:NONE"),
        ("candidates?event=lvk:NONE&includeClosed=1", "includeClosed is '1'"),
        ("moc?event=lvk:NONE", "lvk:NONE has no localization"),
        ("moc?localization=none", "there is no localization none"),
        ("moc", "name an event or a localization"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_a_code_before_anything_is_sent(
    api: httpx.Client, address: str, says: str
) -> None:
    answer = api.get(f"/export/{address}")
    (error,) = answer.json()["errors"]
    assert answer.status_code == 400
    assert error["message"].startswith(says)
    assert error["extensions"]["code"] in ("gql.argument", "id.malformed")
    assert error["extensions"]["hint"]


def test_a_failure_while_rows_are_sent_breaks_the_connection_off(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asterism.graph.reader import GraphReader

    real, calls = GraphReader.cone_search, 0

    async def failing(self: Any, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise RuntimeError("the store broke")
        return await real(self, *args)

    monkeypatch.setattr(GraphReader, "cone_search", failing)
    with pytest.raises(httpx.RemoteProtocolError):
        api.get("/export/cone", params=CONE | {"format": "csv"})


def test_the_command_writes_the_same_file_as_the_server_and_only_a_whole_one(
    api: httpx.Client, stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / STACK_FILE).write_text((stack.home / STACK_FILE).read_text())
    monkeypatch.setenv("ASTERISM_HOME", str(tmp_path))
    place = ["--ra", "150", "--dec", "2", "--radius-arcsec", "3600"]
    for form in ("votable", "csv", "json"):
        file = tmp_path / form
        done = CliRunner().invoke(command, ["cone", *place, "--format", form, "-o", str(file), "--json"])
        assert json.loads(done.output) == {"file": str(file), "bytes": file.stat().st_size}
        assert file.read_bytes() == api.get("/export/cone", params=CONE | {"format": form}).content
    printed = CliRunner().invoke(command, ["objects", "ztf:ZTF0001", "--format", "csv"])
    assert table(printed.stdout_bytes, "csv")[0]["objectKey"] == "ztf:ZTF0001"
    missing = CliRunner().invoke(command, ["alerts", "ztf:NONE", "-o", str(tmp_path / "none")])
    assert missing.exception is not None
    assert not [path for path in tmp_path.iterdir() if "none" in path.name]
