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
from asterism.graph.reader import AlertPage, GraphReader
from asterism.graph.rows import AlertRow, ObjectRow, SourceRow


class AlertsAsked(NamedTuple):
    """A page of an object's alerts and the most rows wanted."""

    page: AlertPage
    first: int


class MembersAsked(NamedTuple):
    """A source and the most members wanted."""

    source_key: str
    first: int


class RequestContext:
    """The context of one request.

    Parameters
    ----------
    reader : GraphReader
        Reads of the graph.
    """

    def __init__(self, reader: GraphReader) -> None:
        self.reader = reader
        self.budget = RowBudget()
        self.objects = DataLoader[str, ObjectRow | None](load_fn=self._load_objects)
        self.alerts = DataLoader[AlertsAsked, list[AlertRow]](load_fn=self._load_alerts)
        self.sources = DataLoader[str, tuple[SourceRow, float | None] | None](load_fn=self._load_sources)
        self.members = DataLoader[MembersAsked, list[tuple[ObjectRow, float | None]]](
            load_fn=self._load_members
        )

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
