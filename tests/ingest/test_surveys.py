"""Field maps and conversions: declarations are complete, conversions keep units and unknowns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.ingest.errors import SurveyUnknownError
from asterism.ingest.quality import quality_rules
from asterism.ingest.surveys import SURVEYS, Survey, recognise
from asterism.ingest.surveys import conversions as to
from asterism.ingest.surveys.lsst import LSST
from asterism.ingest.surveys.ztf import ZTF
from asterism.records import DETECTION, SCIENCE
from asterism.simulate.schema_lsst import LSST_SCHEMA
from asterism.simulate.schema_ztf import ZTF_SCHEMA

DERIVED = {"alertKey", "survey", "objectKey", "night", "hpx29", *(rules.column for rules in quality_rules())}


@pytest.mark.parametrize("survey", SURVEYS, ids=lambda survey: survey.name)
def test_columns_of_a_survey_are_columns_of_the_record_and_the_required_ones_are_filled(
    survey: Survey,
) -> None:
    known = {field.name for field in SCIENCE}
    required = {field.name for field in SCIENCE if not field.nullable}
    assert set(survey.columns) <= known - DERIVED
    assert required - DERIVED <= set(survey.columns)
    assert set(survey.identified_by) <= set(survey.columns)
    assert len(survey.fields) == len({field.paths for field in survey.fields})


def test_surveys_are_told_apart_by_their_fields_alone() -> None:
    renamed = {"name": "topLevelRecord", "namespace": "elsewhere"}
    assert recognise({**ZTF_SCHEMA, **renamed}) is ZTF
    assert recognise({**LSST_SCHEMA, **renamed}) is LSST
    only_id = [field for field in ZTF_SCHEMA["fields"] if field["name"] == "candid"]
    with pytest.raises(SurveyUnknownError, match="of no known survey"):
        recognise({**ZTF_SCHEMA, "fields": only_id})


@given(st.floats(10.0, 30.0), st.booleans())
def test_flux_and_magnitude_are_inverse(mag: float, positive: bool) -> None:
    flux = to.flux_of_mag(np.array([mag]), np.array([float(positive)]))
    assert (flux[0] > 0) == positive
    assert to.mag_of_flux(flux)[0] == pytest.approx(mag, abs=1e-12)


def test_zero_point_is_that_of_the_ab_scale() -> None:
    per_nanojansky = 1e-23 * 1e-9
    assert to.mag_of_flux(np.array([1.0]))[0] == pytest.approx(-2.5 * math.log10(per_nanojansky) - 48.60, abs=1e-12)


@given(st.floats(12.0, 25.0), st.floats(1e-4, 0.05))
def test_errors_agree_with_finite_differences(mag: float, error: float) -> None:
    mags, errors = np.array([mag]), np.array([error * 1e-3])
    flux = to.flux_of_mag(mags, np.ones(1))
    step = abs(to.flux_of_mag(mags + errors, np.ones(1)) - to.flux_of_mag(mags - errors, np.ones(1))) / 2.0
    assert to.flux_error_of_mag(mags, errors)[0] == pytest.approx(step[0], rel=1e-6)
    assert to.mag_error_of_flux(flux, to.flux_error_of_mag(mags, errors))[0] == pytest.approx(errors[0], rel=1e-9)


def test_no_flux_has_no_magnitude() -> None:
    assert np.isnan(to.mag_of_flux(np.array([0.0, np.nan]))).all()
    assert np.isnan(to.mag_error_of_flux(np.array([0.0]), np.array([1.0]))).all()


def test_unknown_sign_gives_unknown_flux() -> None:
    assert np.isnan(to.flux_of_mag(np.array([20.0]), np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("negative", "flux", "positive"),
    [(0.0, -5.0, 1.0), (1.0, 5.0, 0.0), (np.nan, 5.0, 1.0), (np.nan, -5.0, 0.0), (np.nan, 0.0, np.nan)],
)
def test_survey_decides_the_sign_before_the_flux(negative: float, flux: float, positive: float) -> None:
    np.testing.assert_equal(to.positive_unless(np.array([negative]), np.array([flux])), [positive])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (0, None),
        (2**53 + 1, "9007199254740993"),
        (2**63 - 1, "9223372036854775807"),
        (-1, to.MALFORMED),
        ("ZTF18acsbtem", "ZTF18acsbtem"),
        ("a b", to.MALFORMED),
        ("x" * 129, to.MALFORMED),
    ],
)
def test_identifiers_are_written_as_text(value: int | str | None, text: str | None) -> None:
    assert to.identifiers([value]) == [text]


def test_instants_out_of_the_age_of_utc_are_unknown() -> None:
    mjd = np.array([41316.9, 41317.0, 61000.0, 88069.0, np.nan])
    np.testing.assert_equal(to.instants(mjd), [np.nan, 41317.0, 61000.0, np.nan, np.nan])


def test_versions_are_written_alike() -> None:
    values = ["lsst.v9_0", "lsst.v10_0", "v11_2", "elsewhere", None]
    assert to.lsst_version(values) == ["9.0", "10.0", "11.2", None, None]


def test_bands_and_names() -> None:
    assert to.ztf_band(np.array([1.0, 2.0, 3.0, 4.0, np.nan])) == ["g", "r", "i", None, None]
    assert to.bands(["u", "y", "w", None]) == ["u", "y", None, None]
    assert to.names([" 2015 TB145 ", "", "a\x00b", "x" * 129, None]) == ["2015 TB145", None, None, None, None]


def test_only_programme_1_is_public() -> None:
    np.testing.assert_equal(to.ztf_public(np.array([1.0, 2.0, 3.0, np.nan])), [1.0, 0.0, 0.0, 0.0])


def test_detection_record_has_no_column_a_survey_cannot_fill() -> None:
    filled = DERIVED | {name for survey in SURVEYS for name in survey.columns}
    assert {field.name for field in SCIENCE} == filled
    assert len(DETECTION) == len(filled) + 4
