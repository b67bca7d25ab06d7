"""Decoys: what is like a counterpart in all but one thing, so that a night shows what each kind of evidence is worth.

Each event with a counterpart gets a few. *Late* ones lie where the localization is dense but begin at the wrong time;
*outlying* ones begin with the event but lie where it is thin. Their hosts are as far away as the counterpart's. In the
real sky all that is rare; here they are planted, and nothing marks them: association knows them from the counterpart
only by time or place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asterism.simulate.events import SimulatedEvent
from asterism.simulate.lightcurves import Kind
from asterism.simulate.sky import Objects, Patch

LATE, OUTLYING = 5, 3
"""Decoys of either sort an event."""
_DENSE, _THIN = (0.0, 0.25), (0.90, 0.98)
"""Credible levels at which they lie."""
_TRIES = 20_000


@dataclass(frozen=True)
class _Sort:
    """A sort of decoy: epoch relative to the event [d], stretch and credible level are drawn from ranges."""

    kind: Kind
    epoch: tuple[float, float]
    shape: tuple[float, float]
    level: tuple[float, float]
    number: int


_SORTS = {
    "gw": (
        _Sort(Kind.FAST_TRANSIENT, (2.2, 3.8), (1.05, 1.25), _DENSE, LATE),
        _Sort(Kind.FAST_TRANSIENT, (-0.1, 0.3), (1.05, 1.25), _THIN, OUTLYING),
    ),
    "grb": (
        _Sort(Kind.DWARF_NOVA, (1.5, 3.5), (0.85, 1.0), _DENSE, LATE),
        _Sort(Kind.AFTERGLOW, (-0.1, 0.1), (0.9, 1.25), _THIN, OUTLYING),
    ),
    "neutrino": (
        _Sort(Kind.NUCLEAR_FLARE, (-12.0, -4.0), (0.8, 1.25), _DENSE, LATE),
        _Sort(Kind.TDE, (-100.0, -40.0), (0.9, 1.25), _THIN, OUTLYING),
    ),
}


def draw_decoys(rng: np.random.Generator, event: SimulatedEvent, patch: Patch) -> Objects:
    """Draw the decoys of an event, about as bright as its counterpart; none for an event without one.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every draw.
    event : SimulatedEvent
        The event; its last localization says what is dense and thin.
    patch : Patch
        The sky around it.
    """
    truth, parts = event.counterpart, [Objects.of(Kind.AFTERGLOW, *(np.empty(0) for _ in range(5)))]
    if truth is None:
        return parts[0]
    ra, dec = patch.draw(rng, _TRIES)
    level = event.localizations[-1].credible_level(ra, dec)
    for sort in _SORTS[event.kind]:
        there = np.flatnonzero((level > sort.level[0]) & (level < sort.level[1]))[: sort.number]
        n = len(there)
        epoch = event.t0_mjd_tai + rng.uniform(*sort.epoch, n)
        mag = truth.mag + rng.uniform(-0.5, 0.2, n)
        parts.append(Objects.of(sort.kind, ra[there], dec[there], epoch, mag, rng.uniform(*sort.shape, n)))
    return Objects.join(parts)
