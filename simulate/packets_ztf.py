"""ZTF packets: an Avro object container of one record, as the survey publishes it.

A packet is a pure function of its detection and history: columns that carry no meaning for Asterism come
from a small table indexed by the source id, so the line a source gets in a later packet's history repeats
what its own packet said. No known Solar System object near is -999 and the text "null", because that is
what the survey sends.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import fastavro
import numpy as np

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
    PRV_CANDIDATE,
    SYNC,
    ZTF_PARSED,
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
    entries: tuple[SimulatedDetection | UpperLimit | ForcedFlux, ...] = (
        detection,
        *past.detections,
        *past.limits,
        *past.forced,
    )
    jds = _jd_utc([entry.mjd_tai for entry in entries])
    n_seen, n_listed = 1 + len(past.detections), 1 + len(past.detections) + len(past.limits)
    candidate = _candidate(detection, jds[0])
    candidate |= {"ndethist": n_seen, "ncovhist": n_listed}
    candidate |= {"jdstarthist": min(jds[:n_seen]), "jdendhist": jds[0]}
    previous = [_previous(source, jd) for source, jd in zip(past.detections, jds[1:n_seen], strict=True)]
    previous += [_limit(limit, jd) for limit, jd in zip(past.limits, jds[n_seen:n_listed], strict=True)]
    forced = [_forced(flux, jd, detection) for flux, jd in zip(past.forced, jds[n_listed:], strict=True)]
    pid = detection.source_id // 10**6
    stamps = ztf_stamps()[detection.source_id % len(ztf_stamps())]
    stem = f"candid{detection.source_id}_pid{pid}_targ"
    return _container(
        {
            "schemavsn": ZTF_VERSION,
            "publisher": "asterism simulate",
            "objectId": detection.object_id,
            "candid": detection.source_id,
            "candidate": candidate,
            "prv_candidates": sorted(previous, key=lambda row: float(row["jd"])) or None,
            "fp_hists": forced or None,
            "cutoutScience": {"fileName": f"{stem}_sci.fits.gz", "stampData": stamps.science},
            "cutoutTemplate": {"fileName": f"{stem}_ref.fits.gz", "stampData": stamps.template},
            "cutoutDifference": {"fileName": f"{stem}_scimref.fits.gz", "stampData": stamps.difference},
        }
    )


def _container(alert: Row) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, ZTF_PARSED, alert)
    return CONTAINER_HEADER + _long(1) + _long(body.tell()) + body.getvalue() + SYNC


def _long(value: int) -> bytes:
    """Encode a non-negative Avro long: zigzag, then seven bits a byte, lowest first."""
    rest, encoded = value << 1, bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*encoded, rest])


def _jd_utc(mjd_tai: list[float]) -> list[float]:
    jds: list[float] = (mjd_tai_to_utc(np.asarray(mjd_tai)) + JD_MINUS_MJD).tolist()
    return jds


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
        "ranr": source.ra + 1e-5,
        "decnr": source.dec + 1e-5,
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


def _previous(source: SimulatedDetection, jd: float) -> Row:
    row = _candidate(source, jd)
    return {name: row[name] for name in _PRV_NAMES}


def _limit(limit: UpperLimit, jd: float) -> Row:
    template = _templates()[int(jd * 1e6) % _TEMPLATES]
    kept = ("rcid", "field", "magzpsci", "magzpsciunc", "magzpscirms", "clrcoeff", "clrcounc", "rbversion")
    pid = _pid(jd)
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


def _forced(flux: ForcedFlux, jd: float, detection: SimulatedDetection) -> Row:
    template = _templates()[int(jd * 1e6) % _TEMPLATES]
    kept = ("field", "rcid", "rfid", "magzpsciunc", "magzpscirms", "clrcoeff", "clrcounc", "exptime")
    near = ("distnr", "magnr", "sigmagnr", "chinr", "sharpnr")
    return {
        **{name: template[name] for name in (*kept, *near)},
        "fid": FILTER_ID[flux.band],
        "pid": _pid(jd),
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
        "ranr": detection.ra + 1e-5,
        "decnr": detection.dec + 1e-5,
    }


def _pid(jd: float) -> int:
    """Return a processing id as the survey builds it: night, millionths of the day, read-out channel."""
    day = int(jd + 0.5)
    return (day - 2457755) * 10**9 + int((jd + 0.5 - day) * 1e6) * 1000 + 115
