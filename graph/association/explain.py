"""Why an object is, or was, a candidate of an event: every factor with its data and where they come from, in words.

Pure: from rows of the graph to words and numbers, for the command line and the API alike. The factors multiply to L,
their logarithms add to log L; a factor whose datum is missing is shown, and says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asterism.graph.posterior import Posterior, p_none, posterior
from asterism.graph.rows import EventRow, LinkRow, LocalizationRow, ObjectRow
from asterism.times import mjd_tai_to_iso


@dataclass(frozen=True)
class Host:
    """A catalogued source an object was matched with.

    Attributes
    ----------
    key, source_class : str
        catalogue:release:id, and its coarse class.
    separation_arcsec : float or None
        Angle between them.
    distance_mpc : float or None
        Its luminosity distance.
    module, version : str and int or None
        What matched them.
    """

    key: str
    source_class: str
    separation_arcsec: float | None
    distance_mpc: float | None
    module: str | None
    version: int | None


@dataclass(frozen=True)
class Case:
    """What the graph holds of one candidate: the input of `explain`.

    Attributes
    ----------
    event, link, target : EventRow, LinkRow, ObjectRow
        The event, the link and the object.
    localization : LocalizationRow or None
        Under which the link was scored.
    mission, notice_key : str or None
        Who published it, in which notice.
    rank, candidates : int
        Place among the event's open links of this rule set (1 is the best), and how many there are.
    hosts : sequence of Host
        Catalogue matches of the object, nearest first.
    """

    event: EventRow
    link: LinkRow
    target: ObjectRow
    localization: LocalizationRow | None
    mission: str | None
    notice_key: str | None
    rank: int
    candidates: int
    hosts: Sequence[Host]


@dataclass(frozen=True)
class Factor:
    """One factor of L.

    Attributes
    ----------
    name : str
        Name of the term.
    log_value, value : float or None
        Natural log of the factor and the factor itself; None if its datum is missing.
    words : str
        What it says, with numbers and units.
    data : dict
        The numbers it was made from, with units in their names.
    source : str
        Where the datum comes from.
    version : str
        Version of what made it: rule set, module, notice.
    """

    name: str
    log_value: float | None
    value: float | None
    words: str
    data: dict[str, Any]
    source: str
    version: str


@dataclass(frozen=True)
class Explanation:
    """Why one object is a candidate of one event.

    Attributes
    ----------
    object, event, rule_set, localization : str
        Keys.
    sentence : str
        All in one sentence.
    open : bool
        Whether it is believed now.
    log_l : float
        Natural log of L.
    posterior : Posterior or None
        P for q, q / 3 and 3 q; None if it has no meaning (closed link, retracted event).
    p_none, q : float or None
        Probability that none of the candidates is the counterpart, and the prior.
    rank, candidates : int
        Place among the open links.
    n_chance, n_chance_area : float or None
        Unrelated objects expected to score as well; expected in the searched area until now.
    factors : tuple of Factor
        In the order in which they are shown.
    history : tuple of str
        First and last detection, last non-detection, vetting, and what became of the link.
    """

    object: str
    event: str
    rule_set: str
    localization: str
    sentence: str
    open: bool
    log_l: float
    posterior: Posterior | None
    p_none: float | None
    q: float | None
    rank: int
    candidates: int
    n_chance: float | None
    n_chance_area: float | None
    factors: tuple[Factor, ...]
    history: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def explain(case: Case) -> Explanation:
    """Say in words and numbers why the object of a case is a candidate of its event."""
    link, event = case.link, case.event
    belief = posterior(event, link)
    return Explanation(
        object=case.target.key,
        event=event.key,
        rule_set=link.rule_set,
        localization=link.localization,
        sentence=_sentence(case, belief),
        open=link.open,
        log_l=link.log_l,
        posterior=belief,
        p_none=p_none(event),
        q=event.q,
        rank=case.rank,
        candidates=case.candidates,
        n_chance=link.n_chance,
        n_chance_area=link.n_chance_area,
        factors=tuple(_factor(case, name, words) for name, words in _WORDS.items()),
        history=tuple(_history(case)),
    )


def text(explanation: Explanation) -> str:
    """Return an explanation as lines for a terminal."""
    said = explanation
    lines = [said.sentence, ""]
    for factor in said.factors:
        value = "   unknown" if factor.value is None else f"x {factor.value:8.3g}"
        log = " " * 9 if factor.log_value is None else f"({factor.log_value:+7.2f})"
        lines.append(f"  {factor.name:<12} {value:>10} {log}  {factor.words}")
        lines.append(f"  {'':<12} {'':>10} {'':9}  from {factor.source}; {factor.version}")
    lines.append(f"  {'L':<12} {_number(math.exp(min(said.log_l, 700.0))):>10} ({said.log_l:+7.2f})")
    if said.posterior is not None and said.q is not None and said.p_none is not None:
        lines.append(
            f"\n  P = {said.posterior.value:.3f} for the prior q = {said.q:.3g} "
            f"({said.posterior.low:.3f} for q / 3, {said.posterior.high:.3f} for 3 q); "
            f"P(none of the candidates) = {said.p_none:.3f}"
        )
    if said.n_chance is not None:
        area = "" if said.n_chance_area is None else f"; {_number(said.n_chance_area)} in the searched area until now"
        lines.append(f"  By chance {_number(said.n_chance)} unrelated objects score as well{area}")
    return "\n".join([*lines, "", *(f"  {line}" for line in said.history)])


def _sentence(case: Case, belief: Posterior | None) -> str:
    link, event = case.link, case.event
    who = f"{case.target.key} is candidate {case.rank} of {case.candidates} for {event.key}"
    if not link.open:
        return f"{case.target.key} was a candidate for {event.key} until {_time(link.closed_mjd_tai)} UTC."
    how = "" if belief is None else f" with P = {belief.value:.2f}"
    return f"{who}{how}, by rule set {link.rule_set} under localization {link.localization}."


def _factor(case: Case, name: str, words: Callable[[Case], _Said]) -> Factor:
    log_value = getattr(case.link, f"log_{name}")
    said = words(case)
    value = None if log_value is None else math.exp(min(log_value, 700.0))
    return Factor(name, log_value, value, said.words, said.data, said.source, said.version)


@dataclass(frozen=True)
class _Said:
    words: str
    data: dict[str, Any]
    source: str
    version: str


def _position(case: Case) -> _Said:
    link, where = case.link, case.localization
    density = None if link.log_position is None else math.exp(link.log_position)
    data = {
        "credible_level": link.level,
        "searched_area_deg2": link.searched_area_deg2,
        "density_deg-2": density,
        "ra_deg": case.target.ra,
        "dec_deg": case.target.dec,
        "kind": None if where is None else where.kind,
        "area90_deg2": None if where is None else where.area90,
    }
    words = (
        f"the {_kind(where)} gives {_number(density)} per deg2 here; it is inside the "
        f"{_percent(link.level)} region, and {_number(link.searched_area_deg2)} deg2 are denser"
    )
    return _Said(words, data, f"notice {case.mission or '?'} {(case.notice_key or '?')[:16]}", link.localization)


def _time_term(case: Case) -> _Said:
    link = case.link
    data = {"delay_days": link.delay_days, "first_detection_mjd_tai": link.first_detection_mjd_tai}
    words = "when it was first detected is not known"
    if link.delay_days is not None:
        side = "after" if link.delay_days >= 0 else "before"
        per_day = "" if link.log_time is None else f"; the prior over the background's shape is {_per_day(link)} per d"
        words = f"first detected {abs(link.delay_days):.3g} d {side} the event{per_day}"
    return _Said(words, data, f"alerts of {case.target.survey}", f"time prior of {link.rule_set}")


def _background(case: Case) -> _Said:
    event, known = case.event, case.link.known_class
    measured = bool(event.background_measured)
    rate = event.background_rate if case.link.background_rate is None else case.link.background_rate
    data = {
        "rate_deg-2_d-1" if known is None else "sources_deg-2": rate,
        "measured": measured,
        "objects": event.background_objects,
    }
    if known is not None:
        words = f"it is a known {known}, of which there are {_number(rate)} per deg2"
        return _Said(words, data, f"rule set {case.link.rule_set}", case.link.rule_set)
    how = f"measured off-source from {event.background_objects} objects" if measured else "an assumed constant"
    words = f"unrelated objects that pass the same cuts: {_number(rate)} per deg2 and day here, {how}"
    source = "alerts of the lake outside the region" if measured else "rule set (fallback)"
    return _Said(words, data, source, case.link.rule_set)


def _fade(case: Case) -> _Said:
    link = case.link
    data = {"fade_rate_mag_d": link.fade_rate, "fade_rate_err_mag_d": link.fade_rate_err}
    words = "fewer than two detections in one band: nothing is known of its fading"
    if link.fade_rate is not None:
        trend = "fades" if link.fade_rate >= 0 else "brightens"
        error = "" if link.fade_rate_err is None else f" +- {link.fade_rate_err:.2g}"
        words = f"it {trend} by {abs(link.fade_rate):.2g}{error} mag/d"
    return _Said(words, data, f"alerts of {case.target.survey}", f"fade laws of {link.rule_set}")


def _persistence(case: Case) -> _Said:
    link = case.link
    lasted = None
    if link.first_detection_mjd_tai is not None and link.last_detection_mjd_tai is not None:
        lasted = link.last_detection_mjd_tai - link.first_detection_mjd_tai
    data = {"detections": link.detections, "lasted_days": lasted}
    words = f"{link.detections} detections over {_number(lasted)} d"
    if link.log_persistence is None:
        words += ": too early to say whether it stays"
    return _Said(words, data, f"alerts of {case.target.survey}", link.rule_set)


def _distance(case: Case) -> _Said:
    link, where = case.link, case.localization
    host = next((h for h in case.hosts if h.distance_mpc is not None and h.source_class == "galaxy"), None)
    mean = None if where is None else where.distance_mpc
    data = {
        "host": None if host is None else host.key,
        "host_distance_mpc": None if host is None else host.distance_mpc,
        "host_separation_arcsec": None if host is None else host.separation_arcsec,
        "event_distance_mpc": mean,
    }
    if host is None:
        return _Said("no host galaxy of known distance", data, "catalogues", link.rule_set)
    there = "the event has no distance" if mean is None else f"the event's mean is {mean:.0f} Mpc"
    words = f"nearest galaxy {_number(host.separation_arcsec)} arcsec away at {_number(host.distance_mpc)} Mpc; {there}"
    return _Said(words, data, host.key, f"match {host.module} v{host.version}")


def _coincidence(case: Case) -> _Said:
    words = "no other event coincides with this one"
    if case.link.log_coincidence is not None:
        words = "where the events that coincide with this one are, taken together"
    return _Said(words, {}, "localizations of the coincident events", case.link.rule_set)


_WORDS: dict[str, Callable[[Case], _Said]] = {
    "position": _position,
    "time": _time_term,
    "background": _background,
    "fade": _fade,
    "persistence": _persistence,
    "distance": _distance,
    "coincidence": _coincidence,
}
"""What is said of each term of log L."""


def _history(case: Case) -> list[str]:
    link = case.link
    lines = [
        f"first detection {_time(link.first_detection_mjd_tai)}, last {_time(link.last_detection_mjd_tai)} (UTC); "
        + _missed(link)
    ]
    if link.prior_activity:
        lines.append("it was active before the event")
    lines.append(f"believed since {_time(link.opened_mjd_tai)} UTC")
    if not link.open:
        lines.append(f"given up at {_time(link.closed_mjd_tai)} UTC because of: {link.closed_because}")
    if link.vetted_by is not None:
        lines.append(f"vetted as {link.vetting} by {link.vetted_by}: {link.vetted_because}")
    else:
        lines.append(f"vetting: {link.vetting}")
    return lines


def _missed(link: LinkRow) -> str:
    if link.last_non_detection_mjd_tai is None:
        return "no earlier exposure of the place is known"
    limit = link.last_non_detection_limit_mag
    deep = "" if limit is None else f" to {limit:.1f} mag"
    return f"not seen at {_time(link.last_non_detection_mjd_tai)}{deep}"


def _kind(where: LocalizationRow | None) -> str:
    return {"skymap": "sky map", "circle": "error circle"}.get((where.kind or "") if where else "", "localization")


def _time(mjd_tai: float | None) -> str:
    return "at an unknown time" if mjd_tai is None else mjd_tai_to_iso(mjd_tai)[:19].replace("T", " ")


def _percent(level: float | None) -> str:
    return "?" if level is None else f"{100.0 * level:.1f} %"


def _per_day(link: LinkRow) -> str:
    return _number(None if link.log_time is None else math.exp(min(link.log_time, 700.0)))


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"
