"""What names an event: the mission's own id, exactly, and never time or position.

Notices that are not about the real sky get an event of their own (``swift_test:1118357``), unless their id
says so itself (LVK's MS...): a test notice that carries the id of a real burst must not touch it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from asterism.ids import make_key
from asterism.voevent.document import Document
from asterism.voevent.missions.table import EventRule, Mission, Stage, Standing, mission_of
from asterism.voevent.numbers import truth

_UNSAFE = re.compile(r"[^A-Za-z0-9._+\-/]")
_LONGEST_NAME = 100
_STANDING_OF_ROLE: dict[str, Standing] = {
    "observation": "real",
    "test": "test",
    "prediction": "prediction",
    "utility": "utility",
}


def event_name(mission: Mission, document: Document, stage: Stage | None = None) -> str:
    """Return the name of the event a document is about; one made of its IVORN where the mission's id is
    missing. Of some stages other parameters name the event than of the mission at large."""
    params = stage.event if stage is not None and stage.event else mission.event.params
    values = [document.param(name) or "" for name in params]
    if values and all(values):
        return safe_name("_".join(_normal(mission.event, value) for value in values))
    return name_in_ivorn(mission, document.ivorn) or safe_name(document.ivorn.removeprefix("ivo://"))


def name_in_json(mission: Mission, ids: Sequence[str], joined: Sequence[str] = ()) -> tuple[str | None, bool]:
    """Return the event's name among the ids of a JSON notice, and whether it looks as the mission's do.

    Parameters
    ----------
    mission : Mission
        The mission's table, with a rule for JSON.
    ids : sequence of str
        Values of the members that name events, best first.
    joined : sequence of str
        Further values the name consists of.
    """
    rule = mission.json
    if rule is None or not ids:
        return None, False
    fits = [found.groups() or (found[0],) for one in ids if (found := re.search(rule.pattern or "^.+$", one))]
    parts = fits[0] if fits else (ids[0],)
    return safe_name("_".join([*(_normal(mission.event, part) for part in parts), *joined])), bool(fits)


def name_in_ivorn(mission: Mission, ivorn: str) -> str | None:
    """Return the event's name an IVORN holds; None if the mission's pattern finds none."""
    found = re.search(mission.event.ivorn, ivorn) if mission.event.ivorn else None
    return None if found is None else safe_name("_".join(_normal(mission.event, part) for part in found.groups()))


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
        return event_key(mission, safe_name(ivorn.removeprefix("ivo://")), standing, named=False)
    named = any(rule.id is not None and re.search(rule.id, name) for rule in mission.standing)
    return event_key(mission, name, standing, named)


def _normal(rule: EventRule, value: str) -> str:
    if not rule.integers or not re.fullmatch(r"\d{1,18}", value):
        return value
    return str(int(value) if rule.mask is None else int(value) & rule.mask)


def safe_name(name: str) -> str:
    """Return a name that a key can hold.

    What had to be changed gets a hash, so that two names never become one.
    """
    clean = _UNSAFE.sub("_", name)[:_LONGEST_NAME]
    if clean == name and clean[:1].isalnum():
        return clean
    return f"{'x' if not clean[:1].isalnum() else ''}{clean}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
