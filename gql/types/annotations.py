"""What people said: comments, tags and vetting; and runs of jobs."""

from __future__ import annotations

import strawberry

from asterism.gql.nodes import Node
from asterism.gql.types.scalars import Instant, instant
from asterism.graph.rows import AnnotationRow, RunRow


@strawberry.type(description="What somebody said of an object, an event or a candidate.")
class Annotation(Node):
    """What somebody said."""

    key: strawberry.ID
    kind: str | None = strawberry.field(description="comment, tag, vetting or watch")
    text: str | None = strawberry.field(description="The comment, the tag, or the reason of a vetting")
    state: str | None = strawberry.field(description="Of a vetting: pending, confirmed, ambiguous or rejected")
    author: str | None
    created: Instant | None
    withdrawn: Instant | None = strawberry.field(description="When it was withdrawn; null while it stands")
    object_key: strawberry.ID | None = strawberry.field(description="The object it is about")
    event_key: strawberry.ID | None = strawberry.field(
        description="The event it is about; with objectKey, it is about the object as its candidate"
    )


@strawberry.type(description="A run of a job that wrote to the graph.")
class Run(Node):
    """A run of a job."""

    key: strawberry.ID
    kind: str | None
    version: str | None
    started: Instant | None
    ended: Instant | None


def annotation_of(row: AnnotationRow) -> Annotation:
    """Return an annotation as the API shows it."""
    return Annotation(
        key=strawberry.ID(row.key),
        kind=row.kind,
        text=row.text,
        state=row.state,
        author=row.author,
        created=instant(row.created_mjd_tai),
        withdrawn=instant(row.withdrawn_mjd_tai),
        object_key=None if row.object_key is None else strawberry.ID(row.object_key),
        event_key=None if row.event_key is None else strawberry.ID(row.event_key),
    )


def run_of(row: RunRow) -> Run:
    """Return a run as the API shows it."""
    return Run(
        key=strawberry.ID(row.key),
        kind=row.kind,
        version=row.version,
        started=instant(row.started_mjd_tai),
        ended=instant(row.ended_mjd_tai),
    )
