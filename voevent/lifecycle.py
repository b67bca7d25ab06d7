"""An event's state as a pure function of the *set* of its notices.

Nothing here depends on the order or number of deliveries: `event_state` sorts what it is given, sees equal
notices once, and reads no clock. So a retraction may come first, an update may overtake its preliminary, and
a replay ends in the same state. Easy to get wrong, hence the rules:

- Which localization holds is decided by (rank, revision, time of issue, key): a final position outranks
  flight positions however late those arrive. "Time of issue" is the author's, never ours.
- Trigger time and false-alarm rate come each from the best notice that has one: a position of XRT says
  nothing about when the burst was.
- A retraction is final and deletes nothing: it ends the interval in which the last localization held.
- Only notices of the event's own authority count. A stranger's notice may cite, it cannot retract or
  supersede.
- Two different documents under one IVORN are both kept and both flagged as in conflict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from asterism.voevent.document import Citation
from asterism.voevent.missions.table import Standing
from asterism.voevent.notice import Notice

T = TypeVar("T")

ACTIVE = "active"
RETRACTED = "retracted"
UNLOCALIZED = "unlocalized"
"""States of an event: it has a region that holds; it was retracted; nobody has said where it is."""

RELATIONS = {"supersedes": "SUPERSEDES", "retraction": "RETRACTS"}
"""Relationship each kind of citation becomes; any other is CITES."""


@dataclass(frozen=True)
class Interval:
    """When the localization of a notice held, by the authors' clocks, MJD TAI.

    Both ends are None for one that never held: it was outranked when it was issued.
    """

    notice_key: str
    valid_from: float | None
    valid_to: float | None
    """None while it holds."""
    current: bool
    held: bool = True
    """Whether it ever held, for however short a time."""


@dataclass(frozen=True)
class Link:
    """One notice refers to another."""

    from_key: str
    to_key: str
    relation: str
    """CITES, SUPERSEDES or RETRACTS."""
    implied: bool = False
    """No citation says so, but one localization replaced or one retraction ended the other: LVK's JSON cites
nothing."""


@dataclass(frozen=True)
class EventState:
    """What the notices of one event say together."""

    key: str
    authority: str
    name: str
    kind: str
    standing: Standing
    state: str
    version: int
    """How many different notices there are: it grows with every new one."""
    t0_mjd_tai: float | None = None
    far_hz: float | None = None
    classification: Mapping[str, float] = field(default_factory=dict)
    properties: Mapping[str, object] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    """Flags of any of its notices, sorted."""
    current_notice: str | None = None
    """Key of the notice whose localization holds."""
    latest_stage: str | None = None
    first_issued_mjd_tai: float | None = None
    last_issued_mjd_tai: float | None = None
    retracted_mjd_tai: float | None = None
    """When the first retraction was issued; None also where it does not say."""
    intervals: tuple[Interval, ...] = ()
    """One for each notice with a region, by key."""
    links: tuple[Link, ...] = ()
    """Between its notices, sorted."""
    conflicts: tuple[str, ...] = ()
    """Keys of notices that share an IVORN with different bytes, sorted."""


def event_state(notices: Iterable[Notice]) -> EventState:
    """Return the state a set of notices implies.

    Parameters
    ----------
    notices : iterable of Notice
        At least one, all of one event, in any order, repeated at will.

    Raises
    ------
    ValueError
        If there are none, or they are of different events.
    """
    known = {notice.key: notice for notice in notices}
    ordered = [known[key] for key in sorted(known)]
    keys = {notice.event_key for notice in ordered}
    if len(keys) != 1:
        raise ValueError(f"one event expected, got {sorted(keys)}")
    key = keys.pop()
    authority, _, name = key.partition(":")
    by_authority = sorted(ordered, key=_authority)
    best = by_authority[-1]
    retractions = [notice for notice in ordered if notice.is_retraction]
    intervals = _intervals(ordered, retractions)
    current = next((interval.notice_key for interval in intervals if interval.current), None)
    issued = [notice.issued_mjd_tai for notice in ordered if notice.issued_mjd_tai is not None]
    timed = [notice for notice in by_authority if notice.t0_mjd_tai is not None]
    t0 = max(timed, key=lambda notice: (notice.t0_rank, _authority(notice))).t0_mjd_tai if timed else None
    return EventState(
        key=key,
        authority=authority,
        name=name,
        kind=best.kind,
        standing=best.standing,
        state=RETRACTED if retractions else UNLOCALIZED if current is None else ACTIVE,
        version=len(ordered),
        t0_mjd_tai=t0,
        far_hz=_latest(by_authority, lambda notice: notice.far_hz),
        classification=_latest(by_authority, lambda notice: notice.classification or None) or {},
        properties=_latest(by_authority, lambda notice: notice.properties or None) or {},
        flags=tuple(sorted({flag for notice in ordered for flag in notice.flags})),
        current_notice=current,
        latest_stage=max(ordered, key=_time_order).stage,
        first_issued_mjd_tai=min(issued, default=None),
        last_issued_mjd_tai=max(issued, default=None),
        retracted_mjd_tai=_first_issued(retractions),
        intervals=intervals,
        links=_links(ordered, intervals),
        conflicts=_conflicts(ordered),
    )


def _authority(notice: Notice) -> tuple[int, int, float, str]:
    """Order by how much a notice counts; the key decides between equals, so that there is always one answer."""
    return notice.rank, notice.revision, _issued(notice), notice.key


def _time_order(notice: Notice) -> tuple[float, int, int, str]:
    return _issued(notice), notice.rank, notice.revision, notice.key


def _issued(notice: Notice) -> float:
    """Return when a notice was issued; one that does not say counts as the earliest."""
    return float("-inf") if notice.issued_mjd_tai is None else notice.issued_mjd_tai


def _first_issued(notices: list[Notice]) -> float | None:
    times = [notice.issued_mjd_tai for notice in notices if notice.issued_mjd_tai is not None]
    return min(times, default=None)


def _latest(by_authority: list[Notice], get: Callable[[Notice], T | None]) -> T | None:
    """Return the value of the notice that counts most among those that have one."""
    return next((value for notice in reversed(by_authority) if (value := get(notice)) is not None), None)


def _intervals(ordered: list[Notice], retractions: list[Notice]) -> tuple[Interval, ...]:
    """Return when each region held: from its issue until a notice that counts more, or a retraction, was
    issued."""
    located = [n for n in ordered if n.region is not None and n.region.type != "point" and not n.is_retraction]
    begin: dict[str, float | None] = {}
    end: dict[str, float | None] = {}
    holding: Notice | None = None
    for notice in sorted(located, key=_time_order):
        if holding is not None and _authority(notice) <= _authority(holding):
            continue
        if holding is not None:
            end[holding.key] = notice.issued_mjd_tai
        begin[notice.key], holding = notice.issued_mjd_tai, notice
    retracted = _first_issued(retractions)
    result = []
    for notice in located:
        valid_from, valid_to = begin.get(notice.key), end.get(notice.key)
        current = holding is not None and notice.key == holding.key and not retractions
        if retractions and notice.key in begin:
            valid_from, valid_to = _cut(valid_from, valid_to, retracted)
        result.append(Interval(notice.key, valid_from, valid_to, current, notice.key in begin))
    return tuple(result)


def _cut(
    valid_from: float | None, valid_to: float | None, retracted: float | None
) -> tuple[float | None, float | None]:
    """Return an interval that ends with a retraction at the latest; none if it would begin after it."""
    if retracted is None:
        return valid_from, valid_from if valid_to is None else valid_to
    if valid_from is not None and valid_from >= retracted:
        return None, None
    return valid_from, retracted if valid_to is None else min(valid_to, retracted)


def _links(ordered: list[Notice], intervals: tuple[Interval, ...]) -> tuple[Link, ...]:
    by_ivorn: dict[str, list[str]] = {}
    for notice in ordered:
        if notice.ivorn is not None:
            by_ivorn.setdefault(notice.ivorn, []).append(notice.key)
    found = {
        Link(notice.key, target, relation_of(citation))
        for notice in ordered
        for citation in notice.citations
        for target in by_ivorn.get(citation.ivorn, ())
        if target != notice.key
    }
    found |= _implied(ordered, intervals) - {Link(link.from_key, link.to_key, link.relation, True) for link in found}
    return tuple(sorted(found, key=lambda link: (link.from_key, link.to_key, link.relation)))


def _implied(ordered: list[Notice], intervals: tuple[Interval, ...]) -> set[Link]:
    """Return the links from each localization that held to the one before it, and from retractions to the
    last."""
    by_key = {notice.key: notice for notice in ordered}
    held = [by_key[interval.notice_key] for interval in intervals if interval.held]
    held.sort(key=_time_order)
    links = {Link(after.key, before.key, "SUPERSEDES", True) for before, after in pairwise(held)}
    if held:
        links |= {Link(notice.key, held[-1].key, "RETRACTS", True) for notice in ordered if notice.is_retraction}
    return links


def relation_of(citation: Citation) -> str:
    """Return the relationship a citation becomes."""
    return RELATIONS.get(citation.cite, "CITES")


def _conflicts(ordered: list[Notice]) -> tuple[str, ...]:
    shared = Counter(notice.ivorn for notice in ordered if notice.ivorn is not None)
    return tuple(notice.key for notice in ordered if notice.ivorn is not None and shared[notice.ivorn] > 1)
