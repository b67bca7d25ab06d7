"""Time scales agree with astropy's, leap seconds included.

astropy stretches the UTC days that hold a leap second (86,401 s); a plain MJD does not, so those days are left out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from astropy.time import Time, TimeDelta
from astropy.utils import iers
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from asterism.times import (
    datetime_to_mjd_tai,
    jd_utc_to_mjd_tai,
    mjd_tai_to_iso,
    mjd_tai_to_utc,
    mjd_utc_to_tai,
    night_of,
    tai_minus_utc,
)

STEPS = np.asarray(iers.LeapSeconds.from_iers_leap_seconds(iers.IERS_LEAP_SECOND_FILE)["mjd"], dtype=float)
SINCE_1972 = st.floats(41317.0, 61500.0)
TEN_MICROSECONDS = 1e-5 / 86400.0


def outside_leap_days(mjd_utc: float) -> bool:
    return float(np.floor(mjd_utc)) + 1.0 not in STEPS


@given(SINCE_1972)
@example(57754.0)  # 2017-01-01, the first instant with 37 s
@example(57752.999999)
@example(41499.0)
@settings(max_examples=300, deadline=None)
def test_utc_to_tai_agrees_with_astropy(mjd_utc: float) -> None:
    assume(outside_leap_days(mjd_utc))
    expected = Time(mjd_utc, format="mjd", scale="utc").tai
    assert float(mjd_utc_to_tai(mjd_utc)) == pytest.approx(expected.mjd, abs=TEN_MICROSECONDS)


@given(SINCE_1972)
@settings(max_examples=300, deadline=None)
def test_tai_to_utc_agrees_with_astropy(mjd_tai: float) -> None:
    expected = Time(mjd_tai, format="mjd", scale="tai").utc
    assume(outside_leap_days(expected.mjd))
    assert float(mjd_tai_to_utc(mjd_tai)) == pytest.approx(expected.mjd, abs=TEN_MICROSECONDS)


@given(SINCE_1972)
@settings(max_examples=200, deadline=None)
def test_going_to_tai_and_back_changes_nothing(mjd_utc: float) -> None:
    back = float(mjd_tai_to_utc(mjd_utc_to_tai(mjd_utc)))
    assert back == pytest.approx(mjd_utc, abs=TEN_MICROSECONDS)


def test_the_offset_steps_at_midnight_of_every_leap_second() -> None:
    before, after = tai_minus_utc(STEPS[1:] - 1e-9), tai_minus_utc(STEPS[1:])
    np.testing.assert_array_equal(after - before, 1.0)
    assert float(tai_minus_utc(STEPS[0])) == 10.0
    assert float(tai_minus_utc(61000.0)) == 37.0
    assert float(tai_minus_utc(30000.0)) == 10.0


def test_arrays_keep_their_shape() -> None:
    grid = np.linspace(58000.0, 61000.0, 12).reshape(3, 4)
    for convert in (mjd_utc_to_tai, mjd_tai_to_utc, jd_utc_to_mjd_tai, tai_minus_utc):
        assert convert(grid).shape == (3, 4)


@given(st.floats(2458000.0, 2462000.0))
@settings(max_examples=100, deadline=None)
def test_ztf_s_jd_becomes_mjd_tai(jd: float) -> None:
    expected = Time(jd, format="jd", scale="utc").tai.mjd
    assert float(jd_utc_to_mjd_tai(jd)) == pytest.approx(expected, abs=1e-4 / 86400.0)


@given(st.datetimes(datetime(1973, 1, 1), datetime(2027, 1, 1)), st.integers(-12, 14))
@settings(max_examples=200, deadline=None)
def test_datetimes_agree_with_astropy_and_come_back_as_iso(naive: datetime, offset: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(hours=offset)))
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    expected = Time(utc, scale="utc")
    assume(outside_leap_days(expected.mjd))
    mjd_tai = datetime_to_mjd_tai(moment)
    assert abs(Time(mjd_tai, format="mjd", scale="tai") - expected.tai) < TimeDelta(1e-5, format="sec")
    returned = datetime.fromisoformat(mjd_tai_to_iso(mjd_tai))
    assert abs(returned - moment) <= timedelta(microseconds=2)
    assert mjd_tai_to_iso(mjd_tai).endswith("Z")


def test_a_datetime_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        datetime_to_mjd_tai(datetime(2025, 1, 1))


@given(st.datetimes(datetime(1990, 1, 1), datetime(2027, 1, 1)), st.sampled_from([0, -12]))
@settings(max_examples=200, deadline=None)
def test_a_night_is_the_shifted_utc_date(naive: datetime, shift: int) -> None:
    moment = naive.replace(tzinfo=UTC)
    shifted = naive + timedelta(hours=shift)
    assume(timedelta(seconds=1) < shifted - datetime(shifted.year, shifted.month, shifted.day))
    assert int(night_of(datetime_to_mjd_tai(moment), shift)) == int(shifted.strftime("%Y%m%d"))


def test_the_rubin_night_ends_at_noon_utc() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    nights = [datetime_to_mjd_tai(noon + timedelta(seconds=s)) for s in (-1, 1)]
    assert night_of(nights, -12).tolist() == [20251231, 20260101]


def test_a_real_ztf_exposure_starts_when_its_file_name_says() -> None:
    # ztf_20240519378449: 2024-05-19 plus 0.378449 days UTC; candidate.jd of the same packet
    named = Time("2024-05-19", scale="utc").mjd + 0.378449
    assert float(mjd_tai_to_utc(jd_utc_to_mjd_tai(2460449.8784606))) == pytest.approx(named, abs=2 / 86400)
