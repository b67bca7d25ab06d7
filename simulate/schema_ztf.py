"""The ZTF alert schema 4.02 as names and types in wire order, and the header every packet begins with.

Field names and types are facts of the public alert stream; this declaration of them is our own, and a test
holds it against the survey's files. Every packet is a whole Avro container of one record: its schema
travels with it.
"""

from __future__ import annotations

import hashlib
import io

import fastavro

from asterism.simulate.declare import Schema, array, fields, nullable, record

ZTF_VERSION = "4.02"
NAMESPACE = "ztf.alert"

CANDIDATE = """
    jd:double fid:int pid:long diffmaglim:float? pdiffimfilename:string? programpi:string? programid:int
    candid:long isdiffpos:string tblid:long? nid:int? rcid:int? field:int? xpos:float? ypos:float?
    ra:double dec:double magpsf:float sigmapsf:float chipsf:float? magap:float? sigmagap:float?
    distnr:float? magnr:float? sigmagnr:float? chinr:float? sharpnr:float? sky:float? magdiff:float?
    fwhm:float? classtar:float? mindtoedge:float? magfromlim:float? seeratio:float? aimage:float?
    bimage:float? aimagerat:float? bimagerat:float? elong:float? nneg:int? nbad:int? rb:float?
    ssdistnr:float? ssmagnr:float? ssnamenr:string? sumrat:float? magapbig:float? sigmagapbig:float?
    ranr:double decnr:double sgmag1:float? srmag1:float? simag1:float? szmag1:float? sgscore1:float?
    distpsnr1:float? ndethist:int ncovhist:int jdstarthist:double? jdendhist:double? scorr:double?
    tooflag:int? objectidps1:long? objectidps2:long? sgmag2:float? srmag2:float? simag2:float?
    szmag2:float? sgscore2:float? distpsnr2:float? objectidps3:long? sgmag3:float? srmag3:float?
    simag3:float? szmag3:float? sgscore3:float? distpsnr3:float? nmtchps:int rfid:long jdstartref:double
    jdendref:double nframesref:int rbversion:string dsnrms:float? ssnrms:float? dsdiff:float?
    magzpsci:float? magzpsciunc:float? magzpscirms:float? nmatches:int clrcoeff:float? clrcounc:float?
    zpclrcov:float? zpmed:float? clrmed:float? clrrms:float? neargaia:float? neargaiabright:float?
    maggaia:float? maggaiabright:float? exptime:float? drb:float? drbversion:string
"""

PRV_CANDIDATE = """
    jd:double fid:int pid:long diffmaglim:float? pdiffimfilename:string? programpi:string? programid:int
    candid:long? isdiffpos:string? tblid:long? nid:int? rcid:int? field:int? xpos:float? ypos:float?
    ra:double? dec:double? magpsf:float? sigmapsf:float? chipsf:float? magap:float? sigmagap:float?
    distnr:float? magnr:float? sigmagnr:float? chinr:float? sharpnr:float? sky:float? magdiff:float?
    fwhm:float? classtar:float? mindtoedge:float? magfromlim:float? seeratio:float? aimage:float?
    bimage:float? aimagerat:float? bimagerat:float? elong:float? nneg:int? nbad:int? rb:float?
    ssdistnr:float? ssmagnr:float? ssnamenr:string? sumrat:float? magapbig:float? sigmagapbig:float?
    ranr:double? decnr:double? scorr:double? magzpsci:float? magzpsciunc:float? magzpscirms:float?
    clrcoeff:float? clrcounc:float? rbversion:string
"""

FP_HIST = """
    field:int? rcid:int? fid:int pid:long rfid:long sciinpseeing:float? scibckgnd:float? scisigpix:float?
    magzpsci:float? magzpsciunc:float? magzpscirms:float? clrcoeff:float? clrcounc:float? exptime:float?
    adpctdif1:float? adpctdif2:float? diffmaglim:float? programid:int jd:double forcediffimflux:float?
    forcediffimfluxunc:float? procstatus:string? distnr:float? ranr:double decnr:double magnr:float?
    sigmagnr:float? chinr:float? sharpnr:float?
"""


def _part(name: str, declaration: str) -> Schema:
    return record(name, NAMESPACE, fields(declaration))


HEAD = [
    *fields("schemavsn:string publisher:string objectId:string candid:long"),
    {"name": "candidate", "type": _part("candidate", CANDIDATE)},
]
"""The fields before history."""

ZTF_SCHEMA: Schema = {
    "type": "record",
    "name": "ztf.alert",
    "version": ZTF_VERSION,
    "fields": [
        *HEAD,
        nullable("prv_candidates", array(_part("prv_candidate", PRV_CANDIDATE))),
        nullable("fp_hists", array(_part("fp_hist", FP_HIST))),
        nullable("cutoutScience", _part("cutout", "fileName:string stampData:bytes")),
        nullable("cutoutTemplate", f"{NAMESPACE}.cutout"),
        nullable("cutoutDifference", f"{NAMESPACE}.cutout"),
    ],
}
"""The writer schema as JSON, nested records in place."""

SYNC = hashlib.md5(b"asterism.simulate ztf", usedforsecurity=False).digest()
"""The 16 bytes that end every block of a container; fixed, so that equal alerts are equal bytes."""


def _container_header() -> bytes:
    stream = io.BytesIO()
    fastavro.writer(stream, ZTF_SCHEMA, [], codec="null", sync_marker=SYNC)
    return stream.getvalue()


CONTAINER_HEADER = _container_header()
"""Magic, schema and sync marker: what precedes the only block of every packet."""
