"""ZTF alerts, schema 3.x to 4.02: magnitudes, JD UTC at the start of the exposure.

Unknown is null, -999 or the text ``null``.
"""

from __future__ import annotations

from asterism.ingest.surveys import conversions as to
from asterism.ingest.surveys.survey import Survey, column, flag, identifier, number, text

_MAG = number("candidate.magpsf")
_MAG_ERROR = number("candidate.sigmapsf")
_POSITIVE = flag("candidate.isdiffpos")
_PROGRAMID = number("candidate.programid")

ZTF = Survey(
    name="ztf",
    # pid and rcid tell ZTF from surveys that took over the rest of its schema
    signature=(
        "candid",
        "candidate.jd",
        "candidate.fid",
        "candidate.pid",
        "candidate.rcid",
        "candidate.magpsf",
    ),
    night_shift_hours=0.0,
    identified_by=("objectId",),
    missing_numbers=(-999.0,),
    missing_texts=("", "null"),
    columns={
        "sourceId": column(to.identifiers, identifier("candid", "candidate.candid")),
        "objectId": column(to.identifiers, identifier("objectId")),
        "ssObjectId": column(to.names, text("candidate.ssnamenr")),
        "ssDistance": column(to.not_negative, number("candidate.ssdistnr")),
        "mjdTai": column(to.instants_from_jd, number("candidate.jd")),
        "ra": column(to.as_is, number("candidate.ra")),
        "dec": column(to.as_is, number("candidate.dec")),
        "band": column(to.ztf_band, number("candidate.fid")),
        "isPositive": column(to.as_is, _POSITIVE),
        "flux": column(to.flux_of_mag, _MAG, _POSITIVE),
        "fluxErr": column(to.flux_error_of_mag, _MAG, _MAG_ERROR),
        "mag": column(to.as_is, _MAG),
        "magErr": column(to.as_is, _MAG_ERROR),
        "snr": column(to.as_is, number("candidate.scorr")),
        "apFlux": column(to.flux_of_mag, number("candidate.magap"), _POSITIVE),
        "limitMag": column(to.as_is, number("candidate.diffmaglim")),
        "reliability": column(to.as_is, number("candidate.drb")),
        "rb": column(to.as_is, number("candidate.rb")),
        "nBad": column(to.not_negative, number("candidate.nbad")),
        "nDetections": column(to.not_negative, number("candidate.ndethist")),
        "firstMjdTai": column(to.instants_from_jd, number("candidate.jdstarthist")),
        "programId": column(to.not_negative, _PROGRAMID),
        "public": column(to.ztf_public, _PROGRAMID),
        "schemaVersion": column(to.names, text("schemavsn")),
    },
)
