"""Events that may be one source: odds, joint false-alarm rate, and what a shared counterpart gains.

Of two events within a window of each other, one of the two hypotheses is that both are one source. Then the second
falls into the window of W seconds with probability pi and at the same place; unrelated ones fall into it at the rate R
and anywhere, so that the odds are::

    odds = pi I_Omega / (R W),    I_Omega = 4 pi integral p1 p2 dOmega

(Ashton et al. 2018, ApJ 860, 6, for I_Omega; flat in time within the window.) RAVEN states a rate instead (Urban 2016;
ligo-raven documentation, "Joint FAR calculation")::

    untargeted: FAR_c = FAR_1 R_2 W / I_Omega
    targeted:   FAR_c = Z / I_Omega (1 + ln(Z_max / Z)),   Z = FAR_1 FAR_2 W

For a confident event FAR_1 is far below the rate of true events of its class, every one of which can meet an unrelated
partner: so FAR_1 is raised to that rate. (S241125n: the claim went from one in a thousand years to one in six; GCN
Circular 38356.)

A counterpart of both is expected where both densities are high. With the probability w that the events are one source,
the density of the counterpart of event 1 is (1 - w) p1 + w p12, p12 the normalised product; over p1 that is the term::

    coincidence = ln(1 - w + w 4 pi p2 / I_Omega)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.events import ActiveEvent, Partner
from asterism.graph.association.pair_rules import CoincidenceRule, PairRule
from asterism.sky.healpix import SKY_DEG2
from asterism.sky.localization import Localization
from asterism.sky.overlap import overlap_integral
from asterism.sky.product import product

Floats = NDArray[np.float64]

SECONDS_PER_YEAR = 365.25 * 86400.0
_DAY = 86400.0


@dataclass(frozen=True)
class Coincidence:
    """Two events that may be one source, in the order of their rule.

    Attributes
    ----------
    first, second : str
        Keys of the events.
    localizations : tuple of str
        Their localizations.
    offset_s : float
        Time of the second minus that of the first [s].
    window_s : float
        Width of the window [s].
    overlap : float
        I_Omega.
    odds : float
        Odds that both are one source.
    far_hz : float
        Joint false-alarm rate [Hz].
    floored : bool
        The first one's false-alarm rate was raised to the rate of true events of its class, or not known.
    """

    first: str
    second: str
    localizations: tuple[str, str]
    offset_s: float
    window_s: float
    overlap: float
    odds: float
    far_hz: float
    floored: bool

    @property
    def probability(self) -> float:
        """Probability that both are one source."""
        return self.odds / (1.0 + self.odds)


def joint_odds(overlap: float, window_s: float, rate_hz: float, p_joint: float) -> float:
    """Return the odds that two events within a window are one source.

    Parameters
    ----------
    overlap : float
        I_Omega.
    window_s : float
        Width of the window [s].
    rate_hz : float
        Rate of unrelated events of the second kind, whole sky [Hz].
    p_joint : float
        Probability that an event of the first kind has one of the second.
    """
    return p_joint * overlap / (rate_hz * window_s)


def untargeted_far(far_hz: float, rate_hz: float, window_s: float, overlap: float) -> float:
    """Return RAVEN's joint false-alarm rate [Hz] for an external search that does not know of the event.

    Parameters
    ----------
    far_hz : float
        False-alarm rate of the first event [Hz], floored (`floored_far`).
    rate_hz : float
        Rate of external events [Hz].
    window_s : float
        Width of the window [s].
    overlap : float
        I_Omega; where it is 0 the rate is infinite.
    """
    return far_hz * rate_hz * window_s / overlap if overlap > 0.0 else float("inf")


def targeted_far(far_hz: float, far_ext_hz: float, window_s: float, overlap: float, z_max_hz: float) -> float:
    """Return RAVEN's joint false-alarm rate [Hz] for a search around the event.

    Parameters
    ----------
    far_hz, far_ext_hz : float
        False-alarm rates of both [Hz], the first floored.
    window_s : float
        Width of the window [s].
    overlap : float
        I_Omega; where it is 0 the rate is infinite.
    z_max_hz : float
        Z at the thresholds of both searches [Hz]; a Z above it is taken for it.
    """
    z = min(far_hz * far_ext_hz * window_s, z_max_hz)
    return z / overlap * (1.0 + float(np.log(z_max_hz / z))) if overlap > 0.0 else float("inf")


def true_rate(kind: str, classes: Mapping[str, float], rules: CoincidenceRule) -> float:
    """Return the rate of true events of an event's most probable class [Hz].

    Parameters
    ----------
    kind : str
        Kind of the event.
    classes : mapping
        Probability of each class, as the mission says; noise does not count.
    rules : CoincidenceRule
        Rates a year by kind and class; the class ``any`` serves where none is named.
    """
    known = rules.true_per_year[kind]
    named = {name: p for name, p in classes.items() if name in known}
    best = max(named, key=lambda name: (named[name], name)) if any(named.values()) else "any"
    return known[best] / SECONDS_PER_YEAR


def floored_far(far_hz: float | None, true_hz: float) -> tuple[float, bool]:
    """Return a false-alarm rate no smaller than the rate of true events [Hz], and whether it was raised to it."""
    if far_hz is None or far_hz < true_hz:
        return true_hz, True
    return far_hz, False


def find_coincidences(
    events: Sequence[ActiveEvent], rules: CoincidenceRule, overlaps: dict[tuple[str, str], float] | None = None
) -> list[Coincidence]:
    """Return the pairs of events that may be one source, by keys.

    Parameters
    ----------
    events : sequence of ActiveEvent
        Any order.
    rules : CoincidenceRule
        Windows, rates and the least odds.
    overlaps : dict, optional
        I_Omega by localization keys, filled as they are computed: localizations never change.
    """
    known = {} if overlaps is None else overlaps
    found = []
    ordered = sorted(events, key=lambda event: (event.t0, event.key))
    widest = max((max(abs(p.start_s), abs(p.end_s)) for p in rules.pairs), default=0.0) / _DAY
    for i, one in enumerate(ordered):
        for other in ordered[i + 1 :]:
            if other.t0 - one.t0 > widest:
                break
            pair = _pair(one, other, rules, known)
            if pair is not None and pair.odds >= rules.min_odds:
                found.append(pair)
    return sorted(found, key=lambda pair: (pair.first, pair.second))


def _pair(
    one: ActiveEvent, other: ActiveEvent, rules: CoincidenceRule, known: dict[tuple[str, str], float]
) -> Coincidence | None:
    """Return the coincidence of two events under the first rule that fits them; None if none does."""
    if one.authority == other.authority:
        return None
    for rule in rules.pairs:
        for first, second in sorted([(one, other), (other, one)], key=lambda pair: pair[0].key):
            offset = (second.t0 - first.t0) * _DAY
            if _fits(rule, first, second) and rule.start_s <= offset <= rule.end_s:
                return _coincidence(first, second, offset, rule, rules, known)
    return None


def _fits(rule: PairRule, first: ActiveEvent, second: ActiveEvent) -> bool:
    modelled = any(first.classes.get(name, 0.0) > 0.0 for name in ("BNS", "NSBH", "BBH"))
    return (first.kind, second.kind) == (rule.first, rule.second) and rule.unmodelled in {None, not modelled}


def _coincidence(
    first: ActiveEvent,
    second: ActiveEvent,
    offset: float,
    rule: PairRule,
    rules: CoincidenceRule,
    known: dict[tuple[str, str], float],
) -> Coincidence:
    ends = (first.localization_key, second.localization_key)
    if ends not in known:
        known[ends] = overlap_integral(first.localization, second.localization)
    overlap, window = known[ends], rule.end_s - rule.start_s
    rate = rule.per_year / SECONDS_PER_YEAR
    far, floored = floored_far(first.far_hz, true_rate(first.kind, first.classes, rules))
    targeted = rules.targeted_hz.get(second.authority)
    if targeted is not None and second.far_hz is not None and first.kind in rules.targeted_hz:
        z_max = max(far, rules.targeted_hz[first.kind]) * targeted * window
        joint = targeted_far(far, second.far_hz, window, overlap, z_max)
    else:
        joint = untargeted_far(far, rate, window, overlap)
    odds = joint_odds(overlap, window, rate, rule.p_joint)
    return Coincidence(first.key, second.key, ends, offset, window, overlap, odds, joint, floored)


def with_partners(events: Sequence[ActiveEvent], pairs: Sequence[Coincidence]) -> dict[str, tuple[Partner, ...]]:
    """Return the partners of each event, surest first."""
    by_key = {event.key: event for event in events}
    found: dict[str, list[Partner]] = {event.key: [] for event in events}
    for pair in pairs:
        for own, other in ((pair.first, pair.second), (pair.second, pair.first)):
            event = by_key[other]
            found[own].append(Partner(other, event.localization_key, event.localization, pair.probability))
    return {key: tuple(sorted(ones, key=lambda one: (-one.probability, one.key))) for key, ones in found.items()}


def chains(pairs: Sequence[Coincidence]) -> dict[str, tuple[str, ...]]:
    """Return, for each event of a pair, all events it is linked to by any number of pairs, itself included, sorted."""
    member: dict[str, set[str]] = {}
    for pair in pairs:
        merged = member.get(pair.first, {pair.first}) | member.get(pair.second, {pair.second})
        for key in merged:
            member[key] = merged
    return {key: tuple(sorted(keys)) for key, keys in member.items()}


def joint_overlap(localizations: Sequence[Localization]) -> float:
    """Return ``(4 pi)^(n - 1) integral of p_1 ... p_n dOmega``, the overlap of all n; 0 if two exclude each other."""
    current, found = localizations[0], 1.0
    for number, other in enumerate(localizations[1:], start=2):
        overlap = overlap_integral(current, other)
        found *= overlap
        if overlap <= 0.0:
            return 0.0
        if number < len(localizations):
            current = product(current, other)
    return found


def coincidence_term(localization: Localization, partners: Sequence[Partner], ra: Floats, dec: Floats) -> Floats:
    """Return ln of what coincident events do to the density of the counterpart's place.

    Partners are taken one after the other, each against the product of those before: exact for one, for more if they
    are sure.

    Parameters
    ----------
    localization : Localization
        The event's own.
    partners : sequence of Partner
        Coincident events.
    ra, dec : ndarray
        Places, ICRS [deg].
    """
    term = np.zeros(np.shape(ra))
    current = localization
    for number, partner in enumerate(partners, start=1):
        overlap = overlap_integral(current, partner.localization)
        if overlap <= 0.0:
            continue
        ratio = SKY_DEG2 * partner.localization.density(ra, dec) / overlap
        term = term + np.log1p(partner.probability * (ratio - 1.0))
        if number < len(partners):
            current = product(current, partner.localization)
    return np.asarray(term, dtype=np.float64)
