"""The shape of a mission's table, and the tables that ship with Asterism.

A table answers, for one mission: which IVORNs are its own; what names the *event* (the mission's own id,
never time); which parameters mean test, retraction or "not a burst"; for each stage of its notices which
probability the error radius holds, which notice outranks which, and whether its time is that of the trigger.

XML and JSON of one mission share one table, hence one event: ``[json]`` says how its JSON in GCN's unified
schema is recognised, and which of its ids is the one the XML uses.

`verified_against_sample` is true only where a real notice of that stage was read by our tests, and
`json_verified_against_sample` says so of its JSON: the examples that come with a schema are no notices.

A notice no table knows takes the `GENERIC` table, or ``gcn.toml`` if it is JSON: position, time and text are
kept, its IVORN or ids name the event.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from asterism.sky.mixture import GBM_PRE_2019, GBM_ROBOBA_LONG, GBM_ROBOBA_SHORT, Systematic
from asterism.voevent.clock import mjd_tai_of_day
from asterism.voevent.errors import MissionTableError

Standing = Literal["real", "test", "mock", "injection", "prediction", "utility"]
"""Whether a notice is about the sky; everything but ``real`` is kept apart and never associated."""

SYSTEMATICS: Mapping[str, Systematic] = MappingProxyType(
    {"gbm_pre_2019": GBM_PRE_2019, "gbm_roboba_short": GBM_ROBOBA_SHORT, "gbm_roboba_long": GBM_ROBOBA_LONG}
)
"""Systematic errors a table can name."""


@dataclass(frozen=True)
class EventRule:
    """What names the event of a notice."""

    params: tuple[str, ...] = ()
    """Parameters whose values, joined with ``_``, are the mission's id."""
    ivorn: str | None = None
    """Pattern whose groups, joined with ``_``, are the id; used without the parameters, and to resolve
citations."""
    mask: int | None = None
    """Bits of a numeric id that name the event: INTEGRAL counts revisions in the upper ones."""
    integers: bool = False
    """Ids are integers: leading zeros say nothing."""


@dataclass(frozen=True)
class JsonRule:
    """How a mission's JSON is recognised, and what names its event."""

    schema: str
    """Pattern at the start of ``$schema``, below ``gcn/notices/``, in lower case."""
    mission: str | None = None
    """Value of ``mission``, where ``$schema`` is missing; compared without case."""
    instrument: str | None = None
    """Value of ``instrument`` that must stand beside it, or alone if there is no `mission`."""
    ids: tuple[str, ...] = ("id", "event_name")
    """Members that name the event; the first with a fitting value counts."""
    pattern: str | None = None
    """What such a value looks like; its groups, joined with ``_``, are the mission's id."""
    joined: tuple[str, ...] = ()
    """Members whose values are appended: a flare is a source and a day."""
    revision: str | None = None
    """Member that counts revisions, where its XML counts the same or there is none."""


@dataclass(frozen=True)
class StandingRule:
    """When a notice is not about the real sky."""

    standing: Standing
    params: tuple[str, ...] = ()
    """Parameters that say so when true."""
    id: str | None = None
    """Pattern of event ids that say so."""


@dataclass(frozen=True)
class SystematicRule:
    """Which systematic error applies; the first rule that matches is taken."""

    model: str
    until: str | None = None
    """Only triggers before 00:00 UTC of this day."""
    param: str | None = None
    value: str | None = None
    """Only notices with this value of the parameter or JSON member."""


@dataclass(frozen=True)
class ClassRule:
    """Where the classification of a notice stands."""

    group: str | None = None
    """A group all of whose parameters are probabilities."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Name of a class, and the parameter with its probability."""
    indexed: tuple[tuple[str, str], ...] = ()
    """Pairs of parameters: number of a class, and its probability in percent."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What the numbers of `indexed` mean."""


@dataclass(frozen=True)
class Stage:
    """One type of notice."""

    name: str
    packets: tuple[int, ...] = ()
    """GCN packet types."""
    ivorn: str | None = None
    """Pattern of its IVORNs, where the packet type is missing."""
    rank: int = 0
    """Of two localizations of an event the one of higher rank holds; among equals the later issued."""
    t0_rank: int = 0
    """Whose time the trigger time is taken from; 0: the time is not that of the trigger."""
    json: Mapping[str, str] = field(default_factory=dict)
    """Members of its JSON and the values all of them have, compared without case; empty: it comes as XML only."""
    event: tuple[str, ...] = ()
    """Parameters that name the event, where they are not the mission's."""
    kind: str | None = None
    """What happened, where it is not the mission's kind."""
    position: bool = True
    """False if the position of such notices means nothing."""
    containment: float | None = None
    """Probability inside the error radius; None if undocumented."""
    systematic_included: bool | None = None
    """Whether the radius covers systematic errors; None if undocumented."""
    radius_50: str | None = None
    """Parameter with the 50 % radius [deg]."""
    floor_deg: float | None = None
    """Smallest radius the mission documents [deg]; smaller ones are raised to it."""
    systematics: bool = False
    """The mission's systematic error is to be added."""
    retraction: bool = False
    verified_against_sample: bool = False
    """A real notice of this stage was read; as JSON only for LVK, as XML for all others."""
    json_verified_against_sample: bool = False
    """A real notice of this stage in GCN's unified JSON was read."""


@dataclass(frozen=True)
class Mission:
    """One mission."""

    authority: str
    """Namespace of its event keys."""
    name: str
    kind: str
    """gw, grb, neutrino, or unknown."""
    ivorn: str | None = None
    """Pattern at the start of its IVORNs; None if it sends no XML."""
    json: JsonRule | None = None
    """Its JSON; None if it sends none in GCN's unified schema."""
    event: EventRule = EventRule()
    stages: tuple[Stage, ...] = ()
    standing: tuple[StandingRule, ...] = ()
    retraction: tuple[str, ...] = ()
    """Parameters that, when true, retract the event."""
    revision: str | None = None
    """Parameter that counts the revisions of an event."""
    far: str | None = None
    """Parameter with the false-alarm rate."""
    far_unit: str | None = None
    """Its unit where the document gives none."""
    classification: ClassRule = ClassRule()
    systematics: tuple[SystematicRule, ...] = ()
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Flag of the notice, and the parameters that raise it."""
    map_url: str | None = None
    """Parameter with the address of a sky map; kept, never fetched by the reader."""
    map_url_edits: tuple[tuple[str, str], ...] = ()
    """What to replace in that address, where it names a picture of the map: the map lies beside it."""

    def stage_of(self, packet_type: int | None, ivorn: str) -> Stage:
        """Return the stage of a notice, by packet type or else by IVORN; an unranked one if the table has none."""
        for stage in self.stages:
            if packet_type is not None and packet_type in stage.packets:
                return stage
        for stage in self.stages:
            if stage.ivorn is not None and re.search(stage.ivorn, ivorn):
                return stage
        return Stage(OTHER, t0_rank=1)

    def stage_of_json(self, alert: Mapping[str, Any]) -> Stage:
        """Return the stage of a notice in GCN's unified JSON; an unranked one if the table has none."""
        for stage in self.stages:
            wanted = stage.json.items()
            if wanted and all(str(alert.get(name)).casefold() == value.casefold() for name, value in wanted):
                return stage
        return Stage(OTHER, t0_rank=1)

    def systematic(self, t0_mjd_tai: float | None, values: Mapping[str, str]) -> tuple[str, Systematic] | None:
        """Return name and size of the systematic error of a notice; None if the table has none."""
        for rule in self.systematics:
            until = mjd_tai_of_day(rule.until)
            if until is not None and (t0_mjd_tai is None or t0_mjd_tai >= until):
                continue
            if rule.param is not None and values.get(rule.param) != rule.value:
                continue
            return rule.model, SYSTEMATICS[rule.model]
        return None


OTHER = "other"
"""Name of a stage no table has."""
UNIFIED = "gcn"
"""Authority of the table for JSON of missions without one."""

GENERIC = Mission(
    authority="voevent",
    name="unknown",
    kind="unknown",
    ivorn="ivo://",
    standing=(StandingRule("test", params=("Test_Submission", "Test_Notice", "Test", "InternalTest")),),
    retraction=("Retraction",),
    flags={"not_a_grb": ("Def_NOT_a_GRB",)},
)
"""The table of whatever XML no other table knows."""


@cache
def missions() -> tuple[Mission, ...]:
    """Return the tables that ship with Asterism, by authority.

    Raises
    ------
    MissionTableError
        If one of them is malformed.
    """
    folder = files("asterism.voevent.missions")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return tuple(read_mission(name, (folder / name).read_text(encoding="utf-8")) for name in names)


def mission_of(ivorn: str) -> Mission:
    """Return the table of the mission an IVORN belongs to; `GENERIC` if there is none."""
    return next((mission for mission in missions() if mission.ivorn and re.match(mission.ivorn, ivorn)), GENERIC)


def mission_of_json(schema: str, mission: str, instrument: str) -> Mission:
    """Return the table of the mission a notice in GCN's unified JSON is from; ``gcn.toml`` if there is none.

    Parameters
    ----------
    schema : str
        Path of its ``$schema`` below ``gcn/notices/``, in lower case; empty if it has none.
    mission, instrument : str
        Its members of these names; empty if it has none. They count only where there is no schema.
    """
    own = [(one, one.json) for one in missions() if one.json is not None and one.authority != UNIFIED]
    for one, rule in own:
        if schema and re.match(rule.schema, schema):
            return one
        named = [(rule.mission, mission), (rule.instrument, instrument)]
        told = [(wanted, found) for wanted, found in named if wanted is not None]
        if not schema and told and all(wanted.casefold() == found.casefold() for wanted, found in told):
            return one
    return next(one for one in missions() if one.authority == UNIFIED)


def read_mission(name: str, text: str) -> Mission:
    """Return the table a TOML text holds.

    Raises
    ------
    MissionTableError
        If it is no TOML, or a name, a pattern or a model in it is unknown.
    """
    try:
        values = tomllib.loads(text)
        json = values.pop("json", None)
        mission = Mission(
            json=None if json is None else JsonRule(**_frozen(json)),
            event=EventRule(**_frozen(values.pop("event", {}))),
            stages=tuple(Stage(**_frozen(stage)) for stage in values.pop("stage", [])),
            standing=tuple(StandingRule(**_frozen(rule)) for rule in values.pop("standing", [])),
            systematics=tuple(SystematicRule(**rule) for rule in values.pop("systematic", [])),
            classification=ClassRule(**_frozen(values.pop("classification", {}))),
            **_frozen(values),
        )
        rule = mission.json
        patterns = [mission.ivorn, mission.event.ivorn, *(stage.ivorn for stage in mission.stages)]
        for pattern in [*patterns, *([] if rule is None else [rule.schema, rule.pattern])]:
            re.compile(pattern or "")
    except (TypeError, ValueError, re.error) as error:
        raise MissionTableError(f"{name}: {error}") from error
    unknown = {rule.model for rule in mission.systematics} - SYSTEMATICS.keys()
    if unknown:
        raise MissionTableError(f"{name}: no systematic error is called {', '.join(sorted(unknown))}")
    return mission


def _frozen(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with lists as tuples, as frozen dataclasses hold them."""
    return {
        name: tuple(tuple(v) if isinstance(v, list) else v for v in value)
        if isinstance(value, list)
        else MappingProxyType(_frozen(value))
        if isinstance(value, dict)
        else value
        for name, value in values.items()
    }
