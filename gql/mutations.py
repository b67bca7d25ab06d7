"""Mutations: vet, annotate, tag, watch. All need scope ``vet``; the author is the holder of the token.

What is said is checked, then recorded by the `Desk`: on the disk, then in the graph. Repeated with the same
``idempotencyKey`` a mutation is done once and answers the same.
"""

from __future__ import annotations

import asyncio
from enum import Enum

import strawberry
from strawberry.types import Info

from asterism.gql.access import Access
from asterism.gql.auth_tokens import Scope
from asterism.gql.errors import ArgumentError, UnauthenticatedError
from asterism.gql.loaders import RequestContext
from asterism.gql.mutations_input import MAX_SUBJECTS, ConeInput, act_id, checked_name, checked_text
from asterism.gql.types.annotations import Annotation, annotation_of
from asterism.graph.curation.acts import Act, Kind, Subject
from asterism.graph.rows import AnnotationRow
from asterism.ids import split_key
from asterism.times import now_mjd_tai

REPEATABLE = "Repeated with the same idempotencyKey it is done once."


@strawberry.enum(description="What a person holds a candidate to be.")
class VettingState(Enum):
    """What a person holds a candidate to be."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    AMBIGUOUS = "ambiguous"
    REJECTED = "rejected"


def access_of(info: Info[RequestContext, None], scope: Scope) -> Access:
    """Return what the request may do, if it may do `scope`.

    Raises
    ------
    UnauthenticatedError, ForbiddenError
        If it may not.
    """
    access = info.context.access
    if access is None:
        raise UnauthenticatedError(f"this needs a token with scope {scope}")
    access.require(scope)
    return access


async def _vet(
    info: Info[RequestContext, None],
    object: strawberry.ID,
    event: strawberry.ID,
    state: VettingState,
    reason: str,
    idempotency_key: str | None = None,
) -> Annotation | None:
    access = access_of(info, Scope.VET)
    said = checked_text("reason", reason)
    subject = await _known(info.context, object, event)
    if not await info.context.readers.curation.linked(object, event):
        raise ArgumentError(
            f"{object} is no candidate of {event}", hint="candidates(event:) lists them; includeClosed adds former ones"
        )
    act = _act(access, Kind.VETTING, state.value, None, said, (subject,), idempotency_key)
    return await _recorded(access, act)


async def _annotate(
    info: Info[RequestContext, None],
    text: str,
    object: strawberry.ID | None = None,
    event: strawberry.ID | None = None,
    idempotency_key: str | None = None,
) -> Annotation | None:
    access = access_of(info, Scope.VET)
    said = checked_text("text", text)
    subject = await _known(info.context, object, event)
    return await _recorded(access, _act(access, Kind.COMMENT, "set", None, said, (subject,), idempotency_key))


async def _tag(
    info: Info[RequestContext, None],
    name: str,
    object: strawberry.ID | None = None,
    event: strawberry.ID | None = None,
    idempotency_key: str | None = None,
) -> Annotation | None:
    return await _label(info, "set", name, object, event, idempotency_key)


async def _untag(
    info: Info[RequestContext, None],
    name: str,
    object: strawberry.ID | None = None,
    event: strawberry.ID | None = None,
    idempotency_key: str | None = None,
) -> Annotation | None:
    return await _label(info, "removed", name, object, event, idempotency_key)


async def _label(
    info: Info[RequestContext, None],
    state: str,
    name: str,
    object_key: strawberry.ID | None,
    event_key: strawberry.ID | None,
    idempotency_key: str | None,
) -> Annotation:
    access = access_of(info, Scope.VET)
    tag = checked_name("name", name)
    subject = await _known(info.context, object_key, event_key)
    return await _recorded(access, _act(access, Kind.TAG, state, tag, None, (subject,), idempotency_key))


async def _watch(
    info: Info[RequestContext, None],
    watchlist: str,
    objects: list[strawberry.ID] | None = None,
    events: list[strawberry.ID] | None = None,
    cones: list[ConeInput] | None = None,
    idempotency_key: str | None = None,
) -> list[Annotation] | None:
    return await _list(info, "set", watchlist, objects, events, cones, idempotency_key)


async def _unwatch(
    info: Info[RequestContext, None],
    watchlist: str,
    objects: list[strawberry.ID] | None = None,
    events: list[strawberry.ID] | None = None,
    cones: list[ConeInput] | None = None,
    idempotency_key: str | None = None,
) -> list[Annotation] | None:
    return await _list(info, "removed", watchlist, objects, events, cones, idempotency_key)


async def _list(
    info: Info[RequestContext, None],
    state: str,
    watchlist: str,
    objects: list[strawberry.ID] | None,
    events: list[strawberry.ID] | None,
    cones: list[ConeInput] | None,
    idempotency_key: str | None,
) -> list[Annotation]:
    access = access_of(info, Scope.VET)
    name = checked_name("watchlist", watchlist)
    count = sum(len(some) for some in (objects or [], events or [], cones or []))
    if not 1 <= count <= MAX_SUBJECTS:
        raise ArgumentError(
            f"{count} entries are given, 1 to {MAX_SUBJECTS} are allowed", hint="name objects, events or cones"
        )
    keys = [(key, None) for key in objects or []] + [(None, key) for key in events or []]
    known = await asyncio.gather(*(_known(info.context, *pair) for pair in keys))
    subjects = [*known, *(cone.subject() for cone in cones or [])]
    act = _act(access, Kind.WATCH, state, name, None, tuple(dict.fromkeys(subjects)), idempotency_key)
    return _annotations(await access.desk.record(act))


async def _known(context: RequestContext, object_key: str | None, event_key: str | None) -> Subject:
    """Return what is in the graph and may be seen as a subject."""
    if object_key is None and event_key is None:
        raise ArgumentError("neither object nor event is given", hint="say what it is about: object, event or both")
    if object_key is not None:
        split_key(object_key)
        if await context.objects.load(object_key) is None:
            raise ArgumentError(f"there is no object {object_key}", hint="keys are survey:objectId")
    if event_key is not None:
        split_key(event_key)
        if await context.events.load(event_key) is None:
            raise ArgumentError(f"there is no event {event_key}", hint="keys are authority:name")
    return Subject(object_key, event_key)


def _act(
    access: Access,
    kind: Kind,
    state: str,
    name: str | None,
    text: str | None,
    subjects: tuple[Subject, ...],
    idempotency_key: str | None,
) -> Act:
    author = access.caller.name
    return Act(
        id=act_id(author, idempotency_key),
        kind=kind,
        state=state,
        name=name,
        text=text,
        author=author,
        token_id=access.caller.token_id or "",
        made_mjd_tai=now_mjd_tai(),
        subjects=subjects,
    )


async def _recorded(access: Access, act: Act) -> Annotation:
    return _annotations(await access.desk.record(act))[0]


def _annotations(act: Act) -> list[Annotation]:
    """Return an act as its answer; of a repeated one, as it was first said."""
    return [
        annotation_of(
            AnnotationRow(
                key=values["key"],
                kind=values["kind"],
                text=values["text"],
                author=values["author"],
                created_mjd_tai=values["createdMjdTai"],
                withdrawn_mjd_tai=None,
                state=values["state"],
                object_key=values["objectKey"],
                event_key=values["eventKey"],
            )
        )
        for values in act.annotations()
    ]


@strawberry.type(description=f"What can be written, with a token of scope vet. {REPEATABLE}")
class Mutation:
    """What can be written."""

    vet: Annotation | None = strawberry.mutation(
        resolver=_vet,
        description="Say what a candidate is, and why. It holds for the object and the event under every later "
        "localization; what was said before stays in the history.",
    )
    annotate: Annotation | None = strawberry.mutation(
        resolver=_annotate, description="Comment on an object, an event, or both as a candidate."
    )
    tag: Annotation | None = strawberry.mutation(
        resolver=_tag, description="Tag an object, an event, or both as a candidate; tags are everybody's."
    )
    untag: Annotation | None = strawberry.mutation(resolver=_untag, description="Take a tag away.")
    watch: list[Annotation] | None = strawberry.mutation(
        resolver=_watch, description="Put objects, events and cones on a watchlist of your own."
    )
    unwatch: list[Annotation] | None = strawberry.mutation(
        resolver=_unwatch, description="Take objects, events and cones off a watchlist of your own."
    )
