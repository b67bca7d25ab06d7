"""LSST alerts, schema 7.x to 11.x: fluxes in nJy, MJD TAI at the middle of the exposure, 0 for no object.

The count of detections and the first of them stand in ``diaObject``, behind the history, and are not read
here. Every alert is world-public (LSST Data Products Definition Document, LSE-163).
"""

from __future__ import annotations

from asterism.ingest.surveys import conversions as to
from asterism.ingest.surveys.survey import NAMESPACE, Survey, column, flag, identifier, number, text

_SOURCE_ID = identifier("diaSource.diaSourceId")
_FLUX = number("diaSource.psfFlux")
_FLUX_ERROR = number("diaSource.psfFluxErr")

LSST = Survey(
    name="lsst",
    signature=("diaSource.diaSourceId", "diaSource.midpointMjdTai", "diaSource.ra", "diaSource.dec"),
    night_shift_hours=-12.0,
    identified_by=("objectId", "ssObjectId"),
    columns={
        "sourceId": column(to.identifiers, _SOURCE_ID),
        "objectId": column(to.identifiers, identifier("diaSource.diaObjectId")),
        "ssObjectId": column(to.identifiers, identifier("diaSource.ssObjectId")),
        "mjdTai": column(to.instants, number("diaSource.midpointMjdTai")),
        "ra": column(to.as_is, number("diaSource.ra")),
        "dec": column(to.as_is, number("diaSource.dec")),
        "band": column(to.bands, text("diaSource.band")),
        "isPositive": column(to.positive_unless, flag("diaSource.isNegative"), _FLUX),
        "flux": column(to.as_is, _FLUX),
        "fluxErr": column(to.as_is, _FLUX_ERROR),
        "mag": column(to.mag_of_flux, _FLUX),
        "magErr": column(to.mag_error_of_flux, _FLUX, _FLUX_ERROR),
        "snr": column(to.as_is, number("diaSource.snr")),
        "apFlux": column(to.as_is, number("diaSource.apFlux")),
        "reliability": column(to.as_is, number("diaSource.reliability")),
        "public": column(to.always_public, _SOURCE_ID),
        "schemaVersion": column(to.lsst_version, text("lsst_schema_version", NAMESPACE)),
    },
)
