"""Surveys look at night, at what is up, where they can, and every caller sees the same visits."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import get_body, get_sun
from astropy.time import Time

from asterism.simulate.survey import BANDS, LSST, OBSERVATORIES, ZTF, Observatory, Schedule, moonlight, sun_longitude
from asterism.sky.cone import separation_deg

FIRST = 61112


def schedule(spec: Observatory, seed: int = 4) -> Schedule:
    return Schedule(spec, seed, FIRST, FIRST + 7)


@pytest.mark.parametrize("spec", OBSERVATORIES, ids=lambda spec: spec.name)
def test_visits_are_ordered_repeatable_and_in_the_survey_s_own_bands(spec: Observatory) -> None:
    tile = int(schedule(spec).tile(np.array([180.0]), np.array([-5.0]))[0])
    visits, again = schedule(spec).visits(tile), schedule(spec).visits(tile)
    assert np.array_equal(visits.mjd_tai, again.mjd_tai)
    assert np.array_equal(visits.flux_err, again.flux_err)
    assert np.all(np.diff(visits.mjd_tai) > 0.0)
    assert {BANDS[band] for band in visits.band} <= set(spec.depth)
    assert visits.mjd_tai[0] > FIRST - spec.archive_days - 1
    assert visits.mjd_tai[-1] < FIRST + 8.5
    assert np.any(visits.mjd_tai >= FIRST)
    depth = 31.4 - 2.5 * np.log10(5.0 * visits.flux_err)
    assert np.all(depth < np.array([spec.depth.get(name, 0.0) for name in BANDS])[visits.band] + 0.6)
    assert not np.array_equal(visits.mjd_tai, schedule(spec, 5).visits(tile).mjd_tai)


@pytest.mark.parametrize("spec", OBSERVATORIES, ids=lambda spec: spec.name)
def test_the_sun_is_below_the_horizon_in_every_visit(spec: Observatory) -> None:
    latitude = np.radians(33.36 if spec is ZTF else -30.24)
    for ra in (140.0, 180.0, 220.0):
        visits = schedule(spec).visits(int(schedule(spec).tile(np.array([ra]), np.array([-5.0]))[0]))
        run = visits.mjd_tai[visits.mjd_tai >= FIRST]
        time = Time(run, format="mjd", scale="tai")
        sun = get_sun(time)
        turned = 360.9856473 * (time.utc.jd - 2451545.0) + 280.46061837
        hour_angle = np.radians(turned + spec.longitude_deg) - sun.ra.rad
        altitude = np.sin(latitude) * np.sin(sun.dec.rad) + np.cos(latitude) * np.cos(sun.dec.rad) * np.cos(hour_angle)
        assert len(run) > 3
        assert float(np.degrees(np.arcsin(altitude)).max()) < -10.0


def test_the_footprints_overlap_and_end() -> None:
    ra, dec = np.array([10.0, 10.0, 10.0, 10.0]), np.array([80.0, 0.0, -29.0, -60.0])
    assert (schedule(ZTF).tile(ra, dec) >= 0).tolist() == [True, True, True, False]
    assert (schedule(LSST).tile(ra, dec) >= 0).tolist() == [False, True, True, True]


def test_tiles_hold_positions_no_farther_apart_than_their_diagonal() -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0.0, 360.0, 4000), rng.uniform(-29.0, 11.0, 4000)
    for spec in OBSERVATORIES:
        tile = schedule(spec).tile(ra, dec)
        for place in np.unique(tile)[:20]:
            here = tile == place
            apart = separation_deg(ra[here][0], dec[here][0], ra[here], dec[here])
            assert float(apart.max()) < 1.5 * np.hypot(spec.tile_deg, spec.tile_deg)


def test_two_nights_in_a_row_are_never_both_lost() -> None:
    for seed in range(6):
        own = Schedule(ZTF, seed, FIRST, FIRST + 7)
        place = int(own.tile(np.array([175.0]), np.array([-3.0]))[0])
        nights = np.unique(np.floor(own.visits(place).mjd_tai[own.visits(place).mjd_tai >= FIRST]))
        assert np.all(np.diff(nights) <= 3)
        assert len(nights) >= 3


def test_sun_and_moon_agree_with_astropy() -> None:
    mjd = np.array([57982.5, 61112.3, 61126.8])
    sun = get_sun(Time(mjd, format="mjd", scale="tai"))
    lon = np.degrees(
        np.arctan2(
            np.sin(sun.ra.rad) * np.cos(np.radians(23.4393)) + np.tan(sun.dec.rad) * np.sin(np.radians(23.4393)),
            np.cos(sun.ra.rad),
        )
    )
    off = (sun_longitude(mjd) - lon + 180.0) % 360.0 - 180.0
    assert float(np.abs(off).max()) < 0.4
    red = np.full(1, BANDS.index("r"))
    full_moon = Time(61103.5, format="mjd", scale="tai")  # 2026-03-03 11:38 UTC
    moon = get_body("moon", full_moon)
    near = moonlight(np.array([61103.5]), float(moon.ra.deg), float(moon.dec.deg), red)
    far = moonlight(np.array([61103.5]), float(moon.ra.deg) + 180.0, -float(moon.dec.deg), red)
    new = moonlight(np.array([61118.05]), float(moon.ra.deg), float(moon.dec.deg), red)  # new moon of 2026-03-19
    assert near > 0.8
    assert far < 0.2
    assert new < 0.02
