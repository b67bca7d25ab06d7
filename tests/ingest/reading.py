"""The columns of a packet, computed apart from the code under test: plain fastavro, astropy, and the survey's words."""

from __future__ import annotations

import io
import math
from typing import Any

import fastavro
import pytest
from astropy import units
from astropy.time import Time
from astropy_healpix import lonlat_to_healpix

from asterism.records import SCIENCE

Record = dict[str, Any]


def plain(payload: bytes, framed_schema: Any = None) -> tuple[Record, Record]:
    """The record and its writer schema, by plain fastavro."""
    if payload[:1] == b"\0":
        return fastavro.schemaless_reader(io.BytesIO(payload[5:]), framed_schema, None), framed_schema
    reader = fastavro.reader(io.BytesIO(payload))
    record = next(reader)
    return record, reader.writer_schema


def finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def known(value: Any) -> float | None:
    """What ZTF knows: not -999. LSST has no such value, its fluxes may well be -999 nJy."""
    return None if value == -999.0 else finite(value)


def expected(record: Record, schema: Record) -> Record:
    row = expected_lsst(record, schema) if "diaSource" in record else expected_ztf(record)
    ra, dec = row["ra"] * units.deg, row["dec"] * units.deg
    row["hpx29"] = int(lonlat_to_healpix(ra, dec, 2**29, order="nested"))
    row["alertKey"] = f"{row['survey']}:{row['sourceId']}"
    row["objectKey"] = None if row["objectId"] is None else f"{row['survey']}:{row['objectId']}"
    return row


def flux_of(mag: float) -> float:
    return float(3631e9 * 10 ** (-0.4 * mag))


def expected_ztf(record: Record) -> Record:
    candidate = record["candidate"]
    positive = {"t": True, "1": True, "f": False, "0": False}.get(str(candidate["isdiffpos"]))
    mag, error, aperture = (known(candidate.get(name)) for name in ("magpsf", "sigmapsf", "magap"))
    sign = None if positive is None else (1 if positive else -1)
    name = candidate.get("ssnamenr")
    first = known(candidate.get("jdstarthist"))
    time = Time(candidate["jd"], format="jd", scale="utc")
    programme = candidate.get("programid")
    return {
        "survey": "ztf",
        "sourceId": str(record["candid"]),
        "objectId": record["objectId"],
        "ssObjectId": None if name in (None, "null", "") else name,
        "ssDistance": known(candidate.get("ssdistnr")),
        "mjdTai": float(time.tai.mjd),
        "night": int(time.strftime("%Y%m%d")),
        "ra": candidate["ra"],
        "dec": candidate["dec"],
        "band": " gri"[candidate["fid"]],
        "isPositive": positive,
        "flux": None if mag is None or sign is None else sign * flux_of(mag),
        "fluxErr": None if mag is None or error is None else flux_of(mag) * error * math.log(10) / 2.5,
        "mag": mag,
        "magErr": error,
        "snr": known(candidate.get("scorr")),
        "apFlux": None if aperture is None or sign is None else sign * flux_of(aperture),
        "limitMag": known(candidate.get("diffmaglim")),
        "reliability": known(candidate.get("drb")),
        "rb": known(candidate.get("rb")),
        "nBad": candidate.get("nbad"),
        "nDetections": candidate.get("ndethist"),
        "firstMjdTai": None if first is None else float(Time(first, format="jd", scale="utc").tai.mjd),
        "programId": programme,
        "public": programme == 1,
        "schemaVersion": record.get("schemavsn"),
        **expected_flags(candidate, positive),
    }


def expected_flags(candidate: Record, positive: bool | None) -> Record:
    """Both published rule sets, spelled out; a cut that fails decides, a missing value leaves the answer open."""
    rb, bad, mag, aperture = (known(candidate.get(name)) for name in ("rb", "nbad", "magpsf", "magap"))
    clean = None if bad is None or bad < 0 else bad == 0
    differs = mag is None or aperture is None or positive is None
    paper = [rb and rb > 0.55, clean, None if differs else abs(aperture - mag) < 0.1]
    fink = [rb and rb >= 0.55, clean, candidate["fid"] != 3]
    verdicts = [False if False in cuts else None if None in cuts else True for cuts in (paper, fink)]
    return {"passesPaper2020": verdicts[0], "passesFink2026": verdicts[1]}


def expected_lsst(record: Record, schema: Record) -> Record:
    source = record["diaSource"]
    flux, error = finite(source["psfFlux"]), finite(source["psfFluxErr"])
    negative = source.get("isNegative")
    if negative is None and flux:
        negative = flux < 0
    time = Time(source["midpointMjdTai"], format="mjd", scale="tai")
    version = record.get("lsst_schema_version") or schema["name"].rpartition(".")[0] or schema.get("namespace")
    return {
        "survey": "lsst",
        "sourceId": str(source["diaSourceId"]),
        "objectId": str(source["diaObjectId"]) if source["diaObjectId"] else None,
        "ssObjectId": str(source["ssObjectId"]) if source["ssObjectId"] else None,
        "ssDistance": None,
        "mjdTai": source["midpointMjdTai"],
        "night": int((time.utc - 12 * units.hour).strftime("%Y%m%d")),
        "ra": source["ra"],
        "dec": source["dec"],
        "band": source["band"],
        "isPositive": None if negative is None else not negative,
        "flux": flux,
        "fluxErr": error,
        "mag": None if not flux else -2.5 * math.log10(abs(flux) / 3631e9),
        "magErr": None if not flux or error is None else 2.5 / math.log(10) * error / abs(flux),
        "snr": finite(source["snr"]),
        "apFlux": finite(source["apFlux"]),
        "limitMag": None,
        "reliability": finite(source["reliability"]),
        "rb": None,
        "nBad": None,
        "nDetections": None,
        "firstMjdTai": None,
        "programId": None,
        "public": True,
        "schemaVersion": version.removeprefix("lsst.v").replace("_", ".") if version else None,
        "passesPaper2020": None,
        "passesFink2026": None,
    }


def assert_same(row: Record, wanted: Record) -> None:
    assert set(wanted) == {field.name for field in SCIENCE}
    for name, value in wanted.items():
        if isinstance(value, float):
            # 3631 Jy is the rounded zero point of the AB scale: 31.40006 for 1 nJy
            rounding = 7e-5 if name in {"flux", "fluxErr", "apFlux", "mag"} else 1e-12
            assert row[name] == pytest.approx(value, rel=rounding), name
        else:
            assert row[name] == value, name
            assert type(row[name]) is type(value), name
