"""What a survey does not know is null, and signs, names and programmes keep their meaning."""

from __future__ import annotations

from typing import Any

import pytest

from asterism.ingest.decode import Decoder
from asterism.simulate.packets import LSST_SCHEMA_ID, SimulatedDetection, lsst_packet
from tests.ingest.packets import LSST_ONE, ZTF_RECORD, candidate_fields, changed, container, one, retyped, ztf_schema
from tests.ingest.reading import plain


@pytest.mark.parametrize("nothing", [-999.0, None, float("nan"), float("inf")])
def test_sentinels_and_non_numbers_become_null(decoder: Decoder, nothing: float | None) -> None:
    row = one(
        decoder,
        changed(drb=nothing, rb=nothing, diffmaglim=nothing, magap=nothing, scorr=nothing, ssdistnr=nothing),
    )
    assert [row[name] for name in ("reliability", "rb", "limitMag", "apFlux", "snr", "ssDistance")] == [None] * 6
    assert row["flux"] is not None


@pytest.mark.parametrize("name", ["null", None, "", "  "])
def test_names_that_say_nothing_become_null(decoder: Decoder, name: str | None) -> None:
    assert one(decoder, changed(ssnamenr=name))["ssObjectId"] is None


def test_counts_that_cannot_be_become_null(decoder: Decoder) -> None:
    row = one(decoder, changed(ndethist=-5, nbad=-999, programid=-1))
    assert (row["nDetections"], row["nBad"], row["programId"], row["public"]) == (None, None, None, False)


@pytest.mark.parametrize(("value", "positive"), [("t", True), ("1", True), ("f", False), ("0", False), ("?", None)])
def test_sign_in_every_spelling(decoder: Decoder, value: str, positive: bool | None) -> None:
    row = one(decoder, changed(isdiffpos=value))
    assert row["isPositive"] is positive
    assert (row["flux"] is None) == (positive is None)
    assert positive is None or (row["flux"] > 0) == positive
    assert row["mag"] is not None


@pytest.mark.parametrize(("kind", "value"), [("boolean", True), ("int", 1), (["null", "int"], 1), ("string", "true")])
def test_sign_in_every_type(decoder: Decoder, kind: Any, value: Any) -> None:
    assert one(decoder, retyped("isdiffpos", kind, value))["isPositive"] is True


def test_unknown_programme_is_not_public(decoder: Decoder) -> None:
    schema = ztf_schema()
    nested = candidate_fields(schema)
    nested[:] = [field for field in nested if field["name"] != "programid"]
    row = one(decoder, container(schema, ZTF_RECORD))
    assert (row["programId"], row["public"]) == (None, False)
    assert one(decoder, changed(programid=1))["public"] is True


def test_lsst_sign_follows_the_flux_where_the_survey_does_not_say(decoder: Decoder) -> None:
    schema = decoder._plan_of(LSST_SCHEMA_ID).writer.raw
    record, _ = plain(lsst_packet(LSST_ONE), schema)
    for negative, flux, wanted in [
        (None, 5.0, True),
        (None, -5.0, False),
        (True, 5.0, False),
        (None, None, None),
    ]:
        source = {**record["diaSource"], "isNegative": negative, "psfFlux": flux}
        row = one(decoder, container(schema, {**record, "diaSource": source}))
        assert row["isPositive"] is wanted
        assert (row["mag"] is None) == (flux is None)


def test_alert_of_a_solar_system_object_only_has_no_object(decoder: Decoder) -> None:
    body = SimulatedDetection(None, 77, 10.0, 10.0, 61000.0, "g", 500.0, 10.0, ss_object_id="20890932382")
    row = one(decoder, lsst_packet(body))
    assert (row["objectKey"], row["objectId"], row["ssObjectId"]) == (None, None, "20890932382")
