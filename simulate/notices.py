"""Notices as their missions write them: VOEvent XML of Fermi GBM, Swift BAT and IceCube, alerts of LIGO/Virgo/KAGRA.

Names of parameters, groups and identifiers are those of real notices. The authority of every IVORN is our own, so
that a simulated notice can never pass for one of NASA; the role is ``observation``, because the whole way of a real
notice is what a simulated night is for.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from asterism.times import mjd_tai_to_iso, mjd_tai_to_utc
from asterism.voevent.document import Citation, Document, Inference, Param, compose

AUTHORITY = "asterism.simulated"
_MET_EPOCH_MJD_UTC = 51910.0
_LEAP_SECONDS_SINCE_2001 = 5
"""Between 2001 and now, in Fermi's mission elapsed time."""

GbmStage = Literal["flight", "ground", "final"]
_GBM_STAGES: dict[GbmStage, tuple[str, str, str]] = {
    "flight": ("Flt_Pos_", "111", "45"),
    "ground": ("Gnd_Pos_", "112", "57"),
    "final": ("Fin_Pos", "115", "0"),
}
_FALSE = "false"


@dataclass(frozen=True)
class Position:
    """A published position and error radius [deg]."""

    ra: float
    dec: float
    radius: float


def gbm_trigger(t0_mjd_tai: float) -> int:
    """Return a GBM trigger number: whole seconds since 2001-01-01 UTC."""
    return int((float(mjd_tai_to_utc(t0_mjd_tai)) - _MET_EPOCH_MJD_UTC) * 86400.0) + _LEAP_SECONDS_SINCE_2001


def gbm_notice(stage: GbmStage, trigger: int, t0: float, issued: float, where: Position, serial: int) -> bytes:
    """Return a Fermi GBM position notice.

    Parameters
    ----------
    stage : str
        ``flight``, ``ground`` or ``final``.
    trigger : int
        TrigID: names the burst.
    t0, issued : float
        Trigger and sending time, MJD TAI.
    where : Position
        Centre and 68 % statistical radius [deg].
    serial : int
        Last number of the IVORN; grows with every notice.
    """
    infix, packet, sequence = _GBM_STAGES[stage]
    time = _iso(t0, 2)
    alert = f"ivo://{AUTHORITY}/Fermi#GBM_Alert_{time}_{trigger}_1-{serial - 1}"
    flags = [("Def_NOT_a_GRB", _FALSE), ("Target_in_Blk_Catalog", _FALSE), ("Test_Submission", _FALSE)]
    params = [
        Param("Packet_Type", packet),
        Param("Pkt_Ser_Num", "1"),
        Param("TrigID", str(trigger), ucd="meta.id"),
        Param("Sequence_Num", sequence, ucd="meta.id.part"),
        *_burst_time(t0, "Burst"),
    ]
    if stage == "flight":
        params += [Param("Data_Signif", "12.40", unit="sigma", ucd="stat.snr")]
        params += [Param("Most_Likely_Index", "4", unit="dn"), Param("Most_Likely_Prob", "96")]
        params += [Param("Sec_Most_Likely_Index", "6", unit="dn"), Param("Sec_Most_Likely_Prob", "2")]
    else:
        params += [Param("Burst_Signif", "18.70", unit="sigma", ucd="stat.snr")]
        flags += [("Long_short", "Long" if stage == "final" else "unknown")]
    params += _group("Trigger_ID", flags)
    params += _group("Misc_Flags", [("Values_Out_of_Range", _FALSE), ("Flt_Generated", _yes(stage == "flight"))])
    return _notice(
        f"Fermi#GBM_{infix}{time}_{trigger}_{sequence}-{serial}",
        (t0, issued, where),
        params,
        Inference("process.variation.burst;em.gamma", "0.95"),
        citation=Citation(alert, "followup"),
    )


def swift_notice(trigger: int, t0: float, issued: float, where: Position, serial: int) -> bytes:
    """Return a Swift BAT position notice: centre and 90 % radius [deg], times MJD TAI."""
    status = [("Point_Source", "true"), ("GRB_Identified", "true"), ("Def_NOT_a_GRB", _FALSE)]
    status += [("Target_in_Flt_Catalog", _FALSE), ("Target_in_Gnd_Catalog", _FALSE), ("Target_in_Blk_Catalog", _FALSE)]
    status += [("StarTrack_Lost_Lock", _FALSE), ("Test_Submission", _FALSE)]
    params = [
        Param("Packet_Type", "61"),
        Param("Pkt_Ser_Num", "1"),
        Param("TrigID", str(trigger), ucd="meta.id"),
        Param("Segment_Num", "0", ucd="meta.id.part"),
        *_burst_time(t0, "Burst"),
        Param("Rate_Signif", "21.40", unit="sigma", ucd="stat.snr"),
        Param("Image_Signif", "11.20", unit="sigma", ucd="stat.snr"),
        *_group("Solution_Status", status),
        *_group("Misc_Flags", [("Values_Out_of_Range", _FALSE), ("Delayed_Transmission", _FALSE)]),
    ]
    inference = Inference("process.variation.burst;em.gamma", "0.90")
    return _notice(f"SWIFT#BAT_GRB_Pos_{trigger}-{serial:03}", (t0, issued, where), params, inference)


@dataclass(frozen=True)
class Track:
    """What IceCube says of a neutrino besides where and when."""

    run: int
    event: int
    gold: bool
    energy_tev: float
    signalness: float
    far_per_year: float


def icecube_notice(track: Track, revision: int, t0: float, issued: float, where: Position, radius_50: float) -> bytes:
    """Return an IceCube track notice through AMON: centre, 90 % and 50 % radius [deg], times MJD TAI."""
    colour, packet, stream = ("GOLD", "173", "24") if track.gold else ("BRONZE", "174", "25")
    time = _iso(t0, 2)
    stem = f"AMON#ICECUBE_{colour}_Event{time}_{stream}_{track.run:06}_{track.event:09}"
    flags = [("SubType", "indi"), ("Test", _FALSE), ("RADec_valid", "true"), ("Retraction", _FALSE)]
    params = [
        Param("Packet_Type", packet),
        Param("Pkt_Ser_Num", str(revision + 1)),
        Param("AMON_ID", f"{track.run}{track.event}", ucd="meta.id"),
        Param("run_id", str(track.run), ucd="meta.id"),
        Param("event_id", str(track.event), ucd="meta.id"),
        *_burst_time(t0, "Event"),
        Param("Stream", stream, unit="dn", ucd="meta.id"),
        Param("Rev", str(revision), unit="dn", ucd="meta.id"),
        Param("signalness", f"{track.signalness:.4f}", unit="dn", ucd="stat.probability"),
        Param("FAR", f"{track.far_per_year:.4f}", unit="yr^-1", ucd="stat.probability"),
        Param("energy", f"{track.energy_tev:.4f}", unit="TeV", ucd="phys.energy"),
        Param("src_error_90", f"{where.radius:.4f}", unit="deg", ucd="stat.error.sys"),
        Param("src_error_50", f"{radius_50:.4f}", unit="deg", ucd="stat.error.sys"),
        *_group("Trigger_ID", [*flags, ("InternalTest", _FALSE)]),
    ]
    return _notice(
        f"{stem}_{revision}",
        (t0, issued, where),
        params,
        Inference("process.variation.burst;em", "1.0"),
        citation=Citation(f"ivo://{AUTHORITY}/{stem}_{revision - 1}", "supersedes") if revision else None,
    )


def lvk_alert(
    superevent: str,
    alert_type: str,
    issued: float,
    *,
    t0: float,
    sky_map: bytes | None,
    far_hz: float = 1e-10,
    p_terrestrial: float = 0.01,
) -> bytes:
    """Return a LIGO/Virgo/KAGRA alert of a binary neutron star as JSON.

    Parameters
    ----------
    superevent : str
        Id, such as S260321ab.
    alert_type : str
        PRELIMINARY, INITIAL, UPDATE or RETRACTION.
    issued, t0 : float
        Sending and merger time, MJD TAI.
    sky_map : bytes or None
        Multi-order FITS file; None for a retraction, which has no ``event`` at all.
    far_hz : float
        False alarm rate [Hz].
    p_terrestrial : float
        Probability that it is noise.
    """
    alert: dict[str, Any] = {
        "alert_type": alert_type,
        "time_created": _iso(issued, 0) + "Z",
        "superevent_id": superevent,
        "urls": {"gracedb": f"ivo://{AUTHORITY}/superevents/{superevent}"},
        **dict.fromkeys(("event", "external_coinc")),
    }
    if sky_map is not None:
        alert["event"] = {
            "significant": far_hz < 4e-7,
            "time": _iso(t0, 3) + "Z",
            "far": far_hz,
            "instruments": ["H1", "L1"],
            "group": "CBC",
            "pipeline": "gstlal",
            "search": "AllSky",
            "properties": {"HasNS": 1.0, "HasRemnant": 1.0, "HasMassGap": 0.0},
            "classification": {"BNS": 1.0 - p_terrestrial, "NSBH": 0.0, "BBH": 0.0, "Terrestrial": p_terrestrial},
            **dict.fromkeys(("duration", "central_frequency")),
            "skymap": base64.b64encode(sky_map).decode("ascii"),
        }
    return json.dumps(alert).encode()


def superevent_name(t0: float, number: int) -> str:
    """Return the id of a superevent: S, the UTC date, and letters that count the day's triggers."""
    letters = ""
    while number >= 0:
        number, letter = divmod(number, 26)
        letters, number = chr(ord("a") + letter) + letters, number - 1
    return f"S{_iso(t0, 0)[2:10].replace('-', '')}{letters}"


def _notice(
    name: str,
    when_where: tuple[float, float, Position],
    params: list[Param],
    inference: Inference,
    *,
    citation: Citation | None = None,
) -> bytes:
    """Return a VOEvent: IVORN without authority; event time, sending time (MJD TAI) and position; what and why."""
    t0, issued, where = when_where
    return compose(
        Document(
            ivorn=f"ivo://{AUTHORITY}/{name}",
            role="observation",
            author_ivorn=f"ivo://{AUTHORITY}/author",
            author_name=f"{name.partition('#')[0]} (simulated)",
            date=_iso(issued, 0),
            params=tuple(params),
            coord_system="UTC-FK5-GEO",
            iso_time=_iso(t0, 2),
            position_unit="deg",
            c1=f"{where.ra:.4f}",
            c2=f"{where.dec:.4f}",
            error2radius=f"{where.radius:.4f}",
            importance=inference.probability,
            inferences=(inference,),
            citations=() if citation is None else (citation,),
        )
    )


def _burst_time(t0: float, prefix: str) -> list[Param]:
    """Return the day (truncated Julian date) and second of day as the missions repeat them."""
    utc = float(mjd_tai_to_utc(t0))
    day = math.floor(utc)
    return [
        Param(f"{prefix}_TJD", str(day - 40000), unit="days", ucd="time"),
        Param(f"{prefix}_SOD", f"{(utc - day) * 86400.0:.2f}", unit="sec", ucd="time"),
    ]


def _group(name: str, values: list[tuple[str, str]]) -> list[Param]:
    return [Param(key, value, group=name) for key, value in values]


def _iso(mjd_tai: float, decimals: int) -> str:
    """Return ISO 8601 UTC without a zone, cut (not rounded) to some decimals of a second."""
    text = mjd_tai_to_iso(mjd_tai).removesuffix("Z")
    return text[: len(text) - 6 + decimals] if decimals else text[:-7]


def _yes(value: bool) -> str:
    return "true" if value else "false"
