"""The distance term: hosts where the map puts the event speak for a candidate, others against, unknown ones neither."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from asterism.graph.association.hosts import HOST_ARCSEC, WRONG_HOST, Hosts, distance_term
from asterism.graph.association.rules import load_rules
from asterism.graph.association.sample import ALERTS, ObjectSample, objects_of, with_hosts
from asterism.sky.circle import CircleLocalization
from asterism.sky.distance import Distances
from asterism.sky.skymap import SkyMapLocalization

OFF = 10.0 ** np.random.default_rng(1).uniform(1.7, 3.0, 400)


def objects(host_mpc: list[float]) -> ObjectSample:
    plain = dict.fromkeys(ALERTS.names) | {"ra": 10.0, "dec": -5.0, "hpx29": 7, "mjdTai": 1.0}
    rows = [plain | {"objectKey": f"o{i}"} for i in range(len(host_mpc))]
    sample = objects_of(pa.Table.from_pylist(rows, schema=ALERTS), load_rules().cuts)
    return with_hosts(sample, {f"o{i}": d for i, d in enumerate(host_mpc) if np.isfinite(d)})


def sky_map(mu: float, sigma: float) -> SkyMapLocalization:
    """Return a map of one distance in all directions; the norm makes r^2 N(r) integrate to 1 for mu >> sigma."""
    pixels = np.arange(4, 16)
    layers = Distances(*(np.full(12, x) for x in (mu, sigma, 1.0 / (mu**2 + sigma**2))))
    return SkyMapLocalization(pixels, np.full(12, np.pi / (4 * 180.0**2)), layers)


def test_a_host_at_the_maps_distance_is_for_and_another_costs_the_share_of_wrong_hosts() -> None:
    near, far, unknown = distance_term(objects([90.0, 500.0, np.nan]), sky_map(90.0, 18.0), OFF)
    assert near > 1.0
    assert far == pytest.approx(np.log(WRONG_HOST), abs=1e-6)
    assert np.isnan(unknown)


def test_the_term_is_the_ratio_of_both_densities() -> None:
    """The off-source hosts are uniform in ln distance, so their density is known."""
    value = distance_term(objects([100.0]), sky_map(90.0, 18.0), OFF)[0]
    signal = (100.0**2 / (90.0**2 + 18.0**2)) * np.exp(-0.5 * (10 / 18) ** 2) / (np.sqrt(2 * np.pi) * 18.0)
    background = 1.0 / (100.0 * np.log(10.0) * 1.3)
    assert value == pytest.approx(np.log((1 - WRONG_HOST) * signal / background + WRONG_HOST), abs=0.15)


def test_an_event_without_distances_has_no_term() -> None:
    assert np.isnan(distance_term(objects([90.0]), CircleLocalization(10.0, -5.0, 1.0, 0.9), OFF)).all()


def test_the_nearest_galaxy_within_reach_is_the_host_in_whatever_order_they_come() -> None:
    rows = pa.table(
        {
            "objectKey": ["a", "a", "b", "c", "d", "e"],
            "class": ["galaxy", "galaxy", "galaxy", "star", "galaxy", None],
            "distanceMpc": [80.0, 300.0, 70.0, 1.0, None, None],
            "separationArcsec": [2.0, 9.0, HOST_ARCSEC + 1.0, 0.1, 1.0, None],
        }
    )
    for order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]):
        hosts = Hosts()
        for number in order:
            hosts.add(rows.slice(number, 1))
        assert hosts.mpc == {"a": 80.0}
