"""What one request carries: the reader, its row budget and its batching loaders.

Loaders live as long as the request: they gather what all rows of a level ask for into one query, charge the
budget with the most rows that query can return, and remember the answers. Never share a context between
requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strawberry.dataloader import DataLoader

from asterism.gql.limits import RowBudget
from asterism.graph.event_reader import CandidatePage, EventReader
from asterism.graph.reader import AlertPage, GraphReader
from asterism.graph.rows import (
    AlertRow,
    EventRow,
    LinkRow,
    LocalizationRow,
    NoticeRow,
    ObjectRow,
    SourceRow,
)

MAX_NOTICES = 50
"""Most notices, and most localizations, shown of one event; an ordinary one has fewer than 20."""
MAX_EVENTS = 20
"""Most events shown that one object may belong to."""


class AlertsAsked(NamedTuple):
    """A page of an object's alerts and the most rows wanted."""

    page: AlertPage
    first: int


class MembersAsked(NamedTuple):
    """A source and the most members wanted."""

    source_key: str
    first: int


class CandidatesAsked(NamedTuple):
    """A page of an event's candidates and the most rows wanted."""

    page: CandidatePage
    first: int


class LinksAsked(NamedTuple):
    """An object whose links to events are wanted."""

    object_key: str
    closed: bool


class RequestContext:
    """The context of one request.

    Parameters
    ----------
    reader : GraphReader
        Reads of objects, alerts and sources.
    event_reader : EventReader
        Reads of events and their candidates.
    """

    def __init__(self, reader: GraphReader, event_reader: EventReader) -> None:
        self.reader = reader
        self.event_reader = event_reader
        self.budget = RowBudget()
        self.objects = DataLoader[str, ObjectRow | None](load_fn=self._load_objects)
        self.alerts = DataLoader[AlertsAsked, list[AlertRow]](load_fn=self._load_alerts)
        self.sources = DataLoader[str, tuple[SourceRow, float | None] | None](load_fn=self._load_sources)
        self.members = DataLoader[MembersAsked, list[tuple[ObjectRow, float | None]]](
            load_fn=self._load_members
        )
        self.events = DataLoader[str, EventRow | None](load_fn=self._load_events)
        self.notices = DataLoader[str, list[NoticeRow]](load_fn=self._load_notices)
        self.localizations = DataLoader[str, list[tuple[LocalizationRow, str]]](
            load_fn=self._load_localizations
        )
        self.candidates = DataLoader[CandidatesAsked, list[tuple[LinkRow, ObjectRow]]](
            load_fn=self._load_candidates
        )
        self.links = DataLoader[LinksAsked, list[tuple[LinkRow, EventRow]]](load_fn=self._load_links)

    async def _load_objects(self, keys: list[str]) -> Sequence[ObjectRow | None]:
        self.budget.charge(len(keys))
        found = await self.reader.objects_by_key(keys)
        return [found.get(key) for key in keys]

    async def _load_alerts(self, asked: list[AlertsAsked]) -> Sequence[list[AlertRow]]:
        """Read the pages of one size in one query; only a document that mixes sizes takes more."""
        self.budget.charge(sum(item.first for item in asked))
        answers: dict[AlertsAsked, list[AlertRow]] = {}
        for first in {item.first for item in asked}:
            same = [item for item in asked if item.first == first]
            answers.update(
                zip(same, await self.reader.alerts_of_objects([i.page for i in same], first), strict=True)
            )
        return [answers[item] for item in asked]

    async def _load_sources(self, keys: list[str]) -> Sequence[tuple[SourceRow, float | None] | None]:
        self.budget.charge(len(keys))
        found = await self.reader.sources_of_objects(keys)
        return [found.get(key) for key in keys]

    async def _load_members(
        self, asked: list[MembersAsked]
    ) -> Sequence[list[tuple[ObjectRow, float | None]]]:
        self.budget.charge(sum(item.first for item in asked))
        most = max(item.first for item in asked)
        found = await self.reader.objects_of_sources([item.source_key for item in asked], most)
        return [found.get(item.source_key, [])[: item.first] for item in asked]

    async def _load_events(self, keys: list[str]) -> Sequence[EventRow | None]:
        self.budget.charge(len(keys))
        found = await self.event_reader.events_by_key(keys)
        return [found.get(key) for key in keys]

    async def _load_notices(self, keys: list[str]) -> Sequence[list[NoticeRow]]:
        self.budget.charge(len(keys) * MAX_NOTICES)
        found = await self.event_reader.notices_of_events(keys, MAX_NOTICES)
        return [found.get(key, []) for key in keys]

    async def _load_localizations(self, keys: list[str]) -> Sequence[list[tuple[LocalizationRow, str]]]:
        self.budget.charge(len(keys) * MAX_NOTICES)
        found = await self.event_reader.localizations_of_events(keys, MAX_NOTICES)
        return [found.get(key, []) for key in keys]

    async def _load_candidates(
        self, asked: list[CandidatesAsked]
    ) -> Sequence[list[tuple[LinkRow, ObjectRow]]]:
        self.budget.charge(sum(item.first for item in asked))
        most = max(item.first for item in asked)
        found = await self.event_reader.candidates_of_events([item.page for item in asked], most)
        return [rows[: item.first] for item, rows in zip(asked, found, strict=True)]

    async def _load_links(self, asked: list[LinksAsked]) -> Sequence[list[tuple[LinkRow, EventRow]]]:
        self.budget.charge(len(asked) * MAX_EVENTS)
        answers: dict[LinksAsked, list[tuple[LinkRow, EventRow]]] = {}
        for closed in {item.closed for item in asked}:
            keys = [item.object_key for item in asked if item.closed is closed]
            found = await self.event_reader.links_of_objects(keys, MAX_EVENTS, closed=closed)
            answers |= {LinksAsked(key, closed): found.get(key, []) for key in keys}
        return [answers[item] for item in asked]
