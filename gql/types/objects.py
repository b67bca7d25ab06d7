"""Objects, the alerts they have and the sources they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.types import Info

from asterism.gql.connections import Connection, decode_cursor, page_size
from asterism.gql.loaders import (
    MAX_ANNOTATIONS,
    MAX_EVENTS,
    MAX_EVIDENCE,
    AlertsAsked,
    ClassesAsked,
    LinksAsked,
    MembersAsked,
    RequestContext,
)
from asterism.gql.nodes import Node
from asterism.gql.types.alert import Alert, alert_page, alerts_name
from asterism.gql.types.annotations import Annotation, annotation_of
from asterism.gql.types.evidence import CatalogMatch, Classification, classification_of, match_of
from asterism.gql.types.scalars import Instant, Int64, instant
from asterism.graph.reader import AlertPage
from asterism.graph.rows import ObjectRow, SourceRow

if TYPE_CHECKING:
    from asterism.gql.types.candidates import Candidate

MAX_MEMBERS = 20
"""Most objects shown of one source; surveys rarely split one more often."""


async def _alerts(
    root: strawberry.Parent[Object],
    info: Info[RequestContext, None],
    first: int = 25,
    after: str | None = None,
) -> Connection[Alert]:
    size = page_size(first)
    place = decode_cursor(alerts_name(root.key), after)
    page = AlertPage(root.key) if place is None else AlertPage(root.key, place.value, place.key)
    rows = await info.context.alerts.load(AlertsAsked(page, size + 1))
    return alert_page(root.key, rows, size, lambda: info.context.alert_counts.load(root.key))


async def _same_as(root: strawberry.Parent[Object], info: Info[RequestContext, None]) -> SameAs | None:
    found = await info.context.sources.load(root.key)
    return None if found is None else SameAs(source=source_of(found[0]), separation_arcsec=found[1])


async def _candidate_for(
    root: strawberry.Parent[Object], info: Info[RequestContext, None], include_closed: bool = False
) -> list[Annotated[Candidate, strawberry.lazy("asterism.gql.types.candidates")]]:
    from asterism.gql.types.candidates import candidate_of  # which imports this module
    from asterism.gql.types.events import event_of

    rows = await info.context.links.load(LinksAsked(root.key, include_closed))
    return [candidate_of(event_of(event), link, root) for link, event in rows]


async def _classification(root: strawberry.Parent[Object], info: Info[RequestContext, None]) -> Classification | None:
    rows = await info.context.classes.load(ClassesAsked(root.key, False))
    return classification_of(rows[0]) if rows else None


async def _classifications(
    root: strawberry.Parent[Object], info: Info[RequestContext, None], include_replaced: bool = False
) -> list[Classification]:
    return [classification_of(row) for row in await info.context.classes.load(ClassesAsked(root.key, include_replaced))]


async def _matches(root: strawberry.Parent[Object], info: Info[RequestContext, None]) -> list[CatalogMatch]:
    return [match_of(match, source) for match, source in await info.context.matches.load(root.key)]


async def _host(root: strawberry.Parent[Object], info: Info[RequestContext, None]) -> CatalogMatch | None:
    found = await info.context.hosts.load(root.key)
    return None if found is None else match_of(*found)


async def _annotations(root: strawberry.Parent[Object], info: Info[RequestContext, None]) -> list[Annotation]:
    return [annotation_of(row) for row in await info.context.object_annotations.load(root.key)]


async def _objects(root: strawberry.Parent[Source], info: Info[RequestContext, None]) -> list[Member]:
    rows = await info.context.members.load(MembersAsked(root.key, MAX_MEMBERS))
    return [Member(object=object_of(row), separation_arcsec=separation) for row, separation in rows]


@strawberry.type(description="An object of one survey: the detections it holds to be the same.")
class Object(Node):
    """An object of one survey."""

    key: strawberry.ID = strawberry.field(description="survey:objectId")
    survey: str = strawberry.field(description="ztf or lsst")
    object_id: strawberry.ID = strawberry.field(description="objectId or diaObjectId")
    public: bool = strawberry.field(description="It may be shown to everybody")
    ra: float = strawberry.field(description="right ascension of its earliest alert, ICRS [deg]")
    dec: float = strawberry.field(description="declination of its earliest alert, ICRS [deg]")
    hpx29: Int64 = strawberry.field(description="HEALPix nested index at order 29 of (ra, dec)")
    first_detection: Instant | None = strawberry.field(
        description="The survey's first detection, or the first one seen here"
    )
    provisional: bool | None = strawberry.field(description="firstDetection is not yet the survey's own")
    last_detection: Instant | None = strawberry.field(description="Time of the latest alert")
    last_alert_key: strawberry.ID | None = strawberry.field(description="Key of the latest alert")
    last_band: str | None = strawberry.field(description="Band of the latest alert")
    last_mag: float | None = strawberry.field(description="AB magnitude of |flux| of the latest alert [mag]")
    last_flux: float | None = strawberry.field(description="Signed PSF difference flux of the latest alert [nJy]")
    n_detections: int | None = strawberry.field(description="The survey's own count of detections")
    brightest_mag: float | None = strawberry.field(description="Brightest AB magnitude of a positive detection [mag]")

    alerts: Connection[Alert] = strawberry.field(resolver=_alerts, description="Its alerts in the graph, newest first.")
    same_as: SameAs | None = strawberry.field(
        resolver=_same_as,
        description="The source of the sky it belongs to, across surveys; null if none is known.",
    )
    classification: Classification | None = strawberry.field(
        resolver=_classification, description="The current one that saw the newest alert, of whatever module."
    )
    classifications: list[Classification] = strawberry.field(
        resolver=_classifications,
        description="One current one of each module, the newest first; includeReplaced adds older ones, "
        f"at most {MAX_EVIDENCE}.",
    )
    matches: list[CatalogMatch] = strawberry.field(
        resolver=_matches, description=f"Catalogued sources at its place, the nearest first, at most {MAX_EVIDENCE}."
    )
    host: CatalogMatch | None = strawberry.field(
        resolver=_host, description="The galaxy it probably lies in: the match least likely there by chance."
    )
    annotations: list[Annotation] = strawberry.field(
        resolver=_annotations,
        description=f"What was said of it, also as a candidate, the newest first, at most {MAX_ANNOTATIONS}.",
    )
    candidate_for: list[Annotated[Candidate, strawberry.lazy("asterism.gql.types.candidates")]] = strawberry.field(
        resolver=_candidate_for,
        description=f"Its links to events, the newest event first, at most {MAX_EVENTS}.",
    )


@strawberry.type(description="An object belongs to a source.")
class SameAs:
    """An object belongs to a source."""

    separation_arcsec: float | None = strawberry.field(description="Distance of the object from the source [arcsec]")
    source: Source


@strawberry.type(description="A source of the sky: the objects of all surveys that are the same.")
class Source(Node):
    """A source of the sky."""

    key: strawberry.ID = strawberry.field(description="Key of its smallest first member; never reused")
    ra: float | None = strawberry.field(description="right ascension, ICRS [deg]")
    dec: float | None = strawberry.field(description="declination, ICRS [deg]")

    objects: list[Member] = strawberry.field(
        resolver=_objects, description=f"Its objects by key, at most {MAX_MEMBERS}."
    )


@strawberry.type(description="An object of a source.")
class Member:
    """An object of a source."""

    separation_arcsec: float | None = strawberry.field(description="Distance of the object from the source [arcsec]")
    object: Object


def object_of(row: ObjectRow) -> Object:
    """Return an object as the API shows it."""
    return Object(
        key=strawberry.ID(row.key),
        survey=row.survey,
        object_id=strawberry.ID(row.object_id),
        public=row.public,
        ra=row.ra,
        dec=row.dec,
        hpx29=Int64(row.hpx29),
        first_detection=instant(row.first_mjd_tai),
        provisional=row.provisional,
        last_detection=instant(row.last_mjd_tai),
        last_alert_key=None if row.last_alert_key is None else strawberry.ID(row.last_alert_key),
        last_band=row.last_band,
        last_mag=row.last_mag,
        last_flux=row.last_flux,
        n_detections=row.n_detections,
        brightest_mag=row.brightest_mag,
    )


def source_of(row: SourceRow) -> Source:
    """Return a source as the API shows it."""
    return Source(key=strawberry.ID(row.key), ra=row.ra, dec=row.dec)
