"""Random unrelated objects, from which the chance counts are made.

An object off source, with its time and all it does, is put anywhere in the region. What scores high is rare: so half of
the places are drawn where the event's density is high and half of the objects where the time prior is, and each draw
counts for as many objects as it stands for (importance sampling from a mixture; weights are at most 4). Times are not
smoothed: clouds and moonlight come over the region as they come over what surrounds it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.acceptance import Acceptance
from asterism.graph.association.background import Background
from asterism.graph.association.prior import time_density
from asterism.graph.association.regions import EventRegion
from asterism.graph.association.rules import Kind
from asterism.graph.association.sample import ObjectSample, surveys
from asterism.sky.healpix import N_CELLS, SKY_DEG2, centers

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SPARE = 10
"""Places drawn for each one kept."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Unrelated objects at random, all arrays of one length.

    Attributes
    ----------
    ra, dec : ndarray
        Where they were put, ICRS [deg].
    hpx29 : ndarray of int64
        Its order-29 cell.
    delay : ndarray
        First detections [d after t0].
    objects : ObjectSample or None
        What they do, at the place they were put; None where the background was not measured.
    rate : ndarray
        Background of each one's survey at its place [deg^-2 d^-1].
    weight : ndarray
        How many unrelated objects each stands for.
    place_weight : ndarray
        What makes the places alone uniform over the region; 1 in the mean.
    distinct : int or None
        How many different objects they were drawn from; None where the background was not measured.
    """

    ra: Floats
    dec: Floats
    hpx29: Ints
    delay: Floats
    objects: ObjectSample | None
    rate: Floats
    weight: Floats
    place_weight: Floats
    distinct: int | None = None


def draw_unrelated(
    region: EventRegion, place: Acceptance, kind: Kind, background: Background, draws: int, seed: str
) -> Draws:
    """Draw unrelated objects over a region and window.

    Parameters
    ----------
    region : EventRegion
        Where and when; it may be empty.
    place : Acceptance
        Where candidates are accepted; draws elsewhere stand for none.
    kind : Kind
        Time prior.
    background : Background
        Rates, and the objects to draw from.
    draws : int
        How many.
    seed : str
        Draws with the same seed are the same.
    """
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    if not region.lo.size:
        none = np.empty(0)
        return Draws(none, none, np.empty(0, np.int64), none, None, none, none, none)
    cell, ra, dec, place_weight = _places(rng, region, place, draws)
    area = region_area(region)
    off = background.off_source
    if off is None:
        delay = rng.uniform(region.start - region.t0, region.end - region.t0, draws)
        rate = np.full(draws, background.rate)
        weight = rate * area * (region.end - region.start) / draws * place_weight
        return Draws(ra, dec, cell, delay, None, rate, weight, place_weight)
    who, delay, time_weight = _times(rng, background, kind, draws)
    drawn = replace(off.select(who), ra=ra, dec=dec, hpx29=cell)
    names = surveys(off)
    unique, which = np.unique(names, return_inverse=True)
    share = (np.bincount(which, minlength=unique.size) / names.size)[which][who]
    rate = background.rate_at(cell, names[who])
    weight = rate / share * area * background.days / draws * place_weight * time_weight
    return Draws(ra, dec, cell, delay, drawn, rate, weight, place_weight, len(off))


def region_area(region: EventRegion) -> float:
    """Return the area of the region's ranges [deg2]; an order-29 cell is 4 pi / (12 x 4^29) sr."""
    return float(np.sum((region.hi - region.lo).astype(np.float64)) * SKY_DEG2 / N_CELLS)


def _places(
    rng: np.random.Generator, region: EventRegion, place: Acceptance, draws: int
) -> tuple[Ints, Floats, Floats, Floats]:
    """Return cells and positions [deg] in the region, and the weight that makes them uniform where accepted."""
    length = (region.hi - region.lo).astype(np.float64)
    many = _SPARE * draws
    chosen = rng.choice(region.lo.size, many, p=length / length.sum())
    cell = region.lo[chosen] + (rng.random(many) * length[chosen]).astype(np.int64)
    ra, dec = centers(cell)
    kept, weight = _half_and_half(rng, place.density(ra, dec), draws)
    return cell[kept], ra[kept], dec[kept], np.where(place.inside(ra[kept], dec[kept]), weight, 0.0)


def _times(rng: np.random.Generator, background: Background, kind: Kind, draws: int) -> tuple[Ints, Floats, Floats]:
    """Return which off-source objects, when they were first seen [d after t0], and the weight of chance."""
    prior = time_density(background.delay, kind.time) / background.unevenness(background.delay)
    kept, weight = _half_and_half(rng, prior, draws)
    return kept, background.delay[kept], weight


def _half_and_half(rng: np.random.Generator, wanted: Floats, draws: int) -> tuple[Ints, Floats]:
    """Choose half of `draws` among draws of a density q at random, half in proportion to p / q = `wanted`.

    Returns their numbers, and the weights q / (q / 2 + p / 2), which make them draws of q again.
    """
    mean = float(wanted.mean())
    ratio = wanted / mean if mean > 0.0 else np.ones(wanted.shape)
    half = draws // 2
    plain = rng.choice(wanted.size, draws - half)
    likely = rng.choice(wanted.size, half, p=ratio / ratio.sum())
    kept = np.concatenate([plain, likely])
    rng.shuffle(kept)
    return kept, 1.0 / (0.5 + 0.5 * ratio[kept])
