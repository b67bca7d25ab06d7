"""The LSST alert schema 11.0, schema id 1100, as names and types in wire order.

Field names and types are facts of the public alert stream; this declaration of them is our own, and a test
holds it against the survey's files. The new detection is the fourth field, before history; the cut-outs
come last.
"""

from __future__ import annotations

import json
from pathlib import Path

from asterism.formats import replace_file
from asterism.simulate.declare import Schema, array, fields, nullable, record

LSST_SCHEMA_ID = 1100
"""The id in the five-byte frame of every packet."""

NAMESPACE = "lsst.v11_0"
BANDS = "ugrizy"

DIA_SOURCE = """
    diaSourceId:long visit:long detector:int diaObjectId:long? ssObjectId:long? parentDiaSourceId:long?
    midpointMjdTai:double ra:double raErr:float? dec:double decErr:float? ra_dec_Cov:float? x:float
    xErr:float? y:float yErr:float? centroid_flag:boolean? apFlux:float? apFluxErr:float?
    apFlux_flag:boolean? apFlux_flag_apertureTruncated:boolean? isNegative:boolean? snr:float?
    psfFlux:float? psfFluxErr:float? psfLnL:float? psfChi2:float? psfNdata:int psfFlux_flag:boolean?
    psfFlux_flag_edge:boolean? psfFlux_flag_noGoodPixels:boolean? trailFlux:float? trailFluxErr:float?
    trailRa:double? trailRaErr:float? trailDec:double? trailDecErr:float? trailLength:float?
    trailLengthErr:float? trailAngle:float? trailAngleErr:float? trailChi2:float? trailNdata:int
    trail_flag_edge:boolean? dipoleMeanFlux:float? dipoleMeanFluxErr:float? dipoleFluxDiff:float?
    dipoleFluxDiffErr:float? dipoleLength:float? dipoleAngle:float? dipoleChi2:float? dipoleNdata:int
    scienceFlux:float? scienceFluxErr:float? forced_PsfFlux_flag:boolean?
    forced_PsfFlux_flag_edge:boolean? forced_PsfFlux_flag_noGoodPixels:boolean? templateFlux:float?
    templateFluxErr:float? ixx:float? iyy:float? ixy:float? ixxPSF:float? iyyPSF:float? ixyPSF:float?
    shape_flag:boolean? shape_flag_no_pixels:boolean? shape_flag_not_contained:boolean?
    shape_flag_parent_source:boolean? extendedness:float? reliability:float? band:string?
    isDipole:boolean? dipoleFitAttempted:boolean? timeProcessedMjdTai:double timeWithdrawnMjdTai:double?
    bboxSize:int pixelFlags:boolean? pixelFlags_bad:boolean? pixelFlags_cr:boolean?
    pixelFlags_crCenter:boolean? pixelFlags_edge:boolean? pixelFlags_nodata:boolean?
    pixelFlags_nodataCenter:boolean? pixelFlags_interpolated:boolean?
    pixelFlags_interpolatedCenter:boolean? pixelFlags_offimage:boolean? pixelFlags_saturated:boolean?
    pixelFlags_saturatedCenter:boolean? pixelFlags_suspect:boolean? pixelFlags_suspectCenter:boolean?
    pixelFlags_streak:boolean? pixelFlags_streakCenter:boolean? pixelFlags_injected:boolean?
    pixelFlags_injectedCenter:boolean? pixelFlags_injected_template:boolean?
    pixelFlags_injected_templateCenter:boolean? glint_trail:boolean?
"""

DIA_FORCED_SOURCE = """
    diaForcedSourceId:long diaObjectId:long ra:double dec:double visit:long detector:int psfFlux:float?
    psfFluxErr:float? midpointMjdTai:double scienceFlux:float? scienceFluxErr:float? band:string?
    timeProcessedMjdTai:double timeWithdrawnMjdTai:double?
"""


def _dia_object() -> str:
    """Return the declaration of diaObject, whose statistics repeat for each band."""
    head = """diaObjectId:long validityStartMjdTai:double ra:double raErr:float? dec:double decErr:float?
        ra_dec_Cov:float?"""
    means = """{0}_psfFluxMean:float? {0}_psfFluxMeanErr:float? {0}_psfFluxSigma:float? {0}_psfFluxNdata:int
        {0}_fpFluxMean:float? {0}_fpFluxMeanErr:float?"""
    science = "{0}_scienceFluxMean:float? {0}_scienceFluxMeanErr:float?"
    ranges = """{0}_psfFluxMin:float? {0}_psfFluxMax:float? {0}_psfFluxMaxSlope:float?
        {0}_psfFluxErrMean:float?"""
    tail = "firstDiaSourceMjdTai:double? lastDiaSourceMjdTai:double? nDiaSources:int"
    per_band = [part.format(band) for part in (means, science, ranges) for band in BANDS]
    return " ".join([head, *per_band, tail])


SS_SOURCE = """
    diaSourceId:long ssObjectId:long designation:string? eclLambda:double eclBeta:double galLon:double
    galLat:double elongation:float? phaseAngle:float? topoRange:float? topoRangeRate:float?
    helioRange:float? helioRangeRate:float? ephRa:double? ephDec:double? ephVmag:float? ephRate:float?
    ephRateRa:float? ephRateDec:float? ephOffset:float? ephOffsetRa:double? ephOffsetDec:double?
    ephOffsetAlongTrack:float? ephOffsetCrossTrack:float? helio_x:float? helio_y:float? helio_z:float?
    helio_vx:float? helio_vy:float? helio_vz:float? helio_vtot:float? topo_x:float? topo_y:float?
    topo_z:float? topo_vx:float? topo_vy:float? topo_vz:float? topo_vtot:float? diaDistanceRank:int?
"""

MPC_ORBITS = """
    id:int designation:string packed_primary_provisional_designation:string
    unpacked_primary_provisional_designation:string mpc_orb_jsonb:string? created_at:micros?
    updated_at:micros? orbit_type_int:int? u_param:int? nopp:int? arc_length_total:double?
    arc_length_sel:double? nobs_total:int? nobs_total_sel:int? a:double? q:double? e:double? i:double?
    node:double? argperi:double? peri_time:double? yarkovsky:double? srp:double? a1:double? a2:double?
    a3:double? dt:double? mean_anomaly:double? period:double? mean_motion:double? a_unc:double?
    q_unc:double? e_unc:double? i_unc:double? node_unc:double? argperi_unc:double? peri_time_unc:double?
    yarkovsky_unc:double? srp_unc:double? a1_unc:double? a2_unc:double? a3_unc:double? dt_unc:double?
    mean_anomaly_unc:double? period_unc:double? mean_motion_unc:double? epoch_mjd:double? h:double?
    g:double? not_normalized_rms:double? normalized_rms:double? earth_moid:double?
    fitting_datetime:micros?
"""


def _part(name: str, declaration: str) -> Schema:
    return record(name, NAMESPACE, fields(declaration))


DIA_OBJECT = _dia_object()

LSST_SCHEMA: Schema = record(
    "alert",
    NAMESPACE,
    [
        *fields("diaSourceId:long observation_reason:string? target_name:string?"),
        {"name": "diaSource", "type": _part("diaSource", DIA_SOURCE)},
        nullable("prvDiaSources", array(f"{NAMESPACE}.diaSource")),
        nullable("prvDiaForcedSources", array(_part("diaForcedSource", DIA_FORCED_SOURCE))),
        nullable("diaObject", _part("diaObject", DIA_OBJECT)),
        nullable("ssSource", _part("ssSource", SS_SOURCE)),
        nullable("mpc_orbits", _part("mpc_orbits", MPC_ORBITS)),
        *fields("cutoutDifference:bytes? cutoutScience:bytes? cutoutTemplate:bytes?"),
    ],
)
"""The writer schema as JSON, nested records in place."""


def write_schemas(folder: Path, schema_id: int = LSST_SCHEMA_ID, schema: Schema = LSST_SCHEMA) -> Path:
    """Write ``<id>.avsc`` into a folder, for the setting ``schema_folder`` or a registry; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{schema_id}.avsc"
    replace_file(path, json.dumps(schema, indent=1).encode())
    return path
