"""Decoys differ from the counterpart in time or in place, and nothing marks them."""

from __future__ import annotations

import numpy as np
import pytest

from asterism.simulate.decoys import LATE, OUTLYING, draw_decoys
from asterism.simulate.night import build_night
from asterism.simulate.sky import CROWDS, Patch


@pytest.mark.parametrize("scenario", ["bns", "grb", "neutrino"])
def test_late_ones_lie_where_it_is_dense_and_outlying_ones_where_it_is_thin(scenario: str) -> None:
    event = build_night(scenario, 3, ztf=0, lsst=0).events[0]
    patch = Patch.around(event.localizations[-2:], CROWDS[event.crowd])
    decoys = draw_decoys(np.random.default_rng(1), event, patch)
    truth = event.counterpart
    assert truth is not None
    assert len(decoys) == LATE + OUTLYING
    level = event.localizations[-1].credible_level(decoys.ra, decoys.dec)
    assert (level[:LATE] < 0.25).all()
    assert ((level[LATE:] > 0.9) & (level[LATE:] < 0.98)).all()
    assert (np.abs(decoys.epoch[:LATE] - truth.epoch) > 1.0).all()
    assert (np.abs(decoys.mag - truth.mag) <= 0.5).all()


def test_the_hosts_of_decoys_are_as_far_away_as_the_counterparts() -> None:
    night = build_night("bns", 3, ztf=0, lsst=0)
    truth = night.events[0].counterpart
    assert truth is not None
    at_its_distance = [d for d in night.catalogue["distanceMpc"].to_pylist() if d == truth.distance_mpc]
    assert LATE + OUTLYING + 1 >= len(at_its_distance) > (LATE + OUTLYING) / 2


def test_an_event_without_counterpart_has_none() -> None:
    (glitch,) = (event for event in build_night("full", 3, ztf=0, lsst=0).events if event.retracted)
    patch = Patch.around(glitch.localizations, CROWDS[glitch.crowd])
    assert len(draw_decoys(np.random.default_rng(1), glitch, patch)) == 0
