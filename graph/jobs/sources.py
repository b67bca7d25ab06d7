"""Which `Source` each object belongs to: a pure function of the groups found and of the Sources that exist.

A Source is known by the key of the member it was made for, so ``Source(k)`` always means "the source that
object k belongs to": a key can never come to mean anything else. From this follow all rules:

- a group keeps the smallest Source key among its members' keys; a group that grows keeps its Source;
- where groups have merged, the other Sources get ``mergedInto``, so that old references still lead somewhere;
- a group without a Source gets one, named by its smallest member, public ones first;
- what a group lost by a split goes to Sources of its own; one that was merged before comes back.

The position of a Source is that of its smallest public member (of its smallest member if none is public):
positions of restricted objects do not show through. Applying the same groups again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asterism.sky.cone import separation_deg


@dataclass(frozen=True, slots=True)
class Member:
    """An object as identity sees it. Position ICRS [deg]."""

    key: str
    survey: str
    ra: float
    dec: float
    public: bool


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is stored about a Source. Position ICRS [deg]; `merged_into` is the key of the Source to use
    instead."""

    ra: float | None
    dec: float | None
    merged_into: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """An object's place in a Source: its key and the separation from the Source's position [arcsec]."""

    source: str
    separation_arcsec: float


@dataclass(frozen=True)
class Assignment:
    """The Sources as they should be: states by Source key, links by object key."""

    sources: Mapping[str, SourceState]
    links: Mapping[str, Link]


def assign(groups: Iterable[Sequence[Member]], existing: Mapping[str, SourceState]) -> Assignment:
    """Give every group of two or more objects its Source.

    Parameters
    ----------
    groups : iterable of sequences of Member
        Disjoint groups of objects that are the same.
    existing : mapping
        All Sources in the graph, by key.

    Returns
    -------
    Assignment
        All Sources, existing and new, and the links of all members of `groups`. A Source whose members have
        gone keeps its last position and has no links.
    """
    sources = {key: SourceState(state.ra, state.dec, None) for key, state in existing.items()}
    placed: list[tuple[Member, Member, str]] = []
    for group in groups:
        if len(group) < 2:
            continue
        anchor = min(group, key=lambda member: (not member.public, member.key))
        known = sorted(member.key for member in group if member.key in existing)
        chosen = known[0] if known else anchor.key
        sources[chosen] = SourceState(anchor.ra, anchor.dec, None)
        for other in known[1:]:
            sources[other] = SourceState(existing[other].ra, existing[other].dec, chosen)
        placed += [(member, anchor, chosen) for member in group]
    return Assignment(sources, _links(placed))


def _links(placed: Sequence[tuple[Member, Member, str]]) -> dict[str, Link]:
    """Return the links of (member, the one that gives the Source its position, Source key), measured all at once."""
    ends = np.array([(member.ra, member.dec, anchor.ra, anchor.dec) for member, anchor, _ in placed]).reshape(-1, 4)
    separations = (separation_deg(*ends.T) * 3600).tolist()
    return {
        member.key: Link(source, separation)
        for (member, _, source), separation in zip(placed, separations, strict=True)
    }
