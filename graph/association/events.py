"""The events that association works on: current localization, kind, time and what the mission says of its nature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from neo4j import ManagedTransaction, Session

from asterism.errors import SkyError
from asterism.graph.association.acceptance import Acceptance, accepted
from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import RuleSet
from asterism.graph.changes import last_number
from asterism.graph.connection import read
from asterism.graph.events import load_localization
from asterism.logs import get_logger
from asterism.sky.localization import Localization

_log = get_logger("graph.association")

Identity = tuple[str, float, float]
"""Localization, time [MJD TAI] and probability of being astrophysical of an event."""


@dataclass(frozen=True, eq=False)
class Partner:
    """An event that coincides with another.

    Attributes
    ----------
    key : str
        Its key.
    localization_key : str
        Its localization.
    localization : Localization
        The density on the sky.
    probability : float
        Probability that both are one source.
    """

    key: str
    localization_key: str
    localization: Localization
    probability: float


@dataclass(frozen=True, eq=False)
class ActiveEvent:
    """An event that may have counterparts.

    Attributes
    ----------
    key, kind : str
        Its key and kind.
    t0 : float
        Time of the event, MJD TAI.
    localization_key : str
        Its current localization.
    localization : Localization
        The density on the sky.
    p_astro : float
        Probability that it is astrophysical, as the mission says; 1 where it says nothing.
    radius_deg : float, optional
        Published error radius [deg], whatever its containment; None for a map.
    far_hz : float, optional
        False-alarm rate [Hz], as the mission says.
    classes : dict
        Probability of each class, as the mission says.
    partners : tuple of Partner
        Coincident events (`asterism.graph.association.coincidence`).
    """

    key: str
    kind: str
    t0: float
    localization_key: str
    localization: Localization
    p_astro: float
    radius_deg: float | None = None
    far_hz: float | None = None
    classes: Mapping[str, float] = field(default_factory=dict)
    partners: tuple[Partner, ...] = ()

    @property
    def authority(self) -> str:
        """Who named it."""
        return self.key.partition(":")[0]

    def acceptance(self, rules: RuleSet) -> Acceptance:
        """Return where a rule set accepts candidates of this event."""
        return accepted(self.key, self.localization, self.radius_deg, rules)

    @property
    def identity(self) -> Identity:
        """What tells that the event changed for association."""
        return self.localization_key, self.t0, self.p_astro

    def region(self, rules: RuleSet) -> EventRegion:
        """Return where and when alerts matter to this event; of rules that accept nothing, an empty one."""
        start, end = rules.kinds[self.kind].window
        ranges = self.acceptance(rules).ranges()
        window = (self.t0 + start, self.t0 + end)
        return EventRegion(self.key, self.localization_key, self.kind, self.t0, *window, ranges.lo, ranges.hi)


class EventBook:
    """Reads the active events; remembers localizations and regions, which never change once they have a key.

    Parameters
    ----------
    maps : Path
        The lake's folder of sky maps.
    rules : RuleSet
        Kinds, windows and level.
    """

    def __init__(self, maps: Path, rules: RuleSet) -> None:
        self._maps = maps
        self._rules = rules
        self._records: dict[str, str] = {}
        self._localizations: dict[str, Localization] = {}
        self._regions: dict[tuple[str, str, float], EventRegion] = {}
        self._identities: dict[str, Identity] = {}
        self._seen = -1

    def region(self, event: ActiveEvent) -> EventRegion:
        """Return where and when alerts matter to an event."""
        key = (event.key, event.localization_key, event.t0)
        if key not in self._regions:
            self._regions[key] = event.region(self._rules)
        return self._regions[key]

    def read(self, session: Session) -> list[ActiveEvent]:
        """Return the real, unretracted events of known kinds that have a time and a localization, by key.

        Raises
        ------
        GraphError
            If the graph cannot be read.
        """
        found = []
        self._seen, rows = read(session, _events, list(self._rules.kinds), None)
        self._identities = {row["key"]: _identity(row) for row in rows}
        self._learn(session, {row["localization"] for row in rows})
        for row in rows:
            try:
                localization = self._localization(row["localization"])
            except SkyError as error:
                _log.error("localization unusable", event_key=row["key"], code=error.code, reason=error.message)
                continue
            classes = _classes(row["classification"])
            found.append(
                ActiveEvent(
                    key=row["key"],
                    kind=row["kind"],
                    t0=row["t0"],
                    localization_key=row["localization"],
                    localization=localization,
                    p_astro=_p_astro(classes),
                    radius_deg=row["radius"],
                    far_hz=row["far"],
                    classes=classes,
                )
            )
        return found

    def has_news(self, session: Session) -> bool:
        """Tell whether an event was announced, changed for association or retracted since `read`.

        Only events that drew a number since then are looked at (`asterism.graph.changes`); a verdict draws one, too.
        """
        last, rows = read(session, _events, list(self._rules.kinds), self._seen)
        now = {row["key"]: _identity(row) for row in rows if row["active"]}
        if any(self._identities.get(row["key"]) != now.get(row["key"]) for row in rows):
            return True
        self._seen = last
        return False

    def _learn(self, session: Session, keys: set[str]) -> None:
        """Read the records of localizations that are not known yet."""
        unknown = sorted(keys - self._localizations.keys() - self._records.keys())
        if unknown:
            self._records |= read(session, _records, unknown)

    def _localization(self, key: str) -> Localization:
        if key not in self._localizations:
            self._localizations[key] = load_localization(self._records[key], self._maps)
            del self._records[key]
        return self._localizations[key]


def _identity(row: dict[str, Any]) -> Identity:
    return row["localization"], row["t0"], _p_astro(_classes(row["classification"]))


_EVENTS = """
MATCH (e:Event) WHERE %s
OPTIONAL MATCH (l:Localization {key: e.currentLocalization})
WITH e, l, e.kind IN $kinds AND e.state = 'active' AND e.standing = 'real' AND e.t0MjdTai IS NOT NULL
  AND l IS NOT NULL AS active
WHERE active OR $after IS NOT NULL
RETURN e.key AS key, active, e.kind AS kind, e.t0MjdTai AS t0, e.classification AS classification,
  e.farHz AS far, l.key AS localization, l.radiusDeg AS radius ORDER BY key
"""


def _events(tx: ManagedTransaction, kinds: list[str], after: int | None) -> tuple[int, list[dict[str, Any]]]:
    """Return the last number of changes, and the active events, or all that drew a number above `after`.

    The number is read first: what is committed between the two is seen now and once more later, never not at all.
    """
    number = last_number(tx)
    if after is not None and number == after:
        return number, []
    which = "e.kind IN $kinds AND e.state = 'active'" if after is None else "e.changed > $after"
    return number, [dict(record) for record in tx.run(_EVENTS % which, kinds=kinds, after=after)]


def _records(tx: ManagedTransaction, keys: list[str]) -> dict[str, str]:
    found = tx.run("UNWIND $keys AS key MATCH (l:Localization {key: key}) RETURN key, l.record AS record", keys=keys)
    return {row["key"]: row["record"] for row in found}


def _classes(classification: object) -> dict[str, float]:
    """Return the numbers among the values of a stored classification."""
    try:
        classes = json.loads(classification) if isinstance(classification, str) else {}
    except ValueError:
        return {}
    if not isinstance(classes, dict):
        return {}
    return {name: float(p) for name, p in classes.items() if isinstance(p, int | float) and not isinstance(p, bool)}


def _p_astro(classes: Mapping[str, float]) -> float:
    """Return 1 - P(Terrestrial), or the mission's own probability; 1 if it says neither."""
    noise = classes.get("Terrestrial")
    signal = classes.get("signalness", 1.0) if noise is None else 1.0 - noise
    return float(np.clip(signal, 1e-6, 1.0))
