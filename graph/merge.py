"""How an object's state follows from its alerts, whatever the order and however often each is delivered.

`ObjectState` is a join semilattice: `ObjectState.of` makes the state one alert implies, `ObjectState.join`
combines two and is associative, commutative and idempotent. So shuffled, late and repeated deliveries end in
the same state. Easy to get wrong, hence the rules:

- There is no counting: the number of detections is the survey's own counter.
- "Earliest" and "latest" are by (mjdTai, sourceId, content hash). The hash decides between two packets of one
  alert that differ, so even these leave one state.
- **Restricted alerts must not show through.** A state that has seen a public alert forgets everything it knew
  from restricted ones, and a public state ignores them: no position, time or magnitude of a public object
  stems from an alert that not everybody may see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from asterism.records import SCIENCE

SCIENCE_NAMES = tuple(field.name for field in SCIENCE)
"""Columns that make up the content of an alert, in the order `content_hash` reads them."""

_WIDTH = 20  # digits of 2**64 - 1


class First(NamedTuple):
    """The earliest alert: it gives the object its position, so that the indexed key hardly ever changes."""

    mjd_tai: float
    order: str
    ra: float
    dec: float
    hpx29: int


class Last(NamedTuple):
    """The latest alert."""

    mjd_tai: float
    order: str
    alert_key: str
    band: str | None
    mag: float | None
    flux: float | None


class ObjectState(NamedTuple):
    """What the alerts seen so far say about an object.

    Times are MJD TAI, positions ICRS [deg], magnitudes AB, fluxes [nJy].
    """

    public: bool
    first: First
    last: Last
    first_mjd_tai: float
    provisional: bool
    n_detections: int | None
    brightest_mag: float | None

    @classmethod
    def of(cls, row: dict[str, Any], content: str) -> ObjectState:
        """Return the state a single alert implies.

        Parameters
        ----------
        row : dict
            A row of `asterism.records.DETECTION`; floats are finite or None.
        content : str
            Its `content_hash`.
        """
        mjd, order = row["mjdTai"], f"{row['sourceId']:0>{_WIDTH}}{content}"
        survey_first = row["firstMjdTai"]
        return cls(
            public=row["public"],
            first=First(mjd, order, row["ra"], row["dec"], row["hpx29"]),
            last=Last(mjd, order, row["alertKey"], row["band"], row["mag"], row["flux"]),
            first_mjd_tai=mjd if survey_first is None else min(mjd, survey_first),
            provisional=survey_first is None,
            n_detections=row["nDetections"],
            brightest_mag=row["mag"] if row["isPositive"] else None,
        )

    def join(self, other: ObjectState) -> ObjectState:
        """Return the state both imply together."""
        if self.public != other.public:
            return self if self.public else other
        return ObjectState(
            public=self.public,
            first=min(self.first, other.first, key=_when),
            last=max(self.last, other.last, key=_when),
            first_mjd_tai=min(self.first_mjd_tai, other.first_mjd_tai),
            provisional=self.provisional and other.provisional,
            n_detections=_known(max, self.n_detections, other.n_detections),
            brightest_mag=_known(min, self.brightest_mag, other.brightest_mag),
        )


def content_hash(values: Sequence[Any]) -> str:
    """Return 16 hexadecimal digits that stand for the content of an alert.

    Parameters
    ----------
    values : sequence
        The values of `SCIENCE_NAMES`, in that order: text, int, float, bool or None.
    """
    return hashlib.blake2b(repr(tuple(values)).encode(), digest_size=8).hexdigest()


def _when(moment: First | Last) -> tuple[float, str]:
    return moment[:2]


def _known(choose: Any, one: Any, two: Any) -> Any:
    """Choose between two values of which either may be unknown."""
    if one is None or two is None:
        return two if one is None else one
    return choose(one, two)
