"""Rule sets: the numbers of association as data, one TOML file each in ``rules/``.

Two methods. ``likelihood``: candidates are inside a credible level and have a likelihood ratio of many terms.
``cuts``: candidates are inside a radius and a window, all of equal worth, as the rules of others say; what such rules
call a candidate is inside, and what they rank by is a grade.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from asterism.graph.association.pair_rules import CoincidenceRule, coincidence_rule
from asterism.graph.errors import RuleSetError

DEFAULT = "asterism-1"
FADE_LAWS = ("line", "power")
METHODS = ("likelihood", "cuts")


@dataclass(frozen=True)
class TimeComponent:
    """One term of a time prior: ``weight`` over ``start`` to ``end`` [d after t0] as a power law of ``index``."""

    weight: float
    start: float
    end: float
    index: float


@dataclass(frozen=True)
class FadeLaw:
    """One way in which counterparts fade, a normal density with a weight.

    Attributes
    ----------
    weight : float
        Share of the counterparts.
    law : str
        ``line``: mean and sigma are of the fade rate [mag/d, positive fades]. ``power``: of the index alpha of
        flux ~ (t - t0)^-alpha, whose fade rate follows from when it is measured.
    mean, sigma : float
        Of the density.
    """

    weight: float
    law: str
    mean: float
    sigma: float


@dataclass(frozen=True)
class Fade:
    """Densities of the fade rate of counterparts, whose weights sum to 1, and of unrelated objects (a normal)."""

    signal: tuple[FadeLaw, ...]
    background_mean: float
    background_sigma: float


@dataclass(frozen=True)
class CataloguedClass:
    """Known sources of one class: no background in time, only a density on the sky.

    Attributes
    ----------
    name : str
        Class in the catalogue, such as ``blazar``.
    sigma_deg2 : float
        Surface density [deg^-2].
    source : str
        Where the density comes from.
    """

    name: str
    sigma_deg2: float
    source: str


@dataclass(frozen=True)
class Kind:
    """What is expected of the counterpart of one kind of event.

    Attributes
    ----------
    p_optical : float
        Probability that an astrophysical event has a counterpart the surveys can see.
    time : tuple of TimeComponent
        Prior of the first detection; the weights sum to 1.
    fade : Fade, optional
        Densities of the fade rate; None: it says nothing.
    p_again : float, optional
        Probability that a counterpart is detected a second time; None: it says nothing.
    catalogued : tuple of CataloguedClass
        Classes of known sources that may be the counterpart, whenever they were first seen.
    """

    p_optical: float
    time: tuple[TimeComponent, ...]
    fade: Fade | None = None
    p_again: float | None = None
    catalogued: tuple[CataloguedClass, ...] = ()

    @property
    def window(self) -> tuple[float, float]:
        """First and last time of first detection [d after t0] that the prior allows."""
        return min(c.start for c in self.time), max(c.end for c in self.time)


@dataclass(frozen=True)
class Cuts:
    """Which objects are considered; unknown values pass.

    Attributes
    ----------
    min_reliability : float
        Smallest real/bogus score of the newest alert.
    solar_system_arcsec : float
        A known Solar System object nearer than this excludes [arcsec].
    catalogue_classes : tuple of str
        A catalogue match of one of these classes excludes.
    """

    min_reliability: float
    solar_system_arcsec: float
    catalogue_classes: tuple[str, ...]


@dataclass(frozen=True)
class BackgroundRule:
    """How the surface rate of unrelated objects is measured.

    Attributes
    ----------
    min_objects : int
        Fewest objects off source for a measurement.
    fallback : float
        Rate used otherwise, and marked [deg^-2 d^-1].
    off_source_days : float
        Reach of the off-source window before t0 [d].
    """

    min_objects: int
    fallback: float
    off_source_days: float


@dataclass(frozen=True)
class Reach:
    """How far from the published position a rule set of cuts accepts, for events of one authority.

    Attributes
    ----------
    factor : float
        In published error radii, whatever containment they have.
    most_deg : float
        But no more than this [deg].
    """

    factor: float
    most_deg: float = 180.0


@dataclass(frozen=True)
class Grade:
    """One of the grades a rule set of cuts gives; a candidate gets the last whose conditions all hold.

    Attributes
    ----------
    name : str
        Its name.
    min_reliability : float
        Smallest real/bogus score of the newest alert; an unknown one does not reach it.
    max_chance : float
        Largest probability of a chance coincidence, as the rule set defines it.
    min_abs_fade : float
        Smallest absolute fade rate [mag/d]; an unknown one does not reach it.
    max_radius_deg : float
        Largest published error radius of the event [deg].
    """

    name: str
    min_reliability: float = 0.0
    max_chance: float = 1.0
    min_abs_fade: float = 0.0
    max_radius_deg: float = 180.0


@dataclass(frozen=True)
class ChanceRule:
    """Fink_MM's probability of a chance coincidence: of a transient in the circle, and of a burst in the time.

    Attributes
    ----------
    transients_deg2 : float
        Transients a night [deg^-2].
    transients : float
        Transients a night in all; over the density, the area observed.
    events_per_year : dict
        Events a year on the whole sky, by authority.
    """

    transients_deg2: float
    transients: float
    events_per_year: dict[str, float]


@dataclass(frozen=True)
class Correction:
    """Where a rule set departs from what it is taken from: what was there, and what is here."""

    name: str
    was: str
    here: str


@dataclass(frozen=True)
class RuleSet:
    """A named set of rules; the name stands on every link made under it.

    Attributes
    ----------
    name, title, source : str
        Its name, one line, and where it is from.
    method : str
        One of `METHODS`.
    level : float
        Candidates are inside this credible level; of cuts, where there is no radius.
    max_links, draws : int
        Most links of an event; random background objects from which the chance counts are made.
    cuts, background : Cuts, BackgroundRule
        Which objects count; what they are compared with.
    kinds : dict
        By kind of event; events of other kinds are not judged.
    reach : dict
        Of cuts: by authority, the first part of an event's key. Events of other authorities with a radius are not
        accepted anywhere.
    grades : tuple of Grade
        Of cuts, worst first.
    chance : ChanceRule, optional
        Of cuts: what their grades need.
    corrections : tuple of Correction
        Of rules of others.
    coincidence : CoincidenceRule, optional
        How coincident events are judged; None: they are not.
    """

    name: str
    level: float
    max_links: int
    draws: int
    cuts: Cuts
    background: BackgroundRule
    kinds: dict[str, Kind]
    title: str = ""
    source: str = ""
    method: str = "likelihood"
    reach: dict[str, Reach] = field(default_factory=dict)
    grades: tuple[Grade, ...] = ()
    chance: ChanceRule | None = None
    corrections: tuple[Correction, ...] = ()
    coincidence: CoincidenceRule | None = None


def known_rules() -> list[str]:
    """Return the names of the shipped rule sets."""
    folder = files("asterism.graph.association") / "rules"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


@cache
def load_rules(name: str = DEFAULT) -> RuleSet:
    """Return a shipped rule set.

    Raises
    ------
    RuleSetError
        If there is none of this name, or its numbers contradict each other.
    """
    known = known_rules()
    if name not in known:
        raise RuleSetError(f"there is no rule set {name!r:.60}", hint=f"known: {', '.join(known)}")
    file = files("asterism.graph.association") / "rules" / f"{name}.toml"
    return parse_rules(tomllib.loads(file.read_text(encoding="utf-8")))


def parse_rules(values: dict[str, Any]) -> RuleSet:
    """Build a rule set from the values of its file.

    Raises
    ------
    RuleSetError
        If a value is missing or of the wrong type, or the weights of a time prior do not sum to 1.
    """
    try:
        rules = RuleSet(
            name=str(values["name"]),
            title=str(values["title"]),
            source=str(values["source"]),
            method=str(values["method"]),
            level=float(values["level"]),
            max_links=int(values["max_links"]),
            draws=int(values["draws"]),
            cuts=Cuts(**values["cuts"] | {"catalogue_classes": tuple(values["cuts"]["catalogue_classes"])}),
            background=BackgroundRule(**values["background"]),
            kinds={name: _kind(kind) for name, kind in values["kinds"].items()},
            reach={name: Reach(**one) for name, one in values.get("reach", {}).items()},
            grades=tuple(Grade(**one) for one in values.get("grades", [])),
            chance=ChanceRule(**values["chance"]) if "chance" in values else None,
            corrections=tuple(Correction(**one) for one in values.get("corrections", [])),
            coincidence=coincidence_rule(values["coincidence"]) if "coincidence" in values else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RuleSetError(f"the rule set is malformed: {error!r}") from error
    if rules.method not in METHODS:
        raise RuleSetError(f"{rules.method!r:.40} is no method", hint=f"one of {', '.join(METHODS)}")
    for name, kind in rules.kinds.items():
        _check_kind(name, kind)
    return rules


def _check_kind(name: str, kind: Kind) -> None:
    total = sum(component.weight for component in kind.time)
    if abs(total - 1.0) > 1e-9 or any(c.end <= c.start or c.weight <= 0 for c in kind.time):
        raise RuleSetError(f"the time prior of {name} is no density: its weights sum to {total}")
    if kind.fade is not None:
        total = sum(law.weight for law in kind.fade.signal)
        if abs(total - 1.0) > 1e-9 or any(x.law not in FADE_LAWS or x.sigma <= 0 for x in kind.fade.signal):
            raise RuleSetError(f"the fade prior of {name} is no density: its weights sum to {total}")
    if any(one.sigma_deg2 <= 0 for one in kind.catalogued):
        raise RuleSetError(f"a catalogued class of {name} has no density")


def _kind(values: dict[str, Any]) -> Kind:
    time = tuple(
        TimeComponent(float(c["weight"]), float(c["from"]), float(c["to"]), float(c["index"])) for c in values["time"]
    )
    p_again = values.get("p_again")
    return Kind(
        p_optical=float(values["p_optical"]),
        time=time,
        fade=_fade(values["fade"]) if "fade" in values else None,
        p_again=None if p_again is None else float(p_again),
        catalogued=tuple(CataloguedClass(**one) for one in values.get("catalogued", [])),
    )


def _fade(values: dict[str, Any]) -> Fade:
    laws = tuple(
        FadeLaw(float(law["weight"]), str(law["law"]), float(law["mean"]), float(law["sigma"]))
        for law in values["signal"]
    )
    return Fade(laws, float(values["background_mean"]), float(values["background_sigma"]))
