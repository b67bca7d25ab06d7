"""Alerts and their photometry."""

from __future__ import annotations

from enum import Enum
from typing import Any

import strawberry

from asterism.gql.connections import Connection, Count, Edge, PageInfo, Position, encode_cursor, list_name, page_info
from asterism.gql.nodes import Node
from asterism.gql.types.scalars import Instant, Int64
from asterism.graph.rows import AlertRow
from asterism.records import SCIENCE

_MEANINGS = {field.name: field.metadata[b"meaning"].decode() for field in SCIENCE}


def _science(column: str) -> Any:
    return strawberry.field(description=_MEANINGS[column])


@strawberry.enum(description="What a photometric value is.")
class PhotometryKind(Enum):
    """What a photometric value is."""

    DIFFERENCE_DETECTION = strawberry.enum_value(
        "difference_detection", description="A source found on the difference image; limitMag is of its exposure"
    )


@strawberry.type(description="What one difference image measured. Fluxes in nJy, magnitudes AB.")
class Photometry:
    """What one difference image measured."""

    kind: PhotometryKind
    band: str | None = _science("band")
    is_positive: bool | None = _science("isPositive")
    flux: float | None = _science("flux")
    flux_err: float | None = _science("fluxErr")
    mag: float | None = _science("mag")
    mag_err: float | None = _science("magErr")
    snr: float | None = _science("snr")
    ap_flux: float | None = _science("apFlux")
    limit_mag: float | None = _science("limitMag")


@strawberry.type(description="One detection on a difference image, as its survey announced it.")
class Alert(Node):
    """One detection on a difference image."""

    key: strawberry.ID = _science("alertKey")
    object_key: strawberry.ID | None = _science("objectKey")
    survey: str = _science("survey")
    source_id: strawberry.ID = _science("sourceId")
    ss_object_id: strawberry.ID | None = _science("ssObjectId")
    ss_distance: float | None = _science("ssDistance")
    time: Instant = _science("mjdTai")
    night: int = _science("night")
    ra: float = _science("ra")
    dec: float = _science("dec")
    hpx29: Int64 = _science("hpx29")
    photometry: Photometry
    reliability: float | None = _science("reliability")
    rb: float | None = _science("rb")
    n_bad: int | None = _science("nBad")
    program_id: int | None = _science("programId")
    public: bool = _science("public")
    schema_version: str | None = _science("schemaVersion")
    passes_paper2020: bool | None = _science("passesPaper2020")
    passes_fink2026: bool | None = _science("passesFink2026")


def alert_of(row: AlertRow) -> Alert:
    """Return an alert as the API shows it."""
    return Alert(
        key=strawberry.ID(row.key),
        object_key=None if row.object_key is None else strawberry.ID(row.object_key),
        survey=row.survey,
        source_id=strawberry.ID(row.source_id),
        ss_object_id=None if row.ss_object_id is None else strawberry.ID(row.ss_object_id),
        ss_distance=row.ss_distance,
        time=Instant(mjd_tai=row.mjd_tai),
        night=row.night,
        ra=row.ra,
        dec=row.dec,
        hpx29=Int64(row.hpx29),
        photometry=Photometry(
            kind=PhotometryKind.DIFFERENCE_DETECTION,
            band=row.band,
            is_positive=row.is_positive,
            flux=row.flux,
            flux_err=row.flux_err,
            mag=row.mag,
            mag_err=row.mag_err,
            snr=row.snr,
            ap_flux=row.ap_flux,
            limit_mag=row.limit_mag,
        ),
        reliability=row.reliability,
        rb=row.rb,
        n_bad=row.n_bad,
        program_id=row.program_id,
        public=row.public,
        schema_version=row.schema_version,
        passes_paper2020=row.passes_paper2020,
        passes_fink2026=row.passes_fink2026,
    )


def alerts_name(object_key: str) -> str:
    """Return the name of the list of an object's alerts, for cursors."""
    return list_name("alerts", object_key)


def alert_page(object_key: str, rows: list[AlertRow], first: int, count: Count) -> Connection[Alert]:
    """Return a page of an object's alerts.

    Parameters
    ----------
    object_key : str
        The object.
    rows : list of AlertRow
        The page and, if there is one, the row behind it.
    first : int
        Size of the page.
    count : callable
        Counts all of them.
    """
    name = alerts_name(object_key)
    edges = [
        Edge[Alert](cursor=encode_cursor(name, Position(row.mjd_tai, row.key)), node=alert_of(row))
        for row in rows[:first]
    ]
    info: PageInfo = page_info([edge.cursor for edge in edges], more=len(rows) > first)
    return Connection[Alert](edges=edges, page_info=info, count=count)
