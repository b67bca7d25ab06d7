"""What names an event: the mission's own id, exactly, and never time or position.

Notices that are not about the real sky get an event of their own (``swift_test:1118357``), unless their id
says so itself (LVK's MS...): a test notice that carries the id of a real burst must not touch it.
"""

from __future__ import annotations

import hashlib
import re

from asterism.ids import make_key
from asterism.voevent.document import Document
from asterism.voevent.missions.table import EventRule, Mission, Standing, mission_of
from asterism.voevent.numbers import truth

_UNSAFE = re.compile(r"[^A-Za-z0-9._+\-/]")
_LONGEST_NAME = 100
_STANDING_OF_ROLE: dict[str, Standing] = {
    "observation": "real",
    "test": "test",
    "prediction": "prediction",
    "utility": "utility",
}


def event_name(mission: Mission, document: Document) -> str:
    """Return the name of the event a document is about; one made of its IVORN where the mission's id is
    missing."""
    values = [document.param(name) or "" for name in mission.event.params]
    if values and all(values):
        return _safe("_".join(_normal(mission.event, value) for value in values))
    return name_in_ivorn(mission, document.ivorn) or _safe(document.ivorn.removeprefix("ivo://"))


def name_in_ivorn(mission: Mission, ivorn: str) -> str | None:
    """Return the event's name an IVORN holds; None if the mission's pattern finds none."""
    found = re.search(mission.event.ivorn, ivorn) if mission.event.ivorn else None
    return None if found is None else _safe("_".join(_normal(mission.event, part) for part in found.groups()))


def standing_of(mission: Mission, name: str, document: Document) -> tuple[Standing, bool]:
    """Return the standing of a notice, and whether the event's own name says so."""
    for rule in mission.standing:
        if rule.id is not None and re.search(rule.id, name):
            return rule.standing, True
        if any(truth(document.param(param)) for param in rule.params):
            return rule.standing, False
    return _STANDING_OF_ROLE[document.role], False


def event_key(mission: Mission, name: str, standing: Standing, named: bool) -> str:
    """Return the key of an event; `named` says that its name tells its standing already."""
    apart = standing != "real" and not named
    return make_key(f"{mission.authority}_{standing}" if apart else mission.authority, name)


def cited_event(ivorn: str, standing: Standing) -> str:
    """Return the key of the event a cited IVORN belongs to, as far as the IVORN tells."""
    mission = mission_of(ivorn)
    name = name_in_ivorn(mission, ivorn)
    if name is None:
        return event_key(mission, _safe(ivorn.removeprefix("ivo://")), standing, named=False)
    named = any(rule.id is not None and re.search(rule.id, name) for rule in mission.standing)
    return event_key(mission, name, standing, named)


def _normal(rule: EventRule, value: str) -> str:
    if not rule.integers or not re.fullmatch(r"\d{1,18}", value):
        return value
    return str(int(value) if rule.mask is None else int(value) & rule.mask)


def _safe(name: str) -> str:
    """Return a name that a key can hold; what had to be changed gets a hash, so that two names never become
    one."""
    clean = _UNSAFE.sub("_", name)[:_LONGEST_NAME]
    if clean == name and clean[:1].isalnum():
        return clean
    return f"{'x' if not clean[:1].isalnum() else ''}{clean}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
