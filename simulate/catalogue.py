"""The catalogue that goes with a simulated sky: the stars and AGN that vary, the galaxies things happen in, and more.

Columns: ``catalogue``, ``release``, ``id``, ``ra``, ``dec`` [deg, ICRS], ``class`` (star, agn, galaxy),
``distanceMpc`` (galaxies; null elsewhere) and ``mag`` (r, AB).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from asterism.simulate import gw170817
from asterism.simulate.lightcurves import CATALOGUED, HOSTED, Kind
from asterism.simulate.sky import KINDS, Floats, Objects, Patch, draw_anywhere
from asterism.sky.cone import offset

CATALOGUE = "asterism_sim"

SCHEMA = pa.schema(
    [
        pa.field("catalogue", pa.string(), nullable=False),
        pa.field("release", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("ra", pa.float64(), nullable=False),
        pa.field("dec", pa.float64(), nullable=False),
        pa.field("class", pa.string(), nullable=False),
        pa.field("distanceMpc", pa.float64()),
        pa.field("mag", pa.float64()),
    ]
)

_PEAK_ABSOLUTE = (-18.0, 1.2)
"""Mean and scatter of the absolute magnitude by which the distance of an unrelated transient's host follows from its
peak: thermonuclear supernovae reach -19, core collapse -15 to -18.5 (Richardson et al. 2014, AJ 147, 118)."""
_FAST_ABSOLUTE = (-16.5, 1.0)
"""The same of fast transients: between kilonovae and supernovae (Kasliwal 2012, PASA 29, 482)."""
_HOSTS_KNOWN = 0.6
"""Fraction of transients whose host is in the catalogue."""
_NEAR_HOSTS_KNOWN = 0.85
"""The same for counterparts of known distance, within 250 Mpc."""
_OTHERS = {"star": 4.0, "agn": 0.3, "galaxy": 2.0}
"""Entries nothing happens to [deg-2]."""


def draw_catalogue(
    rng: np.random.Generator,
    patches: list[Patch],
    objects: Objects,
    distances: dict[int, float],
    release: str,
    *,
    ngc4993: bool = False,
) -> pa.Table:
    """Return the catalogue of a night.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every draw.
    patches : list of Patch
        The sky.
    objects : Objects
        What is in it.
    distances : dict
        Known distance [Mpc] of some objects, by their index.
    release : str
        Release of the catalogue.
    ngc4993 : bool
        The host of AT2017gfo is listed where it really is.
    """
    parts = [_catalogued(objects, kind) for kind in CATALOGUED]
    parts += [_hosts(rng, objects, distances, ngc4993), *(_others(rng, patches, name) for name in _OTHERS)]
    if ngc4993:
        _, ra, dec, distance = gw170817.HOST
        parts.append((np.array([ra]), np.array([dec]), "galaxy", np.array([distance]), np.array([12.2])))
    rows = [len(part[0]) for part in parts]
    total = sum(rows)
    columns = {
        "catalogue": [CATALOGUE] * total,
        "release": [release] * total,
        "id": [str(number) for number in range(1, total + 1)],
        "ra": np.concatenate([part[0] for part in parts]),
        "dec": np.concatenate([part[1] for part in parts]),
        "class": [part[2] for part, n in zip(parts, rows, strict=True) for _ in range(n)],
        "distanceMpc": pa.array(np.concatenate([part[3] for part in parts]), from_pandas=True),
        "mag": np.concatenate([part[4] for part in parts]),
    }
    return pa.table(columns, schema=SCHEMA)


Part = tuple[Floats, Floats, str, Floats, Floats]
"""Position, class, distance (NaN for none) and magnitude of some entries."""


def _catalogued(objects: Objects, kind: Kind) -> Part:
    here = objects.kind == KINDS.index(kind)
    unknown = np.full(int(here.sum()), np.nan)
    return objects.ra[here], objects.dec[here], CATALOGUED[kind], unknown, objects.mag[here]


def _hosts(rng: np.random.Generator, objects: Objects, distances: dict[int, float], ngc4993: bool) -> Part:
    """Return galaxies a few arcseconds from what happens in them."""
    hosted = np.isin(objects.kind, [KINDS.index(kind) for kind in HOSTED]) & (rng.random(len(objects)) < _HOSTS_KNOWN)
    near = [i for i in distances if np.isfinite(distances[i])]
    hosted[near] = False if ngc4993 else rng.random(len(near)) < _NEAR_HOSTS_KNOWN
    rows = np.flatnonzero(hosted)
    apart = rng.uniform(0.5, 8.0, len(rows)) / 3600.0
    places = [
        offset(float(objects.ra[i]), float(objects.dec[i]), float(s), float(angle))
        for i, s, angle in zip(rows, apart, rng.uniform(0.0, 360.0, len(rows)), strict=True)
    ]
    fast = objects.kind[rows] == KINDS.index(Kind.FAST_TRANSIENT)
    peak = np.where(fast[:, None], _FAST_ABSOLUTE, _PEAK_ABSOLUTE)
    modulus = objects.mag[rows] - rng.normal(peak[:, 0], peak[:, 1])
    distance = 10.0 ** (modulus / 5.0 - 5.0)
    known = {i: d for i, d in distances.items() if np.isfinite(d)}
    distance = np.array([known.get(int(i), float(d)) for i, d in zip(rows, distance, strict=True)])
    mag = np.clip(-20.0 + 5.0 * np.log10(np.maximum(distance, 1.0)) + 25.0, 8.0, 22.0)
    ra, dec = (np.array([float(p[k]) for p in places]) for k in (0, 1))
    return ra, dec, "galaxy", distance, mag


def _others(rng: np.random.Generator, patches: list[Patch], name: str) -> Part:
    n = round(_OTHERS[name] * sum(patch.area_deg2 for patch in patches))
    ra, dec = draw_anywhere(rng, patches, n)
    distance = 10.0 ** rng.uniform(1.6, 3.0, n) if name == "galaxy" else np.full(n, np.nan)
    return ra, dec, name, distance, rng.uniform(14.0, 20.0, n)
