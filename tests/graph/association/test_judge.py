"""Judging, against brute force over every object, whatever the region, the distance layers and the rule set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from asterism.graph.association.associate import judge
from asterism.graph.association.background import measure_background
from asterism.graph.association.grades import chance_probability
from asterism.graph.association.observed import Observed
from asterism.graph.association.rules import known_rules, load_rules
from asterism.sky.circle import CircleLocalization
from asterism.sky.cone import separation_deg
from asterism.sky.distance import Distances
from asterism.sky.healpix import SKY_DEG2, contains, pixel_centers
from asterism.sky.skymap import SkyMapLocalization

RULES = load_rules()
T0 = 61000.0


def scattered(objects: Callable[..., Any], seed: int, ra: float, dec: float, n: int = 400) -> Any:
    """Return objects within some degrees of a place, poles and RA 0 included, new and old."""
    rng = np.random.default_rng(seed)
    place = np.clip(dec + rng.uniform(-8.0, 8.0, n), -90.0, 90.0)
    around = ra + rng.uniform(-8.0, 8.0, n) / np.maximum(np.cos(np.radians(place)), 0.05)
    return objects(around % 360.0, place, T0 + rng.uniform(-40.0, 30.0, n))


@pytest.mark.parametrize(("ra", "dec"), [(150.0, 2.0), (0.1, -20.0), (359.95, 45.0), (77.0, 89.0), (200.0, -89.5)])
@pytest.mark.parametrize("name", known_rules())
def test_candidates_are_those_of_brute_force_for_every_rule_set(
    objects: Callable[..., Any],
    event: Callable[..., Any],
    constant: Callable[..., Any],
    name: str,
    ra: float,
    dec: float,
) -> None:
    rules, sky = load_rules(name), scattered(objects, 3, ra, dec)
    circle = CircleLocalization(ra, dec, 3.0, 0.68)
    burst = event("gbm:1", "grb", T0, circle, radius_deg=3.0)
    region = burst.region(rules)
    start, end = rules.kinds["grb"].window
    found = judge(burst, region, sky.select(contains(region.lo, region.hi, sky.hpx29)), constant(0.5), rules)
    if rules.method == "likelihood":
        inside = circle.credible_level(sky.ra, sky.dec) < rules.level
    else:
        reach = {"paper-2020": 3.0, "fink-2026": 4.5}[name]
        inside = separation_deg(ra, dec, sky.ra, sky.dec) <= reach
    new = (sky.first - T0 >= start) & (sky.first - T0 <= end)
    assert set(found.objects.key) == set(sky.key[inside & new]) != set()


def test_events_older_than_any_window_and_empty_regions_have_no_candidates(
    objects: Callable[..., Any], event: Callable[..., Any], constant: Callable[..., Any]
) -> None:
    sky, circle = scattered(objects, 4, 10.0, 0.0), CircleLocalization(10.0, 0.0, 3.0, 0.68)
    old = event("gbm:1", "grb", T0 - 100.0, circle)
    assert len(judge(old, old.region(RULES), sky, constant(0.5), RULES).objects) == 0
    paper = load_rules("paper-2020")
    unknown = event("svom:1", "grb", T0, circle, radius_deg=3.0)
    assert unknown.region(paper).lo.size == 0
    verdict = judge(unknown, unknown.region(paper), sky, constant(0.5), paper)
    assert (len(verdict.objects), verdict.unrelated) == (0, 0.0)


def test_a_smaller_map_keeps_what_is_inside_and_drops_the_rest(
    objects: Callable[..., Any], event: Callable[..., Any], constant: Callable[..., Any]
) -> None:
    sky = scattered(objects, 5, 359.0, 88.0)
    wide, narrow = CircleLocalization(359.0, 88.0, 4.0, 0.68), CircleLocalization(0.0, 88.5, 1.0, 0.68)
    kept = []
    for shape in (wide, narrow):
        one = event("gbm:1", "grb", T0, shape)
        kept.append(set(judge(one, one.region(RULES), sky, constant(0.5), RULES).objects.key))
    still = sky.key[
        (narrow.credible_level(sky.ra, sky.dec) < RULES.level) & (wide.credible_level(sky.ra, sky.dec) < 0.99)
    ]
    assert kept[1] & kept[0] == kept[0] & set(still)
    assert kept[1] != kept[0]


def test_the_order_of_objects_changes_nothing(
    objects: Callable[..., Any], event: Callable[..., Any], constant: Callable[..., Any]
) -> None:
    sky, burst = scattered(objects, 6, 40.0, 10.0), event("gbm:1", "grb", T0, CircleLocalization(40.0, 10.0, 3.0, 0.68))
    region = burst.region(RULES)
    one = judge(burst, region, sky, constant(0.5), RULES)
    other = judge(burst, region, sky.select(np.random.default_rng(1).permutation(len(sky))), constant(0.5), RULES)
    assert one.objects.key.tolist() == other.objects.key.tolist()
    assert one.chance.tolist() == other.chance.tolist()
    assert one.log_sum_l == pytest.approx(other.log_sum_l, rel=1e-12)


def test_rates_are_measured_by_survey_and_place_and_shrink_to_coarser_ones(
    objects: Callable[..., Any], event: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(8)
    n = 20_000
    ra, dec, first = rng.uniform(120.0, 180.0, n), rng.uniform(-20.0, 20.0, n), T0 + rng.uniform(-30.0, 14.0, n)
    dense = np.flatnonzero((ra < 150.0) | (rng.random(n) < 0.25))  # four times as many in the west
    key = np.array([f"{'ztf' if i % 3 else 'lsst'}:o{i:06d}" for i in range(n)])
    sky = objects(ra, dec, first, key=key, source=key).select(dense)
    names = np.array([one.partition(":")[0] for one in sky.key])
    grid_ra, grid_dec = (x.ravel() for x in np.meshgrid(np.arange(120.2, 180.0, 0.4), np.arange(-19.8, 20.0, 0.4)))
    cells = np.tile(objects(grid_ra, grid_dec, T0).hpx29, 2)
    survey = np.repeat(["ztf", "lsst"], grid_ra.size)
    observed = Observed.from_alerts(cells, survey, np.full(cells.size, T0 + 1.0), np.full(cells.size, 20.5))
    burst = event("lvk:1", "gw", T0, CircleLocalization(135.0, 0.0, 5.0, 0.9))
    background = measure_background(sky, observed, burst.region(RULES), RULES)
    assert background.measured
    assert background.valid == (T0, pytest.approx(T0 + 14.0, abs=3.1))
    west, east = (objects(x, 0.0, T0).hpx29 for x in (135.0, 165.0))
    ztf_west, ztf_east, lsst_west = (
        float(background.rate_at(place, np.array([name]))[0])
        for place, name in ((west, "ztf"), (east, "ztf"), (west, "lsst"))
    )
    truth = n * 14.0 / 44.0 / (2400.0 * 0.985 * 14.0) * 2.0 / 3.0
    assert ztf_west == pytest.approx(truth, rel=0.3)
    assert 2.0 < ztf_west / ztf_east < 5.0
    assert 1.3 < ztf_west / lsst_west < 3.0
    assert names.size == len(sky)


def test_coverage_is_the_share_of_the_map_times_the_share_of_the_prior() -> None:
    half = CircleLocalization(150.0, 0.0, 3.0, 0.9)
    ra, dec = pixel_centers(6, np.arange(12 * 4**6))
    near = separation_deg(150.0, 0.0, ra, dec) < 20.0
    north = near & (dec > 0.0)
    kind = RULES.kinds["gw"]

    def coverage(chosen: np.ndarray, days: float) -> float:
        cell = np.flatnonzero(chosen) << (2 * 23)
        alerts = Observed.from_alerts(
            cell, np.full(cell.size, "ztf"), np.full(cell.size, T0 + days), np.full(cell.size, 20.0)
        )
        return alerts.coverage(half, T0, kind)

    assert coverage(near, 30.0) == 0.0  # after the window: no visit counts
    assert coverage(near, 14.0) == pytest.approx(1.0, abs=1e-3)
    assert coverage(near, 0.5) == pytest.approx(0.65 / 2.0, abs=1e-3)
    fine = np.arange(12 * 4**9)
    density = half.density(*pixel_centers(9, fine))
    assert coverage(north, 14.0) == pytest.approx(density[north[fine >> 6]].sum() / density.sum(), abs=0.01)


def test_a_chance_probability_of_fink_is_divided_by_years_once_and_at_most_one() -> None:
    rule = load_rules("fink-2026").chance
    assert rule is not None
    delay = np.array([1.0])
    found = chance_probability(1.0, delay, "gbm", rule)
    by_hand = 31.0 * np.pi / 141994.0 * (1.0 - np.exp(-250.0 * (141994.0 / 31.0 / SKY_DEG2) / 365.25))
    assert found == pytest.approx([by_hand])
    assert chance_probability(60.0, np.array([1e6]), "gbm", rule).tolist() == [1.0]
    assert np.isnan(chance_probability(1.0, delay, "icecube", rule)).all()
    assert np.isnan(chance_probability(None, delay, "gbm", rule)).all()


MU = np.array([100.0, np.inf, -300.0, *np.full(9, 100.0)])
LAYERS = Distances(MU, np.full(12, 20.0), np.full(12, 1e-4))


def test_a_host_is_weighed_only_where_the_map_knows_a_distance(
    objects: Callable[..., Any], event: Callable[..., Any], constant: Callable[..., Any]
) -> None:
    """All twelve pixels: position by hand; infinite DISTMU knows no distance, a negative one is a parameter."""
    share = np.arange(1.0, 13.0) / 78.0
    sky_map = SkyMapLocalization(np.arange(4, 16), share * 12.0 / SKY_DEG2, LAYERS)
    ra, dec = pixel_centers(0, np.arange(12))
    merger = event("lvk:1", "gw", T0, sky_map)
    sky = objects(ra, dec, T0 + 0.5, host_mpc=np.full(12, 100.0))
    verdict = judge(merger, merger.region(RULES), sky, constant(0.5), RULES)
    pixel = np.array([int(key[-6:]) for key in verdict.objects.key])
    level = np.array([share[share > share[i]].sum() for i in range(12)])
    assert set(pixel) == set(np.flatnonzero(level < RULES.level))
    assert verdict.scores.terms["position"] == pytest.approx(np.log(share[pixel] * 12.0 / SKY_DEG2))
    assert np.isfinite(verdict.scores.log_l).all()
    assert np.isnan(verdict.scores.terms["distance"]).tolist() == (pixel == 1).tolist()
