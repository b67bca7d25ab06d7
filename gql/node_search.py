"""``node(id)``: anything by its id, whatever its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import strawberry
from strawberry.types import Info

from asterism.gql.errors import ArgumentError
from asterism.gql.loaders import RequestContext
from asterism.gql.nodes import Node, parse_global_id, split_link_key
from asterism.gql.types.alert import alert_of
from asterism.gql.types.annotations import annotation_of, run_of
from asterism.gql.types.candidates import candidate_of, split_candidate_key
from asterism.gql.types.coincidences import coincidence_of
from asterism.gql.types.events import event_of
from asterism.gql.types.evidence import catalog_source_of, classification_of
from asterism.gql.types.notices import localization_of, notice_of
from asterism.gql.types.objects import object_of, source_of
from asterism.graph.rows import (
    AlertRow,
    AnnotationRow,
    CatalogSourceRow,
    ClassificationRow,
    LocalizationRow,
    NoticeRow,
    RunRow,
    SourceRow,
)

_PLAIN: dict[str, tuple[type[Any], Callable[[Any], Node]]] = {
    "Alert": (AlertRow, alert_of),
    "Annotation": (AnnotationRow, annotation_of),
    "CatalogSource": (CatalogSourceRow, catalog_source_of),
    "Classification": (ClassificationRow, classification_of),
    "Localization": (LocalizationRow, lambda row: localization_of(row, row.key.rpartition(":")[0])),
    "Notice": (NoticeRow, notice_of),
    "Run": (RunRow, run_of),
    "Source": (SourceRow, source_of),
}


async def find_node(info: Info[RequestContext, None], id: strawberry.ID) -> Node | None:
    """Return what has an id; None if there is no such thing, or it may not be shown."""
    kind, key = parse_global_id(id)
    context = info.context
    context.budget.charge(1)
    if kind in _PLAIN:
        row_type, shown = _PLAIN[kind]
        found = await context.readers.nodes.by_key(row_type, [key])
        return shown(found[key]) if key in found else None
    match kind:
        case "Object":
            row = await context.objects.load(key)
            return None if row is None else object_of(row)
        case "Event":
            event = await context.events.load(key)
            return None if event is None else event_of(event)
        case "Candidate":
            return await _candidate(context, key)
        case "Coincidence":
            one, two, first, second, rules = split_link_key(key, 5)
            (coincident,) = await context.readers.coincidences.by_place([(one, two, first, second, rules)])
            return None if coincident is None else coincidence_of(*coincident)
        case _:
            raise ArgumentError(f"there is no type {kind!r:.40}", hint="pass an id of an earlier answer, unchanged")


async def _candidate(context: RequestContext, key: str) -> Node | None:
    (found,) = await context.readers.events.links_by_place([split_candidate_key(key)])
    if found is None:
        return None
    link, row, event = found
    return candidate_of(event_of(event), link, object_of(row))
