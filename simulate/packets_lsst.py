"""LSST packets: five bytes of Confluent frame, then one Avro record without a schema.

As in `asterism.simulate.packets_ztf` a packet is a pure function of its detection and history. What was not
measured is NaN and an absent link is 0, because that is what the survey sends.
"""

from __future__ import annotations

import math
import struct
from datetime import date
from functools import lru_cache
from typing import Any

import fastavro
import numpy as np

from asterism.simulate.declare import fields, record
from asterism.simulate.encode import NULL, PRESENT, avro_bytes, avro_long, encode, nullable_array
from asterism.simulate.measurement import ForcedFlux, History, SimulatedDetection
from asterism.simulate.schema_lsst import (
    BANDS,
    DIA_FORCED_SOURCE,
    DIA_OBJECT,
    DIA_SOURCE,
    LSST_SCHEMA_ID,
    MPC_ORBITS,
    SS_SOURCE,
)
from asterism.simulate.stamps import lsst_stamps

FRAME = struct.pack(">bI", 0, LSST_SCHEMA_ID)
"""Magic 0 and the schema id."""

_MJD_TO_ORDINAL = 678576
_PROCESSING_DAYS = 60.0 / 86400.0
_VISIT_SECONDS = 39.0
_TEMPLATES = 61
_NAN = float("nan")

_KEPT_LINES = 1 << 15


def _parsed(name: str, declaration: str) -> Any:
    return fastavro.parse_schema(record(name, "lsst", fields(declaration)))


_SOURCE = _parsed("source", DIA_SOURCE)
_FORCED = _parsed("forced", DIA_FORCED_SOURCE.partition(" dec:double ")[2])
_OBJECT = _parsed("object", DIA_OBJECT)
_SS_SOURCE = _parsed("ssSource", SS_SOURCE)
_ORBIT = _parsed("orbit", MPC_ORBITS)

Row = dict[str, Any]


def lsst_packet(detection: SimulatedDetection, history: History | None = None) -> bytes:
    """Return the packet of an alert: Confluent frame and a record of schema 11.0.

    Parameters
    ----------
    detection : SimulatedDetection
        `object_id` is a decimal diaObjectId, or None together with `ss_object_id` for a Solar System object;
        `mjd_tai` is the midpoint of the exposure.
    history : History, optional
        Detections go to ``prvDiaSources``, forced fluxes to ``prvDiaForcedSources``; LSST has no limits.
    """
    past = history or History()
    moving = detection.ss_object_id is not None
    pool = lsst_stamps()
    stamps = pool[detection.source_id % len(pool)]
    return b"".join(
        (
            FRAME,
            avro_long(detection.source_id),
            *(PRESENT + avro_bytes(text) for text in (b"wide", b"simulated footprint")),
            _source_line(detection),
            nullable_array([_source_line(source) for source in past.detections]),
            nullable_array([_forced_line(flux, detection, n) for n, flux in enumerate(past.forced)]),
            NULL if detection.object_id is None else PRESENT + encode(_OBJECT, _dia_object(detection, past)),
            PRESENT + encode(_SS_SOURCE, _ss_source(detection)) if moving else NULL,
            PRESENT + encode(_ORBIT, _orbit(detection)) if moving else NULL,
            *(PRESENT + avro_bytes(s) for s in (stamps.difference, stamps.science, stamps.template)),
        )
    )


@lru_cache(maxsize=1)
def _templates() -> tuple[Row, ...]:
    """Return rows of plausible values for every column of diaSource that no simulated quantity decides."""
    rng = np.random.default_rng(1100)
    kinds = {name: kind.rstrip("?") for name, kind in (item.split(":") for item in DIA_SOURCE.split())}
    unmeasured = ("trail", "dipole", "psfLnL", "timeWithdrawn")
    rows = []
    for _ in range(_TEMPLATES):
        row: Row = {}
        for name, kind in kinds.items():
            if kind == "boolean":
                row[name] = False
            elif kind in {"int", "long"}:
                row[name] = 0
            else:
                row[name] = _NAN if name.startswith(unmeasured) else float(np.float32(rng.uniform(0.1, 0.3)))
        row |= {"x": rng.uniform(20.0, 4050.0), "y": rng.uniform(20.0, 3980.0), "psfNdata": 1681}
        row |= {"detector": int(rng.integers(0, 189)), "bboxSize": int(rng.integers(11, 30))}
        rows.append(row | {"psfChi2": rng.normal(1690.0, 50.0)})
    return tuple(rows)


def _visit(mjd_tai: float) -> int:
    """Return the visit number: dayObs, which turns at noon UTC, then the exposure's place in the night."""
    since_noon = mjd_tai - 0.5
    day = date.fromordinal(int(since_noon) + _MJD_TO_ORDINAL)
    number = int(since_noon % 1.0 * 86400.0 / _VISIT_SECONDS)
    return (day.year * 10000 + day.month * 100 + day.day) * 100000 + number


@lru_cache(maxsize=_KEPT_LINES)
def _source_line(source: SimulatedDetection) -> bytes:
    return encode(_SOURCE, _dia_source(source))


def _dia_source(source: SimulatedDetection) -> Row:
    return {
        **_templates()[source.source_id % _TEMPLATES],
        "diaSourceId": source.source_id,
        "visit": _visit(source.mjd_tai),
        "diaObjectId": int(source.object_id or 0),
        "ssObjectId": int(source.ss_object_id or 0),
        "midpointMjdTai": source.mjd_tai,
        "ra": source.ra,
        "raErr": 1.5e-5,
        "dec": source.dec,
        "decErr": 1.5e-5,
        "ra_dec_Cov": 1e-12,
        "apFlux": source.flux * 1.02,
        "apFluxErr": source.flux_err * 1.8,
        "isNegative": source.flux < 0,
        "snr": abs(source.flux) / source.flux_err,
        "psfFlux": source.flux,
        "psfFluxErr": source.flux_err,
        "scienceFlux": source.flux + 20.0 * source.flux_err,
        "scienceFluxErr": source.flux_err,
        "templateFlux": 20.0 * source.flux_err,
        "templateFluxErr": 0.2 * source.flux_err,
        "reliability": source.reliability,
        "band": source.band,
        "timeProcessedMjdTai": source.mjd_tai + _PROCESSING_DAYS,
    }


def _forced_line(flux: ForcedFlux, detection: SimulatedDetection, number: int) -> bytes:
    """Return a forced source: ids and position of the object, then what the exposure alone decides."""
    ids = avro_long(detection.source_id + 1 + number) + avro_long(int(detection.object_id or 0))
    return ids + struct.pack("<dd", detection.ra, detection.dec) + _forced_measurement(flux)


@lru_cache(maxsize=_KEPT_LINES)
def _forced_measurement(flux: ForcedFlux) -> bytes:
    visit = _visit(flux.mjd_tai)
    row = {
        "visit": visit,
        "detector": visit % 189,
        "psfFlux": flux.flux,
        "psfFluxErr": flux.flux_err,
        "midpointMjdTai": flux.mjd_tai,
        "scienceFlux": flux.flux + 20.0 * flux.flux_err,
        "scienceFluxErr": flux.flux_err,
        "band": flux.band,
        "timeProcessedMjdTai": flux.mjd_tai + _PROCESSING_DAYS,
        "timeWithdrawnMjdTai": _NAN,
    }
    return encode(_FORCED, row)


def _dia_object(detection: SimulatedDetection, past: History) -> Row:
    sources = (*past.detections, detection)
    row: Row = {
        "diaObjectId": int(detection.object_id or 0),
        "validityStartMjdTai": detection.mjd_tai + _PROCESSING_DAYS,
        "ra": sum(s.ra for s in sources) / len(sources),
        "raErr": 1.5e-5,
        "dec": sum(s.dec for s in sources) / len(sources),
        "decErr": 1.5e-5,
        "ra_dec_Cov": 1e-12,
        "firstDiaSourceMjdTai": min(s.mjd_tai for s in sources),
        "lastDiaSourceMjdTai": max(s.mjd_tai for s in sources),
        "nDiaSources": len(sources),
    }
    for band in BANDS:
        fluxes = [s.flux for s in sources if s.band == band]
        errors = [s.flux_err for s in sources if s.band == band]
        forced = [f.flux for f in past.forced if f.band == band]
        row |= _band_statistics(band, fluxes, errors, forced)
    return row


def _band_statistics(band: str, fluxes: list[float], errors: list[float], forced: list[float]) -> Row:
    """Return the survey's summary of one band: means, scatter, extremes [nJy]; NaN without a measurement."""
    n = len(fluxes)
    mean = sum(fluxes) / n if n else _NAN
    scatter = math.sqrt(sum((flux - mean) ** 2 for flux in fluxes) / (n - 1)) if n > 1 else _NAN
    mean_error = sum(errors) / n if n else _NAN
    statistics = {
        "psfFluxMean": mean,
        "psfFluxMeanErr": mean_error / math.sqrt(n) if n else _NAN,
        "psfFluxSigma": scatter,
        "psfFluxNdata": n,
        "fpFluxMean": sum(forced) / len(forced) if forced else _NAN,
        "fpFluxMeanErr": mean_error / math.sqrt(len(forced)) if forced else _NAN,
        "scienceFluxMean": mean + 20.0 * mean_error,
        "scienceFluxMeanErr": mean_error,
        "psfFluxMin": min(fluxes, default=_NAN),
        "psfFluxMax": max(fluxes, default=_NAN),
        "psfFluxMaxSlope": _NAN,
        "psfFluxErrMean": mean_error,
    }
    return {f"{band}_{name}": value for name, value in statistics.items()}


def _ss_source(detection: SimulatedDetection) -> Row:
    row: Row = {item.split(":")[0]: 0.0 for item in SS_SOURCE.split()}
    return row | {
        "diaSourceId": detection.source_id,
        "ssObjectId": int(detection.ss_object_id or 0),
        "designation": f"SIM{detection.ss_object_id}",
        "elongation": 128.0,
        "phaseAngle": 18.0,
        "topoRange": 1.2,
        "helioRange": 2.1,
        "ephRa": detection.ra,
        "ephDec": detection.dec,
        "ephOffset": detection.ss_distance or 0.0,
        "diaDistanceRank": 1,
    }


def _orbit(detection: SimulatedDetection) -> Row:
    row: Row = dict.fromkeys(item.split(":")[0] for item in MPC_ORBITS.split())
    name = f"SIM{detection.ss_object_id}"
    return row | {
        "id": 0,
        "designation": name,
        "packed_primary_provisional_designation": name,
        "unpacked_primary_provisional_designation": name,
        "q": 2.4,
        "e": 0.06,
        "i": 9.5,
        "node": 186.3,
        "argperi": 40.1,
        "h": 17.2,
    }
