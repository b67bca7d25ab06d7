"""Nights several tests look at."""

from __future__ import annotations

import pytest

from asterism.simulate.night import AlertMessage, Night, build_night


@pytest.fixture(scope="session")
def small_night() -> Night:
    """A neutrino in a small crowd: the night with the fewest packets."""
    return build_night("neutrino", 3, ztf=700, lsst=400)


@pytest.fixture(scope="session")
def small_night_alerts(small_night: Night) -> list[AlertMessage]:
    """All alerts of `small_night`."""
    return [item for item in small_night.timeline() if isinstance(item, AlertMessage)]
