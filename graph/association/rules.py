"""Rule sets: the numbers of association as data, one TOML file each in ``rules/``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from asterism.graph.errors import RuleSetError

DEFAULT = "asterism-1"
FADE_LAWS = ("line", "power")


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
class Kind:
    """What is expected of the counterpart of one kind of event.

    Attributes
    ----------
    p_optical : float
        Probability that an astrophysical event has a counterpart the surveys can see.
    time : tuple of TimeComponent
        Prior of the first detection; the weights sum to 1.
    fade : Fade
        Densities of the fade rate.
    p_again : float
        Probability that a counterpart is detected a second time.
    """

    p_optical: float
    time: tuple[TimeComponent, ...]
    fade: Fade
    p_again: float

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
class RuleSet:
    """A named set of rules; the name stands on every link made under it."""

    name: str
    level: float
    max_links: int
    draws: int
    cuts: Cuts
    background: BackgroundRule
    kinds: dict[str, Kind]


@cache
def load_rules(name: str = DEFAULT) -> RuleSet:
    """Return a shipped rule set.

    Raises
    ------
    RuleSetError
        If there is none of this name, or its numbers contradict each other.
    """
    folder = files("asterism.graph.association") / "rules"
    known = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if name not in known:
        raise RuleSetError(f"there is no rule set {name!r:.60}", hint=f"known: {', '.join(known)}")
    return parse_rules(tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8")))


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
            level=float(values["level"]),
            max_links=int(values["max_links"]),
            draws=int(values["draws"]),
            cuts=Cuts(**values["cuts"] | {"catalogue_classes": tuple(values["cuts"]["catalogue_classes"])}),
            background=BackgroundRule(**values["background"]),
            kinds={name: _kind(kind) for name, kind in values["kinds"].items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RuleSetError(f"the rule set is malformed: {error!r}") from error
    for name, kind in rules.kinds.items():
        total = sum(component.weight for component in kind.time)
        if abs(total - 1.0) > 1e-9 or any(c.end <= c.start or c.weight <= 0 for c in kind.time):
            raise RuleSetError(f"the time prior of {name} is no density: its weights sum to {total}")
        total = sum(law.weight for law in kind.fade.signal)
        if abs(total - 1.0) > 1e-9 or any(x.law not in FADE_LAWS or x.sigma <= 0 for x in kind.fade.signal):
            raise RuleSetError(f"the fade prior of {name} is no density: its weights sum to {total}")
    return rules


def _kind(values: dict[str, Any]) -> Kind:
    time = tuple(
        TimeComponent(float(c["weight"]), float(c["from"]), float(c["to"]), float(c["index"])) for c in values["time"]
    )
    fade = values["fade"]
    laws = tuple(
        FadeLaw(float(law["weight"]), str(law["law"]), float(law["mean"]), float(law["sigma"]))
        for law in fade["signal"]
    )
    spread = Fade(laws, float(fade["background_mean"]), float(fade["background_sigma"]))
    return Kind(p_optical=float(values["p_optical"]), time=time, fade=spread, p_again=float(values["p_again"]))
