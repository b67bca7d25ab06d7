"""ZTF packets: an Avro object container of one record, as the survey publishes it.

A packet is a pure function of its detection and history: columns that carry no meaning for Asterism come
from a small table indexed by the source id, so the line a source gets in a later packet's history repeats
what its own packet said. No known Solar System object near is -999 and the text "null", because that is
what the survey sends.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from operator import attrgetter
from typing import Any

import fastavro
import numpy as np

from asterism.simulate.declare import fields, record
from asterism.simulate.encode import PRESENT, avro_bytes, avro_long, encode, nullable_array
from asterism.simulate.measurement import (
    ForcedFlux,
    History,
    SimulatedDetection,
    UpperLimit,
    ab_magnitude,
    limiting_magnitude,
    magnitude_error,
)
from asterism.simulate.schema_ztf import (
    CANDIDATE,
    CONTAINER_HEADER,
    FP_HIST,
    HEAD,
    PRV_CANDIDATE,
    SYNC,
    ZTF_VERSION,
)
from asterism.simulate.stamps import ztf_stamps
from asterism.times import JD_MINUS_MJD, mjd_tai_to_utc

FILTER_ID = {"g": 1, "r": 2, "i": 3}
_ZERO_POINT = 26.3
_NJY_PER_DN = 10.0 ** (0.4 * (31.4 - _ZERO_POINT))
_EXPOSURE_SECONDS = 30.0
_TEMPLATES = 61
_PRV_NAMES = tuple(item.split(":")[0] for item in PRV_CANDIDATE.split())
_NO_BODY = {"ssdistnr": -999.0, "ssmagnr": -999.0, "ssnamenr": "null"}

_KEPT_LINES = 1 << 15
_HEAD = fastavro.parse_schema(record("head", "ztf", HEAD))
_PREVIOUS = fastavro.parse_schema(record("previous", "ztf", fields(PRV_CANDIDATE)))
_BEFORE, _, _BEHIND = FP_HIST.partition(" ranr:double decnr:double ")
_FORCED_BEFORE = fastavro.parse_schema(record("before", "ztf", fields(_BEFORE)))
_FORCED_BEHIND = fastavro.parse_schema(record("behind", "ztf", fields(_BEHIND)))

Row = dict[str, Any]


def ztf_packet(detection: SimulatedDetection, history: History | None = None) -> bytes:
    """Return the packet of an alert: an Avro object container with schema 4.02.

    Parameters
    ----------
    detection : SimulatedDetection
        Band g, r or i; `object_id` is required; `mjd_tai` is the start of the exposure.
    history : History, optional
        Detections and limits go to ``prv_candidates`` in order of time, forced fluxes to ``fp_hists``; none
        makes both null, as for a first alert.
    """
    past = history or History()
    jd = jd_utc(detection.mjd_tai)
    candidate = _candidate(detection, jd)
    older = past.older
    known = 1 + len(past.detections) + older.n_detections
    candidate |= {"ndethist": known, "ncovhist": known + len(past.limits) + older.n_limits, "jdendhist": jd}
    first = older.first_mjd_tai
    earliest = min([detection.mjd_tai, *(s.mjd_tai for s in past.detections)]) if first is None else first
    candidate["jdstarthist"] = jd_utc(earliest)
    head = {
        "schemavsn": ZTF_VERSION,
        "publisher": "asterism simulate",
        "objectId": detection.object_id,
        "candid": detection.source_id,
        "candidate": candidate,
    }
    previous = sorted((*past.detections, *past.limits), key=attrgetter("mjd_tai"))
    position = struct.pack("<dd", *_reference(detection))
    body = b"".join(
        (
            encode(_HEAD, head),
            nullable_array([_previous_line(entry) for entry in previous]),
            nullable_array([position.join(_forced_line(flux)) for flux in past.forced]),
            *_cutouts(detection.source_id),
        )
    )
    return b"".join((CONTAINER_HEADER, avro_long(1), avro_long(len(body)), body, SYNC))


def _cutouts(source_id: int) -> list[bytes]:
    pool = ztf_stamps()
    stamps = pool[source_id % len(pool)]
    stem = f"candid{source_id}_pid{source_id // 10**6}_targ"
    named = ((f"{stem}_sci", stamps.science), (f"{stem}_ref", stamps.template))
    return [
        PRESENT + avro_bytes(f"{name}.fits.gz".encode()) + avro_bytes(stamp)
        for name, stamp in (*named, (f"{stem}_scimref", stamps.difference))
    ]


@lru_cache(maxsize=_KEPT_LINES)
def jd_utc(mjd_tai: float) -> float:
    """Return JD UTC of an instant in MJD TAI."""
    return float(mjd_tai_to_utc(mjd_tai)) + JD_MINUS_MJD


def _reference(detection: SimulatedDetection) -> tuple[float, float]:
    """Return the position of the nearest source of the reference image [deg]."""
    return detection.ra + 1e-5, detection.dec + 1e-5


@lru_cache(maxsize=1)
def _templates() -> tuple[Row, ...]:
    """Return rows of plausible values for every column that no simulated quantity decides."""
    rng = np.random.default_rng(402)
    kinds = {name: kind.rstrip("?") for name, kind in (item.split(":") for item in CANDIDATE.split())}
    text = {"rbversion": "t17_f5_c3", "drbversion": "d6_m7"}
    centre = {"fwhm": 2.6, "classtar": 0.9, "seeratio": 1.1, "scorr": 11.0, "distnr": 1.4, "distpsnr1": 1.2}
    centre |= {"magzpsci": _ZERO_POINT, "magzpsciunc": 1e-5, "neargaia": 40.0, "neargaiabright": 90.0}
    centre |= {
        "sgscore1": 0.5,
        "sgscore2": 0.5,
        "sgscore3": 0.5,
        "elong": 1.2,
        "sumrat": 0.9,
        "magfromlim": 1.0,
    }
    rows = []
    for _ in range(_TEMPLATES):
        row: Row = {}
        for name, kind in kinds.items():
            if kind == "string":
                row[name] = text.get(name, "")
            elif kind in {"int", "long"}:
                row[name] = int(rng.integers(1, 4000))
            else:
                row[name] = float(np.float32(centre.get(name, 15.0) * rng.uniform(0.8, 1.1)))
        fixed = {"nbad": 0, "nneg": 2, "tooflag": 0, "exptime": _EXPOSURE_SECONDS}
        rows.append(row | fixed | {"rcid": row["rcid"] % 64})
    return tuple(rows)


def _candidate(source: SimulatedDetection, jd: float) -> Row:
    magnitude = ab_magnitude(source.flux)
    sigma = magnitude_error(source.flux, source.flux_err)
    body = _NO_BODY
    if source.ss_object_id is not None:
        body = {"ssdistnr": source.ss_distance or 0.0, "ssmagnr": magnitude, "ssnamenr": source.ss_object_id}
    pid = source.source_id // 10**6
    ranr, decnr = _reference(source)
    return {
        **_templates()[source.source_id % _TEMPLATES],
        **body,
        "jd": jd,
        "fid": FILTER_ID[source.band],
        "pid": pid,
        "nid": pid // 10**9,
        "diffmaglim": limiting_magnitude(source.flux_err),
        "pdiffimfilename": f"ztf_{pid}_z{source.band}_scimrefdiffimg.fits",
        "programpi": f"programme {source.program_id}",
        "programid": source.program_id,
        "candid": source.source_id,
        "isdiffpos": "t" if source.flux > 0 else "f",
        "ra": source.ra,
        "dec": source.dec,
        "ranr": ranr,
        "decnr": decnr,
        "magpsf": magnitude,
        "sigmapsf": sigma,
        "magap": magnitude + 0.02,
        "sigmagap": sigma * 1.1,
        "magapbig": magnitude - 0.01,
        "sigmagapbig": sigma * 1.2,
        "magdiff": 0.02,
        "rb": max(0.0, source.reliability - 0.05),
        "drb": source.reliability,
        "jdstartref": jd - 900.0,
        "jdendref": jd - 700.0,
    }


@lru_cache(maxsize=_KEPT_LINES)
def _previous_line(entry: SimulatedDetection | UpperLimit) -> bytes:
    jd = jd_utc(entry.mjd_tai)
    if isinstance(entry, UpperLimit):
        return encode(_PREVIOUS, _limit(entry, jd))
    row = _candidate(entry, jd)
    return encode(_PREVIOUS, {name: row[name] for name in _PRV_NAMES})


def _limit(limit: UpperLimit, jd: float) -> Row:
    template = _templates()[int(jd * 1e6) % _TEMPLATES]
    kept = ("rcid", "field", "magzpsci", "magzpsciunc", "magzpscirms", "clrcoeff", "clrcounc", "rbversion")
    pid = processing_id(jd)
    return dict.fromkeys(_PRV_NAMES) | {
        **{name: template[name] for name in kept},
        "jd": jd,
        "fid": FILTER_ID[limit.band],
        "pid": pid,
        "nid": pid // 10**9,
        "diffmaglim": limit.limit_mag,
        "pdiffimfilename": f"ztf_{pid}_z{limit.band}_scimrefdiffimg.fits.fz",
        "programpi": "programme 1",
        "programid": 1,
    }


@lru_cache(maxsize=_KEPT_LINES)
def _forced_line(flux: ForcedFlux) -> tuple[bytes, bytes]:
    """Return the line before and behind its position, the only part that differs from object to object."""
    jd = jd_utc(flux.mjd_tai)
    template = _templates()[int(jd * 1e6) % _TEMPLATES]
    kept = ("field", "rcid", "rfid", "magzpsciunc", "magzpscirms", "clrcoeff", "clrcounc", "exptime")
    near = ("distnr", "magnr", "sigmagnr", "chinr", "sharpnr")
    row = {
        **{name: template[name] for name in (*kept, *near)},
        "fid": FILTER_ID[flux.band],
        "pid": processing_id(jd),
        "sciinpseeing": 2.1,
        "scibckgnd": 140.0,
        "scisigpix": 5.6,
        "adpctdif1": 0.16,
        "adpctdif2": 0.07,
        "diffmaglim": limiting_magnitude(flux.flux_err),
        "programid": 1,
        "jd": jd,
        "magzpsci": _ZERO_POINT,
        "forcediffimflux": flux.flux / _NJY_PER_DN,
        "forcediffimfluxunc": flux.flux_err / _NJY_PER_DN,
        "procstatus": "0",
    }
    return encode(_FORCED_BEFORE, row), encode(_FORCED_BEHIND, row)


def processing_id(jd: float, channel: int = 115) -> int:
    """Return a pid as the survey builds it: night, millionths of the day, read-out channel.

    Parameters
    ----------
    jd : float
        JD UTC.
    channel : int
        0 .. 999.
    """
    day = int(jd + 0.5)
    return (day - 2457755) * 10**9 + int((jd + 0.5 - day) * 1e6) * 1000 + channel
