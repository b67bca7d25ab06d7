"""From a survey's tiles to its packets: each alert with the history its own tile holds."""

from __future__ import annotations

import numpy as np

from asterism.ids import make_key
from asterism.simulate.identifiers import Identifiers
from asterism.simulate.lightcurves import BANDS, Kind
from asterism.simulate.measurement import (
    ForcedFlux,
    History,
    Older,
    SimulatedDetection,
    UpperLimit,
    limiting_magnitude,
)
from asterism.simulate.observe import Ints, Tile
from asterism.simulate.packets_lsst import lsst_packet
from asterism.simulate.packets_ztf import ztf_packet
from asterism.simulate.sky import KINDS
from asterism.simulate.stream import Message
from asterism.simulate.survey import Observatory
from asterism.simulate.truth import MessageTruth, Outcome
from asterism.simulate.wire_lsst import OWN_WIRE, LsstWire

_PRECOVERY_DAYS = 30.0
"""How far before its first detection LSST measures an object [d]."""
_MOST_FORCED = {"ztf": 20, "lsst": 300}


class Alerts:
    """Makes the messages of one survey.

    Parameters
    ----------
    observatory : Observatory
        The survey.
    tiles : list of Tile
        What it saw, numbered (`observe.number`).
    names : Identifiers
        Names of everything.
    twins : ndarray of int
        Sites the other survey detected too, sorted.
    wire : LsstWire
        How LSST packets are written.
    """

    def __init__(
        self, observatory: Observatory, tiles: list[Tile], names: Identifiers, twins: Ints, wire: LsstWire = OWN_WIRE
    ) -> None:
        self._spec, self._tiles, self._names = observatory, tiles, names
        self._wire = wire
        self._twins = set(twins.tolist())
        self._made: dict[int, SimulatedDetection] = {}
        self._limits = [_limits(tile) for tile in tiles]

    def message(self, place: int, row: int, column: int) -> Message:
        """Return the message of one detection: index of the tile, row and column in it."""
        survey, site = self._spec.name, int(self._tiles[place].site[row])
        detection = self.detection(place, row, column)
        history = self._history(place, row, column)
        packet = ztf_packet(detection, history) if survey == "ztf" else self._lsst_packet(detection, history)
        name = detection.object_id
        truth = MessageTruth(
            Outcome.ALERT,
            make_key(survey, detection.source_id),
            None if name is None else make_key(survey, name),
            None if name is None or site not in self._twins else self.object_key(site, other=True),
        )
        return Message(survey, (name or f"ss{detection.ss_object_id}").encode(), packet, truth)

    def _lsst_packet(self, detection: SimulatedDetection, history: History) -> bytes:
        return self._wire.packet(lsst_packet(detection, history))

    def object_key(self, site: int, *, other: bool = False) -> str:
        """Return the key of the object at a site in this survey, or in the other one."""
        if (self._spec.name == "ztf") is not other:
            return make_key("ztf", self._names.ztf_object(site))
        return make_key("lsst", self._names.lsst_object(site))

    def detection(self, place: int, row: int, column: int) -> SimulatedDetection:
        """Return one detection as the survey reports it, the same in its own packet and in later histories."""
        tile = self._tiles[place]
        number = int(tile.source_id[row, column])
        if number not in self._made:
            self._made[number] = self._make(tile, row, column, number)
        return self._made[number]

    def _make(self, tile: Tile, row: int, column: int, number: int) -> SimulatedDetection:
        ztf = self._spec.name == "ztf"
        mjd, dec = float(tile.visits.mjd_tai[column]), float(tile.dec[row])
        site, body = int(tile.site[row]), int(tile.body[row])
        moving = KINDS[int(tile.kind[row])] is Kind.ASTEROID
        ra = float(tile.ra[row]) + float(tile.east[row, column]) / float(np.cos(np.radians(dec)))
        ss_name = str(body + 1) if ztf else self._names.ss_object(2 * body)
        name = self._names.ztf_object(site) if ztf else None if moving else self._names.lsst_object(site)
        return SimulatedDetection(
            object_id=name,
            source_id=self._names.candid(number, mjd) if ztf else self._names.dia_source(number),
            ra=ra % 360.0,
            dec=dec + float(tile.north[row, column]),
            mjd_tai=mjd,
            band=BANDS[int(tile.visits.band[column])],
            flux=float(tile.flux[row, column]),
            flux_err=float(tile.visits.flux_err[column]),
            reliability=float(tile.reliability[row, column]),
            ss_object_id=ss_name if moving else None,
            ss_distance=float(tile.body_distance[row]) if moving else None,
        )

    def _history(self, place: int, row: int, column: int) -> History:
        tile, spec = self._tiles[place], self._spec
        if spec.name == "lsst" and tile.body[row] >= 0:
            return History()
        now, detected = tile.visits.mjd_tai[column], tile.detected[row]
        start = int(np.searchsorted(tile.visits.mjd_tai, now - spec.history_days))
        earlier = np.flatnonzero(detected[start:column]) + start
        before = np.flatnonzero(detected[:start])
        older = Older(
            float(tile.visits.mjd_tai[before[0]]) if len(before) else None,
            len(before),
            start - len(before),
        )
        limits: tuple[UpperLimit, ...] = ()
        first_forced = start
        if spec.name == "ztf":
            limits = tuple(self._limits[place][k] for k in np.flatnonzero(~detected[start:column]) + start)
        else:
            first = tile.visits.mjd_tai[earlier[0]] if len(earlier) else now
            first_forced = int(np.searchsorted(tile.visits.mjd_tai, first - _PRECOVERY_DAYS))
        first_forced = max(first_forced, column - _MOST_FORCED[spec.name])
        return History(
            tuple(self.detection(place, row, int(k)) for k in earlier),
            limits,
            tuple(_forced(tile, row, k) for k in range(first_forced, column)),
            older,
        )


def _limits(tile: Tile) -> list[UpperLimit]:
    visits = tile.visits
    rows = zip(visits.mjd_tai.tolist(), visits.band.tolist(), visits.flux_err.tolist(), strict=True)
    return [UpperLimit(mjd, BANDS[band], limiting_magnitude(error)) for mjd, band, error in rows]


def _forced(tile: Tile, row: int, column: int) -> ForcedFlux:
    visits = tile.visits
    return ForcedFlux(
        float(visits.mjd_tai[column]),
        BANDS[int(visits.band[column])],
        float(tile.flux[row, column]),
        float(visits.flux_err[column]),
    )
