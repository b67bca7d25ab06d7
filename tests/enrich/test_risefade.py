"""The rise/fade classifier on made and on real light curves."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from asterism.enrich.risefade import SLOWEST, RiseFade, classify
from asterism.records import CLASSIFICATION, DETECTION

Row = dict[str, Any]


def alert(source: int, obj: str = "ztf:a", mjd: float = 60000.0, mag: float | None = 19.0, **values: Any) -> Row:
    return {
        "objectKey": obj,
        "sourceId": str(source),
        "mjdTai": mjd,
        "public": True,
        "band": "g",
        "mag": mag,
        "magErr": 0.05,
        "isPositive": True,
    } | values


def run(rows: list[Row]) -> dict[str, Row]:
    schema = pa.schema([DETECTION.field(name) for name in RiseFade.inputs.names])
    found = RiseFade().run(pa.Table.from_pylist(rows, schema=schema))
    assert found.schema == CLASSIFICATION
    return {row["objectKey"]: row for row in found.to_pylist()}


def curve(obj: str, rate: float, *, nights: int = 5, bands: str = "gr", noise: float = 0.05) -> list[Row]:
    """Return a light curve with a constant fade rate [mag/d], bands 0.5 mag apart."""
    chance = random.Random(obj)
    return [
        alert(
            len(bands) * night + n,
            obj,
            60000.0 + night + 0.02 * n,
            19.0 + 0.5 * n + rate * night + chance.gauss(0, noise),
            band=band,
        )
        for night in range(nights)
        for n, band in enumerate(bands)
    ]


def test_made_light_curves_get_the_class_they_were_made_with() -> None:
    rates = {"ztf:fade": 0.6, "ztf:rise": -0.4, "ztf:flat": 0.0}
    found = run([row for obj, rate in rates.items() for row in curve(obj, rate)])
    assert {obj: row["class"] for obj, row in found.items()} == {
        "ztf:fade": "fading",
        "ztf:rise": "rising",
        "ztf:flat": "flat",
    }
    for obj, row in found.items():
        assert abs(row["fadeRate"] - rates[obj]) < 4 * row["fadeRateErr"]
        assert row["prob"] > 0.9
        assert (row["alerts"], row["detections"], row["status"], row["module"]) == (10, 10, "value", "rise-fade")


def test_too_little_to_tell_is_unknown_not_flat() -> None:
    rows = [
        alert(1, "ztf:once"),
        *(alert(n, "ztf:colour", 60000.0 + n, 18.0 + n, band=band) for n, band in enumerate("gr")),
        *(alert(n, "ztf:negative", 60000.0 + n, 18.0 + n, isPositive=False) for n in range(4)),
        *(alert(n, "ztf:bandless", 60000.0 + n, 18.0 + n, band=None) for n in range(4)),
        *(alert(n, "ztf:limits", 60000.0 + n, None) for n in range(4)),
        *(alert(n, "ztf:noisy", 60000.0 + n / 10, 18.0, magErr=0.5) for n in range(2)),
    ]
    found = run(rows)
    assert len(found) == 6
    for row in found.values():
        assert (row["class"], row["status"], row["prob"]) == ("unknown", "none", None)
    assert found["ztf:negative"]["detections"] == 0
    assert found["ztf:once"]["fadeRate"] is None
    assert found["ztf:noisy"]["fadeRate"] is not None  # measured, but too badly to tell


@settings(max_examples=50)
@given(st.floats(-3, 3), st.floats(0.001, 3))
def test_the_probability_is_the_share_of_the_normal_error_beyond_the_slowest_change(rate: float, error: float) -> None:
    (label,), (probability,) = classify(np.array([rate]), np.array([error]))
    normal = norm(rate, error)
    shares = {
        "fading": normal.sf(SLOWEST),
        "rising": normal.cdf(-SLOWEST),
        "flat": normal.cdf(SLOWEST) - normal.cdf(-SLOWEST),
    }
    if label == "unknown":
        assert max(shares.values()) <= 0.5 + 1e-9
        assert np.isnan(probability)
    else:
        assert probability == pytest.approx(shares[label], abs=1e-9)
        assert probability == pytest.approx(max(shares.values()), abs=1e-9)


def test_order_repetition_and_company_of_rows_change_nothing() -> None:
    rows = curve("ztf:a", 0.3) + curve("ztf:b", -0.3, bands="r")
    rows += [rows[0] | {"mag": 17.0}]  # another packet of the same alert
    expected = run(rows)
    for seed in range(5):
        shuffled = random.Random(seed).sample(rows + rows[:4], len(rows) + 4)
        assert run(shuffled) == expected
    assert run([row for row in rows if row["objectKey"] == "ztf:b"]) == {"ztf:b": expected["ztf:b"]}


def test_the_newest_alert_is_that_of_the_latest_time_then_of_the_largest_number() -> None:
    found = run([alert(99, mjd=60001.0), alert(100, mjd=60001.0), alert(7, mjd=60000.0), alert(2**62, mjd=59000.0)])
    assert found["ztf:a"]["lastSourceId"] == "100"
    assert found["ztf:a"]["lastMjdTai"] == 60001.0


def test_restricted_alerts_count_only_where_nothing_is_public() -> None:
    public = curve("ztf:a", 0.5)
    hidden = [alert(1000 + n, "ztf:a", 60010.0 + n, 10.0, public=False) for n in range(5)]
    assert run(public + hidden) == run(public)
    found = run(hidden)["ztf:a"]
    assert (found["public"], found["alerts"]) == (False, 5)


def test_no_alerts_give_no_rows() -> None:
    assert run([]) == {}


@pytest.mark.realdata
def test_the_kilonova_of_gw170817_fades_by_a_magnitude_a_day_in_g(test_data: Path) -> None:
    with (test_data / "counterparts" / "AT2017gfo_optical.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["flux"] and row["filter"].startswith("ps1::")]
    alerts = [
        alert(
            n,
            "at2017gfo",
            float(row["mjd"]),
            float(row["zp"]) - 2.5 * math.log10(float(row["flux"])),
            magErr=2.5 / math.log(10) * float(row["fluxerr"]) / float(row["flux"]),
            band=row["filter"][-1],
        )
        for n, row in enumerate(rows)
    ]
    together = run(alerts)["at2017gfo"]
    assert (together["class"], together["detections"]) == ("fading", len(rows))
    assert together["prob"] > 0.999
    g = run([row for row in alerts if row["band"] == "g"])["at2017gfo"]
    assert g["fadeRate"] == pytest.approx(1.1, abs=0.1)
    two_nights = run([row for row in alerts if row["mjdTai"] < 57984.5])["at2017gfo"]
    assert two_nights["class"] == "fading"
