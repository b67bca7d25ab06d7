"""`asterism.voevent.clock`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.voevent.clock import mjd_tai, mjd_tai_of_day, scale_of, utc_text
from asterism.voevent.errors import NoticeTimeError

MOMENTS = st.datetimes(datetime(1999, 1, 1), datetime(2026, 1, 1))


@settings(max_examples=40, deadline=None)
@given(MOMENTS, st.sampled_from(["utc", "tai", "tt", "tdb"]))
def test_every_scale_agrees_with_astropy_to_a_tenth_of_a_millisecond(moment: datetime, scale: str) -> None:
    expected = Time(moment.isoformat(), scale=scale).tai.mjd
    assert mjd_tai(moment.isoformat(), scale.upper()) == pytest.approx(expected, abs=1e-4 / 86400)


def test_gps_readings_are_19_seconds_behind_tai() -> None:
    assert mjd_tai("2020-01-01T00:00:00", "GPS") == pytest.approx(58849.0 + 19 / 86400, abs=1e-9)


def test_a_leap_second_is_one_second_after_59() -> None:
    before, leap, after = (mjd_tai(f"2016-12-31T23:59:{s}") for s in ("59", "60", "60.9"))
    assert (leap - before) * 86400 == pytest.approx(1.0, abs=1e-5)
    assert mjd_tai("2017-01-01T00:00:00") > after


def test_a_written_zone_counts() -> None:
    assert mjd_tai("2020-01-01T02:00:00+02:00") == mjd_tai("2020-01-01T00:00:00Z") == mjd_tai("2020-01-01 00:00:00 UTC")


@settings(max_examples=40, deadline=None)
@given(MOMENTS)
def test_utc_readings_keep_their_microseconds(moment: datetime) -> None:
    text = utc_text(moment.isoformat())
    assert datetime.fromisoformat(text) - moment.replace(tzinfo=UTC) == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2020-13-01T00:00:00",
        "2020-01-01",
        "2020-01-01T25:00:00",
        "0001-01-01T00:00:00",
        "1e9",
        "2020-01-01T00:00:00.",
        "9999-12-31T23:59:59",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(NoticeTimeError):
        mjd_tai(text)


def test_the_scale_is_read_off_the_coordinate_system() -> None:
    assert [scale_of(name) for name in (None, "UTC-FK5-GEO", "TDB-ICRS-BARY", "tt-icrs-topo")] == [
        "UTC",
        "UTC",
        "TDB",
        "TT",
    ]
    with pytest.raises(NoticeTimeError):
        scale_of("LOCAL-FK5-GEO")


def test_a_day_starts_at_midnight_utc() -> None:
    assert mjd_tai_of_day("2019-01-01") == mjd_tai("2019-01-01T00:00:00")
    assert mjd_tai_of_day(None) is None
    with pytest.raises(NoticeTimeError):
        mjd_tai_of_day("2019")
