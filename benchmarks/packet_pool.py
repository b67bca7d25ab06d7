"""Alert packets by the million: whole packets encoded once, of which ids, position and time are overwritten in place.

Encoding a packet takes longer than ingesting it, and whoever publishes shares the machine with what is measured. So a
pool of packets is encoded with the simulator, and a packet of the stream is a copy of one with the bytes of its
objectId, its candid or diaSourceId, its position and its time replaced. Alerts are distinct; an object has one position
and, over a run, three alerts on average. What is *not* replaced: the history, the photometry and the cutouts. Cutouts
are random bytes of the size of the simulator's, different in every packet of the pool: nothing that compresses can
profit from a repetition, for the pool is larger than any compressor's window.
"""

from __future__ import annotations

import random
import statistics
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from asterism.ids import make_key
from asterism.simulate.encode import avro_long
from asterism.simulate.packets import ForcedFlux, History, SimulatedDetection, UpperLimit, lsst_packet, ztf_packet
from asterism.simulate.packets_ztf import jd_utc

POOL = 128
"""Packets of each survey that are encoded; 7 MB of ZTF, 19 MB of LSST."""
ALERTS_PER_OBJECT = 3
CATALOGUED = 0.2
"""Share of objects that lie on a catalogued star."""
FIRST_MJD = 61001.3
"""Time of the first alert, MJD TAI; the stream then takes the length of a night, whatever it has."""

_SOURCE_ID = 3 * 2**60
_LSST_OBJECT_ID = 2**60
_DOUBLE = struct.Struct("<d").pack
_GZIP = b"\x1f\x8b\x08"
_HISTORIES = {"ztf": ((4, 9, 6), (8, 13, 10), (2, 7, 4)), "lsst": ((0, 0, 0), (20, 0, 60), (100, 0, 200))}
"""Earlier detections, upper limits and forced fluxes of a packet, taken in turn."""


@dataclass(frozen=True)
class Template:
    """A packet, cut where its bytes are replaced.

    Attributes
    ----------
    pieces : tuple of bytes
        The packet in pieces; every second one is replaced.
    fields : tuple of int
        By what those are: 0 id of the source, 1 id of the object (every time the detection itself names them), 2 right
        ascension, 3 declination, 4 time.
    """

    pieces: tuple[bytes, ...]
    fields: tuple[int, ...]

    def filled(self, values: tuple[bytes, ...]) -> bytes:
        """Return the packet with other values, each as long as the one it replaces."""
        pieces = list(self.pieces)
        pieces[1::2] = [values[field] for field in self.fields]
        return b"".join(pieces)


@dataclass(frozen=True)
class Sky:
    """The objects of a stream: positions [deg] by number.

    Parameters
    ----------
    ra, dec : ndarray
        ICRS [deg], one of each per object.
    """

    ra: np.ndarray
    dec: np.ndarray

    @classmethod
    def draw(cls, objects: int, seed: int = 3) -> Sky:
        """Return objects spread evenly over the sky north of declination -30 degrees."""
        rng = np.random.default_rng(seed)
        return cls(rng.uniform(0.0, 360.0, objects), np.degrees(np.arcsin(rng.uniform(-0.5, 1.0, objects))))


class Pool:
    """Gives the packets of one survey, by number.

    Parameters
    ----------
    survey : {"ztf", "lsst"}
        Whose.
    size : int
        Packets that are encoded.
    """

    def __init__(self, survey: str, size: int = POOL) -> None:
        self.survey = survey
        chance = random.Random(17)
        make = _ztf if survey == "ztf" else _lsst
        self._templates = [make(chance, number) for number in range(size)]

    @property
    def median_bytes(self) -> int:
        """Median size of a packet [bytes]."""
        return int(statistics.median(sum(map(len, template.pieces)) for template in self._templates))

    def packets(self, sky: Sky, start: int, count: int) -> Iterator[tuple[int, bytes]]:
        """Yield object number and packet of alerts `start` to `start + count`; the same call gives the same packets."""
        rng = np.random.default_rng([5, start])
        objects = rng.integers(0, sky.ra.size, count)
        ra = sky.ra[objects] + rng.normal(0.0, 2e-5, count)
        dec = sky.dec[objects] + rng.normal(0.0, 2e-5, count)
        ra %= 360.0
        hours = (start + np.arange(count)) * 1e-7 % 0.3
        times = (jd_utc(FIRST_MJD) if self.survey == "ztf" else FIRST_MJD) + hours
        rows = zip(objects.tolist(), ra.tolist(), dec.tolist(), times.tolist(), strict=True)
        for number, (target, east, north, time) in enumerate(rows, start):
            template = self._templates[number % len(self._templates)]
            ids = avro_long(_SOURCE_ID + number), object_name(self.survey, target)
            yield target, template.filled((*ids, _DOUBLE(east), _DOUBLE(north), _DOUBLE(time)))


def object_name(survey: str, number: int) -> bytes:
    """Return the bytes that stand in a packet for an object."""
    return f"ZTF25{number:07d}".encode() if survey == "ztf" else avro_long(_LSST_OBJECT_ID + number)


def object_key(survey: str, number: int) -> str:
    """Return the key of an object of the stream."""
    return make_key(survey, f"ZTF25{number:07d}" if survey == "ztf" else str(_LSST_OBJECT_ID + number))


def _detection(chance: random.Random, number: int, bands: str, age: float = 0.0) -> SimulatedDetection:
    name = str(_LSST_OBJECT_ID + number) if "u" in bands else f"ZTF25{number:07d}"
    flux = chance.choice([-1.0, 1.0]) * 10.0 ** chance.uniform(2.5, 5.0)
    source = _SOURCE_ID + 2**40 + 1000 * number + int(10 * age)
    place = chance.uniform(0.0, 360.0), chance.uniform(-29.0, 60.0)
    return SimulatedDetection(name, source, *place, FIRST_MJD - age, chance.choice(bands), flux, 120.0)


def _history(chance: random.Random, number: int, bands: str, sizes: tuple[int, int, int]) -> History:
    sources, limits, forced = sizes
    return History(
        tuple(_detection(chance, number, bands, 1.0 + age) for age in range(sources)),
        tuple(UpperLimit(60990.0 - age, chance.choice(bands), chance.uniform(19.0, 21.0)) for age in range(limits)),
        tuple(
            ForcedFlux(60990.0 - age, chance.choice(bands), chance.gauss(0.0, 300.0), 150.0) for age in range(forced)
        ),
    )


def _ztf(chance: random.Random, number: int) -> Template:
    detection = _detection(chance, number, "gri")
    packet = bytearray(ztf_packet(detection, _history(chance, number, "gri", _HISTORIES["ztf"][number % 3])))
    stamps = [*_find(packet, _GZIP), len(packet)]
    for begin, end in pairwise(stamps):  # all but the names and trailers between the stamps
        packet[begin + 10 : end - 70] = chance.randbytes(max(0, end - 70 - begin - 10))
    return _template(bytes(packet), detection, str(detection.object_id).encode(), jd_utc(detection.mjd_tai), 2, 1)


def _lsst(chance: random.Random, number: int) -> Template:
    detection = _detection(chance, number, "ugrizy")
    packet = lsst_packet(detection, _history(chance, number, "ugrizy", _HISTORIES["lsst"][number % 3]))
    return _template(packet, detection, avro_long(int(detection.object_id or 0)), detection.mjd_tai, 2, 1)


def _template(
    packet: bytes, detection: SimulatedDetection, name: bytes, time: float, sources: int, targets: int
) -> Template:
    """Find the first places, which are those of the detection itself: it stands before the history."""
    values = avro_long(detection.source_id), name, _DOUBLE(detection.ra), _DOUBLE(detection.dec), _DOUBLE(time)
    wanted = zip(values, (sources, targets, 1, 1, 1), strict=True)
    found = [(at, field) for field, (value, most) in enumerate(wanted) for at in _find(packet, value)[:most]]
    pieces, end = [], 0
    for at, field in sorted(found):
        pieces += [packet[end:at], values[field]]
        end = at + len(values[field])
    return Template((*pieces, packet[end:]), tuple(field for _, field in sorted(found)))


def _find(packet: bytes | bytearray, wanted: bytes) -> Sequence[int]:
    places, at = [], packet.find(wanted)
    while at >= 0:
        places.append(at)
        at = packet.find(wanted, at + len(wanted))
    return places
