"""Identifiers built as the surveys build theirs: beyond 2**53, unique in a stream, different for every
seed.

A ZTF object is named by year and seven letters, its candid by night, time and read-out channel. An LSST
diaObject has the id of its first diaSource.
"""

from __future__ import annotations

import string

import numpy as np
from numpy.typing import NDArray

from asterism.simulate.packets_ztf import jd_utc, processing_id

_LETTERS = 7
_NAMES = 26**_LETTERS
_LSST_BASE = 1 << 57
_SEEDS = 1 << 20
_PER_SEED = 1 << 36
_NAMES_PER_SEED = 1_048_583


class Identifiers:
    """The names of everything in one stream.

    Parameters
    ----------
    seed : int
        Seed of the stream.
    lsst_sites : ndarray of int
        Site of every LSST alert in order of time: its first alert gives an object its id.
    year : int
        Last two digits of the year ZTF objects are named after.
    """

    def __init__(self, seed: int, lsst_sites: NDArray[np.int64], year: int = 25) -> None:
        self._seed, self._year = seed % _SEEDS, year
        sites, first = np.unique(lsst_sites, return_index=True)
        self._first_alert = dict(zip(sites.tolist(), first.tolist(), strict=True))

    def ztf_object(self, site: int) -> str:
        """Return the objectId of a site, such as ZTF25aaaaaab."""
        number = (self._seed * _NAMES_PER_SEED + site) % _NAMES
        letters = []
        for _ in range(_LETTERS):
            number, letter = divmod(number, 26)
            letters.append(string.ascii_lowercase[letter])
        return f"ZTF{self._year:02}" + "".join(reversed(letters))

    def candid(self, number: int, mjd_tai: float) -> int:
        """Return the candid of the stream's ZTF alert of this number."""
        return processing_id(jd_utc(mjd_tai), channel=self._seed % 1000) * 10**6 + number % 10**6

    def dia_source(self, number: int) -> int:
        """Return the diaSourceId of the stream's LSST alert of this number."""
        return _LSST_BASE + self._seed * _PER_SEED + number

    def lsst_object(self, site: int) -> str:
        """Return the diaObjectId of a site."""
        return str(self.dia_source(self._first_alert[site]))

    def ss_object(self, number: int) -> str:
        """Return the ssObjectId of the body seen in this LSST alert."""
        return str(_LSST_BASE - _PER_SEED + number // 2)
