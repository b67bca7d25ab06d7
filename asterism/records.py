"""Arrow schemas that cross part boundaries. A row is one fact; null means unknown, never a sentinel.

`DETECTION` is the hot record: everything the hot lane knows of an alert without its history, the same for every survey.
Column names are the property names of the graph; the API groups some of them (``time``, ``photometry``).
"""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa


def _field(name: str, kind: pa.DataType, meaning: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=not required, metadata={"meaning": meaning})


POSITION = [
    _field("topic", pa.string(), "Kafka topic, or file-<sha256 prefix> for a file", required=True),
    _field("partition", pa.int32(), "Kafka partition; 0 for a file", required=True),
    _field("offset", pa.int64(), "Kafka offset; record number in a file", required=True),
    _field("publishedMs", pa.int64(), "Kafka timestamp [ms since 1970 UTC]"),
]
"""Where a packet was read: its identity as a delivery, whatever it contains."""

SCIENCE = [
    _field("alertKey", pa.string(), "survey:sourceId", required=True),
    _field("survey", pa.string(), "ztf or lsst", required=True),
    _field("sourceId", pa.string(), "candid or diaSourceId, decimal", required=True),
    _field("objectKey", pa.string(), "survey:objectId; null for an alert of a known Solar System object only"),
    _field("objectId", pa.string(), "objectId or diaObjectId"),
    _field("ssObjectId", pa.string(), "ssObjectId, or ssnamenr of the nearest known Solar System object"),
    _field("ssDistance", pa.float64(), "distance to that object [arcsec]"),
    _field("mjdTai", pa.float64(), "time of the exposure, MJD TAI: ZTF start, LSST midpoint", required=True),
    _field("night", pa.int32(), "night YYYYMMDD: ZTF UTC date, LSST dayObs", required=True),
    _field("ra", pa.float64(), "right ascension, ICRS [deg], 0 <= ra < 360", required=True),
    _field("dec", pa.float64(), "declination, ICRS [deg]", required=True),
    _field("hpx29", pa.int64(), "HEALPix nested index at order 29 of (ra, dec)", required=True),
    _field("band", pa.string(), "u g r i z y"),
    _field("isPositive", pa.bool_(), "difference flux is positive (science brighter than template)"),
    _field("flux", pa.float64(), "PSF flux on the difference image, signed [nJy]"),
    _field("fluxErr", pa.float64(), "1 sigma of flux [nJy]"),
    _field("mag", pa.float64(), "AB magnitude of |flux| [mag]; the sign stands in isPositive"),
    _field("magErr", pa.float64(), "1 sigma of mag [mag]"),
    _field("snr", pa.float64(), "signal-to-noise ratio of the detection"),
    _field("apFlux", pa.float64(), "aperture flux on the difference image, signed [nJy]"),
    _field("limitMag", pa.float64(), "5 sigma limiting magnitude of the exposure, AB [mag]"),
    _field("reliability", pa.float64(), "0 .. 1, the survey's newest real/bogus score: ZTF drb, LSST reliability"),
    _field("rb", pa.float64(), "0 .. 1, ZTF's random-forest real/bogus score"),
    _field("nBad", pa.int32(), "bad pixels in the 5x5 stamp (ZTF)"),
    _field("nDetections", pa.int32(), "the survey's own count of detections of the object (ZTF ndethist)"),
    _field("firstMjdTai", pa.float64(), "the survey's own first detection of the object, MJD TAI (ZTF jdstarthist)"),
    _field("programId", pa.int32(), "ZTF programid: 1 public, others restricted"),
    _field("public", pa.bool_(), "the alert may be shown to everybody", required=True),
    _field("schemaVersion", pa.string(), "version of the writer schema as the packet states it"),
    _field(
        "passesPaper2020", pa.bool_(), "passes the quality cuts paper-2020 (ingest/quality.toml); null: cannot be told"
    ),
    _field(
        "passesFink2026", pa.bool_(), "passes the quality cuts fink-2026 (ingest/quality.toml); null: cannot be told"
    ),
]

DETECTION = pa.schema(SCIENCE + POSITION)
"""One row per delivered and decoded packet."""

DEAD_LETTER = pa.schema(
    [
        *POSITION,
        _field("code", pa.string(), "stable error code (docs/errors.md)", required=True),
        _field("message", pa.string(), "what was wrong", required=True),
        _field("payload", pa.binary(), "the bytes as delivered", required=True),
    ]
)
"""One row per delivered packet that could not be decoded."""


class Status(StrEnum):
    """What a science module can say; "nothing there" and "could not look" must never be mistaken for each other."""

    VALUE = "value"
    """It found or measured something."""
    NONE = "none"
    """It looked, and there is nothing, or not enough to say."""
    FAILED = "failed"
    """It could not look; to be tried again."""


_MADE_BY = [
    _field("status", pa.string(), "value, none or failed (asterism.records.Status)", required=True),
    _field("detail", pa.string(), "why it failed"),
    _field("module", pa.string(), "name of the science module", required=True),
    _field("version", pa.int32(), "the module's version; of two results the higher counts", required=True),
]

CATALOGUE_MATCH = pa.schema(
    [
        _field("objectKey", pa.string(), "survey:objectId", required=True),
        _field("alertKey", pa.string(), "alert whose position was matched", required=True),
        _field("mjdTai", pa.float64(), "time of that alert, MJD TAI", required=True),
        _field("public", pa.bool_(), "that alert may be shown to everybody", required=True),
        _field("sourceKey", pa.string(), "catalogue:release:id"),
        _field("catalogue", pa.string(), "name of the catalogue"),
        _field("release", pa.string(), "its release; the rows of a release never change"),
        _field("id", pa.string(), "the catalogue's own identifier"),
        _field("class", pa.string(), "star, agn, galaxy or another coarse class"),
        _field("type", pa.string(), "the catalogue's own, finer type"),
        _field("ra", pa.float64(), "right ascension of the catalogued source, ICRS [deg]"),
        _field("dec", pa.float64(), "declination of the catalogued source, ICRS [deg]"),
        _field("hpx29", pa.int64(), "HEALPix nested index at order 29 of (ra, dec)"),
        _field("distanceMpc", pa.float64(), "luminosity distance [Mpc]"),
        _field("redshift", pa.float64(), "redshift"),
        _field("mag", pa.float64(), "catalogue magnitude [mag]"),
        _field("separationArcsec", pa.float64(), "angle between alert and source [arcsec]"),
        _field("rank", pa.int32(), "1 for the nearest of this catalogue"),
        _field("pChance", pa.float64(), "probability of a source of the class at least as near by chance"),
        *_MADE_BY,
    ]
)
"""One row per match of an alert's position with a catalogued source; a position without any has one row of status
none, and one of status failed for each catalogue that could not be searched. Only matches fill the optional columns."""

CLASSIFICATION = pa.schema(
    [
        _field("objectKey", pa.string(), "survey:objectId", required=True),
        _field("lastSourceId", pa.string(), "newest alert that was looked at, by time and id", required=True),
        _field("lastMjdTai", pa.float64(), "its time, MJD TAI", required=True),
        _field("public", pa.bool_(), "only alerts that everybody may see were looked at", required=True),
        _field("alerts", pa.int32(), "how many alerts were looked at", required=True),
        _field("detections", pa.int32(), "how many of them could be used", required=True),
        _field("class", pa.string(), "the module's verdict; unknown where status is none", required=True),
        _field("prob", pa.float64(), "probability the module gives that class"),
        _field("fadeRate", pa.float64(), "fade rate [mag/d], positive fades"),
        _field("fadeRateErr", pa.float64(), "1 sigma of fadeRate [mag/d]"),
        *_MADE_BY,
    ]
)
"""One row per object and classifier."""
