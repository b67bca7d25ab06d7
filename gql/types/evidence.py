"""Evidence on objects: catalogued sources near them and what classifiers say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.types import Info

from asterism.gql.loaders import MAX_EVIDENCE, RequestContext
from asterism.gql.nodes import Node
from asterism.gql.types.scalars import Instant, instant
from asterism.graph.rows import CatalogSourceRow, ClassificationRow, MatchRow

if TYPE_CHECKING:
    from asterism.gql.types.objects import Object


async def _objects(root: strawberry.Parent[CatalogSource], info: Info[RequestContext, None]) -> list[MatchedObject]:
    from asterism.gql.types.objects import object_of  # which imports this module

    rows = await info.context.matched_objects.load(root.key)
    return [
        MatchedObject(separation_arcsec=match.separation_arcsec, object=object_of(row), p_chance=match.p_chance)
        for match, row in rows
    ]


@strawberry.type(description="A source of a catalogue.")
class CatalogSource(Node):
    """A source of a catalogue."""

    key: strawberry.ID = strawberry.field(description="catalogue:release:id")
    catalogue: str
    release: str = strawberry.field(description="Release of the catalogue; its rows never change")
    catalogue_id: strawberry.ID = strawberry.field(description="The catalogue's own identifier")
    class_name: str | None = strawberry.field(description="star, agn, galaxy or another coarse class")
    type: str | None = strawberry.field(description="The catalogue's own, finer type")
    ra: float = strawberry.field(description="right ascension, ICRS [deg]")
    dec: float = strawberry.field(description="declination, ICRS [deg]")
    distance_mpc: float | None = strawberry.field(description="Luminosity distance [Mpc]")
    redshift: float | None
    mag: float | None = strawberry.field(description="Catalogue magnitude [mag]")

    objects: list[MatchedObject] = strawberry.field(
        resolver=_objects, description=f"Objects that match it, the nearest first, at most {MAX_EVIDENCE}."
    )


@strawberry.type(description="An object that matches a catalogued source.")
class MatchedObject:
    """An object that matches a catalogued source."""

    separation_arcsec: float | None = strawberry.field(description="Angle between the two [arcsec]")
    p_chance: float | None = strawberry.field(
        description="Probability of a source of the class at least as near by chance"
    )
    object: Annotated[Object, strawberry.lazy("asterism.gql.types.objects")]


@strawberry.type(description="A catalogued source that an object matches.")
class CatalogMatch:
    """A catalogued source that an object matches."""

    separation_arcsec: float | None = strawberry.field(description="Angle between the two [arcsec]")
    rank: int | None = strawberry.field(description="1 for the nearest of this catalogue")
    p_chance: float | None = strawberry.field(
        description="Probability of a source of the class at least as near by chance"
    )
    module: str | None = strawberry.field(description="Science module that found it")
    version: int | None = strawberry.field(description="Version of the module")
    source: CatalogSource


@strawberry.type(description="What one version of a classifier says of an object, given its alerts up to one.")
class Classification(Node):
    """What a classifier says of an object."""

    key: strawberry.ID = strawberry.field(description="object:module:version:lastSourceId")
    object_key: strawberry.ID
    module: str
    version: int
    class_name: str = strawberry.field(description="The module's verdict; unknown where it cannot say")
    probability: float | None = strawberry.field(description="Probability the module gives that class")
    fade_rate: float | None = strawberry.field(description="Fade rate, positive where it fades [mag/d]")
    fade_rate_err: float | None = strawberry.field(description="1 sigma of fadeRate [mag/d]")
    alerts: int | None = strawberry.field(description="Alerts that were looked at")
    detections: int | None = strawberry.field(description="How many of them could be used")
    last_source_id: strawberry.ID = strawberry.field(description="Newest alert that was looked at")
    last_alert: Instant | None = strawberry.field(description="Its time")
    current: bool = strawberry.field(description="No newer one has replaced it")
    public: bool = strawberry.field(description="Only alerts that everybody may see were looked at")


def catalog_source_of(row: CatalogSourceRow) -> CatalogSource:
    """Return a catalogued source as the API shows it."""
    return CatalogSource(
        key=strawberry.ID(row.key),
        catalogue=row.catalogue,
        release=row.release,
        catalogue_id=strawberry.ID(row.id),
        class_name=row.class_,
        type=row.type,
        ra=row.ra,
        dec=row.dec,
        distance_mpc=row.distance_mpc,
        redshift=row.redshift,
        mag=row.mag,
    )


def match_of(match: MatchRow, source: CatalogSourceRow) -> CatalogMatch:
    """Return a match as the API shows it."""
    return CatalogMatch(
        separation_arcsec=match.separation_arcsec,
        rank=match.rank,
        p_chance=match.p_chance,
        module=match.module,
        version=match.version,
        source=catalog_source_of(source),
    )


def classification_of(row: ClassificationRow) -> Classification:
    """Return a classification as the API shows it."""
    return Classification(
        key=strawberry.ID(row.key),
        object_key=strawberry.ID(row.object_key),
        module=row.module,
        version=row.version,
        class_name=row.class_,
        probability=row.prob,
        fade_rate=row.fade_rate,
        fade_rate_err=row.fade_rate_err,
        alerts=row.alerts,
        detections=row.detections,
        last_source_id=strawberry.ID(row.last_source_id),
        last_alert=instant(row.last_mjd_tai),
        current=bool(row.current),
        public=row.public,
    )
