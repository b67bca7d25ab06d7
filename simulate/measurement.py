"""What the simulator says happened, before a survey writes it down in its own units.

Times are MJD TAI: the start of the exposure for ZTF, its midpoint for LSST, as each survey reports them.
Fluxes are signed AB fluxes on the difference image [nJy]; a negative one is a source fainter than in the
template.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

AB_ZERO_POINT = 31.4
"""AB magnitude of 1 nJy (Oke & Gunn 1983 in the units LSST uses: 3631 Jy at magnitude 0)."""

MAG_PER_RELATIVE_FLUX = 2.5 / math.log(10.0)


@dataclass(frozen=True, slots=True)
class SimulatedDetection:
    """One detection on a difference image, the subject of one alert or a line of its history.

    Parameters
    ----------
    object_id : str or None
        The survey's own object id; None for an LSST alert of a Solar System object, which has no diaObject.
    source_id : int
        candid or diaSourceId, 64 bits.
    ra, dec : float
        Measured position, ICRS [deg].
    mjd_tai : float
        MJD TAI.
    band : str
        g r i for ZTF, u g r i z y for LSST.
    flux, flux_err : float
        Signed difference flux and its 1 sigma [nJy]; flux is not 0.
    program_id : int
        ZTF programid: 1 public, 2 and 3 restricted.
    reliability : float
        Real/bogus score, 0 .. 1.
    ss_object_id : str, optional
        LSST: the decimal ssObjectId. ZTF: the name of the nearest known Solar System object.
    ss_distance : float, optional
        Distance to that object [arcsec].
    """

    object_id: str | None
    source_id: int
    ra: float
    dec: float
    mjd_tai: float
    band: str
    flux: float
    flux_err: float
    program_id: int = 1
    reliability: float = 0.95
    ss_object_id: str | None = None
    ss_distance: float | None = None


@dataclass(frozen=True, slots=True)
class UpperLimit:
    """An exposure that covered the position and saw nothing: MJD TAI, band, 5 sigma limit [AB mag]."""

    mjd_tai: float
    band: str
    limit_mag: float


@dataclass(frozen=True, slots=True)
class ForcedFlux:
    """A flux at the object's position, detected or not: MJD TAI, band, signed flux and 1 sigma [nJy]."""

    mjd_tai: float
    band: str
    flux: float
    flux_err: float


@dataclass(frozen=True, slots=True)
class Older:
    """What ZTF still counts of an object but no longer lists: detections and limits before the history's window."""

    first_mjd_tai: float | None = None
    """First detection, if there was any, MJD TAI."""
    n_detections: int = 0
    n_limits: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """What a packet tells of the past of its object; none of it later than the detection it travels with."""

    detections: tuple[SimulatedDetection, ...] = ()
    limits: tuple[UpperLimit, ...] = ()
    forced: tuple[ForcedFlux, ...] = ()
    older: Older = Older()


def ab_magnitude(flux: float) -> float:
    """Return the AB magnitude of the absolute value of a flux [nJy]."""
    return AB_ZERO_POINT - 2.5 * math.log10(abs(flux))


def magnitude_error(flux: float, flux_err: float) -> float:
    """Return 1 sigma of the magnitude, to first order in flux_err / flux."""
    return MAG_PER_RELATIVE_FLUX * flux_err / abs(flux)


def limiting_magnitude(flux_err: float) -> float:
    """Return the 5 sigma limiting AB magnitude where point sources have the error `flux_err` [nJy]."""
    return ab_magnitude(5.0 * flux_err)
