"""The shape of a mission's table, and the tables that ship with Asterism.

A table answers, for one mission: which IVORNs are its own; what names the *event* (the mission's own id,
never time); which parameters mean test, retraction or "not a burst"; for each stage of its notices which
probability the error radius holds, which notice outranks which, and whether its time is that of the trigger.
`verified_against_sample` is true only where a real notice of that stage was read by our tests.

A notice no table knows takes the `GENERIC` table: position, time and text are kept, its IVORN names the
event.
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
    """Only notices with this value of the parameter."""


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


@dataclass(frozen=True)
class Mission:
    """One mission."""

    authority: str
    """Namespace of its event keys."""
    name: str
    kind: str
    """gw, grb, neutrino, or unknown."""
    ivorn: str
    """Pattern at the start of its IVORNs."""
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

    def stage_of(self, packet_type: int | None, ivorn: str) -> Stage:
        """Return the stage of a notice, by packet type or else by IVORN; an unranked one if the table has none."""
        for stage in self.stages:
            if packet_type is not None and packet_type in stage.packets:
                return stage
        for stage in self.stages:
            if stage.ivorn is not None and re.search(stage.ivorn, ivorn):
                return stage
        return Stage("other", t0_rank=1)

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


GENERIC = Mission(
    authority="voevent",
    name="unknown",
    kind="unknown",
    ivorn="ivo://",
    standing=(StandingRule("test", params=("Test_Submission", "Test_Notice", "Test", "InternalTest")),),
    retraction=("Retraction",),
    flags={"not_a_grb": ("Def_NOT_a_GRB",)},
)
"""The table of whatever no other table knows."""


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
    return next((mission for mission in missions() if re.match(mission.ivorn, ivorn)), GENERIC)


def read_mission(name: str, text: str) -> Mission:
    """Return the table a TOML text holds.

    Raises
    ------
    MissionTableError
        If it is no TOML, or a name, a pattern or a model in it is unknown.
    """
    try:
        values = tomllib.loads(text)
        mission = Mission(
            event=EventRule(**_frozen(values.pop("event", {}))),
            stages=tuple(Stage(**_frozen(stage)) for stage in values.pop("stage", [])),
            standing=tuple(StandingRule(**_frozen(rule)) for rule in values.pop("standing", [])),
            systematics=tuple(SystematicRule(**rule) for rule in values.pop("systematic", [])),
            classification=ClassRule(**_frozen(values.pop("classification", {}))),
            **_frozen(values),
        )
        for pattern in (mission.ivorn, mission.event.ivorn, *(stage.ivorn for stage in mission.stages)):
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
