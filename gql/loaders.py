"""What one operation carries: the readers, its row budget and its batching loaders.

Loaders live as long as the operation: they gather what all rows of a level ask for into one query and remember the
answers. The budget is charged for every time a list is *asked for*, also where its rows are known by then: what a
request may build of them in memory is bounded, not only what it reads. Never share a context between operations;
`RequestContext.renew` makes one fit for the next message of a subscription.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

from strawberry.dataloader import DataLoader

from asterism.gql.access import Access
from asterism.gql.limits import RowBudget
from asterism.gql.readers import Readers
from asterism.gql.services import Services
from asterism.graph.coincidence_reader import Coincident
from asterism.graph.event_reader import CandidatePage, Ranked
from asterism.graph.reader import AlertPage
from asterism.graph.rows import (
    AlertRow,
    AnnotationRow,
    CatalogSourceRow,
    ClassificationRow,
    EventRow,
    LinkRow,
    LocalizationRow,
    MatchRow,
    NoticeRow,
    ObjectRow,
    SourceRow,
)

MAX_NOTICES = 50
"""Most notices, and most localizations, shown of one event; an ordinary one has fewer than 20."""
MAX_EVENTS = 20
"""Most events shown that one object may belong to."""
MAX_EVIDENCE = 20
"""Most catalogued sources and classifications shown of one object, and most objects of one catalogued source."""
MAX_ANNOTATIONS = 50
"""Most annotations shown of one object, event or candidate."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


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


class CoincidencesAsked(NamedTuple):
    """An event whose coincidences are wanted."""

    event_key: str
    closed: bool


class ClassesAsked(NamedTuple):
    """An object whose classifications are wanted."""

    object_key: str
    replaced: bool


class ChargedLoader(Generic[K, V]):
    """A loader that charges the budget for each time something is asked for.

    Parameters
    ----------
    budget : RowBudget
        The operation's.
    load : callable
        Answers a list of keys in their order.
    cost : callable
        Most rows the answer to a key can have.
    """

    def __init__(
        self, budget: RowBudget, load: Callable[[list[K]], Awaitable[Sequence[V]]], cost: Callable[[K], int]
    ) -> None:
        self._budget = budget
        self._cost = cost
        self._loader = DataLoader[K, V](load_fn=load)

    async def load(self, key: K) -> V:
        """Return what belongs to a key, read together with all keys asked for at the same level.

        Raises
        ------
        TooCostlyError
            If the budget does not allow it.
        """
        self._budget.charge(self._cost(key))
        return await self._loader.load(key)


class RequestContext:
    """The context of one operation.

    Parameters
    ----------
    readers : Readers
        What may be read.
    services : Services, optional
        What outlives the operation: feed of changes, regions, statistics.
    access : Access, optional
        Who asks, and where they can write; None for nobody, who can read.
    """

    def __init__(self, readers: Readers, services: Services | None = None, access: Access | None = None) -> None:
        self.readers = readers
        self.services = services
        self.access = access
        self.connection_params: object = None
        self.renew()

    def fresh(self) -> RequestContext:
        """Return a context for another operation of the same connection."""
        return RequestContext(self.readers, self.services, self.access)

    def renew(self) -> None:
        """Forget what was read and begin with a full budget."""
        self.budget = budget = RowBudget()
        one = _constant(1)
        self.objects = ChargedLoader[str, ObjectRow | None](budget, self._load_objects, one)
        self.alerts = ChargedLoader[AlertsAsked, list[AlertRow]](budget, self._load_alerts, _first)
        self.alert_counts = ChargedLoader[str, int](budget, self._load_alert_counts, one)
        self.sources = ChargedLoader[str, tuple[SourceRow, float | None] | None](budget, self._load_sources, one)
        self.members = ChargedLoader[MembersAsked, list[tuple[ObjectRow, float | None]]](
            budget, self._load_members, _first
        )
        self.events = ChargedLoader[str, EventRow | None](budget, self._load_events, one)
        self.notices = ChargedLoader[str, list[NoticeRow]](budget, self._load_notices, _constant(MAX_NOTICES))
        self.localizations = ChargedLoader[str, list[tuple[LocalizationRow, str]]](
            budget, self._load_localizations, _constant(MAX_NOTICES)
        )
        self.candidates = ChargedLoader[CandidatesAsked, list[Ranked]](budget, self._load_candidates, _first)
        self.candidate_counts = ChargedLoader[CandidatePage, int](budget, self._load_candidate_counts, one)
        self.links = ChargedLoader[LinksAsked, list[tuple[LinkRow, EventRow]]](
            budget, self._load_links, _constant(MAX_EVENTS)
        )
        self.coincidences = ChargedLoader[CoincidencesAsked, list[Coincident]](
            budget, self._load_coincidences, _constant(MAX_EVENTS)
        )
        self._renew_evidence(budget)

    def _renew_evidence(self, budget: RowBudget) -> None:
        evidence, said = _constant(MAX_EVIDENCE), _constant(MAX_ANNOTATIONS)
        self.matches = ChargedLoader[str, list[tuple[MatchRow, CatalogSourceRow]]](budget, self._load_matches, evidence)
        self.hosts = ChargedLoader[str, tuple[MatchRow, CatalogSourceRow] | None](
            budget, self._load_hosts, _constant(1)
        )
        self.classes = ChargedLoader[ClassesAsked, list[ClassificationRow]](budget, self._load_classes, evidence)
        self.matched_objects = ChargedLoader[str, list[tuple[MatchRow, ObjectRow]]](
            budget, self._load_matched_objects, evidence
        )
        self.object_annotations = ChargedLoader[str, list[AnnotationRow]](budget, self._load_of_objects, said)
        self.event_annotations = ChargedLoader[str, list[AnnotationRow]](budget, self._load_of_events, said)
        self.candidate_annotations = ChargedLoader[tuple[str, str], list[AnnotationRow]](
            budget, self._load_of_candidates, said
        )

    async def _load_objects(self, keys: list[str]) -> Sequence[ObjectRow | None]:
        found = await self.readers.objects.objects_by_key(keys)
        return [found.get(key) for key in keys]

    async def _load_alerts(self, asked: list[AlertsAsked]) -> Sequence[list[AlertRow]]:
        most = max(item.first for item in asked)
        found = await self.readers.objects.alerts_of_objects([item.page for item in asked], most)
        return [rows[: item.first] for item, rows in zip(asked, found, strict=True)]

    async def _load_alert_counts(self, keys: list[str]) -> Sequence[int]:
        found = await self.readers.objects.count_alerts(keys)
        return [found.get(key, 0) for key in keys]

    async def _load_sources(self, keys: list[str]) -> Sequence[tuple[SourceRow, float | None] | None]:
        found = await self.readers.objects.sources_of_objects(keys)
        return [found.get(key) for key in keys]

    async def _load_members(self, asked: list[MembersAsked]) -> Sequence[list[tuple[ObjectRow, float | None]]]:
        most = max(item.first for item in asked)
        found = await self.readers.objects.objects_of_sources([item.source_key for item in asked], most)
        return [found.get(item.source_key, [])[: item.first] for item in asked]

    async def _load_events(self, keys: list[str]) -> Sequence[EventRow | None]:
        found = await self.readers.events.events_by_key(keys)
        return [found.get(key) for key in keys]

    async def _load_notices(self, keys: list[str]) -> Sequence[list[NoticeRow]]:
        found = await self.readers.events.notices_of_events(keys, MAX_NOTICES)
        return [found.get(key, []) for key in keys]

    async def _load_localizations(self, keys: list[str]) -> Sequence[list[tuple[LocalizationRow, str]]]:
        found = await self.readers.events.localizations_of_events(keys, MAX_NOTICES)
        return [found.get(key, []) for key in keys]

    async def _load_candidates(self, asked: list[CandidatesAsked]) -> Sequence[list[Ranked]]:
        most = max(item.first for item in asked)
        found = await self.readers.events.candidates_of_events([item.page for item in asked], most)
        return [rows[: item.first] for item, rows in zip(asked, found, strict=True)]

    async def _load_candidate_counts(self, pages: list[CandidatePage]) -> Sequence[int]:
        return await self.readers.events.count_candidates(pages)

    async def _load_links(self, asked: list[LinksAsked]) -> Sequence[list[tuple[LinkRow, EventRow]]]:
        answers: dict[LinksAsked, list[tuple[LinkRow, EventRow]]] = {}
        for closed in {item.closed for item in asked}:
            keys = [item.object_key for item in asked if item.closed is closed]
            found = await self.readers.events.links_of_objects(keys, MAX_EVENTS, closed=closed)
            answers |= {LinksAsked(key, closed): found.get(key, []) for key in keys}
        return [answers[item] for item in asked]

    async def _load_coincidences(self, asked: list[CoincidencesAsked]) -> Sequence[list[Coincident]]:
        answers: dict[CoincidencesAsked, list[Coincident]] = {}
        for closed in {item.closed for item in asked}:
            keys = [item.event_key for item in asked if item.closed is closed]
            found = await self.readers.coincidences.of_events(keys, MAX_EVENTS, closed=closed)
            answers |= {CoincidencesAsked(key, closed): found.get(key, []) for key in keys}
        return [answers[item] for item in asked]

    async def _load_matches(self, keys: list[str]) -> Sequence[list[tuple[MatchRow, CatalogSourceRow]]]:
        found = await self.readers.evidence.matches_of_objects(keys, MAX_EVIDENCE)
        return [found.get(key, []) for key in keys]

    async def _load_hosts(self, keys: list[str]) -> Sequence[tuple[MatchRow, CatalogSourceRow] | None]:
        found = await self.readers.evidence.hosts_of_objects(keys)
        return [found.get(key) for key in keys]

    async def _load_classes(self, asked: list[ClassesAsked]) -> Sequence[list[ClassificationRow]]:
        answers: dict[ClassesAsked, list[ClassificationRow]] = {}
        for replaced in {item.replaced for item in asked}:
            keys = [item.object_key for item in asked if item.replaced is replaced]
            found = await self.readers.evidence.classifications_of_objects(keys, MAX_EVIDENCE, replaced=replaced)
            answers |= {ClassesAsked(key, replaced): found.get(key, []) for key in keys}
        return [answers[item] for item in asked]

    async def _load_matched_objects(self, keys: list[str]) -> Sequence[list[tuple[MatchRow, ObjectRow]]]:
        found = await self.readers.evidence.objects_of_catalog_sources(keys, MAX_EVIDENCE)
        return [found.get(key, []) for key in keys]

    async def _load_of_objects(self, keys: list[str]) -> Sequence[list[AnnotationRow]]:
        found = await self.readers.annotations.of_objects(keys, MAX_ANNOTATIONS)
        return [found.get(key, []) for key in keys]

    async def _load_of_events(self, keys: list[str]) -> Sequence[list[AnnotationRow]]:
        found = await self.readers.annotations.of_events(keys, MAX_ANNOTATIONS)
        return [found.get(key, []) for key in keys]

    async def _load_of_candidates(self, pairs: list[tuple[str, str]]) -> Sequence[list[AnnotationRow]]:
        return await self.readers.annotations.of_candidates(pairs, MAX_ANNOTATIONS)


def _first(asked: AlertsAsked | MembersAsked | CandidatesAsked) -> int:
    return asked.first


def _constant(rows: int) -> Callable[[object], int]:
    return lambda _key: rows
