"""What can be exported, read page by page through the readers of the API, which hide what not everybody may see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from asterism.gql.errors import ArgumentError
from asterism.gql.export_columns import ALERTS, CANDIDATES, CONE, OBJECTS, Candidate, Found, Table
from asterism.gql.readers import Readers
from asterism.graph.event_reader import CandidatePage, CandidateSearch
from asterism.graph.posterior import posterior
from asterism.graph.reader import AlertPage, Cone
from asterism.ids import split_key

PAGE = 1000
"""Rows read from the store at a time."""
MAX_KEYS = 500
"""Most objects named by one request."""


class Export(ABC):
    """Something to be exported."""

    table: Table
    """Its columns."""

    @abstractmethod
    def records(self, readers: Readers) -> AsyncIterator[Sequence[Any]]:
        """Yield its records in pieces.

        Raises
        ------
        ArgumentError
            If what it is about does not exist; before anything is yielded.
        """

    async def rows(self, readers: Readers) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Yield its rows in pieces, an empty one if there is none."""
        async for records in self.records(readers):
            yield self.table.values(records)


@dataclass(frozen=True)
class ConeExport(Export):
    """The objects in a cone, nearest first."""

    cone: Cone
    table = CONE

    @override
    async def records(self, readers: Readers) -> AsyncIterator[Sequence[Any]]:
        """Yield `Found`."""
        after: tuple[float, str] | None = None
        while True:
            found = await readers.objects.cone_search(self.cone, PAGE, after)
            yield [Found(row, separation) for row, separation in found]
            if len(found) < PAGE:
                return
            after = (found[-1][1], found[-1][0].key)


@dataclass(frozen=True)
class ObjectsExport(Export):
    """Objects by their keys, in the order asked for; what does not exist, or may not be seen, is left out."""

    keys: tuple[str, ...]
    table = OBJECTS

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= MAX_KEYS:
            raise ArgumentError(
                f"{len(self.keys)} keys are given, 1 to {MAX_KEYS} are allowed", hint="name each object with key=..."
            )
        for key in self.keys:
            split_key(key)

    @override
    async def records(self, readers: Readers) -> AsyncIterator[Sequence[Any]]:
        """Yield rows of objects."""
        found = await readers.objects.objects_by_key(self.keys)
        yield [found[key] for key in dict.fromkeys(self.keys) if key in found]


@dataclass(frozen=True)
class AlertsExport(Export):
    """The alerts of an object, newest first."""

    object_key: str
    table = ALERTS

    def __post_init__(self) -> None:
        split_key(self.object_key)

    @override
    async def records(self, readers: Readers) -> AsyncIterator[Sequence[Any]]:
        """Yield rows of alerts."""
        if not await readers.objects.objects_by_key([self.object_key]):
            raise ArgumentError(f"there is no object {self.object_key}", hint="keys are survey:objectId")
        page = AlertPage(self.object_key)
        while True:
            (found,) = await readers.objects.alerts_of_objects([page], PAGE)
            yield found
            if len(found) < PAGE:
                return
            page = AlertPage(self.object_key, found[-1].mjd_tai, found[-1].key)


@dataclass(frozen=True)
class CandidatesExport(Export):
    """The candidates of an event, the largest log L first; those no longer believed too, if `closed`."""

    event_key: str
    closed: bool = False
    table = CANDIDATES

    def __post_init__(self) -> None:
        split_key(self.event_key)

    @override
    async def records(self, readers: Readers) -> AsyncIterator[Sequence[Any]]:
        """Yield `Candidate`."""
        event = (await readers.events.events_by_key([self.event_key])).get(self.event_key)
        if event is None:
            raise ArgumentError(f"there is no event {self.event_key}", hint="keys are authority:name")
        after: tuple[float, str, str] | None = None
        while True:
            page = CandidatePage(self.event_key, search=CandidateSearch(closed=self.closed), after=after)
            (found,) = await readers.events.candidates_of_events([page], PAGE)
            yield [Candidate(event, link, row, posterior(event, link)) for link, row, _, _ in found]
            if len(found) < PAGE:
                return
            _, row, value, belief = found[-1]
            after = (value, row.key, belief)
