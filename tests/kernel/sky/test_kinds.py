"""Records keep everything: what comes back answers the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

from asterism.errors import SkyError
from asterism.sky.circle import CircleLocalization
from asterism.sky.distance import Distances
from asterism.sky.ellipse import EllipseLocalization
from asterism.sky.healpix import SKY_DEG2
from asterism.sky.kinds import KINDS, localization_from_record
from asterism.sky.localization import Localization
from asterism.sky.mixture import GBM_PRE_2019, with_systematic
from asterism.sky.skymap import SkyMapLocalization

EXAMPLES: list[Localization] = [
    CircleLocalization(10.123456789012345, -20.0, 1e-4, 0.68),
    with_systematic(10.0, 20.0, 3.0, GBM_PRE_2019),
    EllipseLocalization(10.0, 20.0, 1.0, 2.0, 3.0, 4.0, 0.9, 12.5),
    SkyMapLocalization(np.array([5, 4]), np.array([3.0, 9.0]) / SKY_DEG2),
    SkyMapLocalization(
        np.array([5, 4]), np.array([3.0, 9.0]) / SKY_DEG2, Distances(*np.array([[1.0, np.inf], [2.0, 1.0], [3.0, 1.0]]))
    ),
]


@pytest.mark.parametrize("localization", EXAMPLES, ids=lambda value: value.kind)
def test_a_record_survives_json_and_gives_the_same_answers(localization: Localization) -> None:
    back = localization_from_record(json.loads(json.dumps(localization.as_record(), allow_nan=False)))
    assert type(back) is type(localization)
    assert back.as_record() == localization.as_record()
    ra, dec = np.meshgrid(np.linspace(0, 359, 13), np.linspace(-89, 89, 13))
    assert back.density(ra, dec).tolist() == localization.density(ra, dec).tolist()
    assert back.area(0.9) == localization.area(0.9)
    assert back.ranges(0.5) == localization.ranges(0.5)
    before, after = localization.distance(10.0, 20.0), back.distance(10.0, 20.0)
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert np.array_equal(before.mu, after.mu, equal_nan=True)


def test_a_map_of_many_rows_comes_back_bit_by_bit() -> None:
    density = np.random.default_rng(3).exponential(1.0, 12 * 4**5)
    density *= 1.003 / (density.sum() * SKY_DEG2 / density.size)
    sky_map = SkyMapLocalization(np.arange(density.size) + 4**6, density)
    back = localization_from_record(sky_map.as_record())
    assert isinstance(back, SkyMapLocalization)
    assert np.array_equal(back.density_deg2, sky_map.density_deg2)


def test_every_kind_is_tried_above() -> None:
    assert {example.kind for example in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "blob"},
        {"kind": "circle"},
        {"kind": "circle", "ra": 1, "dec": 2, "radius_deg": "x", "containment": 0.9},
        {"kind": "circle", "ra": True, "dec": 2, "radius_deg": 1, "containment": 0.9},
        {"kind": "mixture", "ra": 1, "dec": 2, "components": 5},
        {"kind": "mixture", "ra": 1, "dec": 2, "components": []},
        {"kind": "ellipse", "ra": 1, "dec": 2},
        {"kind": "skymap"},
        {"kind": "skymap", "rows": 1, "columns": {}},
        {"kind": "skymap", "rows": 1, "columns": {"uniq": "!!!", "density_deg2": "AAAA"}},
        {"kind": "skymap", "rows": 10**15, "columns": {"uniq": "AAAA", "density_deg2": "AAAA"}},
        {"kind": "skymap", "rows": -1, "columns": {"uniq": "AAAA", "density_deg2": "AAAA"}},
    ],
)
def test_a_damaged_record_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(SkyError):
        localization_from_record(record)


def test_a_record_that_inflates_beyond_its_rows_is_refused() -> None:
    record = EXAMPLES[3].as_record()
    record["rows"] = 1
    with pytest.raises(SkyError):
        localization_from_record(record)
