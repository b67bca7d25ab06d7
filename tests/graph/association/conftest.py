"""Events, objects and backgrounds for the pure functions of association, without services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asterism.graph.association.background import Background
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.sample import ObjectSample
from asterism.sky.fits import read_skymap
from asterism.sky.healpix import hpx29
from asterism.sky.localization import Localization
from asterism.sky.skymap import SkyMapLocalization


def make_objects(ra: Any, dec: Any, first: Any, **columns: Any) -> ObjectSample:
    """Return objects seen for three days, about whose light curves and hosts nothing is known."""
    place = np.broadcast_arrays(np.atleast_1d(ra), np.atleast_1d(dec), np.atleast_1d(first))
    ra, dec, first = (np.array(x, dtype=np.float64) for x in place)
    nothing = np.full(ra.size, np.nan)
    values: dict[str, Any] = {
        "key": np.array([f"ztf:o{i:06d}" for i in range(ra.size)]),
        "ra": ra,
        "dec": dec,
        "hpx29": hpx29(ra, dec),
        "first": first,
        "last": first + 3.0,
        "detections": np.full(ra.size, 3),
        "passes": np.ones(ra.size, dtype=np.bool_),
        "fade": nothing,
        "fade_err": nothing,
        "middle": nothing,
        "spread": nothing,
        "host_mpc": nothing,
        "reliability": np.full(ra.size, 0.95),
        "known": np.full(ra.size, "", dtype="U16"),
    }
    values |= columns
    return ObjectSample(**({"source": values["key"]} | values))


@pytest.fixture(scope="session")
def gw170817(test_data: Path) -> SkyMapLocalization:
    """The published map, which takes seconds to read."""
    return read_skymap(test_data / "skymaps/GW170817_skymap.fits.gz")


@pytest.fixture
def objects() -> Callable[..., ObjectSample]:
    """Make objects: ``objects(ra, dec, first, **columns)``, positions [deg], first detections MJD TAI."""
    return make_objects


@pytest.fixture
def event() -> Callable[..., ActiveEvent]:
    """Make an event: ``event(key, kind, t0, localization, **values)``."""

    def make(key: str, kind: str, t0: float, localization: Localization, **values: Any) -> ActiveEvent:
        return ActiveEvent(key, kind, t0, f"{key}:0", localization, values.pop("p_astro", 1.0), **values)

    return make


@pytest.fixture
def constant() -> Callable[[float], Background]:
    """Make a background that was not measured: ``constant(rate)`` [deg^-2 d^-1], the same everywhere."""
    return lambda rate: Background(rate, False, 0, 0.0, 0.0, None, np.empty(0))
